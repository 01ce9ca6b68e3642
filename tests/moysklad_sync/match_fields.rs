//! By which field a child's entity is recognized as main's: each of them, one counterpart, several, an archived one.

use super::{Franchise, count, hook_all, id_of, set_catalog};
use serde_json::{Value, json};

/// A field of the settings, and how a product or service has the word of test `n` in it.
fn field(name: &str, n: usize) -> Value {
    let word = format!("w{n}");
    match name {
        "barcode" => json!({"barcodes": [{"code128": format!("other {n}")}, {"ean8": word}]}),
        name => json!({ name: word }),
    }
}

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn products_are_recognized_by_each_field_and_ambiguity_is_a_conflict() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    for (n, name) in ["code", "externalCode", "article", "barcode", "name"].into_iter().enumerate() {
        for child in [kazan, omsk] {
            set_catalog(&franchise, *child, json!({"match_products_by": name})).await;
        }
        let words = field(name, n);
        // Not found by a list that was not asked for what is archived; and not to be mixed up with its namesake.
        let old = sim.create(*kazan, with(json!({"name": "Own", "archived": true}), &words));
        sim.create(*kazan, with(json!({"name": "Other"}), &field(name, n + 100)));
        for own in ["One", "Two"] {
            sim.create(*omsk, with(json!({"name": own}), &words));
        }
        let before = sim.writes(*omsk).len();
        let product = with(json!({"name": "Kettle", "description": format!("main's {n}")}), &words);
        let id = franchise.create(product).await;

        assert_eq!(franchise.outcome(*kazan).await, "linked and updated", "{name}");
        let linked = sim.entity(*kazan, old, &[]).unwrap();
        assert_eq!(linked["description"], format!("main's {n}"), "{name}");
        assert_eq!(linked["archived"], false, "{name}");
        let task = franchise.tasks(*omsk).await.remove(0);
        let error = task["error"].as_str().unwrap();
        let words = format!("conflict: 2 products of the child have this {name}");
        assert!(error.starts_with(&words), "{name}: {error}");
        assert_eq!(sim.writes(*omsk).len(), before, "{name}: nothing is written");
        let entry = &franchise.log(*omsk, id).await[0];
        assert_eq!(entry["operation"], "failed", "{entry}");
        assert!(entry["error"].as_str().unwrap().starts_with("conflict: "), "{entry}");
    }
}

#[tokio::test]
async fn services_are_recognized_by_each_field_that_they_have() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    hook_all(&franchise);
    for (n, name) in ["code", "externalCode", "barcode", "name"].into_iter().enumerate() {
        for child in [kazan, omsk] {
            set_catalog(&franchise, *child, json!({"match_services_by": name})).await;
        }
        let words = field(name, n);
        let old = sim.create_in(*kazan, "service", with(json!({"name": "Own", "archived": true}), &words));
        for own in ["One", "Two"] {
            sim.create_in(*omsk, "service", with(json!({"name": own}), &words));
        }
        // A product of the same word is no service.
        sim.create(*kazan, with(json!({"name": "Own"}), &words));
        let service = with(json!({"name": "Delivery", "description": format!("main's {n}")}), &words);
        sim.create_in(*main, "service", service);
        franchise.settle().await;

        assert_eq!(franchise.outcome(*kazan).await, "linked and updated", "{name}");
        assert_eq!(sim.entity(*kazan, old, &[]).unwrap()["description"], format!("main's {n}"), "{name}");
        let task = franchise.tasks(*omsk).await.remove(0);
        let words = format!("conflict: 2 services of the child have this {name}");
        assert!(task["error"].as_str().unwrap().starts_with(&words), "{task}");
        assert!(sim.writes(*omsk).is_empty(), "{name}");
    }
    let (status, reply) = franchise
        .gateway
        .admin(
            "PUT",
            &super::account_path(*kazan),
            &json!({"name": "Kazan", "role": "child", "parent_account_id": main,
                "settings": {"catalog": {"match_services_by": "article"}}}),
        )
        .await;
    assert_eq!(status, 422, "{reply}");
}

#[tokio::test]
async fn where_main_has_nothing_in_the_field_it_is_a_new_one() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    set_catalog(&franchise, *kazan, json!({"match_products_by": "article"})).await;
    sim.create(*kazan, json!({"name": "Own without article"}));
    franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    assert_eq!(franchise.outcome(*kazan).await, "created");
    assert_eq!(sim.products(*kazan).len(), 2);
}

#[tokio::test]
async fn words_with_signs_of_the_filter_are_found_as_they_are() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    set_catalog(&franchise, *kazan, json!({"match_products_by": "name"})).await;
    for (n, name) in ["a;b", "~a", "=a", "a\\", "100% & +1"].into_iter().enumerate() {
        let old = sim.create(*kazan, json!({"name": name, "externalCode": format!("own {n}")}));
        franchise.create(json!({"name": name, "externalCode": format!("k{n}")})).await;
        assert_eq!(id_of(&sim.by_external_code(*kazan, &format!("k{n}"))), old, "{name}");
        assert_eq!(count(sim, *kazan, "product", &format!("own {n}")), 0, "{name}");
    }
}
