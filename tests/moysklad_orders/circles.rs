//! What would go in circles between main and child, and how it ends.

use super::states::ordered;
use super::{Shop, id};
use crate::support::wait;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn two_that_fight_over_a_state_are_parted_by_the_breaker_and_other_orders_go_on() {
    let (shop, order) = ordered(|settings| settings["status_back"] = true.into()).await;
    let Shop { sim, main, child, gateway, .. } = &shop;
    let copy = id(&shop.order());
    let writes = || (sim.writes(*main).len(), sim.writes(*child).len());
    let before = writes();
    // A second app, which our header does not mute, wants the order new in the child and confirmed in main.
    let blocked = wait::until("a breaker to hold a task", Duration::from_secs(90), || async {
        for (account, order, wanted) in [(*child, order, "Новый"), (*main, copy, "Подтвержден")]
        {
            if shop.state(account, order) != wanted {
                shop.set_state(account, order, wanted);
            }
        }
        let blocked = gateway.admin_get("/api/v1/sync-queue?status=blocked").await;
        blocked["items"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(blocked["entity_id"], order.to_string());
    assert!(
        blocked["error"].as_str().unwrap().starts_with("blocked: own writes to customerorder"),
        "{blocked}"
    );
    assert!(gateway.log().contains("own writes to this entity come back as webhooks"));
    let after = writes();
    // Two that trip a breaker, and what was under way until that was noticed.
    assert!(after.0 - before.0 <= 5 && after.1 - before.1 <= 5, "{before:?} {after:?}");

    let (healthy, text) = shop.run(&["--json", "webhook", "health-check"]);
    assert!(
        !healthy && text.contains("\"loop\"") && text.contains("3 writes came back as webhooks"),
        "{text}"
    );
    assert!(text.contains(&order.to_string()) || text.contains(&copy.to_string()), "{text}");
    let (_, text) = shop.run(&["queue", "list", "--status", "blocked"]);
    assert!(text.contains("blocked") && text.contains(&order.to_string()), "{text}");
    let metrics = gateway.http.get(gateway.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.lines().any(|line| line.starts_with("moysklad_loops_total") && !line.ends_with(" 0")));

    let (_, tea) = shop.product("Other tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    shop.create("customerorder", shop.document(lines, json!({})));
    sim.entities_when("another order to cross over", *main, "customerorder", |orders| orders.len() == 2)
        .await;

    // The app is gone, and an operator ends the pause: what waited goes on.
    let (done, text) = shop.run(&["webhook", "reset-loop"]);
    assert!(done, "{text}");
    shop.settle().await;
    assert_eq!(shop.state(*child, order), shop.state(*main, copy));
    let (_, text) = shop.run(&["--json", "webhook", "health-check"]);
    assert!(!text.contains("came back as webhooks"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tripped_breaker_of_the_childs_order_does_not_stall_mains() {
    let (shop, order) = ordered(|settings| settings["status_back"] = true.into()).await;
    let Shop { sim, main, child, gateway, .. } = &shop;
    let copy = id(&shop.order());
    let trip = format!(
        "INSERT INTO moysklad_loop_breakers (account_id, entity_type, entity_id, written_at, tripped_at, reset_at)
         VALUES ('{child}', 'customerorder', '{order}', now(), now(), now() + interval '1 hour')"
    );
    shop.execute(&trip).await;
    shop.set_state(*main, copy, "Подтвержден");
    let blocked = wait::until("the way back to wait", Duration::from_secs(20), || async {
        let blocked = gateway.admin_get("/api/v1/sync-queue?status=blocked").await;
        blocked["items"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!((&blocked["entity_id"], &blocked["operation"]), (&json!(order), &json!("status_back")));
    sim.edit_in(*child, "customerorder", order, json!({"description": "please hurry"}));
    let hurried = |orders: &[serde_json::Value]| {
        orders[0]["description"].as_str().is_some_and(|text| text.ends_with("please hurry"))
    };
    sim.entities_when("the edit to cross over", *main, "customerorder", hurried).await;
    assert_eq!(shop.state(*child, order), "Новый");
    let (done, text) = shop.run(&["webhook", "reset-loop"]);
    assert!(done, "{text}");
    shop.settle().await;
    assert_eq!((shop.state(*child, order), shop.state(*main, copy)), ("Подтвержден", "Подтвержден"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_noted_before_it_is_made_and_a_new_order_as_soon_as_it_has_an_id() {
    let (shop, order) = ordered(|settings| settings["status_back"] = true.into()).await;
    let noted = |account: uuid::Uuid| {
        format!(
            "SELECT count(*) AS rows FROM moysklad_loop_breakers
             WHERE account_id = '{account}' AND entity_type = 'customerorder'"
        )
    };
    assert_eq!(shop.count(&noted(shop.main)).await, 1, "its creation was the only write");
    assert_eq!(shop.sim.writes(shop.main).len(), 1);
    shop.sim.latency(shop.child, Duration::from_secs(20));
    shop.set_state(shop.main, id(&shop.order()), "Подтвержден");
    wait::until("the write to be noted", Duration::from_secs(20), || async {
        (shop.count(&noted(shop.child)).await == 1).then_some(())
    })
    .await;
    assert_eq!(shop.state(shop.child, order), "Новый", "it is still on its way");
    // What is under way takes its time nevertheless.
    shop.sim.latency(shop.child, Duration::ZERO);
    shop.settle().await;
    assert_eq!(shop.state(shop.child, order), "Подтвержден");
    assert_eq!(
        shop.sim.requests(shop.child).iter().filter(|request| request.method == Method::PUT).count(),
        1
    );
}

#[tokio::test]
async fn without_the_headers_effect_an_order_is_written_once_and_then_there_is_silence() {
    let shop = Shop::start_with(|_, mut settings| {
        settings["status_back"] = true.into();
        settings
    })
    .await;
    shop.sim.header_support(false);
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    shop.sim.edit_in(shop.child, "customerorder", order, json!({"description": "please hurry"}));
    shop.settle().await;
    assert_eq!(shop.sim.writes(shop.main).len(), 2, "one for each edit");
    assert!(shop.sim.writes(shop.child).is_empty());
    let of_main = shop.sim.deliveries().iter().filter(|delivery| delivery.account == shop.main).count();
    assert!(of_main >= 2, "the echoes have come");
}
