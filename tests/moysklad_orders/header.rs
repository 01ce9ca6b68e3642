//! What an order says beside its lines: what is emptied, numbers, and bank accounts.

use super::{Shop, id, target};
use serde_json::{Value, json};

#[tokio::test]
async fn what_the_child_clears_is_cleared_in_main_and_what_a_clerk_says_stays() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    let said = json!({"shipmentAddress": "Kazan, Bauman 1", "deliveryPlannedMoment": "2026-11-21 10:00:00"});
    let order = shop.create("customerorder", shop.document(lines, said));
    shop.settle().await;
    assert_eq!(shop.order()["shipmentAddress"], "Kazan, Bauman 1");
    let cleared = json!({"shipmentAddress": "", "deliveryPlannedMoment": null});
    sim.edit_in(*child, "customerorder", order, cleared);
    shop.settle().await;
    let copy = shop.order();
    assert!(copy.get("shipmentAddress").is_none() && copy.get("deliveryPlannedMoment").is_none(), "{copy}");
    assert_eq!(shop.outcomes().await.last().unwrap(), "updated");

    sim.edit_in(*main, "customerorder", id(&copy), json!({"shipmentAddress": "Pier 7"}));
    sim.edit_in(*child, "customerorder", order, json!({"description": "please hurry"}));
    shop.settle().await;
    let copy = shop.order();
    assert!(copy["description"].as_str().unwrap().ends_with("please hurry"));
    assert_eq!(copy["shipmentAddress"], "Pier 7", "nobody said so but the clerk");
}

#[tokio::test]
async fn the_customer_can_be_changed_where_main_has_named_his_bank_account() {
    let shop = Shop::start_with(|_, mut settings| {
        settings["counterparty"] = "real".into();
        settings
    })
    .await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let customer = |name: &str, inn: &str| {
        let body = json!({"name": name, "companyType": "legal", "inn": inn});
        let id = sim.create_in(*child, "counterparty", body);
        json!({"agent": sim.reference(*child, "counterparty", id)})
    };
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, customer("One", "7701")));
    shop.settle().await;
    let copy = shop.order();
    let whose: uuid::Uuid = target(&copy["agent"]).parse().unwrap();
    let account = sim.person(*main).add_bank_account("counterparty", whose).unwrap();
    sim.edit_in(*main, "customerorder", id(&copy), json!({"agentAccount": account}));
    sim.edit_in(*child, "customerorder", order, customer("Two", "7702"));
    shop.settle().await;
    let copy = shop.order();
    assert_ne!(target(&copy["agent"]), whose.to_string());
    assert!(copy.get("agentAccount").is_none(), "{copy}");
}

#[tokio::test]
async fn documents_of_three_types_with_one_number_have_three_in_main() {
    let shop = Shop::start_with(|_, mut settings| {
        settings["number_prefix"] = "KZN-".into();
        settings
    })
    .await;
    shop.sim.rules(shop.main, |rules| rules.check_unique_numbers = true);
    let (_, tea) = shop.product("Tea").await;
    let number = |kind: &str, name: &str| {
        let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
        shop.create(kind, shop.document(lines, json!({ "name": name })));
    };
    for kind in ["customerorder", "retaildemand", "purchaseorder"] {
        number(kind, "00001");
    }
    number("customerorder", "R-00001");
    number("customerorder", "O-R-00001");
    shop.settle().await;
    let mut names: Vec<String> =
        shop.orders().iter().map(|order| order["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["KZN-00001", "KZN-O-O-R-00001", "KZN-O-R-00001", "KZN-P-00001", "KZN-R-00001"]);
}

#[tokio::test]
async fn a_currency_that_is_added_in_main_is_known_at_once() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let tenge = sim.reference(*child, "currency", sim.currency(*child, "KZT"));
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    shop.create("customerorder", shop.document(lines, json!({"rate": {"currency": tenge}})));
    let task = shop.task_when("the order to fail", |task| task["status"] == "failed").await;
    let error = task["error"].as_str().unwrap();
    assert!(error.contains("main has no currency KZT: add it there, then retry"), "{error}");
    let tenge: Value = json!({"name": "тенге", "code": "398", "isoCode": "KZT"});
    sim.create_in(*main, "currency", tenge);
    let (done, text) = shop.run(&["queue", "retry", task["id"].as_str().unwrap()]);
    assert!(done, "{text}");
    shop.settle().await;
    assert_eq!(target(&shop.order()["rate"]["currency"]), sim.currency(*main, "KZT").to_string());
}
