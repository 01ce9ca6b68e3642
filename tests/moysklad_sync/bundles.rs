//! Bundles: their components follow main's, whether a write merges or replaces them, unless documents hold them.

use super::{Franchise, count, hook_all, id_of, last_segment, reference};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Three products and a bundle of two of them in main, which its children have; `replaced`: as a write of components
/// is read there.
async fn bundle(franchise: &Franchise, replaced: bool) -> (Uuid, Vec<Uuid>) {
    let Franchise { sim, main, children, .. } = franchise;
    hook_all(franchise);
    for child in children {
        sim.rules(*child, |rules| rules.components_are_replaced = replaced);
    }
    sim.rules(*main, |rules| rules.components_are_replaced = true);
    let mut products = Vec::new();
    for code in ["p0", "p1", "p2"] {
        products.push(sim.create(*main, json!({"name": code, "externalCode": code})));
    }
    let parts = parts(franchise, &[(products[0], 2), (products[1], 1)]);
    let bundle = json!({"name": "Set", "externalCode": "b", "components": parts});
    let bundle = sim.create_in(*main, "bundle", bundle);
    franchise.settle().await;
    (bundle, products)
}

fn parts(franchise: &Franchise, parts: &[(Uuid, i64)]) -> Value {
    let part = |(id, quantity): &(Uuid, i64)| json!({"assortment": reference(&franchise.sim, "product", *id), "quantity": quantity});
    parts.iter().map(part).collect()
}

/// External codes and quantities of what a bundle of the account is made of.
fn made_of(franchise: &Franchise, account: Uuid) -> BTreeMap<String, String> {
    let sim = &franchise.sim;
    let id = id_of(&sim.one(account, "bundle", "b"));
    let shown = sim.entity(account, id, &["components"]).unwrap();
    let rows = shown["components"]["rows"].as_array().unwrap().iter();
    let name = |row: &Value| {
        let product = sim.entity(account, last_segment(&row["assortment"]).parse().unwrap(), &[]).unwrap();
        product["externalCode"].as_str().unwrap().to_owned()
    };
    rows.map(|row| (name(row), row["quantity"].to_string())).collect()
}

fn expected(parts: &[(&str, &str)]) -> BTreeMap<String, String> {
    parts.iter().map(|(name, quantity)| ((*name).to_owned(), (*quantity).to_owned())).collect()
}

#[tokio::test]
async fn components_are_added_changed_and_dropped_under_both_readings() {
    for replaced in [false, true] {
        let franchise = Franchise::start().await;
        let Franchise { sim, main, children, .. } = &franchise;
        let (id, products) = bundle(&franchise, replaced).await;
        let [p0, p1, p2] = products[..] else { panic!("three") };
        for (main_has, children_have) in [
            (vec![(p0, 3), (p1, 1)], vec![("p0", "3.0"), ("p1", "1.0")]),
            (vec![(p0, 3), (p1, 1), (p2, 4)], vec![("p0", "3.0"), ("p1", "1.0"), ("p2", "4.0")]),
            (vec![(p1, 1), (p2, 4)], vec![("p1", "1.0"), ("p2", "4.0")]),
            // Nothing stays.
            (vec![(p0, 1)], vec![("p0", "1.0")]),
        ] {
            sim.edit_in(*main, "bundle", id, json!({"components": parts(&franchise, &main_has)}));
            franchise.settle().await;
            for account in [main, &children[0], &children[1]] {
                assert_eq!(made_of(&franchise, *account), expected(&children_have), "replaced: {replaced}");
            }
            for child in children {
                assert_eq!(franchise.outcome(*child).await, "updated");
            }
        }
        let before = children.map(|child| sim.writes(child).len());
        franchise.notify_of(*main, "bundle", id, "UPDATE", "once more").await;
        franchise.settle().await;
        assert_eq!(children.map(|child| sim.writes(child).len()), before);
    }
}

#[tokio::test]
async fn components_that_documents_hold_are_told_of_and_the_rest_is_written() {
    for replaced in [false, true] {
        let franchise = Franchise::start().await;
        let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
        let (id, products) = bundle(&franchise, replaced).await;
        let sold = id_of(&sim.one(*kazan, "bundle", "b"));
        let agent = sim.create_in(*kazan, "counterparty", json!({"name": "Buyer"}));
        let order = json!({
            "organization": reference(sim, "organization", sim.first(*kazan, "organization")),
            "agent": reference(sim, "counterparty", agent),
            "positions": [{"assortment": reference(sim, "bundle", sold), "quantity": 1}],
        });
        let order = sim.create_in(*kazan, "customerorder", order);

        // What does not touch them passes, also in a write of everything.
        sim.edit_in(*main, "bundle", id, json!({"name": "Pair"}));
        franchise.settle().await;
        assert_eq!(sim.one(*kazan, "bundle", "b")["name"], "Pair");
        franchise.unheard(|| sim.edit_in(*main, "bundle", id, json!({"name": "Couple"})));
        franchise.notify_of(*main, "bundle", id, "UPDATE", "without names").await;
        franchise.settle().await;
        assert_eq!(franchise.outcome(*kazan).await, "updated", "replaced: {replaced}");

        for wanted in [vec![(products[0], 5), (products[1], 1)], vec![(products[0], 5)]] {
            let changes = json!({"name": "Five", "components": parts(&franchise, &wanted)});
            sim.edit_in(*main, "bundle", id, changes);
            franchise.settle().await;
            let task = franchise.tasks(*kazan).await.remove(0);
            assert_eq!(task["status"], "failed");
            let error = task["error"].as_str().unwrap();
            assert!(error.contains("code 29001") && error.contains("make a new bundle in main"), "{error}");
            assert_eq!(sim.one(*kazan, "bundle", "b")["name"], "Five");
            assert_eq!(made_of(&franchise, *kazan), expected(&[("p0", "2.0"), ("p1", "1.0")]));
        }
        assert_eq!(made_of(&franchise, *omsk), expected(&[("p0", "5.0")]));

        // The other remedy, and the last failure takes all that is left.
        sim.person(*kazan).delete("customerorder", order).unwrap();
        franchise.retry_failed(*kazan).await;
        assert_eq!(made_of(&franchise, *kazan), expected(&[("p0", "5.0")]), "replaced: {replaced}");
    }
}

#[tokio::test]
async fn a_bundle_comes_when_the_last_of_its_parts_does() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    hook_all(&franchise);
    // Of each part Kazan has two: conflicts.
    for code in ["p0", "p1"] {
        for name in ["One", "Two"] {
            sim.create(*kazan, json!({"name": name, "externalCode": code}));
        }
    }
    let p0 = sim.create(*main, json!({"name": "P0", "externalCode": "p0"}));
    let p1 = sim.create(*main, json!({"name": "P1", "externalCode": "p1"}));
    let parts = parts(&franchise, &[(p0, 1), (p1, 1)]);
    let id = sim.create_in(*main, "bundle", json!({"name": "Set", "externalCode": "b", "components": parts}));
    franchise.settle().await;
    sim.one(*omsk, "bundle", "b");
    let blocked =
        franchise.log(*kazan, id).await.into_iter().find(|entry| entry["operation"] == "blocked").unwrap();
    assert!(blocked["error"].as_str().unwrap().starts_with("waits for product "), "{blocked}");
    for (code, part, bundles) in [("p0", p0, 0), ("p1", p1, 1)] {
        let other =
            sim.entities(*kazan, "product").into_iter().find(|one| one["externalCode"] == code).unwrap();
        sim.delete(*kazan, id_of(&other));
        // The part is linked, not made; what waits for it goes on all the same.
        franchise.notify(*main, part, "UPDATE", code).await;
        franchise.settle().await;
        assert_eq!(count(sim, *kazan, "bundle", "b"), bundles);
    }
}

#[tokio::test]
async fn a_part_that_the_child_lacks_keeps_nothing_but_the_parts_back() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let (id, products) = bundle(&franchise, false).await;
    // Of the new part Kazan has two: a conflict.
    for name in ["One", "Two"] {
        sim.create(*kazan, json!({"name": name, "externalCode": "p3"}));
    }
    let p3 = sim.create(*main, json!({"name": "p3", "externalCode": "p3"}));
    let wanted = parts(&franchise, &[(products[0], 2), (p3, 1)]);
    sim.edit_in(*main, "bundle", id, json!({"components": wanted}));
    franchise.settle().await;
    let rename = |name: &str| sim.edit_in(*main, "bundle", id, json!({"name": name, "article": "S-1"}));
    rename("Couple");
    franchise.settle().await;
    assert_eq!(sim.one(*kazan, "bundle", "b")["name"], "Couple");
    assert_eq!(made_of(&franchise, *kazan), expected(&[("p0", "2.0"), ("p1", "1.0")]));
    assert_eq!(made_of(&franchise, *omsk), expected(&[("p0", "2.0"), ("p3", "1.0")]));
    assert_eq!(
        franchise.tasks(*kazan).await[0]["status"],
        "completed",
        "the part has failed, and was told of"
    );
    let waits = json!([format!("waits for product {p3} of main")]);
    assert_eq!(franchise.log(*kazan, id).await[0]["skipped"], waits);
    let list = format!("/api/v1/sync-changes?account={kazan}&status=blocked");
    let held = franchise.gateway.admin_get(&list).await;
    assert_eq!(held["items"][0]["main_id"], json!(id), "{held}");

    let two = sim.entities(*kazan, "product").into_iter().find(|one| one["name"] == "Two").unwrap();
    sim.person(*kazan).delete("product", id_of(&two)).unwrap();
    franchise.retry_failed(*kazan).await;
    assert_eq!(made_of(&franchise, *kazan), expected(&[("p0", "2.0"), ("p3", "1.0")]));
    assert_eq!(franchise.gateway.admin_get(&list).await["items"], json!([]));
}

#[tokio::test]
async fn a_bundle_that_the_child_has_already_is_linked_and_made_of_the_same() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    hook_all(&franchise);
    let ids = sim.person(*main).create_many(
        "product",
        &[json!({"name": "P0", "externalCode": "p0"}), json!({"name": "P1", "externalCode": "p1"})],
    );
    let ids = ids.unwrap();
    franchise.settle().await;
    let own = |child, code: &str| reference(sim, "product", id_of(&sim.by_external_code(child, code)));
    // Kazan's is as main's will be, Omsk's is of something else.
    for (child, code, quantity) in [(kazan, "p0", 2), (omsk, "p1", 1)] {
        let parts = json!([{"assortment": own(*child, code), "quantity": quantity}]);
        let body =
            json!({"name": "Set", "externalCode": "b", "components": parts, "barcodes": [{"code128": "B"}]});
        sim.create_in(*child, "bundle", body);
    }
    let before = [kazan, omsk].map(|child| sim.writes(*child).len());
    let body = json!({"name": "Set", "externalCode": "b", "components": parts(&franchise, &[(ids[0], 2)]),
        "barcodes": [{"code128": "B"}]});
    sim.create_in(*main, "bundle", body);
    franchise.settle().await;
    for child in [kazan, omsk] {
        assert_eq!(count(sim, *child, "bundle", "b"), 1);
        assert_eq!(made_of(&franchise, *child), expected(&[("p0", "2.0")]));
    }
    let after = [kazan, omsk].map(|child| sim.writes(*child).len());
    assert_eq!(after[1] - before[1], 2, "one write, one drop");
    for write in &sim.writes(*kazan)[before[0]..] {
        assert!(write.body.get("components").is_none(), "they are right already: {}", write.body);
    }
}
