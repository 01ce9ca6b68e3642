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

pub async fn listed(shop: &Shop, status: &str) -> Vec<Value> {
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

/// An operator switches an account on or off.
pub async fn switch(shop: &Shop, account: Uuid, status: &str) {
    let (done, text) = shop.run(&["accounts", "settings", &account.to_string(), "--status", status]);
    assert!(done, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_order_that_is_told_of_again_is_read_once_for_it_and_not_while_it_waits() {
    let shop = Shop::start().await;
    let unknown = shop.sim.create_in(shop.child, "product", json!({"name": "Unknown"}));
    let held = order(&shop, unknown);
    let is_held =
        |task: &Value| task["error"].as_str().is_some_and(|error| error.starts_with("held: 1 of 1"));
    let first = shop.task_when("the order to be held", is_held).await;
    shop.sim.edit_in(shop.child, "customerorder", held, json!({"description": "soon, please"}));
    wait::until("the newer task to be held", Duration::from_secs(20), || async {
        shop.due_now().await;
        let tasks = listed(&shop, "held").await;
        (tasks.len() == 1 && tasks[0]["id"] != first["id"] && is_held(&tasks[0])).then_some(())
    })
    .await;
    assert_eq!(shop.outcomes().await[0], "a newer task of this document goes on");
    let asked = shop.sim.requests(shop.child).len();
    let looks = "SELECT sum(jsonb_array_length(attempt_log))::bigint AS rows FROM sync_queue";
    let before = shop.count(looks).await;
    wait::until("it to be looked at three times", Duration::from_secs(30), || async {
        shop.due_now().await;
        (shop.count(looks).await >= before + 3).then_some(())
    })
    .await;
    assert_eq!(shop.sim.requests(shop.child).len(), asked, "nothing has changed");
    let counterpart = shop.sim.create_in(shop.main, "product", json!({"name": "Unknown"}));
    shop.link("product", counterpart, unknown).await;
    shop.due_now().await;
    shop.settle().await;
    assert_eq!(shop.order()["description"], "№ 00001\nsoon, please");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_child_sold_before_it_was_switched_off_goes_to_main_once_it_is_on_again() {
    let shop = Shop::start().await;
    let unknown = shop.sim.create_in(shop.child, "product", json!({"name": "Unknown"}));
    order(&shop, unknown);
    shop.task_when("the order to be held", |task| !task["error"].is_null()).await;
    switch(&shop, shop.child, "inactive").await;
    wait::until("the order to wait for the child", Duration::from_secs(20), || async {
        shop.due_now().await;
        let tasks = listed(&shop, "blocked").await;
        let error = tasks.first()?["error"].as_str()?.to_owned();
        error.contains(&format!("account {} inactive", shop.child)).then_some(())
    })
    .await;
    let counterpart = shop.sim.create_in(shop.main, "product", json!({"name": "Unknown"}));
    shop.link("product", counterpart, unknown).await;
    let asked = shop.sim.requests(shop.child).len();
    shop.due_now().await;
    assert_eq!(shop.sim.requests(shop.child).len(), asked, "nobody asks it anything");
    // At once, and not when it is looked at again.
    switch(&shop, shop.child, "active").await;
    shop.settle().await;
    assert_eq!(rows(&shop.order()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_child_sold_before_it_followed_another_main_account_goes_there() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let other = sim.account("other-canary-55d0", &["Retail"], &["RUB", "USD"]);
    shop.register(other, None, "other-canary-55d0", &json!({})).await;
    let unknown = sim.create_in(*child, "product", json!({"name": "Unknown"}));
    order(&shop, unknown);
    shop.task_when("the order to be held", |task| !task["error"].is_null()).await;
    let stand_in = sim.create_in(other, "counterparty", json!({"name": "Kazan"}));
    let organization = sim.first(other, "organization");
    let settings = json!({"orders": {"organization": organization, "counterparty": {"stub": stand_in}}});
    let child = child.to_string();
    // In one step with the settings: those of the old main account name nothing in the new one.
    let body = json!({"name": "x", "role": "child", "parent_account_id": other, "settings": settings});
    let (code, reply) = shop.gateway.admin("PUT", &format!("/api/v1/moysklad/accounts/{child}"), &body).await;
    assert_eq!(code, 200, "{reply}");
    let task = shop
        .task_when("the order to wait for goods of the other", |task| {
            task["account_id"] == json!(other) && !task["error"].is_null()
        })
        .await;
    assert!(task["error"].as_str().unwrap().starts_with("held: 1 of 1"), "{task}");
    let told = shop.outcomes().await;
    assert!(told[0].starts_with(&format!("the account follows {other} by now")), "{told:?}");
    let counterpart = sim.create_in(other, "product", json!({"name": "Unknown"}));
    shop.execute(&format!(
        "INSERT INTO moysklad_mappings (main_account, child_account, entity_type, main_id, child_id)
         VALUES ('{other}', '{child}', 'product', '{counterpart}', '{unknown}')"
    ))
    .await;
    shop.due_now().await;
    shop.settle().await;
    assert_eq!(sim.entities(other, "customerorder").len(), 1);
    assert!(sim.entities(*main, "customerorder").is_empty());
}

#[tokio::test]
async fn orders_made_while_main_is_switched_off_wait_for_it() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let switch = async |status: &str| switch(&shop, shop.main, status).await;
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
