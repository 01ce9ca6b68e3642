//! `hookgate webhook setup`, `delete-all`, `health-check`, `stats`, and the check that a worker makes by itself.

use super::{Person, TOKENS, id, names, ours, run, shown};
use crate::moysklad_sync::{Franchise, account_path};
use crate::support::gateway::Gateway;
use crate::support::wait;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl as _;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const FOREIGN: &str = "https://other.example.com/hook";

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_is_needed_is_set_up_and_that_of_others_stays() {
    let franchise = Franchise::start().await;
    let [main, kazan] = [TOKENS[0], TOKENS[1]].map(|token| Person::new(&franchise, token));
    main.add_hook("product", "CREATE", FOREIGN).await;
    kazan.add_hook("customerorder", "CREATE", FOREIGN).await;

    let (done, text) = run(&franchise, &["--json", "webhook", "setup", "--all"]);
    assert!(done, "{text}");
    let report = parsed(&text);
    assert_eq!((&report[0]["created"], &report[0]["mended"]), (&json!(12), &json!(3)), "{report}");
    // The children had product.CREATE and product.UPDATE by hand, and need DELETE of five types.
    assert_eq!(
        (&report[1]["created"], &report[1]["mended"], &report[1]["removed"]),
        (&json!(4), &json!(1), &json!(2)),
        "{report}"
    );
    let (of_main, of_kazan) = (main.hooks().await, kazan.hooks().await);
    assert_eq!((of_main.len(), of_kazan.len()), (16, 6));
    assert_eq!(
        names(&ours(&of_kazan)),
        ["bundle.DELETE", "product.DELETE", "productfolder.DELETE", "service.DELETE", "variant.DELETE"]
    );
    let urls: std::collections::BTreeSet<String> =
        ours(&of_main).iter().map(|hook| hook["url"].as_str().unwrap().to_owned()).collect();
    assert_eq!(urls.len(), 1, "one URL for all webhooks of an account");
    assert!(urls.iter().all(|url| !text.contains(url)), "the secret is not printed");
    for hook in ours(&of_main).iter().filter(|hook| hook["action"] == "UPDATE") {
        assert_eq!(hook["diffType"], "FIELDS");
    }

    let (done, text) = run(&franchise, &["--json", "webhook", "setup", "--account", &id(franchise.main)]);
    assert!(done && parsed(&text)[0]["kept"] == 15 && parsed(&text)[0]["created"] == 0, "{text}");
    let (done, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(done, "{text}");

    // Through its own URL an event comes in and reaches the children.
    franchise.create(json!({"name": "Kettle", "externalCode": "kettle"})).await;
    franchise.sim.by_external_code(franchise.children[0], "kettle");

    let (done, text) = run(&franchise, &["webhook", "delete-all"]);
    assert!(!done && text.contains("--force"), "{text}");
    let (done, text) = run(&franchise, &["webhook", "delete-all", "--force"]);
    assert!(done, "{text}");
    assert_eq!(names(&main.hooks().await), ["product.CREATE"]);
    assert_eq!(names(&kazan.hooks().await), ["customerorder.CREATE"]);
    let (done, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(!done && text.contains("are not set up"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_switched_off_is_found_and_mended() {
    let franchise = Franchise::start_with(&[("MOYSKLAD_HOOK_CHECK_MINUTES", "0.03")]).await;
    let main = Person::new(&franchise, TOKENS[0]);
    main.add_hook("product", "CREATE", FOREIGN).await;
    // While one account is checked twice, one that was not set up is left as it was.
    let [kazan, _] = franchise.children;
    assert!(run(&franchise, &["webhook", "setup", "--account", &id(kazan)]).0);
    let checks = || {
        let requests = franchise.sim.requests(kazan);
        requests.iter().filter(|request| request.method == "GET" && request.path == "/entity/webhook").count()
    };
    let before = checks();
    wait::until("two checks", Duration::from_secs(20), || async { (checks() >= before + 2).then_some(()) })
        .await;
    assert_eq!(ours(&main.hooks().await).len(), 3);

    assert!(run(&franchise, &["webhook", "setup", "--account", &id(franchise.main)]).0);
    let hooks = ours(&main.hooks().await);
    assert_eq!(hooks.len(), 15);
    let warned = || franchise.gateway.log().matches("webhooks were not as they should be").count();
    let before = warned();
    main.change_hook(&hooks[0], json!({"enabled": false})).await;
    main.remove_hook(&hooks[1]).await;
    wait::until("the webhooks to be mended", Duration::from_secs(20), || async {
        let hooks = shown(&franchise, franchise.main);
        let ours = ours(&hooks);
        (ours.len() == 15 && ours.iter().all(|hook| hook["enabled"] == true) && hooks.len() == 16)
            .then_some(())
    })
    .await;
    wait::until("the log to say so", Duration::from_secs(20), || async { (warned() > before).then_some(()) })
        .await;
}

/// Who removes webhooks is not thwarted by a check that has begun and makes them anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_under_way_brings_back_nothing_that_was_removed() {
    let franchise = Franchise::start_with(&[("MOYSKLAD_HOOK_CHECK_MINUTES", "0.03")]).await;
    let (sim, main) = (&franchise.sim, franchise.main);
    assert!(run(&franchise, &["webhook", "setup", "--account", &id(main)]).0);
    // It knows the secret, and hangs in its first request.
    sim.latency(main, Duration::from_secs(15));
    let mut looks = 0;
    wait::until("a check to hang", Duration::from_secs(60), || {
        // One request may be followed by another.
        looks = if sim.in_flight(main) > 0 { looks + 1 } else { 0 };
        let hangs = looks > 50;
        async move { hangs.then_some(()) }
    })
    .await;
    sim.latency(main, Duration::ZERO);
    let (done, text) = run(&franchise, &["webhook", "delete-all", "--account", &id(main), "--force"]);
    assert!(done, "{text}");
    let turns = format!(
        "SELECT count(*) AS rows FROM moysklad_sweeps
         WHERE account_id = '{main}' AND job = 'hooks' AND lease_owner IS NOT NULL"
    );
    wait::until("the check to end", Duration::from_secs(60), || async {
        let mut conn = franchise.gateway.database.connect().await;
        let turns: Count = sql_query(&turns).get_result(&mut conn).await.unwrap();
        (turns.rows == 0).then_some(())
    })
    .await;
    assert_eq!(ours(&shown(&franchise, main)), Vec::<Value>::new());
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_says_what_is_wrong() {
    let franchise = Franchise::start().await;
    let main = Person::new(&franchise, TOKENS[0]);
    assert!(run(&franchise, &["webhook", "setup", "--all"]).0);
    let hooks = ours(&main.hooks().await);
    main.change_hook(&hooks[0], json!({"enabled": false})).await;
    main.remove_hook(&hooks[1]).await;
    let name = |hook: &Value| names(std::slice::from_ref(hook)).remove(0);
    let (done, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(!done, "{text}");
    assert!(text.contains(&format!("{}: switched off", name(&hooks[0]))), "{text}");
    assert!(text.contains(&format!("{}: missing", name(&hooks[1]))), "{text}");
    assert!(run(&franchise, &["webhook", "setup", "--all"]).0);
    assert!(run(&franchise, &["webhook", "health-check"]).0);

    // What is needless harms nobody: it is told, and removed at the next check.
    let settings = r#"{"catalog": {"entities": ["product"]}}"#;
    assert!(run(&franchise, &["accounts", "settings", &id(franchise.children[1]), "--set", settings]).0);
    let (done, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(done && text.contains("not needed, removed at the next check: bundle.DELETE"), "{text}");

    // A dead token stops its account and no other.
    franchise.sim.kill_token(franchise.children[0]);
    let (done, text) = run(&franchise, &["webhook", "setup", "--all"]);
    assert!(!done && text.contains("refused the token"), "{text}");
    let account = franchise.gateway.admin_get(&account_path(franchise.children[0])).await;
    assert_eq!(account["status"], "suspended");
    let (done, text) = run(&franchise, &["--json", "webhook", "health-check"]);
    let verdicts: Vec<Value> =
        parsed(&text).as_array().unwrap().iter().map(|item| item["verdict"].clone()).collect();
    assert!(!done);
    assert_eq!(verdicts, ["ok", "FAILED", "ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_all_places_is_told() {
    let franchise = Franchise::start().await;
    let main = Person::new(&franchise, TOKENS[0]);
    for n in 0..5 {
        main.add_hook("service", "UPDATE", &format!("https://crowd.example.com/secret-{n}")).await;
    }
    let (done, text) = run(&franchise, &["webhook", "setup", "--account", &id(franchise.main)]);
    assert!(!done && text.contains("service.UPDATE") && text.contains("crowd.example.com"), "{text}");
    assert!(!text.contains("secret-"), "URLs of others may hold secrets: {text}");
    let hooks = main.hooks().await;
    assert_eq!((ours(&hooks).len(), hooks.len()), (14, 19), "the others are there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_of_an_account_speaks_for_it_alone() {
    let franchise = Franchise::start().await;
    let main = Person::new(&franchise, TOKENS[0]);
    assert!(run(&franchise, &["webhook", "setup", "--account", &id(franchise.main)]).0);
    let url = ours(&main.hooks().await)[0]["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix(crate::moysklad_sync::ORIGIN).unwrap().to_owned();
    let post = async |path: &str, account: Uuid, request: &str| {
        let href = format!("{}/entity/product/{}", franchise.sim.base, Uuid::new_v4());
        let event =
            json!({"meta": {"type": "product", "href": href}, "action": "UPDATE", "accountId": account});
        let url = franchise.gateway.url(&format!("{path}?requestId={request}"));
        let reply = franchise
            .gateway
            .http
            .post(url)
            .body(json!({"events": [event]}).to_string())
            .send()
            .await
            .unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    assert_eq!(post(&path, franchise.main, "own").await.0, 200);
    let (status, text) = post(&path, franchise.children[0], "foreign").await;
    assert!(status == 400 && text.contains("accountId"), "{text}");
    assert_eq!(post(&format!("{path}0"), franchise.main, "wrong").await.0, 401);
    let events = franchise.gateway.admin_get("/api/v1/events?provider=moysklad").await;
    assert!(!events.to_string().contains("foreign#0") && !events.to_string().contains("wrong#0"));
    assert!(!franchise.gateway.log().contains(path.rsplit('/').next().unwrap()), "the log shows the secret");

    assert!(run(&franchise, &["webhook", "delete-all", "--account", &id(franchise.main), "--force"]).0);
    wait::until("the secret to be forgotten", Duration::from_secs(20), || async {
        (post(&path, franchise.main, "late").await.0 == 401).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_url_that_moysklad_refuses_sets_nothing_up() {
    let franchise = Franchise::start_with(&[("APP_URL", "http://localhost:8080")]).await;
    let before = franchise.sim.requests(franchise.main).len();
    let (done, text) = run(&franchise, &["webhook", "setup", "--all"]);
    assert!(!done && text.contains("APP_URL") && text.contains("host with a dot"), "{text}");
    assert_eq!(franchise.sim.requests(franchise.main).len(), before, "nothing was asked of MoySklad");
    // Also without a secret for all accounts: that there are accounts is enough.
    let mut franchise =
        Franchise::start_with(&[("APP_URL", "http://localhost:8080"), ("MOYSKLAD_WEBHOOK_TOKEN", "")]).await;
    let (done, text) = run(&franchise, &["check"]);
    assert!(!done && text.contains("APP_URL") && text.contains("full host name"), "{text}");
    assert!(franchise.gateway.terminate());
    franchise.gateway.restart();
    wait::until("the warning at the start", Duration::from_secs(20), || async {
        franchise.gateway.log().contains("APP_URL must have a host with a dot").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_counted_by_provider_type_and_status() {
    let gateway = Gateway::start(&[("MOYSKLAD_WEBHOOK_TOKEN", "stats-canary-1")]).await;
    let href = "https://api.moysklad.ru/api/remap/1.2/entity/store/4081cebb-f82b-11f0-0a80-0472000f6157";
    let event =
        json!({"meta": {"type": "store", "href": href}, "action": "CREATE", "accountId": Uuid::nil()});
    for _ in 0..2 {
        let url = gateway.url("/api/v1/webhooks/moysklad?token=stats-canary-1&requestId=r");
        let body = json!({"events": [event, event]}).to_string();
        assert_eq!(gateway.http.post(url).body(body).send().await.unwrap().status(), 200);
    }
    let (done, text) =
        super::told(&gateway.command(&["--json", "webhook", "stats", "--since", "1 hour ago"]));
    assert!(done, "{text}");
    assert_eq!(
        parsed(&text),
        json!([{"provider": "moysklad", "event_type": "store.CREATE", "status": "ignored", "events": 2, "duplicates": 2}])
    );
    let (done, text) =
        super::told(&gateway.command(&["--json", "webhook", "stats", "--since", "2999-01-01T00:00:00Z"]));
    assert!(done && parsed(&text) == json!([]), "{text}");
    assert!(!super::told(&gateway.command(&["webhook", "stats", "--since", "yesterday"])).0);
}
