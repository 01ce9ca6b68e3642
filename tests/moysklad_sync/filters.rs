//! Filters: every comparison, all conditions together, and what begins or ceases to meet them.

use super::{Franchise, count, hook_all, reference, sale_price, set_catalog, with_attribute};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn every_comparison_lets_in_what_meets_it_and_nothing_else() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let new = |name: &str, kind: &str| {
        sim.person(*main).add_attribute("product", &json!({"name": name, "type": kind})).unwrap()
    };
    let (label, size, ticked, since) =
        (new("Label", "string"), new("Size", "double"), new("Franchise", "boolean"), new("Since", "time"));
    let (dictionary, elements) = sim.person(*main).add_dictionary("Colour", &["Red", "Blue"]).unwrap();
    let href = format!("{}/context/companysettings/metadata/customEntities/{dictionary}", sim.base);
    let meta = json!({"meta": {"href": href, "type": "customentitymetadata"}});
    let colour = json!({"name": "Colour", "type": "customentity", "customEntityMeta": meta});
    let colour = sim.person(*main).add_attribute("product", &colour).unwrap();
    let element = |n: usize| sim.reference(*main, "customentity", elements[n]);

    let with = |id: Uuid, value: Value| Some(with_attribute(sim, id, value));
    // What is asked, what meets it, what does not.
    let cases = [
        (
            json!({"name": "Label", "is": "equal", "value": "new"}),
            with(label, json!("new")),
            with(label, json!("New")),
        ),
        (json!({"name": "Label", "is": "notEqual", "value": "new"}), None, with(label, json!("new"))),
        (
            json!({"name": "Label", "is": "contains", "value": "ew;"}),
            with(label, json!("new;")),
            with(label, json!("new")),
        ),
        (json!({"name": "Label", "is": "set"}), with(label, json!("x")), None),
        (json!({"name": "Label", "is": "unset"}), None, with(label, json!("x"))),
        (json!({"name": "Size", "is": "less", "value": 10}), with(size, json!(9.75)), with(size, json!(10))),
        (
            json!({"name": "Size", "is": "greater", "value": 9.5}),
            with(size, json!(10)),
            with(size, json!(9.5)),
        ),
        (json!({"name": "Size", "is": "equal", "value": 10}), with(size, json!(10.0)), None),
        (
            json!({"name": "Since", "is": "greater", "value": "2026-01-01"}),
            with(since, json!("2026-01-02 10:00:00")),
            with(since, json!("2025-12-31 23:59:00")),
        ),
        (json!({"name": "Franchise", "is": "equal", "value": true}), with(ticked, json!(true)), None),
        (json!({"name": "Franchise", "is": "equal", "value": false}), None, with(ticked, json!(true))),
        (
            json!({"name": "Colour", "is": "equal", "value": "Red"}),
            with(colour, element(0)),
            with(colour, element(1)),
        ),
    ];
    for (n, (condition, meets, fails)) in cases.into_iter().enumerate() {
        set_catalog(&franchise, *kazan, json!({"filters": [{"attribute": condition}]})).await;
        let product = |code: String, attribute: Option<Value>| {
            let attributes: Vec<Value> = attribute.into_iter().collect();
            json!({"name": "Kettle", "externalCode": code, "attributes": attributes})
        };
        let both = [product(format!("yes{n}"), meets), product(format!("no{n}"), fails)];
        sim.person(*main).create_many("product", &both).unwrap();
        franchise.settle().await;
        assert_eq!(count(sim, *kazan, "product", &format!("yes{n}")), 1, "{condition}");
        assert_eq!(count(sim, *kazan, "product", &format!("no{n}")), 0, "{condition}");
        assert_eq!(count(sim, *omsk, "product", &format!("no{n}")), 1, "no filter there");
    }
}

#[tokio::test]
async fn all_conditions_must_be_met_by_products_services_and_bundles() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    hook_all(&franchise);
    let label =
        sim.person(*main).add_attribute("product", &json!({"name": "Label", "type": "string"})).unwrap();
    let folder = |name: &str, parent: Option<Uuid>| {
        let mut body = json!({"name": name});
        if let Some(parent) = parent {
            body["productFolder"] = reference(sim, "productfolder", parent);
        }
        sim.create_in(*main, "productfolder", body)
    };
    let a = folder("A", None);
    let (b, secret) = (folder("B", Some(a)), folder("Secret", Some(a)));
    let elsewhere = folder("Z", None);
    let filters = json!([{"folderIn": [a]}, {"folderNotIn": [secret]},
        {"attribute": {"name": "Label", "is": "equal", "value": "new"}}]);
    set_catalog(&franchise, *kazan, json!({"filters": filters})).await;
    let wanted = |code: &str, folder: Option<Uuid>, text: &str| {
        let mut body = json!({"name": code, "externalCode": code, "attributes": [with_attribute(sim, label, json!(text))]});
        if let Some(folder) = folder {
            body["productFolder"] = reference(sim, "productfolder", folder);
        }
        body
    };
    let all = [
        wanted("yes", Some(b), "new"),
        wanted("other label", Some(b), "old"),
        wanted("hidden", Some(secret), "new"),
        wanted("elsewhere", Some(elsewhere), "new"),
        wanted("nowhere", None, "new"),
    ];
    let ids = sim.person(*main).create_many("product", &all).unwrap();
    sim.person(*main).create_many("service", &all).unwrap();
    let parts = json!([{"assortment": reference(sim, "product", ids[0]), "quantity": 1}]);
    let bundles = all.map(|mut body| {
        body["components"] = parts.clone();
        body
    });
    sim.person(*main).create_many("bundle", &bundles).unwrap();
    franchise.settle().await;
    for kind in ["product", "service", "bundle"] {
        let codes: Vec<Value> =
            sim.entities(*kazan, kind).into_iter().map(|one| one["externalCode"].clone()).collect();
        assert_eq!(codes, ["yes"], "{kind}");
    }
}

#[tokio::test]
async fn what_begins_to_meet_them_comes_with_its_variants_and_bundles_and_what_ceases_stays() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    hook_all(&franchise);
    let ticked = json!({"name": "Franchise", "type": "boolean"});
    let ticked = sim.person(*main).add_attribute("product", &ticked).unwrap();
    let tick = |on: bool| json!({"attributes": [with_attribute(sim, ticked, json!(on))]});
    let condition = json!({"attribute": {"name": "Franchise", "is": "equal", "value": true}});
    set_catalog(&franchise, *kazan, json!({"filters": [condition]})).await;
    let product = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    sim.person(*main).add_characteristic("Colour").unwrap();
    let variant = |colour: &str| {
        let price = sale_price(&franchise, "Retail", "700", "RUB");
        let body = json!({"product": reference(sim, "product", product), "externalCode": colour,
            "salePrices": [price], "characteristics": [{"name": "Colour", "value": colour}]});
        sim.create_in(*main, "variant", body)
    };
    let red = variant("red");
    // Nobody ever tells of this one.
    franchise.unheard(|| variant("blue"));
    let parts = json!([{"assortment": reference(sim, "variant", red), "quantity": 2}]);
    let bundle = json!({"name": "Pair", "externalCode": "b", "components": parts, "attributes": tick(true)["attributes"]});
    let bundle = sim.create_in(*main, "bundle", bundle);
    franchise.settle().await;
    for (kind, code) in [("product", "k"), ("variant", "red"), ("bundle", "b")] {
        assert_eq!(count(sim, *kazan, kind, code), 0, "{kind}");
        assert_eq!(count(sim, *omsk, kind, code), 1, "{kind}");
    }
    let skipped = |why: &str| json!([why]);
    let unwanted = "not wanted by the child's filters";
    assert_eq!(franchise.log(*kazan, red).await[0]["skipped"], skipped(&format!("its product: {unwanted}")));
    let entry = franchise.log(*kazan, bundle).await.remove(0);
    assert_eq!(entry["skipped"], skipped(&format!("one of its parts: its product: {unwanted}")), "{entry}");
    assert!(entry["error"].is_null(), "a setting is no error: {entry}");

    let list = format!("/api/v1/sync-changes?account={kazan}&status=unwanted");
    let backlog = franchise.gateway.admin_get(&list).await;
    assert_eq!(backlog["items"][0]["main_id"], json!(bundle), "{backlog}");

    franchise.edit(product, tick(true)).await;
    for (kind, code) in [("product", "k"), ("variant", "red"), ("variant", "blue"), ("bundle", "b")] {
        assert_eq!(count(sim, *kazan, kind, code), 1, "{kind} {code}");
    }
    let writes = sim.writes(*omsk).len();

    franchise.edit(product, tick(false)).await;
    franchise.edit(product, json!({"name": "Teapot"})).await;
    let shown = sim.by_external_code(*kazan, "k");
    assert_eq!(
        (&shown["name"], &shown["archived"]),
        (&json!("Teapot"), &json!(false)),
        "it stays and is kept up"
    );
    variant("green");
    franchise.settle().await;
    assert_eq!(count(sim, *kazan, "variant", "green"), 1);
    assert!(sim.writes(*omsk).len() - writes <= 3, "Omsk got the name and the new variant");
}
