//! Documents that stop to count, or go.

use super::{Shop, id};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const TOLD: &str = "[deleted in the child account]";

async fn document(shop: &Shop, kind: &str, applicable: bool) -> Uuid {
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    shop.create(kind, shop.document(lines, json!({"name": "00007", "applicable": applicable})))
}

#[tokio::test]
async fn a_sale_or_purchase_crosses_over_once_it_counts_and_stops_to_count_in_main_too() {
    for kind in ["retaildemand", "purchaseorder"] {
        let shop = Shop::start().await;
        let source = document(&shop, kind, false).await;
        shop.settle().await;
        assert!(shop.orders().is_empty(), "{kind}: not applicable");
        for applicable in [true, false, true] {
            shop.sim.edit_in(shop.child, kind, source, json!({ "applicable": applicable }));
            shop.settle().await;
            let order = shop.order();
            assert_eq!(order["applicable"], applicable, "{kind}");
            assert_eq!(order["sum"].to_string(), "200.0");
        }
        shop.sim.person(shop.child).delete(kind, source).unwrap();
        shop.settle().await;
        let order = shop.order();
        assert_eq!(order["applicable"], false, "{kind}: it stays, and does not count");
        assert!(order["description"].as_str().unwrap().starts_with(TOLD), "{order}");
        let outcomes = shop.outcomes().await;
        assert_eq!(
            outcomes.last().unwrap(),
            "deleted in the child: main's order is not applicable any more",
            "{kind}"
        );
    }
}

#[tokio::test]
async fn an_order_in_the_bin_does_not_count_until_it_is_back() {
    let shop = Shop::start().await;
    let source = document(&shop, "customerorder", true).await;
    shop.settle().await;
    let path = format!("/entity/customerorder/{source}/trash");
    shop.sim.person(shop.child).request(&Method::POST, &path, &json!(null)).unwrap();
    shop.settle().await;
    let first = shop.order();
    assert_eq!(first["applicable"], false);
    assert!(first["description"].as_str().unwrap().starts_with(TOLD), "{first}");
    // What a webhook says of it once more changes nothing.
    let writes = shop.sim.writes(shop.main).len();
    shop.sim.person(shop.child).delete("customerorder", source).unwrap();
    shop.settle().await;
    assert_eq!(shop.sim.writes(shop.main).len(), writes);
    assert_eq!(id(&shop.order()), id(&first));
}

#[tokio::test]
async fn a_delete_leaves_a_trace_in_the_sync_log() {
    let shop = Shop::start().await;
    let source = document(&shop, "customerorder", true).await;
    shop.settle().await;
    shop.sim.edit_in(shop.child, "customerorder", source, json!({"description": "in a hurry"}));
    shop.settle().await;
    shop.sim.person(shop.child).delete("customerorder", source).unwrap();
    shop.settle().await;
    let log = shop.gateway.admin_get(&format!("/api/v1/sync-log?account={}", shop.child)).await;
    let entries = log["items"].as_array().unwrap();
    let told: Vec<&str> = entries.iter().map(|entry| entry["operation"].as_str().unwrap()).collect();
    let deleted = "deleted in the child: main's order is not applicable any more";
    assert_eq!(told, [deleted, "updated", "created"]);
    assert_eq!(entries[0]["applied"], json!(["applicable", "description"]));
    assert_eq!(entries[2]["child_id"], source.to_string());
    assert_eq!(entries[2]["strategy"], "full");
    assert!(entries[2]["calls"].as_f64().unwrap() >= 3.0, "{log}");
    let events = shop.gateway.admin_get("/api/v1/events?provider=moysklad").await;
    let events: Vec<&Value> = events["items"].as_array().unwrap().iter().map(|event| &event["id"]).collect();
    assert_eq!(entries.iter().map(|entry| &entry["event_id"]).collect::<Vec<_>>(), events);
    let received: Vec<&Value> = entries.iter().map(|entry| &entry["received"]).collect();
    assert_eq!(received, [&Value::Null, &json!(["description"]), &Value::Null]);
    let days = shop.gateway.admin_get("/api/v1/sync-log/daily").await;
    // Two days around midnight.
    let sum =
        |name: &str| -> i64 { days.as_array().unwrap().iter().map(|day| day[name].as_i64().unwrap()).sum() };
    assert_eq!((sum("changes"), sum("written")), (3, 3), "{days}");
    let (done, text) = shop.run(&["--json", "queue", "daily"]);
    assert!(done && text.contains(&shop.child.to_string()), "{text}");
}

#[tokio::test]
async fn what_main_has_deleted_is_not_made_again_to_say_that_it_does_not_count() {
    let shop = Shop::start().await;
    let source = document(&shop, "customerorder", true).await;
    shop.settle().await;
    shop.sim.person(shop.main).delete("customerorder", id(&shop.order())).unwrap();
    shop.sim.edit_in(shop.child, "customerorder", source, json!({"applicable": false}));
    shop.settle().await;
    assert!(shop.orders().is_empty());
    assert_eq!(
        shop.outcomes().await.last().unwrap(),
        "not applicable, and gone from main: not created again"
    );
}
