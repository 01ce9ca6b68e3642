//! Services: they have no article and no stock, and cross like products otherwise.

use super::{Franchise, hook_all, last_segment, price, reference, sale_price};
use serde_json::json;

#[tokio::test]
async fn a_service_crosses_is_kept_up_and_goes_to_the_archive() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    hook_all(&franchise);
    let id = sim.create_in(
        *main,
        "service",
        json!({
            "name": "Delivery", "externalCode": "s", "code": "0001", "description": "To the door",
            "vat": 20, "vatEnabled": true, "useParentVat": false, "paymentItemType": "SERVICE",
            "uom": reference(sim, "uom", sim.uom(*main, "796")), "barcodes": [{"code128": "S1"}],
            "salePrices": [sale_price(&franchise, "Retail", "30000", "RUB")],
            "buyPrice": {"value": 10000, "currency": reference(sim, "currency", sim.currency(*main, "RUB"))},
        }),
    );
    franchise.settle().await;
    for child in children {
        let service = sim.one(*child, "service", "s");
        for (field, value) in [
            ("name", json!("Delivery")),
            ("code", json!("0001")),
            ("description", json!("To the door")),
            ("vat", json!(20)),
            ("paymentItemType", json!("SERVICE")),
            ("barcodes", json!([{"code128": "S1"}])),
        ] {
            assert_eq!(service[field], value, "{field}");
        }
        assert_eq!(last_segment(&service["uom"]), sim.uom(*child, "796").to_string());
        assert_eq!(price(sim, *child, &service, "Retail").0, "30000.0");
        assert_eq!(service["buyPrice"]["value"].to_string(), "10000.0");
        // What a service does not have is not sent: the simulator takes an unknown field for a violation.
        let created = &sim.writes(*child)[0];
        for field in ["article", "weight", "volume", "packs", "country"] {
            assert!(created.body.get(field).is_none(), "{field}");
        }
        assert!(sim.products(*child).is_empty());
    }

    sim.edit_in(*main, "service", id, json!({"name": "Courier", "description": ""}));
    franchise.settle().await;
    for child in children {
        let service = sim.one(*child, "service", "s");
        assert_eq!(service["name"], "Courier");
        assert!(service.get("description").is_none(), "{service}");
        assert_eq!(sim.writes(*child).len(), 2);
    }

    sim.person(*main).delete("service", id).unwrap();
    franchise.settle().await;
    for child in children {
        assert_eq!(sim.one(*child, "service", "s")["archived"], true);
    }
}

#[tokio::test]
async fn types_that_a_child_does_not_take_do_not_reach_it() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    hook_all(&franchise);
    super::set_catalog(&franchise, *kazan, json!({"entities": ["product"]})).await;
    let service = sim.create_in(*main, "service", json!({"name": "Delivery", "externalCode": "s"}));
    let product = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    sim.person(*main).add_characteristic("Colour").unwrap();
    let variant = sim.create_in(
        *main,
        "variant",
        json!({"product": reference(sim, "product", product), "externalCode": "red",
            "characteristics": [{"name": "Colour", "value": "red"}]}),
    );
    let parts = json!([{"assortment": reference(sim, "service", service), "quantity": 1}]);
    sim.create_in(*main, "bundle", json!({"name": "Set", "externalCode": "b", "components": parts}));
    sim.create_in(*main, "productfolder", json!({"name": "A", "externalCode": "a"}));
    franchise.settle().await;
    for (kind, code) in [("service", "s"), ("product", "k"), ("variant", "red"), ("bundle", "b")] {
        sim.one(*omsk, kind, code);
        assert_eq!(super::count(sim, *kazan, kind, code), usize::from(kind == "product"), "{kind}");
    }
    assert_eq!(super::count(sim, *kazan, "productfolder", "a"), 0);
    let entry = &franchise.log(*kazan, variant).await[0];
    assert_eq!(entry["skipped"], json!(["the child takes no entities of this type"]), "{entry}");
    assert!(entry["error"].is_null(), "{entry}");
}
