//! Webhooks of stock: set up where an account's settings want its stock told, and what comes of them.

use super::{id, run};
use crate::moysklad_sync::{Franchise, ORIGIN};
use crate::support::observe::{counts, emission, emitted};
use crate::support::wait;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const FOREIGN: &str = "https://other.example.com/stock";

/// Webhooks of stock of the account.
fn hooks(franchise: &Franchise, account: Uuid) -> Vec<Value> {
    let reply = franchise.sim.person(account).request(&Method::GET, "/entity/webhookstock", &Value::Null);
    reply.unwrap()["rows"].as_array().unwrap().clone()
}

fn ours(hooks: &[Value]) -> Vec<Value> {
    hooks.iter().filter(|hook| hook["url"].as_str().unwrap().starts_with(ORIGIN)).cloned().collect()
}

fn settings(franchise: &Franchise, account: Uuid, settings: Value) -> (bool, String) {
    run(franchise, &["accounts", "settings", &id(account), "--set", &settings.to_string()])
}

/// Sets an account up; what the report says.
fn setup(franchise: &Franchise, account: Uuid) -> Value {
    let (done, text) = run(franchise, &["--json", "webhook", "setup", "--account", &id(account)]);
    assert!(done, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_is_told_where_the_settings_want_it() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    let foreign = json!({"stockType": "stock", "reportType": "all", "url": FOREIGN});
    sim.person(*main).request(&Method::POST, "/entity/webhookstock", &foreign).unwrap();
    let before = setup(&franchise, *main);
    assert_eq!(hooks(&franchise, *main).len(), 1, "nobody wants it told");

    let (done, text) = settings(&franchise, *main, json!({"stock": {"report": "all", "low": 4}}));
    assert!(done, "{text}");
    let kept = before["kept"].as_u64().unwrap() + before["created"].as_u64().unwrap();
    let kept = kept + before["mended"].as_u64().unwrap();
    let report = setup(&franchise, *main);
    assert_eq!((&report["kept"], &report["created"]), (&json!(kept), &json!(1)), "{report}");
    let hook = ours(&hooks(&franchise, *main)).remove(0);
    assert_eq!((&hook["reportType"], &hook["enabled"]), (&json!("all"), &json!(true)));
    let writes = sim.writes(*main).len();
    assert_eq!(setup(&franchise, *main)["kept"], kept + 1);
    assert_eq!(sim.writes(*main).len(), writes, "a second setup changes nothing");
    let (done, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(!text.contains("stock"), "{done} {text}");

    // Through its own URL the news come in.
    let tea = sim.create(*main, json!({"name": "Tea", "minimumBalance": 5}));
    let cup = sim.create(*main, json!({"name": "Cup"}));
    let store = sim.first(*main, "store");
    sim.person(*main).set_stock(tea, store, 8.into());
    franchise.settle().await;
    let updated = counts(&[("inventory.updated", 1)]);
    assert_eq!(emitted(gateway, &id(*main)).await, updated);
    sim.person(*main).set_stock(cup, store, 3.into());
    franchise.settle().await;
    let told = counts(&[("inventory.updated", 2), ("inventory.low", 1)]);
    assert_eq!(emitted(gateway, &id(*main)).await, told);
    let low = emission(gateway, "inventory.low").await["data"]["items"].clone();
    assert_eq!(low, json!([{"id": cup.to_string(), "stock": 3, "minimum": 4}]));

    // Another report, for a child; its own is removed when it is no longer wanted.
    assert!(settings(&franchise, *kazan, json!({"stock": {"report": "bystore"}})).0);
    setup(&franchise, *kazan);
    assert_eq!(hooks(&franchise, *kazan)[0]["reportType"], "bystore");
    assert!(settings(&franchise, *kazan, json!({"stock": {"report": "all"}})).0);
    let report = setup(&franchise, *kazan);
    assert_eq!((&report["created"], &report["removed"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(hooks(&franchise, *kazan)[0]["reportType"], "all");
    assert!(settings(&franchise, *kazan, json!({})).0);
    assert_eq!(setup(&franchise, *kazan)["removed"], 1);
    assert!(hooks(&franchise, *kazan).is_empty());

    let (done, text) = settings(&franchise, *kazan, json!({"stock": {"report": "bystore", "low": 1}}));
    assert!(!done && text.contains("stock.low"), "{text}");
    let (done, text) = run(&franchise, &["webhook", "delete-all", "--force"]);
    assert!(done, "{text}");
    let left = hooks(&franchise, *main);
    assert_eq!((left.len(), &left[0]["url"]), (1, &json!(FOREIGN)), "that of others stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_stock_that_is_off_or_missing_is_found_and_mended() {
    let franchise = Franchise::start_with(&[("MOYSKLAD_HOOK_CHECK_MINUTES", "60")]).await;
    let Franchise { sim, main, .. } = &franchise;
    assert!(settings(&franchise, *main, json!({"stock": {"report": "all"}})).0);
    setup(&franchise, *main);
    let hook = ours(&hooks(&franchise, *main)).remove(0);
    let path = format!("/entity/webhookstock/{}", hook["id"].as_str().unwrap());
    sim.person(*main).request(&Method::PUT, &path, &json!({"enabled": false})).unwrap();
    let (done, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(!done && text.contains("stock.UPDATE (all): switched off"), "{text}");
    assert_eq!(setup(&franchise, *main)["mended"], 1);
    assert_eq!(hooks(&franchise, *main)[0]["enabled"], true);
    sim.person(*main).request(&Method::DELETE, &path, &Value::Null).unwrap();
    let (done, text) = run(&franchise, &["webhook", "health-check"]);
    assert!(!done && text.contains("stock.UPDATE (all): missing"), "{text}");

    // Places that others hold.
    for n in 0..5 {
        let foreign = json!({"stockType": "stock", "reportType": "all", "url": format!("{FOREIGN}/{n}")});
        sim.person(*main).request(&Method::POST, "/entity/webhookstock", &foreign).unwrap();
    }
    let (done, text) = run(&franchise, &["webhook", "setup", "--account", &id(*main)]);
    assert!(!done && text.contains("stock.UPDATE") && text.contains("no place"), "{text}");
    assert_eq!(hooks(&franchise, *main).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_that_a_worker_makes_looks_after_webhooks_of_stock() {
    let franchise = Franchise::start_with(&[("MOYSKLAD_HOOK_CHECK_MINUTES", "0.03")]).await;
    let main = franchise.main;
    assert!(settings(&franchise, main, json!({"stock": {"report": "bystore"}})).0);
    setup(&franchise, main);
    let hook = ours(&hooks(&franchise, main)).remove(0);
    let path = format!("/entity/webhookstock/{}", hook["id"].as_str().unwrap());
    franchise.sim.person(main).request(&Method::PUT, &path, &json!({"enabled": false})).unwrap();
    wait::until("the webhook to be switched on", Duration::from_secs(20), || async {
        (hooks(&franchise, main)[0]["enabled"] == true).then_some(())
    })
    .await;
}
