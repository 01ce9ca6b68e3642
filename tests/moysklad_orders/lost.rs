//! Documents whose webhooks were lost, or came while nobody listened.

use super::{ORIGIN, Shop, id, rows};
use crate::support::moysklad::Weather;
use crate::support::observe::{counts, emitted};
use crate::support::wait;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// A shop with its webhooks as `webhook setup` makes them, and a sweep every two seconds.
async fn shop() -> Shop {
    let shop = Shop::start_in(&[("MOYSKLAD_RECONCILE_MINUTES", "0.03")], |_, mut settings| {
        settings["status_back"] = true.into();
        settings
    })
    .await;
    let (done, text) = shop.run(&["webhook", "setup", "--all"]);
    assert!(done, "{text}");
    shop
}

fn order(shop: &Shop, tea: Uuid, quantity: u32) -> Uuid {
    let lines = json!([shop.line("product", tea, json!({"quantity": quantity, "price": 100}))]);
    shop.create("customerorder", shop.document(lines, json!({})))
}

async fn main_when(shop: &Shop, what: &str, probe: impl Fn(&[Value]) -> bool) {
    shop.sim.entities_when(what, shop.main, "customerorder", probe).await;
}

/// No sweep begins from now on, and none is under way.
async fn pause_sweeps(shop: &Shop) {
    let jobs = async |which: &str| {
        let which =
            format!("SELECT count(*) AS rows FROM moysklad_sweeps WHERE job = 'reconcile' AND {which}");
        shop.count(&which).await
    };
    wait::until("both accounts to be on the list", Duration::from_secs(60), || async {
        (jobs("true").await == 2).then_some(())
    })
    .await;
    // Again and again: one that ends meanwhile says itself when it is due.
    wait::until("the sweeps under way to end", Duration::from_secs(60), || async {
        let later = "UPDATE moysklad_sweeps SET due_at = now() + interval '1 hour' WHERE job = 'reconcile'";
        shop.execute(later).await;
        (jobs("(lease_owner IS NOT NULL OR due_at < now() + interval '30 minutes')").await == 0).then_some(())
    })
    .await;
}

async fn resume_sweeps(shop: &Shop) {
    shop.execute("UPDATE moysklad_sweeps SET due_at = now() WHERE job = 'reconcile'").await;
}

/// Returns after each account was swept twice more: a first one may be under way.
async fn swept_twice(shop: &Shop) {
    let sweeps = || {
        let log = shop.gateway.log();
        [shop.main, shop.child].map(|account| log.matches(&format!("swept account={account}")).count())
    };
    let seen = sweeps();
    wait::until("each account to be swept twice", Duration::from_secs(60), || async {
        sweeps().iter().zip(seen).all(|(now, seen)| *now >= seen + 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_an_outage_are_found_and_so_are_edits_deletes_and_mains_states() {
    let mut shop = shop().await;
    let (_, tea) = shop.product("Tea").await;
    let (edited, deleted, followed) = (order(&shop, tea, 1), order(&shop, tea, 2), order(&shop, tea, 3));
    shop.settle().await;
    let copy = id(shop.orders().iter().find(|order| order["sum"] == json!(300.0)).unwrap());

    assert!(shop.gateway.terminate());
    // Nobody listens there: each attempt fails at once.
    shop.sim.resolve(ORIGIN, "http://127.0.0.1:9");
    let new = order(&shop, tea, 7);
    shop.sim.edit_in(shop.child, "customerorder", edited, json!({"description": "in a hurry"}));
    shop.sim.person(shop.child).delete("customerorder", deleted).unwrap();
    shop.set_state(shop.main, copy, "Подтвержден");
    shop.gateway.restart();
    shop.sim.resolve(ORIGIN, &shop.gateway.base.clone());

    main_when(&shop, "the new order", |orders| orders.iter().any(|one| one["sum"] == json!(700.0))).await;
    let has = |one: &Value, text: &str| one["description"].as_str().is_some_and(|told| told.contains(text));
    main_when(&shop, "the edit", |orders| orders.iter().any(|one| has(one, "in a hurry"))).await;
    main_when(&shop, "the delete", |orders| {
        orders.iter().any(|one| one["applicable"] == false && has(one, "[deleted in the child account]"))
    })
    .await;
    wait::until("main's state to come back", Duration::from_secs(20), || async {
        (shop.state(shop.child, followed) == "Подтвержден").then_some(())
    })
    .await;
    shop.settle().await;
    assert_eq!(shop.orders().len(), 4, "each once");
    let told = emitted(&shop.gateway, &new.to_string()).await;
    assert_eq!(told, counts(&[("sales_order.created", 1)]), "found, and told");
    assert_eq!(emitted(&shop.gateway, &deleted.to_string()).await["sales_order.cancelled"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_goes_into_the_bin_again_stops_to_count_again_without_a_webhook() {
    let shop = shop().await;
    let (_, tea) = shop.product("Tea").await;
    let document = order(&shop, tea, 1);
    shop.settle().await;
    let path = format!("/entity/customerorder/{document}/trash");
    for _ in 0..3 {
        shop.sim.weather(Weather { lose: 1.0, ..Weather::default() });
        shop.sim.person(shop.child).request(&reqwest::Method::POST, &path, &Value::Null).unwrap();
        shop.sim.weather(Weather::default());
        main_when(&shop, "it not to count", |orders| orders[0]["applicable"] == false).await;
        shop.settle().await;
        shop.sim.person(shop.child).restore("customerorder", document).unwrap();
        main_when(&shop, "it to count", |orders| orders[0]["applicable"] == true).await;
        shop.settle().await;
    }
    let gone = "SELECT count(*) AS rows FROM webhook_events WHERE event_id LIKE 'sweep:%@gone%'";
    assert_eq!(shop.count(gone).await, 3, "each time is told once, however often it is looked for");
    let told = emitted(&shop.gateway, &document.to_string()).await;
    assert_eq!(told["sales_order.cancelled"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_documents_are_compared_once_a_day_and_new_ones_at_every_sweep() {
    let shop = shop().await;
    let (_, tea) = shop.product("Tea").await;
    let (old, new) = (order(&shop, tea, 1), order(&shop, tea, 2));
    // If most of the new ones were gone, all would be compared at once.
    let others = [order(&shop, tea, 3), order(&shop, tea, 4)];
    shop.settle().await;
    // The first may have begun before.
    swept_twice(&shop).await;
    // One that has begun must not take for new what is old by its end.
    pause_sweeps(&shop).await;
    shop.execute(&format!(
        "UPDATE moysklad_mappings SET created_at = now() - interval '4 days' WHERE child_id = '{old}'"
    ))
    .await;
    shop.sim.resolve(ORIGIN, "http://127.0.0.1:9");
    for order in [old, new] {
        shop.sim.person(shop.child).delete("customerorder", order).unwrap();
    }
    resume_sweeps(&shop).await;
    let counts = |sum: f64| {
        move |orders: &[Value]| orders.iter().any(|one| one["sum"] == json!(sum) && one["applicable"] == true)
    };
    let (old_counts, new_counts) = (counts(100.0), counts(200.0));
    main_when(&shop, "the new one to go", |orders| !new_counts(orders)).await;
    swept_twice(&shop).await;
    assert!(old_counts(&shop.orders()), "its day is not over");
    shop.execute("UPDATE moysklad_sweeps SET compared_at = now() - interval '25 hours'").await;
    main_when(&shop, "the old one to go", |orders| !old_counts(orders)).await;

    // A token that suddenly sees next to nothing: of the new ones alone these would be few enough to be believed.
    shop.sim.resolve(ORIGIN, &shop.gateway.base.clone());
    let many: Vec<Uuid> = (10..32).map(|quantity| order(&shop, tea, quantity)).collect();
    main_when(&shop, "all orders", |orders| orders.len() == 26).await;
    shop.settle().await;
    shop.sim.resolve(ORIGIN, "http://127.0.0.1:9");
    let ids: Vec<String> = many.iter().map(|id| format!("'{id}'")).collect();
    shop.execute(&format!(
        "UPDATE moysklad_mappings SET created_at = now() - interval '4 days' WHERE child_id IN ({})",
        ids.join(", ")
    ))
    .await;
    // Each account is swept once more, so that all has been compared.
    swept_twice(&shop).await;
    for orders in [&many[..], &others] {
        shop.sim.person(shop.child).delete_many("customerorder", orders).unwrap();
    }
    crate::support::wait::until("the sweep to refuse", Duration::from_secs(60), || async {
        shop.gateway.log().contains("mapped customerorders are not shown any more").then_some(())
    })
    .await;
    shop.settle().await;
    let applicable = shop.orders().iter().filter(|order| order["applicable"] == true).count();
    assert_eq!(applicable, 24, "nothing is believed to be deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sweep_told_of_is_not_told_again_by_a_webhook_that_comes_late() {
    let shop = shop().await;
    let (_, tea) = shop.product("Tea").await;
    shop.settle().await;
    shop.sim.weather(Weather { delay: Duration::from_secs(25), ..Weather::default() });
    let order = order(&shop, tea, 1);
    let product = shop.sim.create_in(shop.main, "product", json!({"name": "Coffee"}));
    let told = counts(&[("sales_order.created", 1)]);
    wait::until("a sweep to tell of the order", Duration::from_secs(20), || async {
        (emitted(&shop.gateway, &order.to_string()).await == told).then_some(())
    })
    .await;
    assert!(!shop.sim.is_quiet(), "its webhook is still under way");
    shop.settle().await;
    assert_eq!(emitted(&shop.gateway, &order.to_string()).await, told);
    assert_eq!(emitted(&shop.gateway, &product.to_string()).await, counts(&[("product.created", 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_webhooks_told_of_is_not_told_again_by_sweeps() {
    let shop = shop().await;
    let (_, tea) = shop.product("Tea").await;
    // No sweep shall find anything before its webhook has told of it.
    pause_sweeps(&shop).await;
    let order = order(&shop, tea, 1);
    shop.settle().await;
    shop.set_state(shop.child, order, "Подтвержден");
    let product = shop.sim.create_in(shop.main, "product", json!({"name": "Coffee"}));
    shop.settle().await;
    shop.sim.edit_in(shop.main, "product", product, json!({"name": "Strong coffee"}));
    shop.settle().await;
    resume_sweeps(&shop).await;
    swept_twice(&shop).await;
    shop.settle().await;
    let found = shop.count("SELECT count(*) AS rows FROM webhook_events WHERE event_id LIKE 'sweep:%'").await;
    assert!(found >= 2, "sweeps look at everything once more");
    let of_order = emitted(&shop.gateway, &order.to_string()).await;
    assert_eq!(of_order, counts(&[("sales_order.created", 1), ("sales_order.confirmed", 1)]));
    let of_product = emitted(&shop.gateway, &product.to_string()).await;
    assert_eq!(of_product, counts(&[("product.created", 1), ("product.updated", 1)]));
    assert_eq!(rows(&shop.order()).len(), 1);
    assert_eq!(
        shop.sim.writes(shop.main).iter().filter(|write| write.path.contains("customerorder")).count(),
        2
    );
}
