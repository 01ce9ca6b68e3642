//! What crosses from main to child, and what does not.

use super::{Franchise, last_segment, price, reference, sale_price};
use serde_json::{Value, json};

#[tokio::test]
async fn a_product_of_main_appears_in_every_child_in_its_own_words() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, omsk] } = &franchise;
    let id = franchise
        .create(json!({
            "name": "Kettle", "code": "00017", "article": "K-17", "description": "Boils water",
            "externalCode": "kettle;17", "vat": 20, "vatEnabled": true, "useParentVat": false,
            "weight": 1.25, "volume": 0.003, "barcodes": [{"ean13": "2000000000015"}, {"code128": "K17"}],
            "uom": reference(sim, "uom", sim.uom(*main, "796")),
            "salePrices": [
                sale_price(&franchise, "Retail", "346347237000.0", "RUB"),
                sale_price(&franchise, "Wholesale", "12345.678901234567890123", "RUB"),
                sale_price(&franchise, "Staff", "100", "RUB"),
            ],
            "buyPrice": {"value": 700.5, "currency": reference(sim, "currency", sim.currency(*main, "USD"))},
        }))
        .await;

    let product = sim.by_external_code(*kazan, "kettle;17");
    for (field, value) in [
        ("name", json!("Kettle")),
        ("code", json!("00017")),
        ("article", json!("K-17")),
        ("description", json!("Boils water")),
        ("vat", json!(20)),
        ("vatEnabled", json!(true)),
        ("useParentVat", json!(false)),
        ("archived", json!(false)),
        ("barcodes", json!([{"ean13": "2000000000015"}, {"code128": "K17"}])),
    ] {
        assert_eq!(product[field], value, "{field}");
    }
    assert_eq!(
        (product["weight"].to_string(), product["volume"].to_string()),
        ("1.25".into(), "0.003".into())
    );
    assert_eq!(last_segment(&product["uom"]), sim.uom(*kazan, "796").to_string());
    let roubles = sim.currency(*kazan, "RUB");
    assert_eq!(price(sim, *kazan, &product, "Retail"), ("346347237000.0".to_owned(), roubles));
    assert_eq!(price(sim, *kazan, &product, "Wholesale"), ("12345.678901234567890123".to_owned(), roubles));
    assert_eq!(product["buyPrice"]["value"].to_string(), "0.0", "Kazan has no dollars");
    assert_eq!(
        franchise.outcome(*kazan).await,
        "created; skipped: 1 sale price of a type that the child lacks, buy price in USD"
    );

    let product = sim.by_external_code(*omsk, "kettle;17");
    assert_eq!(
        price(sim, *omsk, &product, "Retail"),
        ("346347237000.0".to_owned(), sim.currency(*omsk, "RUB"))
    );
    assert_eq!(
        price(sim, *omsk, &product, "Own").0,
        "0.0",
        "a price type of the child alone stays untouched"
    );
    assert_eq!(product["buyPrice"]["value"].to_string(), "700.5");
    assert_eq!(last_segment(&product["buyPrice"]["currency"]), sim.currency(*omsk, "USD").to_string());

    let event = newest_event(&franchise).await;
    assert_eq!(event["outcome"], "2 sync tasks");
    assert_eq!(event["subject"], id.to_string());
    let text = gateway.admin_get("/api/v1/sync-queue").await.to_string();
    assert!(!text.contains("Kettle"), "no content of a product in the queue: {text}");
}

async fn newest_event(franchise: &Franchise) -> Value {
    let page = franchise.gateway.admin_get("/api/v1/events?provider=moysklad&limit=1").await;
    let id = page["items"][0]["id"].as_str().unwrap().to_owned();
    franchise.gateway.admin_get(&format!("/api/v1/events/{id}")).await
}

#[tokio::test]
async fn an_edit_in_main_reaches_the_children_also_where_it_clears() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let id = franchise
        .create(json!({
            "name": "Kettle", "externalCode": "k", "article": "K-17", "barcodes": [{"ean13": "2000000000015"}],
            "uom": reference(sim, "uom", sim.uom(*main, "112")),
            "salePrices": [sale_price(&franchise, "Retail", "100", "RUB")],
        }))
        .await;
    franchise
        .edit(
            id,
            json!({
                "name": "Teapot", "article": "", "barcodes": [], "uom": null, "weight": 2,
                "salePrices": [sale_price(&franchise, "Retail", "0", "RUB")],
            }),
        )
        .await;
    for child in children {
        let product = sim.by_external_code(*child, "k");
        assert_eq!(product["name"], "Teapot");
        for cleared in ["article", "barcodes", "uom"] {
            assert!(product.get(cleared).is_none(), "{cleared}: {product}");
        }
        assert_eq!(product["weight"].to_string(), "2.0");
        assert_eq!(price(sim, *child, &product, "Retail").0, "0.0");
        assert_eq!(sim.products(*child).len(), 1);
        // One POST, one PUT.
        assert_eq!(sim.writes(*child).len(), 2);
    }
}

#[tokio::test]
async fn what_is_there_already_is_not_written_again() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let before = children.map(|child| (sim.writes(child).len(), sim.requests(child).len()));
    assert!(before.iter().all(|(writes, _)| *writes == 1), "{before:?}");

    // The same event again, by an operator; then a new one of an edit that changes nothing a child has.
    let event = newest_event(&franchise).await["id"].as_str().unwrap().to_owned();
    assert_eq!(gateway.admin("POST", &format!("/api/v1/events/{event}/replay"), &Value::Null).await.0, 200);
    franchise.settle().await;
    franchise.edit(id, json!({"name": "Kettle"})).await;

    assert_eq!(children.map(|child| (sim.writes(child).len(), sim.requests(child).len())), before);
    for child in children {
        assert_eq!(franchise.outcome(*child).await, "no change");
        assert_eq!(franchise.tasks(*child).await.len(), 3, "one of each round");
    }
    let reads = sim.requests(*main).iter().filter(|request| request.query.contains(&id.to_string())).count();
    assert_eq!(reads, 2 * 3, "each of three rounds read it anew for each of two children");
}

#[tokio::test]
async fn archiving_in_main_archives_and_unarchiving_brings_back() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    franchise.edit(id, json!({"archived": true})).await;
    assert_eq!(sim.by_external_code(*kazan, "k")["archived"], true);
    franchise.edit(id, json!({"archived": false})).await;
    assert_eq!(sim.by_external_code(*kazan, "k")["archived"], false);
    assert_eq!(sim.products(*kazan).len(), 1);
}

#[tokio::test]
async fn what_main_keeps_in_its_archive_is_not_created_in_children() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    franchise.create(json!({"name": "Kettle", "externalCode": "k", "archived": true})).await;
    assert_eq!(franchise.outcome(*kazan).await, "archived in main and unknown to the child: not created");
    assert!(sim.products(*kazan).is_empty());
}

#[tokio::test]
async fn a_product_that_main_no_longer_has_is_no_error() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    franchise.notify(*main, uuid::Uuid::new_v4(), "UPDATE", "gone").await;
    franchise.settle().await;
    let task = &franchise.tasks(*kazan).await[0];
    assert_eq!(task["status"], "completed");
    assert_eq!(task["outcome"], "the product no longer exists in main");
    assert!(sim.requests(*kazan).is_empty());
}
