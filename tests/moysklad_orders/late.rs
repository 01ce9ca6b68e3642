//! What was sent and done without an answer, and is known of only later.

use super::{Shop, id, rows};
use crate::support::moysklad::Fault;
use crate::support::wait;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// An order that main has made, and whose making no answer told of: the child's id.
async fn made_unknown(shop: &Shop) -> Uuid {
    let (_, tea) = shop.product("Tea").await;
    for _ in 0..30 {
        shop.sim.fault(shop.main, Method::POST, Fault::DropAfterCommit);
    }
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    shop.sim.entities_when("main's order", shop.main, "customerorder", |orders| orders.len() == 1).await;
    order
}

/// Lets what waits run, until nothing does.
async fn run_all(shop: &Shop) {
    wait::until("every task to end", Duration::from_secs(30), || async {
        shop.due_now().await;
        let left = "SELECT count(*) AS rows FROM sync_queue WHERE status IN ('received', 'processing')";
        (shop.sim.is_quiet() && shop.count(left).await == 0).then_some(())
    })
    .await;
    shop.settle().await;
}

#[tokio::test]
async fn an_order_that_was_made_unknown_does_not_count_once_its_document_is_gone() {
    let shop = Shop::start().await;
    let order = made_unknown(&shop).await;
    shop.sim.person(shop.child).delete("customerorder", order).unwrap();
    run_all(&shop).await;
    let copy = shop.order();
    assert_eq!(copy["applicable"], false, "{copy}");
    assert!(copy["description"].as_str().unwrap().starts_with("[deleted in the child account]"), "{copy}");
}

#[tokio::test]
async fn an_order_that_was_made_unknown_does_not_count_while_its_document_does_not() {
    let shop = Shop::start().await;
    let order = made_unknown(&shop).await;
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"applicable": false}));
    run_all(&shop).await;
    assert_eq!(shop.order()["applicable"], false);
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"applicable": true}));
    run_all(&shop).await;
    let copy = shop.order();
    assert_eq!((&copy["applicable"], rows(&copy).len()), (&json!(true), 1), "and it is known again");
}

#[tokio::test]
async fn lines_that_may_still_land_are_waited_for_by_whoever_comes_next() {
    let mut shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let line =
        |shop: &Shop, quantity: u32| shop.line("product", tea, json!({"quantity": quantity, "price": 100}));
    let order = shop.create("customerorder", shop.document(json!([line(&shop, 1)]), json!({})));
    shop.settle().await;
    shop.sim.fault(shop.main, Method::POST, Fault::DoneLate(Duration::from_secs(600)));
    let path = format!("/entity/customerorder/{order}/positions");
    let more: Value = json!([line(&shop, 2), line(&shop, 2)]);
    shop.sim.person(shop.child).request(&Method::POST, &path, &more).unwrap();
    let waits = |task: &Value| task["status"] == "received" && !task["error"].is_null();
    shop.task_when("the lines to be waited for", waits).await;

    // Its process has died before it could say that it waits.
    shop.gateway.kill();
    shop.execute("UPDATE sync_queue SET run_at = now(), last_error = NULL WHERE status = 'received'").await;
    shop.gateway.restart();
    let task = shop.task_when("another process to wait for them", waits).await;
    assert!(task["error"].as_str().unwrap().contains("may still be added"), "{task}");
    let added = |shop: &Shop| {
        let writes = shop.sim.writes(shop.main);
        writes.iter().filter(|write| write.path.ends_with("/positions")).count()
    };
    assert_eq!(added(&shop), 0, "nobody adds them meanwhile");
    // They never came.
    run_all(&shop).await;
    assert_eq!(added(&shop), 1);
    assert_eq!(rows(&shop.order()).len(), 3);
    assert_eq!(shop.order()["sum"], shop.source(order)["sum"]);
}

#[tokio::test]
async fn lines_that_are_added_after_their_answer_was_lost_are_waited_for() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let line = |quantity: u32| shop.line("product", tea, json!({"quantity": quantity, "price": 100}));
    let order = shop.create("customerorder", shop.document(json!([line(1)]), json!({})));
    shop.settle().await;
    shop.sim.fault(shop.main, Method::POST, Fault::DoneLate(Duration::from_secs(6)));
    let path = format!("/entity/customerorder/{order}/positions");
    let more: Value = json!([line(2), line(2)]);
    shop.sim.person(shop.child).request(&Method::POST, &path, &more).unwrap();
    let waits = |task: &Value| task["status"] == "received" && !task["error"].is_null();
    let task = shop.task_when("the lines to be waited for", waits).await;
    let copy = id(&shop.order());
    wait::until("main to have them", Duration::from_secs(20), || async {
        let lines = rows(&shop.sim.entity(shop.main, copy, &["positions"]).unwrap()).len();
        (lines >= 3).then_some(())
    })
    .await;
    let error = task["error"].as_str().unwrap();
    assert!(error.contains("may still be added"), "{error}");
    run_all(&shop).await;
    let copy = shop.order();
    assert_eq!(rows(&copy).len(), 3);
    assert_eq!(copy["sum"], shop.source(order)["sum"]);
}
