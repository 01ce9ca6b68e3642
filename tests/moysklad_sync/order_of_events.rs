//! Notifications come in any order, more than once, and late: what the children have in the end is what main has.

use super::{Franchise, count, hook_all, id_of, reference};
use serde_json::json;

#[tokio::test]
async fn an_update_before_the_create_and_both_twice_make_one() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let id = franchise.unheard(|| sim.create(*main, json!({"name": "Kettle", "externalCode": "k"})));
    franchise.notify(*main, id, "UPDATE", "u").await;
    franchise.settle().await;
    franchise.notify(*main, id, "CREATE", "c").await;
    franchise.settle().await;
    // The same under another request id, as where two webhooks lead here.
    for request in ["u2", "c2"] {
        franchise.notify(*main, id, if request == "c2" { "CREATE" } else { "UPDATE" }, request).await;
    }
    franchise.settle().await;
    for child in children {
        assert_eq!(count(sim, *child, "product", "k"), 1);
        assert_eq!(sim.writes(*child).len(), 1);
    }
}

#[tokio::test]
async fn a_delete_before_an_update_ends_in_the_archive() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    franchise.unheard(|| {
        sim.edit(*main, id, json!({"name": "Teapot"}));
        sim.delete(*main, id);
    });
    franchise.notify(*main, id, "DELETE", "d").await;
    franchise.settle().await;
    let before = children.map(|child| sim.writes(child).len());
    franchise.notify(*main, id, "UPDATE", "u").await;
    franchise.notify(*main, id, "CREATE", "c").await;
    franchise.settle().await;
    for child in children {
        assert_eq!(sim.by_external_code(*child, "k")["archived"], true);
    }
    assert_eq!(children.map(|child| sim.writes(child).len()), before);

    // Of another only an update is heard after it is gone.
    let id = franchise.create(json!({"name": "Pot", "externalCode": "p"})).await;
    franchise.unheard(|| sim.delete(*main, id));
    franchise.notify(*main, id, "UPDATE", "late").await;
    franchise.settle().await;
    assert_eq!(sim.by_external_code(children[0], "p")["archived"], true);
}

#[tokio::test]
async fn a_create_and_a_delete_that_come_at_once_leave_nothing() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let id = franchise.unheard(|| {
        let id = sim.create(*main, json!({"name": "Kettle", "externalCode": "k"}));
        sim.delete(*main, id);
        id
    });
    franchise
        .gathered(async || {
            for action in ["DELETE", "CREATE", "UPDATE"] {
                franchise.notify(*main, id, action, action).await;
            }
        })
        .await;
    franchise.settle().await;
    for child in children {
        assert!(sim.writes(*child).is_empty() && sim.products(*child).is_empty());
        assert_eq!(franchise.outcome(*child).await, "the product no longer exists in main");
    }
}

#[tokio::test]
async fn a_variant_before_its_product_and_a_bundle_before_its_parts_come_together() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    hook_all(&franchise);
    let (product, variant, bundle) = franchise.unheard(|| {
        let product = sim.create(*main, json!({"name": "Kettle", "externalCode": "k"}));
        sim.person(*main).add_characteristic("Colour").unwrap();
        let variant = json!({"product": reference(sim, "product", product), "externalCode": "red",
            "characteristics": [{"name": "Colour", "value": "red"}]});
        let variant = sim.create_in(*main, "variant", variant);
        let parts = json!([{"assortment": reference(sim, "variant", variant), "quantity": 1},
            {"assortment": reference(sim, "product", product), "quantity": 1}]);
        let bundle = json!({"name": "Set", "externalCode": "b", "components": parts});
        (product, variant, sim.create_in(*main, "bundle", bundle))
    });
    for (kind, id) in [("bundle", bundle), ("variant", variant), ("product", product)] {
        franchise.notify_of(*main, kind, id, "CREATE", kind).await;
        franchise.settle().await;
    }
    for child in children {
        for (kind, code) in [("product", "k"), ("variant", "red"), ("bundle", "b")] {
            assert_eq!(count(sim, *child, kind, code), 1, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_variant_whose_product_is_in_conflict_waits_and_comes_when_that_is_solved() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    hook_all(&franchise);
    sim.create(*kazan, json!({"name": "One", "externalCode": "k"}));
    let other = sim.create(*kazan, json!({"name": "Two", "externalCode": "k"}));
    let product = franchise.unheard(|| sim.create(*main, json!({"name": "Kettle", "externalCode": "k"})));
    sim.person(*main).add_characteristic("Colour").unwrap();
    let variant = json!({"product": reference(sim, "product", product), "externalCode": "red",
        "characteristics": [{"name": "Colour", "value": "red"}]});
    let variant = sim.create_in(*main, "variant", variant);
    franchise.settle().await;
    assert_eq!((count(sim, *kazan, "variant", "red"), count(sim, *omsk, "variant", "red")), (0, 1));
    let log = franchise.log(*kazan, variant).await;
    assert_eq!(log[0]["operation"], "blocked", "{log:?}");
    assert_eq!(log[0]["error"], format!("waits for product {product} of main"));
    sim.delete(*kazan, other);
    franchise.notify(*main, product, "UPDATE", "look again").await;
    franchise.settle().await;
    assert_eq!(count(sim, *kazan, "variant", "red"), 1);
    assert_eq!(sim.by_external_code(*kazan, "k")["name"], "Kettle");
}

#[tokio::test]
async fn a_child_that_deletes_what_is_its_own_moves_nothing() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    let own = sim.create(*kazan, json!({"name": "Own", "externalCode": "own"}));
    franchise.settle().await;
    sim.delete(*kazan, own);
    franchise.settle().await;
    franchise.notify(*kazan, own, "DELETE", "by hand").await;
    let event = gateway.event("moysklad", "by hand#0", &["ignored"]).await;
    assert_eq!(event["outcome"], "the deleted entity follows none of main");
    assert!(franchise.tasks(*kazan).await.is_empty());
    assert!(sim.requests(*main).is_empty() && sim.requests(*kazan).is_empty());
}

#[tokio::test]
async fn a_mapping_to_what_a_child_no_longer_has_is_dropped_and_matched_anew() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    // Deleted by hand and made by hand, and nobody told.
    let old = id_of(&sim.by_external_code(*kazan, "k"));
    let new = franchise.unheard(|| {
        sim.delete(*kazan, old);
        sim.create(*kazan, json!({"name": "By hand", "externalCode": "k"}))
    });
    franchise.edit(id, json!({"name": "Teapot"})).await;
    let product = sim.by_external_code(*kazan, "k");
    assert_eq!((id_of(&product), &product["name"]), (new, &json!("Teapot")));
    let writes = sim.writes(*kazan).len();
    franchise.notify(*main, id, "UPDATE", "again").await;
    franchise.settle().await;
    assert_eq!(sim.writes(*kazan).len(), writes);
}
