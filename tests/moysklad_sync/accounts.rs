//! The admin API and the commands of accounts.

use super::account_path;
use crate::support::gateway::{Gateway, MASTER_KEY};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use hookgate::crypto::MasterKey;
use hookgate::db::schema::moysklad_accounts::dsl;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;

const TOKEN: &str = "accounts-canary-4be1";

async fn gateway() -> Gateway {
    let mut gateway = Gateway::start(&[]).await;
    gateway.canary(TOKEN);
    gateway
}

async fn put(gateway: &Gateway, id: Uuid, body: &Value) -> (u16, Value) {
    gateway.admin("PUT", &account_path(id), body).await
}

async fn sealed(gateway: &Gateway, id: Uuid) -> Vec<u8> {
    let mut conn = gateway.database.connect().await;
    dsl::moysklad_accounts.find(id).select(dsl::sealed_token).first(&mut conn).await.unwrap()
}

#[tokio::test]
async fn accounts_are_created_shown_replaced_and_removed() {
    let gateway = gateway().await;
    let (main, child) = (Uuid::new_v4(), Uuid::new_v4());
    let body = json!({"account_id": main, "name": "Head office", "role": "main", "access_token": TOKEN});
    let (status, created) = gateway.admin("PUT", "/api/v1/moysklad/accounts", &body).await;
    assert_eq!(status, 201, "{created}");
    assert_eq!(created["account_id"], main.to_string());
    assert_eq!(
        (&created["role"], &created["status"], &created["settings"], &created["has_token"]),
        (&json!("main"), &json!("active"), &json!({}), &json!(true))
    );
    assert_eq!(created["parent_account_id"], Value::Null);

    let body = json!({
        "name": "Kazan", "role": "child", "parent_account_id": main, "access_token": TOKEN, "status": "inactive",
        "settings": {"catalog": {"create_folders": false}},
    });
    assert_eq!(put(&gateway, child, &body).await.0, 201);
    let list = gateway.admin_get("/api/v1/moysklad/accounts").await;
    let names: Vec<&Value> =
        list["items"].as_array().unwrap().iter().map(|account| &account["name"]).collect();
    assert_eq!(names, ["Head office", "Kazan"]);

    // What is absent stays: token, status and settings.
    let before = sealed(&gateway, child).await;
    let body = json!({"name": "Kazan 2", "role": "child", "parent_account_id": main});
    let (status, replaced) = put(&gateway, child, &body).await;
    assert_eq!((status, replaced["name"].as_str()), (200, Some("Kazan 2")));
    assert_eq!(
        (&replaced["status"], &replaced["settings"]),
        (&json!("inactive"), &json!({"catalog": {"create_folders": false}}))
    );
    assert_eq!(sealed(&gateway, child).await, before);
    assert_eq!(gateway.admin_get(&account_path(child)).await, replaced);

    let (status, problem) = gateway.admin("DELETE", &account_path(main), &Value::Null).await;
    assert_eq!(status, 409, "{problem}");
    assert_eq!(gateway.admin("DELETE", &account_path(child), &Value::Null).await.0, 204);
    assert_eq!(gateway.admin("DELETE", &account_path(main), &Value::Null).await.0, 204);
    assert_eq!(gateway.admin("DELETE", &account_path(main), &Value::Null).await.0, 404);
    assert_eq!(gateway.admin("GET", &account_path(main), &Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_token_goes_in_sealed_and_never_comes_out() {
    let gateway = gateway().await;
    let id = Uuid::new_v4();
    let (_, created) =
        put(&gateway, id, &json!({"name": "Main", "role": "main", "access_token": TOKEN})).await;
    let shown = gateway.admin_get(&account_path(id)).await;
    let listed = gateway.admin_get("/api/v1/moysklad/accounts").await;
    let command = String::from_utf8(gateway.command(&["accounts", "list", "--json"]).stdout).unwrap();
    assert!(command.contains(&id.to_string()));
    for text in [created.to_string(), shown.to_string(), listed.to_string(), command] {
        assert!(!text.contains(TOKEN) && !text.contains("sealed"), "{text}");
    }
    let sealed = sealed(&gateway, id).await;
    assert!(!sealed.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()));
    let key = MasterKey::parse(MASTER_KEY).unwrap();
    assert_eq!(key.open(&format!("moysklad_accounts/{id}"), &sealed).unwrap().expose_secret(), TOKEN);
}

#[tokio::test]
async fn a_refusal_names_the_field() {
    let gateway = gateway().await;
    let (main, child) = (Uuid::new_v4(), Uuid::new_v4());
    let good = json!({"name": "Main", "role": "main", "access_token": TOKEN});
    assert_eq!(put(&gateway, main, &good).await.0, 201);
    let family = json!({"name": "Kazan", "role": "child", "parent_account_id": main, "access_token": TOKEN});
    assert_eq!(put(&gateway, child, &family).await.0, 201);

    let id = Uuid::new_v4();
    for (field, body) in [
        ("name", json!({"role": "main", "access_token": TOKEN})),
        ("name", json!({"name": " ", "role": "main", "access_token": TOKEN})),
        ("role", json!({"name": "X", "access_token": TOKEN})),
        ("role", json!({"name": "X", "role": "boss", "access_token": TOKEN})),
        ("status", json!({"name": "X", "role": "main", "access_token": TOKEN, "status": "gone"})),
        ("settings", json!({"name": "X", "role": "main", "access_token": TOKEN, "settings": [1]})),
        (
            "settings",
            json!({"name": "X", "role": "main", "access_token": TOKEN, "settings": {"catalog": {}}}),
        ),
        ("access_token", json!({"name": "X", "role": "main"})),
        ("access_token", json!({"name": "X", "role": "main", "access_token": "two words"})),
        ("parent_account_id", json!({"name": "X", "role": "child", "access_token": TOKEN})),
        (
            "parent_account_id",
            json!({"name": "X", "role": "child", "access_token": TOKEN, "parent_account_id": "x"}),
        ),
        (
            "parent_account_id",
            json!({"name": "X", "role": "child", "access_token": TOKEN, "parent_account_id": id}),
        ),
        (
            "parent_account_id",
            json!({"name": "X", "role": "child", "access_token": TOKEN, "parent_account_id": Uuid::new_v4()}),
        ),
        (
            "parent_account_id",
            json!({"name": "X", "role": "child", "access_token": TOKEN, "parent_account_id": child}),
        ),
        (
            "parent_account_id",
            json!({"name": "X", "role": "main", "access_token": TOKEN, "parent_account_id": main}),
        ),
        ("account_id", json!({"account_id": main, "name": "X", "role": "main", "access_token": TOKEN})),
    ] {
        let (status, problem) = put(&gateway, id, &body).await;
        assert_eq!(status, 422, "{body} {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("{field}: ")) && !detail.contains(TOKEN), "{body}: {detail}");
    }
    assert_eq!(
        gateway.admin("GET", &account_path(id), &Value::Null).await.0,
        404,
        "nothing of it was stored"
    );
    // A main account that is followed cannot become a child.
    let body = json!({"name": "Main", "role": "child", "parent_account_id": child});
    let status = put(&gateway, main, &body).await.0;
    assert!(status == 409 || status == 422, "{status}");
}

#[tokio::test]
async fn without_a_master_key_no_token_is_stored_and_the_remedy_is_told() {
    let gateway = Gateway::start(&[("HOOKGATE_MASTER_KEY", "")]).await;
    let id = Uuid::new_v4();
    let (status, problem) =
        put(&gateway, id, &json!({"name": "Main", "role": "main", "access_token": TOKEN})).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("HOOKGATE_MASTER_KEY"));
    assert_eq!(gateway.admin("GET", &account_path(id), &Value::Null).await.0, 404);
}

#[tokio::test]
async fn no_route_of_accounts_and_tasks_answers_without_the_admin_token() {
    let gateway = gateway().await;
    let id = Uuid::new_v4();
    for (method, path) in [
        ("GET", "/api/v1/moysklad/accounts".to_owned()),
        ("PUT", "/api/v1/moysklad/accounts".to_owned()),
        ("GET", account_path(id)),
        ("PUT", account_path(id)),
        ("DELETE", account_path(id)),
        ("GET", "/api/v1/sync-queue".to_owned()),
        ("POST", format!("/api/v1/sync-queue/{id}/retry")),
    ] {
        let request = gateway.http.request(method.parse().unwrap(), gateway.url(&path)).json(&json!({}));
        assert_eq!(request.send().await.unwrap().status(), 401, "{method} {path}");
    }
}

#[tokio::test]
async fn the_commands_add_link_set_and_remove() {
    let gateway = gateway().await;
    let [first, second, child] = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()].map(|id| id.to_string());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
    let path = file.path().to_str().unwrap();
    let run = |arguments: &[&str]| {
        let output = gateway.command(arguments);
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(!text.contains(TOKEN), "{text}");
        (output.status.success(), text)
    };
    for (id, name) in [(&first, "First"), (&second, "Second")] {
        let (done, text) =
            run(&["accounts", "add", id, "--name", name, "--role", "main", "--token-file", path]);
        assert!(done && text.contains(name), "{text}");
    }
    let add = ["accounts", "add", &child, "--name", "Kazan", "--role", "child", "--parent", &first];
    let (done, text) = run(&add);
    assert!(!done && text.contains("access_token: is required"), "{text}");
    assert!(run(&[&add[..], &["--token-file", path]].concat()).0);
    assert!(run(&["accounts", "link", &child, "--to", &second]).0);
    let account = gateway.admin_get(&account_path(child.parse().unwrap())).await;
    assert_eq!(account["parent_account_id"], second);
    let (done, text) = run(&["accounts", "link", &second, "--to", &first]);
    assert!(!done && text.contains("main account"), "{text}");

    let (done, text) =
        run(&["accounts", "settings", &child, "--set", r#"{"catalog": {"create_folders": false}}"#]);
    assert!(
        done && serde_json::from_str::<Value>(&text).unwrap()
            == json!({"catalog": {"create_folders": false}}),
        "{text}"
    );
    assert!(!run(&["accounts", "settings", &child, "--set", "[]"]).0);
    let (done, text) = run(&["accounts", "settings", &child, "--set", r#"{"catalog": {"image": true}}"#]);
    assert!(!done && text.contains("settings: catalog.image: "), "{text}");
    // That every key is there is tested beside the text.
    let (done, help) = run(&["accounts", "settings", "--help"]);
    assert!(
        done && help.contains("`catalog`:") && help.contains("  match_products_by  field by which"),
        "{help}"
    );
    let key = MasterKey::parse(MASTER_KEY).unwrap();
    let sealed = sealed(&gateway, child.parse().unwrap()).await;
    assert_eq!(key.open(&format!("moysklad_accounts/{child}"), &sealed).unwrap().expose_secret(), TOKEN);

    let (done, text) = run(&["accounts", "remove", &second]);
    assert!(!done && text.contains("other accounts follow"), "{text}");
    assert!(run(&["accounts", "remove", &child]).0);
    let (done, text) = run(&["--json", "accounts", "remove", &second]);
    let left: Value = serde_json::from_str(&text).unwrap();
    assert!(done && left.as_array().unwrap().len() == 1 && left[0]["name"] == "First", "{text}");
    let (done, text) = run(&["accounts", "remove", &second]);
    assert!(!done && text.contains("no account"), "{text}");
}

#[tokio::test]
async fn a_child_becomes_a_main_account_only_with_settings_that_suit_it() {
    let gateway = gateway().await;
    let (main, child) = (Uuid::new_v4(), Uuid::new_v4());
    let body = json!({"name": "Main", "role": "main", "access_token": TOKEN});
    assert_eq!(put(&gateway, main, &body).await.0, 201);
    let body = json!({
        "name": "Kazan", "role": "child", "parent_account_id": main, "access_token": TOKEN,
        "settings": {"catalog": {"images": false}},
    });
    assert_eq!(put(&gateway, child, &body).await.0, 201);
    let add = ["accounts", "add", &child.to_string(), "--name", "Kazan", "--role", "main"];
    let output = gateway.command(&add);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && text.contains("catalog") && text.contains("accounts settings"),
        "{text}"
    );
    assert_eq!(gateway.admin_get(&account_path(child)).await["role"], "child", "nothing was changed");
    let (status, problem) = put(&gateway, child, &json!({"name": "Kazan", "role": "main"})).await;
    assert_eq!(status, 422, "{problem}");

    // What is the same for both roles stays.
    let settings = json!({"dedicated_login": true});
    let set = ["accounts", "settings", &child.to_string(), "--set", &settings.to_string()];
    assert!(gateway.command(&set).status.success());
    assert!(gateway.command(&add).status.success());
    let account = gateway.admin_get(&account_path(child)).await;
    assert_eq!((&account["role"], &account["settings"]), (&json!("main"), &settings));
}
