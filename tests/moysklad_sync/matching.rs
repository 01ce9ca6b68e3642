//! Which product of a child is main's: by mapping, else by external code, else a new one.

use super::Franchise;
use reqwest::Method;
use serde_json::json;

use crate::support::moysklad::Fault;

#[tokio::test]
async fn a_product_that_the_child_has_already_is_linked_and_updated() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    let old = sim.create(*kazan, json!({"name": "Old kettle", "externalCode": "k", "article": "own"}));
    sim.create(*kazan, json!({"name": "Pot", "externalCode": "K"}));
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let product = sim.by_external_code(*kazan, "k");
    assert_eq!(product["id"], old.to_string());
    assert_eq!(product["name"], "Kettle");
    assert!(product.get("article").is_none(), "main has none");
    assert_eq!(franchise.outcome(*kazan).await, "linked and updated");
    assert_eq!(sim.products(*kazan).len(), 2);
    assert_eq!(sim.products(*omsk).len(), 1);

    // From now on it is known by its mapping, whatever its external code.
    sim.edit(*kazan, old, json!({"externalCode": "changed by hand"}));
    franchise.edit(id, json!({"name": "Teapot"})).await;
    // Only the name was told to have changed, so nothing else is sent.
    let product = sim.by_external_code(*kazan, "changed by hand");
    assert_eq!((&product["id"], &product["name"]), (&json!(old.to_string()), &json!("Teapot")));
    assert_eq!(sim.products(*kazan).len(), 2);
}

#[tokio::test]
async fn a_product_that_is_equal_already_is_linked_without_a_write() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    sim.create(*kazan, json!({"name": "Kettle", "externalCode": "k", "weight": 1.5, "code": "own"}));
    franchise.create(json!({"name": "Kettle", "externalCode": "k", "weight": 1.50})).await;
    assert_eq!(franchise.outcome(*kazan).await, "linked, no change");
    assert!(sim.writes(*kazan).is_empty());
}

#[tokio::test]
async fn two_products_with_the_external_code_are_a_conflict_for_a_person() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, children: [kazan, omsk], .. } = &franchise;
    sim.create(*kazan, json!({"name": "One", "externalCode": "k"}));
    let other = sim.create(*kazan, json!({"name": "Other", "externalCode": "k", "archived": true}));
    franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let task = franchise.tasks(*kazan).await.remove(0);
    assert_eq!((task["status"].as_str(), task["attempts"].as_i64()), (Some("failed"), Some(1)));
    assert!(task["error"].as_str().unwrap().starts_with("conflict: 2 products"), "{task}");
    assert!(sim.writes(*kazan).is_empty());
    assert_eq!(sim.products(*omsk).len(), 1, "the other child is not concerned");

    sim.delete(*kazan, other);
    let path = format!("/api/v1/sync-queue/{}/retry", task["id"].as_str().unwrap());
    assert_eq!(gateway.admin("POST", &path, &json!(null)).await.0, 200);
    franchise.settle().await;
    assert_eq!(sim.by_external_code(*kazan, "k")["name"], "Kettle");
}

#[tokio::test]
async fn two_products_of_main_never_share_one_of_the_child() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    franchise.create(json!({"name": "Pot", "externalCode": "k"})).await;
    let task = franchise.tasks(*kazan).await.remove(0);
    assert_eq!(task["status"], "failed");
    assert!(task["error"].as_str().unwrap().contains("already follows another product"), "{task}");
    assert_eq!(sim.by_external_code(*kazan, "k")["name"], "Kettle");
}

#[tokio::test]
async fn an_archived_product_of_the_child_is_found_and_brought_back() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    let old = sim.create(*kazan, json!({"name": "Kettle", "externalCode": "k", "archived": true}));
    franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let product = sim.by_external_code(*kazan, "k");
    assert_eq!(
        (product["id"].as_str(), product["archived"].as_bool()),
        (Some(&*old.to_string()), Some(false))
    );
}

#[tokio::test]
async fn a_product_that_was_deleted_in_the_child_is_created_once_more() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let old = sim.by_external_code(*kazan, "k")["id"].as_str().unwrap().parse().unwrap();
    sim.delete(*kazan, old);
    franchise.edit(id, json!({"name": "Teapot"})).await;
    let product = sim.by_external_code(*kazan, "k");
    assert_eq!(product["name"], "Teapot");
    assert_ne!(product["id"], old.to_string());
    franchise.edit(id, json!({"name": "Samovar"})).await;
    for child in [kazan, omsk] {
        assert_eq!(sim.by_external_code(*child, "k")["name"], "Samovar");
        assert_eq!(sim.products(*child).len(), 1);
    }
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_makes_one_product() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    sim.fault(*kazan, Method::POST, Fault::DropAfterCommit);
    franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    assert_eq!(sim.by_external_code(*kazan, "k")["name"], "Kettle");
    let posts: Vec<_> = sim.writes(*kazan).into_iter().filter(|write| write.method == Method::POST).collect();
    assert!(posts.len() >= 2, "the answer was lost, so it was sent again: {}", posts.len());
    assert!(posts.iter().all(|post| post.body["syncId"] == posts[0].body["syncId"]));
}

#[tokio::test]
async fn a_product_from_a_run_that_was_cut_off_is_found_by_its_sync_id_and_mended() {
    // Every try of the create commits and loses its answer; meanwhile main changes name and external code.
    let franchise = Franchise::start_with(&[("WORKER_BACKOFF_SECONDS", "600")]).await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    for _ in 0..3 {
        sim.fault(*kazan, Method::POST, Fault::DropAfterCommit);
    }
    let id = sim.create(*main, json!({"name": "Kettle", "externalCode": "k"}));
    let task = franchise
        .task_when("the first run to end", *kazan, |task| task["attempts"] == 1 && !task["error"].is_null())
        .await;
    assert_eq!(task["status"], "received");
    assert_eq!(sim.products(*kazan).len(), 1);
    // The next task of this lane waits for the first, so the first itself runs again.
    sim.edit(*main, id, json!({"name": "Teapot", "externalCode": "t"}));
    franchise.due_now().await;
    franchise.settle().await;
    assert_eq!(sim.products(*kazan).len(), 1);
    assert_eq!(sim.by_external_code(*kazan, "t")["name"], "Teapot");
}

#[tokio::test]
async fn a_change_that_was_written_without_an_answer_can_be_taken_back() {
    let franchise = Franchise::start_with(&[("WORKER_BACKOFF_SECONDS", "600")]).await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    for _ in 0..3 {
        sim.fault(*kazan, Method::PUT, Fault::DropAfterCommit);
    }
    sim.edit(*main, id, json!({"name": "Teapot"}));
    franchise
        .task_when("the run to fail", *kazan, |task| task["attempts"] == 1 && !task["error"].is_null())
        .await;
    assert_eq!(sim.by_external_code(*kazan, "k")["name"], "Teapot");
    sim.edit(*main, id, json!({"name": "Kettle"}));
    franchise.due_now().await;
    franchise.settle().await;
    assert_eq!(sim.by_external_code(*kazan, "k")["name"], "Kettle");
}

#[tokio::test]
async fn a_price_type_that_vanished_in_the_child_costs_only_its_price() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, _], .. } = &franchise;
    let price = |value: &str| super::sale_price(&franchise, "Wholesale", value, "RUB");
    let id =
        franchise.create(json!({"name": "Kettle", "externalCode": "k", "salePrices": [price("1")]})).await;
    sim.remove_price_type(*kazan, "Wholesale");
    franchise.edit(id, json!({"name": "Teapot", "salePrices": [price("2")]})).await;
    assert_eq!(sim.by_external_code(*kazan, "k")["name"], "Teapot");
    assert_eq!(
        franchise.outcome(*kazan).await,
        "updated; skipped: 1 sale price of a type that the child lacks"
    );
    assert_eq!(sim.products(*kazan).len(), 1);
}
