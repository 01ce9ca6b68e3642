//! What main takes away goes in the children, too, and what is a child's own stays.

use super::{Franchise, attribute, id_of, price, reference, sale_price, with_attribute};
use crate::support::moysklad::Fault;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn barcodes_packs_attributes_and_prices_go_and_what_is_the_childs_own_stays() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [_, omsk], .. } = &franchise;
    let label = json!({"name": "Label", "type": "string"});
    let ours = sim.person(*main).add_attribute("product", &label).unwrap();
    sim.person(*omsk).add_attribute("product", &label).unwrap();
    let shelf =
        sim.person(*omsk).add_attribute("product", &json!({"name": "Shelf", "type": "string"})).unwrap();
    let litre = json!({"uom": reference(sim, "uom", sim.uom(*main, "112")), "quantity": 10});
    let id = franchise
        .create(json!({
            "name": "Water", "externalCode": "w", "uom": reference(sim, "uom", sim.uom(*main, "796")),
            "barcodes": [{"ean13": "2000000000015"}, {"code128": "W"}], "packs": [litre],
            "tnved": "2201", "weighed": true, "article": "W-1", "weight": 1, "volume": 2,
            "country": reference(sim, "country", sim.id_by(*main, "country", "code", "643")),
            "salePrices": [sale_price(&franchise, "Retail", "300", "RUB")],
            "attributes": [with_attribute(sim, ours, json!("new"))],
        }))
        .await;
    let in_omsk = id_of(&sim.by_external_code(*omsk, "w"));
    let own = json!({"value": 55, "priceType": reference(sim, "pricetype", sim.price_type(*omsk, "Own"))});
    let own = json!({"salePrices": [own], "attributes": [with_attribute(sim, shelf, json!("A-4"))], "minimumBalance": 3});
    sim.edit(*omsk, in_omsk, own);

    franchise.edit(id, json!({"barcodes": [{"code128": "W"}]})).await;
    assert_eq!(sim.by_external_code(*omsk, "w")["barcodes"], json!([{"code128": "W"}]));
    franchise
        .edit(
            id,
            json!({"barcodes": [], "packs": [], "tnved": "", "weighed": false, "article": "", "weight": 0, "volume": 0,
                "country": null, "salePrices": [sale_price(&franchise, "Retail", "0", "RUB")],
                "attributes": [with_attribute(sim, ours, Value::Null)]}),
        )
        .await;
    let product = sim.by_external_code(*omsk, "w");
    for gone in ["barcodes", "packs", "tnved", "weighed", "article", "country"] {
        assert!(product.get(gone).is_none(), "{gone}: {product}");
    }
    assert_eq!((&product["weight"], &product["volume"]), (&json!(0.0), &json!(0.0)));
    let prices = ["Retail", "Own"].map(|name| price(sim, *omsk, &product, name).0);
    assert_eq!(prices, ["0.0", "55.0"]);
    assert_eq!([attribute(&product, "Label"), attribute(&product, "Shelf")], [Value::Null, json!("A-4")]);
    assert_eq!(product["minimumBalance"], json!(3.0));
    let writes = sim.writes(*omsk).len();
    franchise.notify(*main, id, "UPDATE", "again").await;
    franchise.settle().await;
    assert_eq!(sim.writes(*omsk).len(), writes);
}

#[tokio::test]
async fn what_a_child_fills_in_by_itself_is_no_difference() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    sim.rules(*kazan, |rules| {
        rules.fill_ean13 = true;
        rules.fill_unique_code = true;
        rules.check_unique_code = true;
    });
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let before = sim.by_external_code(*kazan, "k");
    assert!(before["code"].is_string() && before["barcodes"].is_array());
    assert_eq!(franchise.outcome(*kazan).await, "created");
    franchise.edit(id, json!({"description": "Boils"})).await;
    // Also where everything is sent.
    franchise.unheard(|| sim.edit(*main, id, json!({"name": "Teapot"})));
    franchise.notify(*main, id, "UPDATE", "without names").await;
    franchise.settle().await;
    let after = sim.by_external_code(*kazan, "k");
    assert_eq!(after["name"], "Teapot");
    assert_eq!((&after["code"], &after["barcodes"]), (&before["code"], &before["barcodes"]));
    assert_eq!(sim.writes(*kazan).len(), 3);

    // Main's own barcodes replace it, and go again.
    franchise.edit(id, json!({"barcodes": [{"code128": "K"}]})).await;
    assert_eq!(sim.by_external_code(*kazan, "k")["barcodes"], json!([{"code128": "K"}]));
    franchise.edit(id, json!({"barcodes": []})).await;
    assert!(sim.by_external_code(*kazan, "k").get("barcodes").is_none());
}

#[tokio::test]
async fn a_barcode_that_the_child_gave_itself_stays_although_the_reply_to_its_creation_was_lost() {
    let franchise = Franchise::start_with(&[("WORKER_BACKOFF_SECONDS", "1")]).await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    sim.rules(*kazan, |rules| rules.fill_ean13 = true);
    // As often as one run sends it: it ends without knowing.
    for _ in 0..3 {
        sim.fault(*kazan, Method::POST, Fault::DropAfterCommit);
    }
    let id = sim.create(*main, json!({"name": "Kettle", "externalCode": "k"}));
    let made = sim.products_when("it to be made", *kazan, |products| products.len() == 1).await.remove(0);
    assert_eq!(made["barcodes"].as_array().unwrap().len(), 1);
    sim.edit(*main, id, json!({"name": "Teapot"}));
    sim.products_when("it to be known", *kazan, |products| products[0]["name"] == "Teapot").await;
    franchise.settle().await;
    let kept = sim.by_external_code(*kazan, "k");
    assert_eq!(kept["barcodes"], made["barcodes"]);
}
