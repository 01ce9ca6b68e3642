//! What main refuses, and what the operator is told of it.

use super::{Shop, id};
use serde_json::{Value, json};
use uuid::Uuid;

async fn order(shop: &Shop, rest: Value) -> Uuid {
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    shop.create("customerorder", shop.document(lines, rest))
}

/// The only task, which has failed at once: its id and why.
async fn failed(shop: &Shop) -> (String, String) {
    let task = shop.task_when("the order to fail", |task| task["status"] == "failed").await;
    assert_eq!(task["attempts"], 1, "to try again changes nothing: {task}");
    let text = |name: &str| task[name].as_str().unwrap().to_owned();
    (text("id"), text("error"))
}

/// Tries it again, after what was in its way is gone.
async fn retried(shop: &Shop, task: &str) {
    let (done, text) = shop.run(&["queue", "retry", task]);
    assert!(done, "{text}");
    shop.settle().await;
    shop.order();
}

#[tokio::test]
async fn settings_that_name_what_main_does_not_have_are_named() {
    for setting in ["organization", "store", "counterparty"] {
        let wrong = Uuid::new_v4();
        let mut right = Value::Null;
        let shop = Shop::start_with(|_, settings| {
            right = settings.clone();
            let mut settings = settings;
            settings[setting] =
                if setting == "counterparty" { json!({ "stub": wrong }) } else { json!(wrong) };
            settings
        })
        .await;
        order(&shop, json!({})).await;
        let (task, error) = failed(&shop).await;
        let names = format!("`orders.{setting}` names the {setting} {wrong}, which main does not have");
        assert!(error.starts_with(&names) && error.contains("accounts settings"), "{error}");
        let settings = json!({ "orders": right }).to_string();
        let (done, text) = shop.run(&["accounts", "settings", &shop.child.to_string(), "--set", &settings]);
        assert!(done, "{text}");
        retried(&shop, &task).await;
    }
}

#[tokio::test]
async fn a_number_that_main_has_already_is_told_with_its_remedy() {
    let shop = Shop::start_with(|_, mut settings| {
        settings["number_prefix"] = "K-".into();
        settings
    })
    .await;
    shop.sim.rules(shop.main, |rules| rules.check_unique_numbers = true);
    let organization = shop.sim.reference(shop.main, "organization", shop.organization);
    let agent = shop.sim.reference(shop.main, "counterparty", shop.stand_in);
    let other = json!({"name": "K-7", "organization": organization, "agent": agent});
    let other = shop.sim.create_in(shop.main, "customerorder", other);
    order(&shop, json!({"name": "7"})).await;
    let (task, error) = failed(&shop).await;
    assert!(error.contains("(code 3006)") && error.contains("orders.number_prefix"), "{error}");
    shop.sim.person(shop.main).delete("customerorder", other).unwrap();
    retried(&shop, &task).await;
    assert_ne!(id(&shop.order()), other);
}

#[tokio::test]
async fn a_field_that_main_requires_is_named() {
    for kind in ["customerorder", "counterparty"] {
        let shop = Shop::start_with(|_, mut settings| {
            settings["counterparty"] = "real".into();
            settings
        })
        .await;
        let field = json!({"name": "Channel", "type": "string", "required": true});
        let attribute = shop.sim.person(shop.main).add_attribute(kind, &field).unwrap();
        order(&shop, json!({})).await;
        let (task, error) = failed(&shop).await;
        assert!(error.contains("“Channel” (string)") && error.contains("make it optional"), "{error}");
        assert_eq!(error.contains("stand-in"), kind == "counterparty", "{error}");
        let path = format!("/entity/{kind}/metadata/attributes/{attribute}");
        shop.sim.person(shop.main).request(&reqwest::Method::DELETE, &path, &Value::Null).unwrap();
        retried(&shop, &task).await;
    }
}
