//! What subscribers are told of orders, customers, goods and stock.

use super::{Shop, hook_url, id, rows, target};
use crate::support::moysklad::Weather;
use crate::support::observe::{counts, emission, emitted};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

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
async fn mains_copy_of_a_childs_organization_is_no_new_customer() {
    let shop = Shop::start_with(|_, mut settings| {
        settings["counterparty"] = "real".into();
        settings
    })
    .await;
    shop.sim.header_support(false);
    shop.sim.hook(shop.main, "counterparty", "CREATE", &hook_url());
    // The webhook comes after the reply.
    shop.sim.weather(Weather { delay: Duration::from_secs(10), ..Weather::default() });
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    shop.create("purchaseorder", shop.document(lines, json!({})));
    shop.settle().await;
    let whose: uuid::Uuid = target(&shop.order()["agent"]).parse().unwrap();
    let told = shop.sim.deliveries().iter().filter(|delivery| delivery.account == shop.main).count();
    assert!(told > 0, "main told of it");
    assert_eq!(emitted(&shop.gateway, &whose.to_string()).await, counts(&[]));
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

#[tokio::test(flavor = "multi_thread")]
async fn each_is_told_once_however_often_webhooks_come_and_holds_nothing_personal() {
    let mut shop = Shop::start().await;
    for personal in ["anna@example.test", "+7 900 111-22-33", "Anna Ivanova", "Lenina 5"] {
        shop.gateway.canary(personal);
    }
    let Shop { gateway, sim, main, child, .. } = &shop;
    // Of customers, and of main's own orders, only where somebody wants to hear.
    let settings = r#"{"emit": ["customers", "orders", "purchaseOrders"]}"#;
    let (done, text) = shop.run(&["accounts", "settings", &main.to_string(), "--set", settings]);
    assert!(done, "{text}");
    let path = format!("/api/v1/moysklad/accounts/{child}");
    let mut settings = gateway.admin_get(&path).await["settings"].clone();
    settings["emit"] = json!(["customers"]);
    let body = json!({"name": "x", "role": "child", "parent_account_id": main, "settings": settings});
    assert_eq!(gateway.admin("PUT", &path, &body).await.0, 200);
    let (done, text) = shop.run(&["webhook", "setup", "--all"]);
    assert!(done, "{text}");
    // Each webhook comes twice under one request id, and a third time under another.
    sim.weather(Weather { repeat: 1.0, repeat_anew: 1.0, ..Weather::default() });

    let tea = sim.create_in(*main, "product", json!({"name": "Tea", "externalCode": "tea"}));
    shop.settle().await;
    sim.edit_in(*main, "product", tea, json!({"name": "Green tea"}));
    shop.settle().await;
    let anna = json!({
        "name": "Anna Ivanova", "email": "anna@example.test", "companyType": "individual", "actualAddress": "Lenina 5",
    });
    let mut told = Vec::new();
    for account in [*main, *child] {
        let anna = sim.create_in(account, "counterparty", anna.clone());
        shop.settle().await;
        sim.edit_in(account, "counterparty", anna, json!({"phone": "+7 900 111-22-33"}));
        shop.settle().await;
        told.push((anna, counts(&[("customer.created", 1), ("customer.updated", 1)])));
        let sold = sim.find(account, "product", "externalCode", "tea").unwrap();
        let line =
            json!({"assortment": sim.reference(account, "product", sold), "quantity": 1, "price": 100});
        let document = json!({
            "agent": sim.reference(account, "counterparty", anna), "shipmentAddress": "Lenina 5",
            "organization": sim.reference(account, "organization", sim.first(account, "organization")),
            "rate": {"currency": sim.reference(account, "currency", sim.currency(account, "RUB"))},
            "positions": [line],
        });
        let order = sim.create_in(account, "customerorder", document.clone());
        shop.settle().await;
        for name in ["Подтвержден", "Отменен"] {
            shop.set_state(account, order, name);
            shop.settle().await;
        }
        let all = [("sales_order.created", 1), ("sales_order.confirmed", 1), ("sales_order.cancelled", 1)];
        told.push((order, counts(&all)));
        let purchase = sim.create_in(account, "purchaseorder", document);
        shop.settle().await;
        told.push((purchase, counts(&[("purchase_order.created", 1)])));
    }
    sim.person(*main).delete("product", sim.create_in(*main, "product", json!({"name": "Salt"}))).unwrap();
    shop.settle().await;
    told.push((tea, counts(&[("product.created", 1), ("product.updated", 1)])));
    for (subject, expected) in told {
        assert_eq!(emitted(gateway, &subject.to_string()).await, expected, "{subject}");
    }
    assert_eq!(emitted(gateway, "").await["product.deleted"], 1);

    let allowed = ["account_id", "entity_type", "id", "state", "updated_fields"];
    let page = gateway.admin_get("/api/v1/events?provider=hookgate&limit=200").await;
    for item in page["items"].as_array().unwrap() {
        let path = format!("/api/v1/events/{}", item["id"].as_str().unwrap());
        let payload = gateway.admin_get(&path).await["payload"].clone();
        for key in payload["data"].as_object().unwrap().keys() {
            assert!(allowed.contains(&&**key), "{payload}");
        }
        let text = payload.to_string();
        for personal in ["Anna", "anna@", "+7 900", "Lenina"] {
            assert!(!text.contains(personal), "{text}");
        }
    }
}

#[tokio::test]
async fn that_main_confirms_its_copy_is_told_with_the_childs_order() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    shop.set_state(shop.main, id(&shop.order()), "Подтвержден");
    shop.settle().await;
    let body = emission(&shop.gateway, "sales_order.confirmed").await;
    assert_eq!(body["data"]["account_id"], shop.main.to_string());
    let copy_of = json!({"account_id": shop.child, "entity_type": "customerorder", "id": order});
    assert_eq!(body["data"]["copy_of"], copy_of);
}
