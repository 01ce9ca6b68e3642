//! Orders that wait: for goods, for main, for MoySklad. Each is seen meanwhile, and goes on by itself.

use super::{Shop, hook_url, id, rows};
use crate::support::moysklad::Weather;
use crate::support::wait;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

fn order(shop: &Shop, product: Uuid) -> Uuid {
    let lines = json!([shop.line("product", product, json!({"quantity": 1, "price": 100}))]);
    shop.create("customerorder", shop.document(lines, json!({})))
}

async fn listed(shop: &Shop, status: &str) -> Vec<Value> {
    let page = shop.gateway.admin_get(&format!("/api/v1/sync-queue?status={status}")).await;
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_for_goods_that_main_has_deleted_is_held_until_main_has_them_again() {
    for is_told in [true, false] {
        let shop = Shop::start().await;
        let Shop { sim, main, child, .. } = &shop;
        for action in ["CREATE", "UPDATE", "DELETE"] {
            sim.hook(*main, "product", action, &hook_url());
        }
        let tea = json!({"name": "Tea", "externalCode": "tea"});
        let first = sim.create_in(*main, "product", tea.clone());
        shop.settle().await;
        let sold = id(&sim.one(*child, "product", "tea"));
        sim.weather(Weather { lose: if is_told { 0.0 } else { 1.0 }, ..Weather::default() });
        sim.person(*main).delete("product", first).unwrap();
        sim.weather(Weather::default());
        shop.settle().await;
        order(&shop, sold);
        wait::until("the order to be held", Duration::from_secs(20), || async {
            let tasks = listed(&shop, "held").await;
            let error = tasks.first()?["error"].as_str()?;
            error.starts_with("held: 1 of 1 lines cannot cross over").then_some(())
        })
        .await;

        sim.create_in(*main, "product", tea);
        shop.settle().await;
        assert_eq!(rows(&shop.order()).len(), 1, "told: {is_told}");
        assert_eq!(id(&sim.one(*child, "product", "tea")), sold, "the same one, out of the archive");
    }
}

#[tokio::test]
async fn orders_made_while_main_is_switched_off_wait_for_it() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let path = format!("/api/v1/moysklad/accounts/{}", shop.main);
    let switch = async |status: &str| {
        let body = json!({"name": "x", "role": "main", "status": status});
        let (code, reply) = shop.gateway.admin("PUT", &path, &body).await;
        assert_eq!(code, 200, "{reply}");
    };
    switch("inactive").await;
    let order = order(&shop, tea);
    let task = shop.task_when("the order to wait", |task| !task["error"].is_null()).await;
    assert_eq!((&task["status"], &task["entity_id"]), (&json!("received"), &json!(order)), "{task}");
    assert_eq!(listed(&shop, "blocked").await.len(), 1);
    assert!(shop.sim.requests(shop.main).is_empty(), "nobody asks it anything");
    switch("active").await;
    shop.settle().await;
    assert_eq!(rows(&shop.order()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_order_is_seen_as_held_while_others_take_the_turns() {
    let shop = Shop::start_in(&[("MOYSKLAD_PARALLEL", "1")], |_, settings| settings).await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let unknown = sim.create_in(*child, "product", json!({"name": "Unknown"}));
    let held = order(&shop, unknown);
    shop.task_when("the order to be held", |task| !task["error"].is_null()).await;
    sim.latency(*child, Duration::from_millis(700));
    order(&shop, tea);
    wait::until("the other order to cross over", Duration::from_secs(30), || async {
        shop.due_now().await;
        let listed = listed(&shop, "held").await;
        assert!(listed.iter().any(|task| task["entity_id"] == json!(held)), "{:?}", shop.tasks().await);
        (sim.entities(*main, "customerorder").len() == 1).then_some(())
    })
    .await;
    sim.latency(*child, Duration::ZERO);
    let counterpart = sim.create_in(*main, "product", json!({"name": "Unknown"}));
    shop.link("product", counterpart, unknown).await;
    shop.due_now().await;
    shop.settle().await;
    assert_eq!(shop.orders().len(), 2);
}

#[tokio::test]
async fn an_outage_of_moysklad_costs_an_order_no_tries() {
    let shop = Shop::start_in(&[("WORKER_MAX_ATTEMPTS", "1")], |_, settings| settings).await;
    let (_, tea) = shop.product("Tea").await;
    shop.sim.weather(Weather { fail: 1.0, ..Weather::default() });
    let order = order(&shop, tea);
    // In one look: it is tried again and again meanwhile.
    let held = wait::until("the order to be held", Duration::from_secs(60), || async {
        let task = shop.tasks().await.into_iter().next().filter(|task| !task["error"].is_null())?;
        assert_ne!(task["status"], "failed", "{task}");
        listed(&shop, "held").await.into_iter().next()
    })
    .await;
    assert_eq!(held["entity_id"], json!(order), "{held:?}");
    assert!(held["error"].as_str().unwrap().starts_with("held: MoySklad does not answer"), "{held:?}");
    shop.sim.weather(Weather::default());
    wait::until("the order to cross over", Duration::from_secs(60), || async {
        shop.due_now().await;
        (shop.sim.entities(shop.main, "customerorder").len() == 1).then_some(())
    })
    .await;
    shop.settle().await;
    assert_eq!(rows(&shop.order()).len(), 1);
}
