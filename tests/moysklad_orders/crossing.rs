//! What crosses from a child's document to main's order, and how fast.

use super::{NUMBERS, Shop, id, rows, target};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn an_order_of_a_child_is_in_main_within_seconds_and_equal_to_the_kopeck() {
    let shop = Shop::start_with(|_, mut settings| {
        settings["number_prefix"] = "KZN-".into();
        settings
    })
    .await;
    let Shop { sim, main, child, .. } = &shop;
    let packed = |account| {
        json!({
            "name": "Tea", "uom": sim.reference(account, "uom", sim.uom(account, "796")),
            "packs": [{"uom": sim.reference(account, "uom", sim.uom(account, "166")), "quantity": 6}],
        })
    };
    let (tea, own_tea) = shop.goods("product", packed(*main), packed(*child)).await;
    let parent = shop.product("Kettle").await;
    for account in [*main, *child] {
        sim.person(account).add_characteristic("Colour").unwrap();
    }
    let red = |account, product| {
        json!({
            "product": sim.reference(account, "product", product),
            "characteristics": [{"name": "Colour", "value": "red"}],
        })
    };
    let (kettle, own_kettle) = shop.goods("variant", red(*main, parent.0), red(*child, parent.1)).await;
    let (delivery, own_delivery) =
        shop.goods("service", json!({"name": "Delivery"}), json!({"name": "Delivery"})).await;
    let pack = sim.entity(*child, own_tea, &[]).unwrap()["packs"][0]["id"].clone();

    let started = Instant::now();
    let lines = json!([
        shop.line("product", own_tea, json!({
            "quantity": 3, "price": 12345.5, "discount": 12.5, "vat": 20, "vatEnabled": true, "reserve": 2,
            "pack": {"id": pack},
        })),
        shop.line("variant", own_kettle, json!({
            "quantity": 1.333, "price": 99999, "discount": -7, "vat": 0, "vatEnabled": true,
        })),
        shop.line("service", own_delivery, json!({"quantity": 1, "price": 33333, "vat": 0, "vatEnabled": false})),
    ]);
    let document = json!({
        "name": "00017", "description": "leave at the door", "vatEnabled": true, "vatIncluded": false,
        "moment": "2026-11-20 13:50:00", "deliveryPlannedMoment": "2026-11-21 10:00:00",
    });
    let source = shop.create("customerorder", shop.document(lines, document));
    shop.settle().await;
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());

    let (order, source) = (shop.order(), shop.source(source));
    assert_eq!(order["sum"], source["sum"], "the sums");
    assert_ne!(order["sum"].to_string(), "0.0");
    assert_eq!(order["vatSum"], source["vatSum"]);
    for (field, value) in [
        ("name", json!("KZN-00017")),
        ("description", json!("leave at the door")),
        ("moment", json!("2026-11-20 13:50:00.000")),
        ("deliveryPlannedMoment", json!("2026-11-21 10:00:00.000")),
        ("vatEnabled", json!(true)),
        ("vatIncluded", json!(false)),
        ("applicable", json!(true)),
    ] {
        assert_eq!(order[field], value, "{field}");
    }
    assert_eq!(target(&order["organization"]), shop.organization.to_string());
    assert_eq!(target(&order["agent"]), shop.stand_in.to_string());
    assert_eq!(target(&order["state"]), sim.state(*main, "customerorder", "Новый").unwrap().to_string());
    // Roubles are main's own currency and need not be named.
    assert!(
        order["rate"].is_null()
            || target(&order["rate"]["currency"]) == sim.currency(*main, "RUB").to_string()
    );

    let lines = rows(&order);
    let sold: Vec<String> = lines.iter().map(|line| target(&line["assortment"])).collect();
    assert_eq!(sold, [tea, kettle, delivery].map(|id| id.to_string()));
    for (line, own) in lines.iter().zip(rows(&source)) {
        for field in NUMBERS {
            assert_eq!(line[field], own[field], "{field}");
        }
    }
    assert_eq!(lines[0]["reserve"].to_string(), "2.0");
    let pack = &sim.entity(*main, tea, &[]).unwrap()["packs"][0]["id"];
    assert_eq!(lines[0]["pack"]["id"], *pack, "main's own package of six");
    assert_eq!(lines[2]["vatEnabled"], false);
    assert_eq!(shop.outcomes().await, ["created"]);
}

#[tokio::test]
async fn creation_and_change_within_a_second_are_one_order() {
    let shop = Shop::start().await;
    let Shop { sim, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    // People save early, and the lines come with the second save.
    let order = shop.create("customerorder", shop.document(json!([]), json!({"name": "00003"})));
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    sim.edit_in(*child, "customerorder", order, json!({"positions": lines, "description": "two"}));
    shop.settle().await;
    let order = shop.order();
    assert_eq!(rows(&order).len(), 1);
    assert_eq!(order["sum"].to_string(), "200.0");
    assert_eq!(order["description"], "№ 00003\ntwo", "main has numbers of its own");
    assert_ne!(order["name"], "00003");
}

#[tokio::test]
async fn the_same_news_again_asks_main_nothing() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 2, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    let before = sim.requests(*main).len();
    sim.edit_in(*child, "customerorder", order, json!({"description": ""}));
    shop.settle().await;
    assert_eq!(shop.outcomes().await, ["created", "no change"]);
    assert_eq!(sim.requests(*main).len(), before);
}

#[tokio::test]
async fn sales_and_purchases_of_a_child_become_orders_of_main() {
    let shop = Shop::start().await;
    let (_, tea) = shop.product("Tea").await;
    let lines = || json!([shop.line("product", tea, json!({"quantity": 2, "price": 150, "discount": 10}))]);
    shop.create("retaildemand", shop.document(lines(), json!({"name": "r1"})));
    shop.create("purchaseorder", shop.document(lines(), json!({"name": "p1"})));
    shop.settle().await;
    let orders = shop.orders();
    let mut descriptions: Vec<&str> =
        orders.iter().map(|order| order["description"].as_str().unwrap()).collect();
    descriptions.sort_unstable();
    assert_eq!(descriptions, ["№ p1", "№ r1"]);
    assert!(orders.iter().all(|order| order["sum"] == json!(270.0)), "{orders:?}");
}

#[tokio::test]
async fn a_document_that_does_not_count_is_not_created_and_one_that_stops_counting_is_marked() {
    let shop = Shop::start().await;
    let Shop { sim, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({"applicable": false})));
    shop.settle().await;
    assert!(shop.orders().is_empty());
    sim.edit_in(*child, "customerorder", order, json!({"applicable": true}));
    shop.settle().await;
    assert_eq!(shop.order()["applicable"], true);
    sim.edit_in(*child, "customerorder", order, json!({"applicable": false}));
    shop.settle().await;
    assert_eq!(shop.order()["applicable"], false);
}

#[tokio::test]
async fn what_is_deleted_in_the_child_stays_in_main_and_says_so() {
    let shop = Shop::start().await;
    let Shop { sim, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let order = shop.create("customerorder", shop.document(lines, json!({"name": "7"})));
    shop.settle().await;
    sim.person(*child).delete("customerorder", order).unwrap();
    shop.settle().await;
    let order = shop.order();
    assert_eq!(order["applicable"], false);
    assert_eq!(order["description"], "[deleted in the child account]\n№ 7");
    assert_eq!(rows(&order).len(), 1);
}

#[tokio::test]
async fn without_an_organization_nothing_flows() {
    let shop = Shop::start_with(|_, _| json!({})).await;
    let (_, tea) = shop.product("Tea").await;
    let lines = json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    shop.create("customerorder", shop.document(lines, json!({})));
    shop.settle().await;
    assert!(shop.orders().is_empty() && shop.tasks().await.is_empty());
    let events = shop.gateway.admin_get("/api/v1/events?provider=moysklad").await;
    let event = format!("/api/v1/events/{}", id(&events["items"][0]));
    let outcome = shop.gateway.admin_get(&event).await["outcome"].clone();
    assert!(outcome.as_str().unwrap().ends_with("orders.organization is not set"), "{outcome}");
}

#[tokio::test]
async fn a_foreign_currency_is_mains_of_the_same_code_and_one_that_main_lacks_fails() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let (_, tea) = shop.product("Tea").await;
    let lines = || json!([shop.line("product", tea, json!({"quantity": 1, "price": 100}))]);
    let rate = |iso| json!({"currency": sim.reference(*child, "currency", sim.currency(*child, iso))});
    shop.create("customerorder", shop.document(lines(), json!({"rate": rate("USD")})));
    shop.settle().await;
    let order = shop.order();
    assert_eq!(target(&order["rate"]["currency"]), sim.currency(*main, "USD").to_string());
    shop.create("customerorder", shop.document(lines(), json!({"rate": rate("KZT")})));
    let task = shop.task_when("the order in tenge to fail", |task| task["status"] == "failed").await;
    let error: &Value = &task["error"];
    assert!(error.as_str().unwrap().contains("main has no currency KZT"), "{error}");
    assert_eq!(shop.orders().len(), 1);
}

#[tokio::test]
async fn a_line_keeps_its_package_when_the_product_has_got_its_packages_anew() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let packs =
        |account| json!([{"uom": sim.reference(account, "uom", sim.uom(account, "166")), "quantity": 6}]);
    let packed = |account| {
        json!({
            "name": "Tea", "uom": sim.reference(account, "uom", sim.uom(account, "796")), "packs": packs(account),
        })
    };
    let (tea, own_tea) = shop.goods("product", packed(*main), packed(*child)).await;
    let pack = sim.entity(*child, own_tea, &[]).unwrap()["packs"][0]["id"].clone();
    let line = json!({"quantity": 1, "price": 100, "pack": {"id": pack}});
    let order =
        shop.create("customerorder", shop.document(json!([shop.line("product", own_tea, line)]), json!({})));
    shop.settle().await;
    sim.edit(*child, own_tea, json!({"packs": packs(*child)}));
    assert_ne!(sim.entity(*child, own_tea, &[]).unwrap()["packs"][0]["id"], pack);
    sim.edit_in(*child, "customerorder", order, json!({"description": "once more"}));
    shop.settle().await;
    let copy = shop.order();
    assert!(copy["description"].as_str().unwrap().ends_with("once more"), "{copy}");
    assert_eq!(rows(&copy)[0]["pack"]["id"], sim.entity(*main, tea, &[]).unwrap()["packs"][0]["id"]);
}
