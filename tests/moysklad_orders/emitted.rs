//! What subscribers are told of orders, customers, goods and stock.

use super::{Shop, hook_url, id, rows};
use crate::support::observe::{counts, emission, emitted};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn an_order_is_told_once_as_created_confirmed_and_cancelled() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    for name in ["Подтвержден", "Доставлен", "Отменен"] {
        shop.set_state(shop.child, order, name);
        shop.settle().await;
    }
    shop.sim.person(shop.child).delete("customerorder", order).unwrap();
    shop.settle().await;
    let told = emitted(&shop.gateway, "").await;
    let all = [("sales_order.created", 1), ("sales_order.confirmed", 1), ("sales_order.cancelled", 1)];
    assert_eq!(told, counts(&all), "main's copy is not told again");
    let body = emission(&shop.gateway, "sales_order.confirmed").await;
    assert_eq!(body["data"]["id"], order.to_string());
    assert_eq!(body["data"]["account_id"], shop.child.to_string());
    assert_eq!(body["data"]["state"], "Подтвержден");
    assert_eq!(body["source"]["provider"], "moysklad");
}

#[tokio::test]
async fn goods_customers_and_purchases_are_told_by_ids_and_names_of_fields() {
    let mut shop = Shop::start().await;
    shop.gateway.canary("anna@example.test");
    let Shop { gateway, sim, main, child, .. } = &shop;
    for (account, kind) in [(*main, "product"), (*child, "product"), (*child, "counterparty")] {
        for action in ["CREATE", "UPDATE", "DELETE"] {
            sim.hook(account, kind, action, &hook_url());
        }
    }
    let tea = sim.create_in(*main, "product", json!({"name": "Tea"}));
    sim.edit_in(*main, "product", tea, json!({"name": "Green tea"}));
    sim.person(*main).delete("product", tea).unwrap();
    let anna = json!({"name": "Anna", "email": "anna@example.test"});
    let anna = sim.create_in(*child, "counterparty", anna);
    sim.edit_in(*child, "counterparty", anna, json!({"email": "anna@example.test", "phone": "1"}));
    shop.settle().await;
    let goods = [("product.created", 1), ("product.updated", 1), ("product.deleted", 1)];
    assert_eq!(emitted(gateway, &tea.to_string()).await, counts(&goods));
    let customers = [("customer.created", 1), ("customer.updated", 1)];
    assert_eq!(emitted(gateway, &anna.to_string()).await, counts(&customers));
    let updated = emission(gateway, "product.updated").await;
    assert_eq!(updated["data"]["updated_fields"], json!(["name"]));
    let customer = emission(gateway, "customer.updated").await.to_string();
    assert!(customer.contains("phone") && !customer.contains("anna@"), "{customer}");
}

#[tokio::test]
async fn a_purchase_order_is_told() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let order = shop.create("purchaseorder", shop.document(lines, json!({})));
    shop.settle().await;
    assert_eq!(emitted(&shop.gateway, &order.to_string()).await, counts(&[("purchase_order.created", 1)]));
    assert_eq!(rows(&shop.order()).len(), 1);
}

#[tokio::test]
async fn stock_is_told_and_what_falls_below_its_minimum() {
    let shop = Shop::start().await;
    let Shop { gateway, sim, main, .. } = &shop;
    let hook = json!({"stockType": "stock", "reportType": "all", "url": hook_url()});
    sim.person(*main).request(&Method::POST, "/entity/webhookstock", &hook).unwrap();
    let tea = sim.create_in(*main, "product", json!({"name": "Tea", "minimumBalance": 5}));
    let store = id(&sim.entities(*main, "store")[0]);
    sim.person(*main).set_stock(tea, store, 8.into());
    shop.settle().await;
    assert_eq!(emitted(gateway, &main.to_string()).await, counts(&[("inventory.updated", 1)]));
    sim.person(*main).set_stock(tea, store, 3.into());
    shop.settle().await;
    let told = counts(&[("inventory.updated", 2), ("inventory.low", 1)]);
    assert_eq!(emitted(gateway, &main.to_string()).await, told);
    let low: Value = emission(gateway, "inventory.low").await["data"].clone();
    assert_eq!(low["account_id"], main.to_string());
    assert_eq!(low["items"], json!([{"id": tea.to_string(), "stock": 3, "minimum": 5}]));
}
