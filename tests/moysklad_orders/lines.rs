//! Lines: many of them, changed ones, and those that main adds.

use super::{Shop, id, rows, target};
use crate::support::moysklad::Weather;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn ids_by_quantity(order: &Value) -> BTreeMap<String, String> {
    rows(order)
        .iter()
        .map(|line| (line["quantity"].to_string(), line["id"].as_str().unwrap().to_owned()))
        .collect()
}

#[tokio::test]
async fn changed_lines_keep_their_ids_in_main() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let line = |quantity: u32| shop.line("product", tea, json!({"quantity": quantity, "price": 100}));
    let order = shop.create("customerorder", shop.document(json!([line(1), line(2), line(3)]), json!({})));
    shop.settle().await;
    let before = ids_by_quantity(&shop.order());
    let theirs = rows(&shop.source(order));
    // The first goes, the second changes, the third stays, a fourth comes.
    let mut lines = vec![theirs[1].clone(), theirs[2].clone(), line(4)];
    lines[0]["quantity"] = 20.into();
    sim.edit_in(*child, "customerorder", order, json!({"positions": lines}));
    shop.settle().await;
    let after = ids_by_quantity(&shop.order());
    assert_eq!(after["20.0"], before["2.0"]);
    assert_eq!(after["3.0"], before["3.0"]);
    assert!(!before.values().any(|id| *id == after["4.0"]));
    assert_eq!(after.len(), 3);
    assert_eq!(shop.order()["sum"].to_string(), "2700.0");
    let changed: Vec<String> = sim
        .requests(*main)
        .iter()
        .filter(|request| request.method == Method::PUT)
        .map(|request| request.path.clone())
        .collect();
    assert_eq!(changed.len(), 1, "one line, and not the order: {changed:?}");
    assert!(changed[0].ends_with(&before["2.0"]), "{changed:?}");
}

#[tokio::test]
async fn twelve_hundred_lines_are_carried_over() {
    // At `trace` so many lines take longer to be logged than to be brought over.
    let shop = Shop::start_in(&[("RUST_LOG", "hookgate=info")], |_, settings| settings).await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let line = |n: usize| shop.line("product", tea, json!({"quantity": n, "price": 3.5, "discount": 1.5}));
    let first: Vec<Value> = (1..=1000).map(line).collect();
    let order = shop.create("customerorder", shop.document(first.into(), json!({})));
    let rest: Vec<Value> = (1001..=1200).map(line).collect();
    let path = format!("/entity/customerorder/{order}/positions");
    sim.person(*child).request(&Method::POST, &path, &rest.into()).unwrap();
    shop.settle().await;
    let copy = shop.order();
    assert_eq!(copy["positions"]["meta"]["size"], 1200);
    assert_eq!(copy["sum"], shop.source(order)["sum"]);

    // A change of one of the last ones is one write.
    let before = sim.writes(*main).len();
    let path = format!("/entity/customerorder/{order}/positions");
    let page = sim.person(*child).request(&Method::GET, &path, &Value::Null).unwrap();
    let last = page["rows"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
    sim.person(*child).request(&Method::PUT, &format!("{path}/{last}"), &json!({"quantity": 5})).unwrap();
    shop.settle().await;
    assert_eq!(shop.order()["sum"], shop.source(order)["sum"]);
    assert_eq!(sim.writes(*main).len() - before, 1);
}

#[tokio::test]
async fn many_changed_lines_are_one_write_and_keep_their_ids() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let line = |n: u32| shop.line("product", tea, json!({"quantity": n, "price": 100}));
    let lines: Vec<Value> = (1..=150).map(line).collect();
    let order = shop.create("customerorder", shop.document(lines.into(), json!({})));
    shop.settle().await;
    let copy = shop.order();
    let before = ids_by_quantity(&copy);
    // Somebody adds a line in main, and it stays.
    let other = sim.create_in(*main, "product", json!({"name": "Sugar"}));
    let path = format!("/entity/customerorder/{}/positions", id(&copy));
    let sugar = json!({"assortment": sim.reference(*main, "product", other), "quantity": 7.5, "price": 1});
    sim.person(*main).request(&Method::POST, &path, &sugar).unwrap();
    shop.settle().await;
    let writes = sim.writes(*main).len();
    let mut theirs = rows(&shop.source(order));
    for line in &mut theirs {
        line["price"] = 200.into();
    }
    sim.edit_in(*child, "customerorder", order, json!({"positions": theirs}));
    shop.settle().await;
    let copy = shop.order();
    let mut after = ids_by_quantity(&copy);
    assert!(after.remove("7.5").is_some(), "the line of main's own");
    assert_eq!(after, before);
    assert!(
        rows(&copy).iter().all(|line| {
            target(&line["assortment"]) == other.to_string() || line["price"] == json!(200.0)
        })
    );
    assert_eq!(sim.writes(*main).len() - writes, 1);
    let outcomes = shop.outcomes().await;
    assert_eq!(outcomes.last().unwrap(), "updated; main's order has 1 line of its own");
}

#[tokio::test]
async fn no_more_lines_are_changed_in_a_minute_than_an_account_survives() {
    // At `trace` so many lines take longer to be logged than to be brought over.
    let mut shop = Shop::start_in(&[("RUST_LOG", "hookgate=info")], |_, settings| settings).await;
    let child = shop.child;
    let (_, tea) = shop.product("Tea").await;
    let line = |n: usize| shop.line("product", tea, json!({"quantity": n, "price": 100}));
    let first: Vec<Value> = (1..=1000).map(line).collect();
    let order = shop.create("customerorder", shop.document(first.into(), json!({})));
    let path = format!("/entity/customerorder/{order}/positions");
    // More lines than one request can hold.
    shop.sim.person(child).request(&Method::POST, &path, &json!([line(1001), line(1002)])).unwrap();
    shop.settle().await;
    let writes =
        |shop: &Shop| shop.sim.writes(shop.main).iter().filter(|write| write.method == Method::PUT).count();
    let before = writes(&shop);
    let page = shop.sim.person(child).request(&Method::GET, &path, &Value::Null).unwrap();
    let rows = page["rows"].as_array().unwrap();
    // One goes: it is not forgotten while the others are changed.
    shop.sim.weather(Weather { lose: 1.0, ..Weather::default() });
    let gone = format!("{path}/{}", rows[99]["id"].as_str().unwrap());
    shop.sim.person(child).request(&Method::DELETE, &gone, &Value::Null).unwrap();
    let lines = &rows[..63];
    for (n, line) in lines.iter().enumerate() {
        // Only the last of them is told of, so that one task finds them all.
        let lose = if n == lines.len() - 1 { 0.0 } else { 1.0 };
        shop.sim.weather(Weather { lose, ..Weather::default() });
        let path = format!("{path}/{}", line["id"].as_str().unwrap());
        shop.sim.person(child).request(&Method::PUT, &path, &json!({"price": 200})).unwrap();
    }
    let waits = |task: &Value| task["status"] == "received" && !task["error"].is_null();
    let task = shop.task_when("the rest to wait", waits).await;
    assert_eq!(task["error"], "23 more lines are to be changed");
    assert_eq!(
        writes(&shop) - before,
        40,
        "half of what brings a ban, less what is left for the order itself"
    );
    shop.due_now().await;
    shop.task_when("another try", |task| task["error"] == "15 more lines are to be changed").await;
    assert_eq!(writes(&shop) - before, 48, "it was too early");
    // What was counted is forgotten with the process, which is what the other half is for.
    shop.gateway.kill();
    shop.gateway.restart();
    shop.due_now().await;
    shop.settle().await;
    assert_eq!(writes(&shop) - before, 63);
    assert_eq!(shop.order()["positions"]["meta"]["size"], 1001);
    assert_eq!(shop.order()["sum"], shop.source(order)["sum"]);
}

#[tokio::test]
async fn many_edits_of_a_few_lines_are_no_more_writes_in_a_minute_than_an_account_survives() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let line = |n: usize| shop.line("product", tea, json!({"quantity": n, "price": 100}));
    let lines: Vec<Value> = (1..=20).map(line).collect();
    let order = shop.create("customerorder", shop.document(lines.into(), json!({})));
    shop.settle().await;
    let ids = ids_by_quantity(&shop.order());
    for price in 1..=6 {
        let mut theirs = rows(&shop.source(order));
        for line in &mut theirs {
            line["price"] = json!(price);
        }
        sim.edit_in(*child, "customerorder", order, json!({"positions": theirs}));
        shop.settle().await;
        assert_eq!(shop.order()["sum"], shop.source(order)["sum"]);
    }
    let puts = sim.writes(*main).iter().filter(|write| write.method == Method::PUT).count();
    assert_eq!(puts, 2 * 20 + 4, "then all lines at once");
    assert_eq!(ids_by_quantity(&shop.order()), ids);
}

/// A line of main's own, made just before the gateway sends a request like `before`.
fn sugar_before(shop: &Shop, before: (Method, &str)) {
    let Shop { sim, main, .. } = shop;
    let sugar = sim.create_in(*main, "product", json!({"name": "Sugar"}));
    let path = format!("/entity/customerorder/{}/positions", id(&shop.order()));
    let line = json!({"assortment": sim.reference(*main, "product", sugar), "quantity": 7.5, "price": 100});
    sim.person(*main).request_before(before, Method::POST, &path, line);
}

#[tokio::test]
async fn a_line_that_main_adds_while_its_order_is_written_is_no_difference() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    sugar_before(&shop, (Method::PUT, "/entity/customerorder"));
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"description": "please hurry"}));
    shop.settle().await;
    assert_eq!(rows(&shop.order()).len(), 2);
    let task = &shop.tasks().await[0];
    assert_eq!((&task["status"], &task["error"]), (&json!("completed"), &Value::Null), "{task}");
}

#[tokio::test]
async fn a_line_that_main_adds_before_all_lines_are_written_stays() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let line = |n: u32| shop.line("product", tea, json!({"quantity": n, "price": 100}));
    let lines: Vec<Value> = (1..=50).map(line).collect();
    let order = shop.create("customerorder", shop.document(lines.into(), json!({})));
    shop.settle().await;
    let mut theirs = rows(&shop.source(order));
    for line in &mut theirs {
        line["price"] = 200.into();
    }
    // After main's order was read, its states are.
    sugar_before(&shop, (Method::GET, "/entity/customerorder/metadata"));
    let state = shop.sim.state(shop.child, "customerorder", "Подтвержден").unwrap();
    let state = shop.sim.state_reference("customerorder", state);
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"positions": theirs, "state": state}));
    shop.settle().await;
    assert!(ids_by_quantity(&shop.order()).contains_key("7.5"), "the line of main's own");
    assert_eq!(rows(&shop.order()).len(), 51);
    let task = &shop.tasks().await[0];
    assert_eq!((&task["status"], &task["error"]), (&json!("completed"), &Value::Null), "{task}");
}
