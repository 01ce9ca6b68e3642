//! Lines that the child has removed are removed in main, however badly that goes.

use super::{Shop, id, rows};
use crate::support::moysklad::Fault;
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

/// An order of these many lines in both accounts; gives the child's.
async fn ordered(shop: &Shop, lines: u32) -> Uuid {
    let (_, tea) = shop.product("Tea").await;
    let line = |n: u32| shop.line("product", tea, json!({"quantity": n, "price": 100}));
    let lines: Vec<Value> = (1..=lines).map(line).collect();
    let order = shop.create("customerorder", shop.document(lines.into(), json!({})));
    shop.settle().await;
    order
}

/// Lines of the child's order, of which the last is about to go.
fn without_the_last(shop: &Shop, order: Uuid) -> Vec<Value> {
    let mut lines = rows(&shop.source(order));
    lines.pop();
    lines
}

fn assert_equal(shop: &Shop, order: Uuid, lines: usize) {
    let copy = shop.order();
    assert_eq!(rows(&copy).len(), lines, "{copy}");
    assert_eq!(copy["sum"], shop.source(order)["sum"]);
}

#[tokio::test]
async fn a_removal_that_fails_is_made_good() {
    for fault in [Fault::Status(500, 1), Fault::DropBefore, Fault::DropAfterCommit] {
        let shop = Shop::start().await;
        let order = ordered(&shop, 2).await;
        shop.sim.fault(shop.main, Method::POST, fault);
        let lines = without_the_last(&shop, order);
        shop.sim.edit_in(shop.child, "customerorder", order, json!({"positions": lines}));
        shop.settle().await;
        assert_equal(&shop, order, 1);
        // Done without an answer, it needs nothing more.
        let done = if matches!(fault, Fault::DropAfterCommit) { "no change" } else { "updated" };
        assert_eq!(shop.outcomes().await, ["created", done], "{fault:?}: no line is main's own");
    }
}

#[tokio::test]
async fn a_change_that_fails_beside_a_removal_does_not_lose_it() {
    let shop = Shop::start().await;
    let order = ordered(&shop, 2).await;
    for _ in 0..3 {
        shop.sim.fault(shop.main, Method::PUT, Fault::Status(500, 1));
    }
    let mut lines = without_the_last(&shop, order);
    lines[0]["quantity"] = 9.into();
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"positions": lines}));
    shop.settle().await;
    assert_equal(&shop, order, 1);
}

#[tokio::test]
async fn a_write_of_all_lines_that_fails_beside_a_removal_does_not_lose_it() {
    let shop = Shop::start().await;
    let order = ordered(&shop, 30).await;
    for _ in 0..3 {
        shop.sim.fault(shop.main, Method::PUT, Fault::Status(500, 1));
    }
    let mut lines = without_the_last(&shop, order);
    for line in &mut lines {
        line["price"] = 300.into();
    }
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"positions": lines}));
    shop.settle().await;
    assert_equal(&shop, order, 29);
}

#[tokio::test]
async fn a_line_that_main_has_shipped_stays_and_is_for_a_person_to_look_at_as_often_as_it_is_tried() {
    for status in [200, 400] {
        let shop = Shop::start().await;
        shop.sim.rules(shop.main, |rules| rules.partial_failure_status = status);
        let order = ordered(&shop, 2).await;
        let copy = shop.order();
        let shipped = |quantity: u32| {
            let line = id(&rows(&copy)[1]);
            shop.sim.person(shop.main).ship(id(&copy), line, Decimal::from(quantity)).unwrap();
        };
        shipped(1);
        let lines = without_the_last(&shop, order);
        shop.sim.edit_in(shop.child, "customerorder", order, json!({"positions": lines}));
        for _ in 0..2 {
            let task = shop.task_when("the order to fail", |task| task["status"] == "failed").await;
            let error = task["error"].as_str().unwrap();
            assert!(error.contains("1023") && error.contains("removed"), "{error}");
            let (done, text) = shop.run(&["queue", "retry", task["id"].as_str().unwrap()]);
            assert!(done, "{text}");
            shop.settle().await;
        }
        shipped(0);
        let (done, text) = shop.run(&["queue", "retry", shop.tasks().await[0]["id"].as_str().unwrap()]);
        assert!(done, "{text}");
        shop.settle().await;
        assert_equal(&shop, order, 1);
    }
}
