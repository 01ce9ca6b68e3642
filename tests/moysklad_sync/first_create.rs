//! A product with everything that it can refer to, made in children that have none of it.

use super::{Franchise, attribute, last_segment, price, reference, sale_price, with_attribute};
use serde_json::{Value, json};
use uuid::Uuid;

/// A dictionary and its attribute in an account; gives the attribute and the first element.
fn colours(franchise: &Franchise, account: Uuid, elements: &[&str]) -> (Uuid, Option<Uuid>) {
    let person = franchise.sim.person(account);
    let (id, elements) = person.add_dictionary("Colours", elements).unwrap();
    let href = format!("{}/context/companysettings/metadata/customEntities/{id}", franchise.sim.base);
    let meta = json!({"meta": {"href": href, "type": "customentitymetadata"}});
    let body = json!({"name": "Colour", "type": "customentity", "customEntityMeta": meta});
    (person.add_attribute("product", &body).unwrap(), elements.first().copied())
}

#[tokio::test]
async fn the_first_create_holds_only_ids_of_the_child_and_lacks_only_what_has_no_place() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, omsk] } = &franchise;
    let mut folder = None;
    for name in ["A", "B", "C"] {
        let mut body = json!({"name": name});
        if let Some(parent) = folder {
            body["productFolder"] = reference(sim, "productfolder", parent);
        }
        folder = Some(sim.create_in(*main, "productfolder", body));
    }
    let label = json!({"name": "Label", "type": "string"});
    let text = sim.person(*main).add_attribute("product", &label).unwrap();
    let (colour, red) = colours(&franchise, *main, &["Red"]);
    for child in [kazan, omsk] {
        sim.person(*child).add_attribute("product", &label).unwrap();
        colours(&franchise, *child, &[]);
    }
    let unit = sim.create_in(*main, "uom", json!({"name": "crate"}));
    let bottle = sim.create_in(*main, "uom", json!({"name": "bottle", "code": "B1"}));
    let product = json!({
        "name": "Water", "externalCode": "w", "article": "W-1", "code": "00042", "description": "Still",
        "productFolder": reference(sim, "productfolder", folder.unwrap()), "uom": reference(sim, "uom", bottle),
        "packs": [{"uom": reference(sim, "uom", unit), "quantity": 12, "barcodes": [{"code128": "W12"}]}],
        "barcodes": [{"ean13": "2000000000015"}, {"gtin": "04600051000057"}],
        "country": reference(sim, "country", sim.id_by(*main, "country", "code", "643")),
        "vat": 10, "vatEnabled": true, "useParentVat": false, "weight": 0.5, "volume": 0.001, "tnved": "2201",
        "trackingType": "NOT_TRACKED", "paymentItemType": "GOOD", "discountProhibited": true,
        "salePrices": [
            sale_price(&franchise, "Retail", "19.5", "USD"), sale_price(&franchise, "Wholesale", "1200", "RUB"),
            sale_price(&franchise, "Staff", "5", "RUB"),
        ],
        "attributes": [
            with_attribute(sim, text, json!("new")),
            with_attribute(sim, colour, sim.reference(*main, "customentity", red.unwrap())),
        ],
    });
    let id = franchise.create(product.clone()).await;

    let lacks = "created; skipped: 1 sale price of a type that the child lacks";
    assert_eq!(franchise.outcome(*omsk).await, lacks);
    let and_dollars = "created; skipped: sale price in USD, 1 sale price of a type that the child lacks";
    assert_eq!(franchise.outcome(*kazan).await, and_dollars);
    let shown = sim.by_external_code(*omsk, "w");
    for (field, value) in product.as_object().unwrap() {
        let is_plain = !value.is_object() && !matches!(&**field, "packs" | "salePrices" | "attributes");
        if is_plain {
            assert_eq!(shown[field], *value, "{field}");
        }
    }
    assert_eq!(shown["pathName"], "A/B/C");
    assert_eq!(last_segment(&shown["uom"]), sim.uom(*omsk, "B1").to_string());
    let pack = &shown["packs"][0];
    assert_eq!((&pack["quantity"], &pack["barcodes"]), (&json!(12.0), &json!([{"code128": "W12"}])));
    assert_eq!(last_segment(&pack["uom"]), sim.id_by(*omsk, "uom", "name", "crate").to_string());
    let dollars = sim.currency(*omsk, "USD");
    assert_eq!(price(sim, *omsk, &shown, "Retail"), ("19.5".to_owned(), dollars));
    assert_eq!(price(sim, *omsk, &shown, "Wholesale"), ("1200.0".to_owned(), sim.currency(*omsk, "RUB")));
    assert_eq!(
        (attribute(&shown, "Label"), &attribute(&shown, "Colour")["name"]),
        (json!("new"), &json!("Red"))
    );
    assert_ids_are_of(&franchise, *omsk, &shown);

    let before = [kazan, omsk].map(|child| sim.writes(*child).len());
    for n in 0..2 {
        franchise.notify(*main, id, "UPDATE", &format!("again {n}")).await;
        franchise.settle().await;
    }
    assert_eq!([kazan, omsk].map(|child| sim.writes(*child).len()), before, "a second run writes nothing");
    let log = gateway.admin_get(&format!("/api/v1/sync-log?account={omsk}&main_id={id}")).await;
    assert_eq!(log["items"][0]["operation"], "no change");
}

/// The simulator fails a test that sends an id of another account; this looks at what came of it, too.
fn assert_ids_are_of(franchise: &Franchise, account: Uuid, shown: &Value) {
    let mains: Vec<Uuid> = ["productfolder", "uom", "currency", "customentity", "product"]
        .iter()
        .flat_map(|kind| franchise.sim.entities(franchise.main, kind))
        .filter(|entity| entity.get("accountId").is_some())
        .map(|entity| super::id_of(&entity))
        .collect();
    let text = shown.to_string();
    assert!(!mains.is_empty() && text.contains(&account.to_string()));
    for id in mains {
        assert!(!text.contains(&id.to_string()), "{id} is main's");
    }
}
