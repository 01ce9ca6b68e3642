//! Case 18 of facts/moysklad.md as a whole: one child, from an empty order to one of 1,200 lines.

use super::{NUMBERS, Shop, id, rows, target};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The same goods in both accounts: a product in packs of six, a variant and a service; ids of main and of the child.
async fn goods(shop: &Shop) -> [(&'static str, Uuid, Uuid); 3] {
    let Shop { sim, main, child, .. } = shop;
    let packed = |account| {
        json!({
            "name": "Tea", "uom": sim.reference(account, "uom", sim.uom(account, "796")),
            "packs": [{"uom": sim.reference(account, "uom", sim.uom(account, "166")), "quantity": 6}],
        })
    };
    let tea = shop.goods("product", packed(*main), packed(*child)).await;
    for account in [*main, *child] {
        sim.person(account).add_characteristic("Colour").unwrap();
    }
    let parent = shop.product("Kettle").await;
    let red = |account, product| {
        json!({
            "product": sim.reference(account, "product", product),
            "characteristics": [{"name": "Colour", "value": "red"}],
        })
    };
    let kettle = shop.goods("variant", red(*main, parent.0), red(*child, parent.1)).await;
    let delivery = shop.goods("service", json!({"name": "Delivery"}), json!({"name": "Delivery"})).await;
    [("product", tea.0, tea.1), ("variant", kettle.0, kettle.1), ("service", delivery.0, delivery.1)]
}

fn lines_by_item(order: &Value) -> BTreeMap<String, Value> {
    rows(order).into_iter().map(|line| (target(&line["assortment"]), line)).collect()
}

fn assert_equal(shop: &Shop, order: &Value, source: Uuid, goods: &[(&str, Uuid, Uuid)]) {
    let source = shop.source(source);
    for sum in ["sum", "vatSum"] {
        assert_eq!(order[sum], source[sum], "{sum}");
    }
    assert_ne!(order["sum"].to_string(), "0.0");
    let (lines, own) = (lines_by_item(order), lines_by_item(&source));
    assert_eq!(lines.len(), own.len());
    for (_, main, child) in goods {
        let (line, own) = (&lines[&main.to_string()], &own[&child.to_string()]);
        for field in NUMBERS {
            assert_eq!(line[field], own[field], "{field}");
        }
        let empty = |value: &Value| value.is_null() || value == &json!(0.0);
        assert!(line["reserve"] == own["reserve"] || empty(&line["reserve"]) && empty(&own["reserve"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_from_its_first_save_to_twelve_hundred_lines() {
    let shop = Shop::start().await;
    let Shop { sim, main, child, .. } = &shop;
    let goods = goods(&shop).await;
    let [tea, kettle, delivery] = goods.map(|(kind, _, child)| (kind, child));
    let pack = sim.entity(*child, tea.1, &[]).unwrap()["packs"][0]["id"].clone();
    let line = |(kind, sold): (&str, Uuid), rest: Value| shop.line(kind, sold, rest);

    // Saved early without lines, and again with them within the second.
    let document = json!({"name": "00018", "vatEnabled": true, "vatIncluded": false});
    let source = shop.create("customerorder", shop.document(json!([]), document));
    let three = json!([
        line(
            tea,
            json!({
                "quantity": 3, "price": 12345.5, "discount": 12.5, "vat": 20, "vatEnabled": true, "reserve": 2,
                "pack": {"id": pack},
            })
        ),
        line(
            kettle,
            json!({"quantity": 1.333, "price": 99999, "discount": -7, "vat": 0, "vatEnabled": true})
        ),
        line(delivery, json!({"quantity": 1, "price": 33333, "vat": 0, "vatEnabled": false})),
    ]);
    sim.edit_in(*child, "customerorder", source, json!({"positions": three}));
    shop.settle().await;
    let first = shop.order();
    assert_equal(&shop, &first, source, &goods);
    let packed = &lines_by_item(&first)[&goods[0].1.to_string()]["pack"]["id"];
    assert_eq!(*packed, sim.entity(*main, goods[0].1, &[]).unwrap()["packs"][0]["id"], "main's own package");

    // Changed lines keep what they are in main.
    let mut changed = rows(&shop.source(source));
    for line in &mut changed {
        line["price"] = json!(777.25);
    }
    sim.edit_in(*child, "customerorder", source, json!({"positions": changed}));
    shop.settle().await;
    let second = shop.order();
    assert_equal(&shop, &second, source, &goods);
    let ids = |order: &Value| {
        lines_by_item(order).into_iter().map(|(item, line)| (item, id(&line))).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(ids(&second), ids(&first));

    // One line that main cannot name holds the change and leaves main's order as it was.
    let unknown = sim.create_in(*child, "product", json!({"name": "Unknown"}));
    let path = format!("/entity/customerorder/{source}/positions");
    let one = line(("product", unknown), json!({"quantity": 1, "price": 5}));
    let added = sim.person(*child).request(&Method::POST, &path, &one).unwrap();
    shop.task_when("the change to be held", |task| {
        task["error"].as_str().is_some_and(|error| error.starts_with("held: 1 of 4 lines"))
    })
    .await;
    assert_eq!(shop.order(), second);
    let added = added[0]["id"].as_str().unwrap();
    sim.person(*child).request(&Method::DELETE, &format!("{path}/{added}"), &Value::Null).unwrap();

    // And it grows beyond what one page holds.
    let many: Vec<Value> =
        (1..=1197).map(|n| line(tea, json!({"quantity": n, "price": 3.5, "discount": 1.5}))).collect();
    for some in many.chunks(600) {
        sim.person(*child).request(&Method::POST, &path, &some.into()).unwrap();
    }
    shop.settle().await;
    let last = shop.order();
    assert_eq!(last["positions"]["meta"]["size"], 1200);
    assert_eq!(last["sum"], shop.source(source)["sum"]);
    assert_eq!(id(&last), id(&first));
}
