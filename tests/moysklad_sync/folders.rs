//! Folders: in their order, renamed and moved, or left to the child.

use super::{Franchise, count, hook_all, id_of, last_segment, reference, set_catalog};
use crate::support::wait;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

fn folder(franchise: &Franchise, name: &str, parent: Option<Uuid>) -> Uuid {
    let sim = &franchise.sim;
    let mut body = json!({"name": name, "externalCode": name});
    if let Some(parent) = parent {
        body["productFolder"] = reference(sim, "productfolder", parent);
    }
    sim.create_in(franchise.main, "productfolder", body)
}

/// Where an entity stands, as `A/B`.
fn place(franchise: &Franchise, account: Uuid, kind: &str, external_code: &str) -> Value {
    franchise.sim.one(account, kind, external_code)["pathName"].clone()
}

#[tokio::test]
async fn folders_are_renamed_moved_and_taken_to_the_top_with_what_stands_in_them() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    hook_all(&franchise);
    let a = folder(&franchise, "A", None);
    let b = folder(&franchise, "B", Some(a));
    let c = folder(&franchise, "C", Some(b));
    let product =
        json!({"name": "Kettle", "externalCode": "k", "productFolder": reference(sim, "productfolder", c)});
    let product = franchise.create(product).await;
    let expect = |path: &str| {
        for account in [main, &children[0], &children[1]] {
            assert_eq!(place(&franchise, *account, "product", "k"), path);
        }
    };
    expect("A/B/C");
    for child in children {
        assert_eq!(
            sim.entities(*child, "productfolder").len(),
            3,
            "none twice, though each has its own event"
        );
        for id in [a, b, c] {
            let log = franchise.log(*child, id).await;
            assert!(log.iter().all(|entry| entry["operation"] != "failed"), "{log:?}");
        }
    }
    sim.edit_in(*main, "productfolder", b, json!({"name": "Bee"}));
    franchise.settle().await;
    expect("A/Bee/C");
    sim.edit_in(*main, "productfolder", c, json!({"productFolder": reference(sim, "productfolder", a)}));
    franchise.settle().await;
    expect("A/C");
    sim.edit_in(*main, "productfolder", c, json!({"productFolder": null}));
    franchise.settle().await;
    expect("C");
    franchise.edit(product, json!({"productFolder": reference(sim, "productfolder", b)})).await;
    expect("A/Bee");
    franchise.edit(product, json!({"productFolder": null})).await;
    expect("");
    let before = children.map(|child| sim.writes(child).len());
    sim.person(*main).delete("productfolder", c).unwrap();
    franchise.settle().await;
    assert_eq!(children.map(|child| sim.writes(child).len()), before);
    for child in children {
        sim.one(*child, "productfolder", "C");
        assert_eq!(franchise.outcome(*child).await, "the folder no longer exists in main: left as it is");
    }
}

#[tokio::test]
async fn a_folder_is_the_childs_of_the_same_name_in_the_same_place_and_no_other() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    hook_all(&franchise);
    // Kazan has A, and a B at the top that only looks like A/B; Omsk has two A.
    let own_a = sim.create_in(*kazan, "productfolder", json!({"name": "A"}));
    sim.create_in(*kazan, "productfolder", json!({"name": "B"}));
    sim.create_in(*kazan, "productfolder", json!({"name": "a"}));
    for _ in 0..2 {
        sim.create_in(*omsk, "productfolder", json!({"name": "A"}));
    }
    let a = folder(&franchise, "A", None);
    let b = folder(&franchise, "B", Some(a));
    franchise
        .create(json!({"name": "Kettle", "externalCode": "k", "productFolder": reference(sim, "productfolder", b)}))
        .await;
    let path = place(&franchise, *kazan, "product", "k");
    assert_eq!(path, "A/B");
    let own_b = sim.entity(
        *kazan,
        last_segment(&sim.by_external_code(*kazan, "k")["productFolder"]).parse().unwrap(),
        &[],
    );
    assert_eq!(last_segment(&own_b.unwrap()["productFolder"]), own_a.to_string());
    assert_eq!(sim.entities(*kazan, "productfolder").len(), 4);
    // Which of Omsk's two it is nobody can say.
    assert_eq!(count(sim, *omsk, "product", "k"), 0);
    let failed: Vec<Value> =
        franchise.log(*omsk, a).await.into_iter().filter(|entry| entry["operation"] == "failed").collect();
    let error = failed[0]["error"].as_str().unwrap();
    assert!(
        error.starts_with("conflict: 2 productfolders of the child have this name in one folder"),
        "{error}"
    );
    assert!(sim.writes(*omsk).is_empty());
}

#[tokio::test]
async fn two_folders_of_one_name_stay_apart() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    hook_all(&franchise);
    let parents: Vec<Uuid> = ["A", "B"].iter().map(|name| folder(&franchise, name, None)).collect();
    let same = |n: usize| json!({"name": "Same", "externalCode": format!("s{n}"), "productFolder": reference(sim, "productfolder", parents[n])});
    sim.person(*main).create_many("productfolder", &[same(0), same(1)]).unwrap();
    franchise.settle().await;
    for child in children {
        assert_eq!(place(&franchise, *child, "productfolder", "s0"), "A");
        assert_eq!(place(&franchise, *child, "productfolder", "s1"), "B");
    }
}

#[tokio::test]
async fn who_was_refused_for_another_is_looked_at_again_when_that_one_is_gone() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    hook_all(&franchise);
    let first = folder(&franchise, "Tea", None);
    let first_product = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let (theirs, kettle) =
        (sim.first(*kazan, "productfolder"), sim.by_external_code(*kazan, "k")["id"].clone());
    let second = folder(&franchise, "Tea", None);
    let second_product = franchise.create(json!({"name": "Teapot", "externalCode": "k"})).await;
    for refused in [second, second_product] {
        let log = franchise.log(*kazan, refused).await;
        assert!(log[0]["error"].as_str().unwrap().starts_with("conflict: "), "{log:?}");
    }
    sim.person(*main).delete("productfolder", first).unwrap();
    sim.person(*main).delete("product", first_product).unwrap();
    wait::until("both are taken over", Duration::from_secs(20), || async {
        let same = sim.entities(*kazan, "product").len() == 1
            && sim.by_external_code(*kazan, "k")["name"] == "Teapot";
        let log = franchise.log(*kazan, second).await;
        (same && log[0]["operation"] == "linked, no change").then_some(())
    })
    .await;
    franchise.settle().await;
    assert_eq!(sim.entities(*kazan, "productfolder").len(), 1);
    assert_eq!(sim.first(*kazan, "productfolder"), theirs);
    let teapot = sim.by_external_code(*kazan, "k");
    assert_eq!((&teapot["id"], &teapot["archived"]), (&kettle, &json!(false)));
}

#[tokio::test]
async fn a_child_that_keeps_its_own_folders_gets_none_and_keeps_its_places() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    hook_all(&franchise);
    set_catalog(&franchise, *kazan, json!({"create_folders": false})).await;
    set_catalog(&franchise, *omsk, json!({"entities": ["product"]})).await;
    let a = folder(&franchise, "A", None);
    // Noted later than its product, it would call that once more.
    franchise.settle().await;
    let in_a = reference(sim, "productfolder", a);
    let product =
        franchise.create(json!({"name": "Kettle", "externalCode": "k", "productFolder": in_a})).await;
    for child in [kazan, omsk] {
        let entry = franchise.log(*child, product).await.remove(0);
        assert_eq!((&entry["operation"], &entry["skipped"]), (&json!("created"), &json!([])), "{entry}");
        assert!(sim.entities(*child, "productfolder").is_empty());
        let own = sim.create_in(*child, "productfolder", json!({"name": "Own"}));
        let id = id_of(&sim.by_external_code(*child, "k"));
        sim.edit(*child, id, json!({"productFolder": reference(sim, "productfolder", own)}));
    }
    sim.edit_in(*main, "productfolder", a, json!({"name": "Own"}));
    franchise.edit(product, json!({"name": "Teapot", "productFolder": null})).await;
    for child in [kazan, omsk] {
        let shown = sim.by_external_code(*child, "k");
        assert_eq!((&shown["name"], &shown["pathName"]), (&json!("Teapot"), &json!("Own")));
        assert_eq!(sim.entities(*child, "productfolder").len(), 1);
    }
}

#[tokio::test]
async fn folders_that_a_child_has_deleted_are_made_again_when_something_needs_them() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    let a = folder(&franchise, "A", None);
    let b = folder(&franchise, "B", Some(a));
    let in_b = reference(sim, "productfolder", b);
    let kettle = json!({"name": "Kettle", "externalCode": "k", "productFolder": in_b});
    let kettle = franchise.create(kettle).await;
    // Folders have no webhooks in a child: nobody tells of it.
    let shown = id_of(&sim.by_external_code(*kazan, "k"));
    sim.edit(*kazan, shown, json!({"productFolder": null}));
    for name in ["B", "A"] {
        let id = sim.id_by(*kazan, "productfolder", "name", name);
        sim.person(*kazan).delete("productfolder", id).unwrap();
    }
    franchise.create(json!({"name": "Pot", "externalCode": "p", "productFolder": in_b})).await;
    assert_eq!(place(&franchise, *kazan, "product", "p"), "A/B");
    franchise.unheard(|| sim.edit(franchise.main, kettle, json!({"name": "Teapot"})));
    franchise.notify(franchise.main, kettle, "UPDATE", "without names").await;
    franchise.settle().await;
    assert_eq!(place(&franchise, *kazan, "product", "k"), "A/B");
    assert_eq!(sim.entities(*kazan, "productfolder").len(), 2);
}
