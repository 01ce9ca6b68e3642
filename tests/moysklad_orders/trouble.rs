//! What is missing, lost on the way, or gone.

use super::{Count, Shop, id, rows};
use crate::support::moysklad::Fault;
use diesel::sql_query;
use diesel_async::RunQueryDsl as _;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_line_without_a_counterpart_holds_the_order_visibly_until_it_has_one() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let unknown = sim.create_in(*child, "product", json!({"name": "Secret recipe"}));
    let lines = json!([
        shop.line("product", tea, json!({"quantity": 1, "price": 100})),
        shop.line("product", unknown, json!({"quantity": 2, "price": 100})),
    ]);
    shop.create("customerorder", shop.document(lines, json!({})));
    let task = shop.task_when("the order to be held", |task| !task["error"].is_null()).await;
    let error = task["error"].as_str().unwrap();
    assert!(error.starts_with("held: 1 of 2 lines cannot cross over"), "{error}");
    assert!(error.contains(&format!("product {unknown}")) && !error.contains("recipe"), "{error}");
    assert_eq!(task["status"], "received");
    assert!(!task["next_attempt_at"].is_null());
    assert!(shop.orders().is_empty(), "never a part of an order");

    let asked = sim.requests(*child).len();
    let counterpart = sim.create_in(*main, "product", json!({"name": "Secret recipe"}));
    shop.link("product", counterpart, unknown).await;
    shop.settle().await;
    assert_eq!(rows(&shop.order()).len(), 2);
    assert!(sim.requests(*child).len() <= asked + 5, "a held order asks only when something has changed");
}

#[tokio::test]
async fn a_held_order_that_is_changed_goes_on_at_once() {
    let shop = Shop::start().await;
    let Shop { sim, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let unknown = sim.create_in(*child, "product", json!({"name": "Unknown"}));
    let lines = json!([shop.line("product", unknown, json!({"quantity": 2, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    shop.task_when("the order to be held", |task| !task["error"].is_null()).await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    sim.edit_in(*child, "customerorder", order, json!({"positions": lines}));
    shop.settle().await;
    assert_eq!(shop.order()["sum"].to_string(), "200.0");
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_makes_one_order() {
    let shop = Shop::start().await;
    let Shop { sim, main, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    sim.fault(*main, Method::POST, Fault::DropAfterCommit);
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    let order = shop.order();
    assert_eq!(rows(&order).len(), 1);
    assert_eq!(order["sum"].to_string(), "200.0");
}

#[tokio::test]
async fn lines_whose_answer_is_lost_are_not_added_twice() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let line = |quantity: u32| shop.line("product", tea, json!({"quantity": quantity, "price": 100}));
    let order = shop.create("customerorder", shop.document(json!([line(1)]), json!({})));
    shop.settle().await;
    sim.fault(*main, Method::POST, Fault::DropAfterCommit);
    let path = format!("/entity/customerorder/{order}/positions");
    let more: Value = json!([line(2), line(2)]);
    sim.person(*child).request(&Method::POST, &path, &more).unwrap();
    let waits = |task: &Value| task["status"] == "received" && !task["error"].is_null();
    shop.task_when("the lines to be waited for", waits).await;
    shop.due_now().await;
    shop.settle().await;
    let copy = shop.order();
    assert_eq!(rows(&copy).len(), 3);
    assert_eq!(copy["sum"].to_string(), "500.0");
}

#[tokio::test]
async fn a_copy_that_was_deleted_in_main_is_made_anew_when_the_child_goes_on() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    let first = id(&shop.order());
    sim.person(*main).delete("customerorder", first).unwrap();
    shop.settle().await;
    assert!(shop.orders().is_empty());
    sim.edit_in(*child, "customerorder", order, json!({"description": "still wanted"}));
    shop.settle().await;
    assert_ne!(id(&shop.order()), first);
    assert_eq!(rows(&shop.order()).len(), 1);
}

#[tokio::test]
async fn writes_to_main_raise_no_webhook_of_ours() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    assert!(shop.sim.deliveries().iter().all(|delivery| delivery.account == shop.child));
    assert_eq!(shop.sim.deliveries().len(), 1);
}

#[tokio::test]
async fn orders_go_ahead_of_the_catalogue() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    let mut conn = shop.gateway.database.connect().await;
    let ahead =
        "SELECT count(*) AS rows FROM sync_queue WHERE entity_type = 'customerorder' AND priority < 100";
    let ahead: Count = sql_query(ahead).get_result(&mut conn).await.unwrap();
    assert_eq!(ahead.rows, 1, "100 is the catalogue's");
    shop.sim.hook(shop.main, "product", "CREATE", &super::hook_url());
    shop.product("Coffee").await;
    shop.settle().await;
    let events = async |kind: &str, priority: &str| {
        let query = format!(
            "SELECT count(*) AS rows FROM webhook_events
             WHERE provider = 'moysklad' AND event_type LIKE '{kind}.%' AND priority {priority}"
        );
        shop.count(&query).await
    };
    assert_eq!((events("customerorder", "< 100").await, events("customerorder", ">= 100").await), (1, 0));
    assert_eq!((events("product", "= 100").await, events("product", "<> 100").await), (1, 0));
}

#[tokio::test]
async fn a_sum_that_main_does_not_reach_is_for_a_person_to_look_at() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    sim.rules(*main, |rules| rules.rounds_prices = true);
    let lines = json!([shop.line("product", tea, json!({"quantity": 1000, "price": 3.5}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    let task = shop.task_when("the order to fail", |task| task["status"] == "failed").await;
    let error = task["error"].as_str().unwrap();
    assert!(error.contains("main adds the order up to 500 kopecks more than the child"), "{error}");
    assert_eq!(shop.order()["sum"].to_string(), "4000.0", "it is there all the same");
    let (_, text) = shop.run(&["queue", "list", "--status", "failed"]);
    assert!(text.contains(&order.to_string()) && text.contains("500 kopecks"), "{text}");
    let log = shop.gateway.admin_get("/api/v1/sync-log").await;
    assert_eq!(log["items"][0]["error"], *error);

    // Mended in main, and tried again.
    sim.rules(*main, |rules| rules.rounds_prices = false);
    let (done, text) = shop.run(&["queue", "retry", task["id"].as_str().unwrap()]);
    assert!(done, "{text}");
    shop.settle().await;
    assert_eq!(shop.order()["sum"], sim.entity(*child, order, &[]).unwrap()["sum"]);
    assert_eq!(shop.outcomes().await, ["updated"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_order_is_seen_everywhere_and_goes_on_when_the_catalogue_has_linked_what_it_sells() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, gateway, .. } = &shop;
    for action in ["CREATE", "UPDATE"] {
        sim.hook(*main, "product", action, &super::hook_url());
    }
    let recipe = json!({"name": "Secret recipe", "externalCode": "recipe"});
    let unknown = sim.create_in(*child, "product", recipe.clone());
    let lines = json!([shop.line("product", unknown, json!({"quantity": 2, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    shop.task_when("the order to be held", |task| !task["error"].is_null()).await;
    let listed = async |status: &str| gateway.admin_get(&format!("/api/v1/sync-queue?status={status}")).await;
    let held = listed("held").await;
    assert_eq!(held["items"][0]["entity_id"], order.to_string(), "{held}");
    assert!(held["items"][0]["error"].as_str().unwrap().contains(&unknown.to_string()));
    assert!(listed("blocked").await["items"].as_array().unwrap().is_empty());
    let (_, text) = shop.run(&["queue", "list", "--status", "held"]);
    assert!(text.contains("held") && text.contains(&order.to_string()), "{text}");
    assert!(sim.writes(*main).is_empty() && shop.orders().is_empty(), "nothing is written");

    sim.create_in(*main, "product", recipe);
    shop.settle().await;
    assert_eq!(rows(&shop.order()).len(), 1);
    assert!(listed("held").await["items"].as_array().unwrap().is_empty());
}
