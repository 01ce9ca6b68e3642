//! The catalogue of main in its children: in few calls, with what it refers to, and back again after a deletion.

use super::{Franchise, hook_all, last_segment, reference, sale_price, set_catalog};
use diesel::sql_query;
use diesel_async::RunQueryDsl;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Ends the pause after which what a child deleted comes back.
async fn end_the_pause(franchise: &Franchise) {
    let mut conn = franchise.gateway.database.connect().await;
    sql_query("UPDATE moysklad_changes SET due_at = now()").execute(&mut conn).await.unwrap();
    franchise.due_now().await;
}

fn products(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({"name": format!("Kettle {n}"), "externalCode": format!("k{n}")})).collect()
}

#[tokio::test]
async fn fifty_prices_changed_at_once_are_two_reads_and_two_writes_for_each_child() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let create = async || sim.person(*main).create_many("product", &products(50)).unwrap();
    let ids = franchise.gathered(create).await;
    franchise.settle().await;
    for child in children {
        assert_eq!(sim.products(*child).len(), 50);
    }
    let before = children.map(|child| (sim.requests(child).len(), sim.writes(child).len()));
    let reads_before = sim.requests(*main).len();
    let price = |n: usize| sale_price(&franchise, "Retail", &(1000 + n).to_string(), "RUB");
    let changes: Vec<(Uuid, Value)> =
        ids.iter().enumerate().map(|(n, id)| (*id, json!({"salePrices": [price(n)]}))).collect();
    franchise.gathered(async || sim.person(*main).update_many("product", &changes).unwrap()).await;
    franchise.settle().await;

    for (child, (requests, writes)) in children.iter().zip(before) {
        let written = sim.writes(*child).split_off(writes);
        assert!(written.len() <= 2, "{} writes", written.len());
        assert!(sim.requests(*child).len() - requests - written.len() <= 2, "reads of the child");
        let mut sent = 0;
        for write in &written {
            for item in write.body.as_array().unwrap() {
                let fields: BTreeSet<&str> = item.as_object().unwrap().keys().map(String::as_str).collect();
                assert_eq!(fields, BTreeSet::from(["meta", "salePrices"]), "only what changed is sent");
                sent += 1;
            }
        }
        assert_eq!(sent, 50);
        let product = sim.by_external_code(*child, "k49");
        assert_eq!(super::price(sim, *child, &product, "Retail").0, "1049.0");
        let log = franchise.gateway.admin_get(&format!("/api/v1/sync-log?account={child}&limit=200")).await;
        let of = |strategy: &str| {
            log["items"].as_array().unwrap().iter().filter(|one| one["strategy"] == strategy).count()
        };
        assert_eq!((of("full"), of("prices")), (50, 50), "{log}");
    }
    assert!(sim.requests(*main).len() - reads_before <= 2 * 2, "at most two reads of main for each child");
}

#[tokio::test]
async fn what_an_array_refuses_is_told_and_the_rest_is_saved_whatever_the_status() {
    for status in [400, 200] {
        let franchise = Franchise::start().await;
        let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
        sim.rules(*kazan, |rules| {
            rules.check_unique_code = true;
            rules.partial_failure_status = status;
        });
        for n in [7, 42] {
            sim.create(
                *kazan,
                json!({"name": "Own", "externalCode": format!("own {n}"), "code": format!("c{n}")}),
            );
        }
        let mut bodies = products(60);
        for (n, body) in bodies.iter_mut().enumerate() {
            body["code"] = format!("c{n}").into();
        }
        sim.person(*main).create_many("product", &bodies).unwrap();
        franchise.settle().await;
        let codes: BTreeSet<String> =
            sim.products(*kazan).iter().map(|one| one["externalCode"].as_str().unwrap().to_owned()).collect();
        assert_eq!(sim.products(*kazan).len(), 58 + 2, "nothing twice, nothing missing");
        assert!(!codes.contains("k7") && !codes.contains("k42") && codes.contains("k59"));
        // The events may have gathered for one run or for two.
        let mut failed = franchise.tasks(*kazan).await;
        failed.retain(|task| task["status"] == "failed");
        assert!(!failed.is_empty());
        for task in &failed {
            let error = task["error"].as_str().unwrap();
            assert!(error.contains("failed: ") && error.contains("code 3006"), "{error}");
        }

        // After a person has looked, the two alone are tried again.
        for n in [7, 42] {
            let own =
                sim.one(*kazan, "product", &format!("own {n}"))["id"].as_str().unwrap().parse().unwrap();
            sim.edit(*kazan, own, json!({"code": format!("other {n}")}));
        }
        for task in &failed {
            let path = format!("/api/v1/sync-queue/{}/retry", task["id"].as_str().unwrap());
            assert_eq!(franchise.gateway.admin("POST", &path, &json!(null)).await.0, 200);
        }
        franchise.settle().await;
        assert_eq!(sim.products(*kazan).len(), 60 + 2);
    }
}

#[tokio::test]
async fn a_product_comes_with_its_folders_and_only_where_it_is_wanted() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    hook_all(&franchise);
    let mut parent: Option<Uuid> = None;
    let mut folders = Vec::new();
    for name in ["A", "B", "C"] {
        let mut body = json!({"name": name, "externalCode": name});
        if let Some(parent) = parent {
            body["productFolder"] = reference(sim, "productfolder", parent);
        }
        let id = sim.create_in(*main, "productfolder", body);
        folders.push(id);
        parent = Some(id);
    }
    set_catalog(&franchise, *omsk, json!({"filters": [{"folderNotIn": [folders[0]]}]})).await;
    franchise
        .create(json!({"name": "Kettle", "externalCode": "k", "productFolder": reference(sim, "productfolder", folders[2])}))
        .await;
    let product = sim.by_external_code(*kazan, "k");
    let mut folder = last_segment(&product["productFolder"]);
    for name in ["C", "B", "A"] {
        let found = sim.id_by(*kazan, "productfolder", "name", name);
        assert_eq!(folder, found.to_string(), "{name}");
        let entity = sim.one(*kazan, "productfolder", name);
        folder = entity.get("productFolder").map(last_segment).unwrap_or_default();
    }
    assert_eq!(folder, "", "A is at the top");
    assert!(sim.products(*omsk).is_empty());
    let log =
        franchise.gateway.admin_get(&format!("/api/v1/sync-log?account={omsk}&entity_type=product")).await;
    assert_eq!(log["items"][0]["skipped"], json!(["not wanted by the child's filters"]), "{log}");
}

#[tokio::test]
async fn what_a_child_deletes_comes_back_after_a_pause() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    let old: Uuid = sim.by_external_code(*kazan, "k")["id"].as_str().unwrap().parse().unwrap();
    sim.delete(*kazan, old);
    let task = franchise.task_when("a task to wait", *kazan, |task| task["status"] == "received").await;
    assert!(task["next_attempt_at"].is_string());
    assert!(sim.products(*kazan).is_empty(), "not at once");
    end_the_pause(&franchise).await;
    franchise.settle().await;
    let product = sim.by_external_code(*kazan, "k");
    assert_ne!(product["id"], old.to_string());
    assert_eq!(franchise.outcome(*kazan).await, "created");
    assert_eq!(sim.products(*omsk).len(), 1);
}

#[tokio::test]
async fn what_main_deletes_is_archived_in_its_children() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    sim.delete(*main, id);
    franchise.settle().await;
    for child in children {
        assert_eq!(sim.by_external_code(*child, "k")["archived"], true);
        assert_eq!(franchise.outcome(*child).await, "archived: main has deleted it");
    }
    let writes = children.map(|child| sim.writes(child).len());
    franchise.notify(*main, id, "DELETE", "again").await;
    franchise.settle().await;
    assert_eq!(children.map(|child| sim.writes(child).len()), writes);
}

#[tokio::test]
async fn variants_and_bundles_come_after_what_they_are_made_of() {
    let franchise = Franchise::start().await;
    let Franchise { sim, main, children, .. } = &franchise;
    // Nobody tells of the first variant, only of the bundle.
    let product = json!({"name": "Kettle", "externalCode": "k", "salePrices": [sale_price(&franchise, "Retail", "500", "RUB")]});
    let product = sim.create(*main, product);
    sim.person(*main).add_characteristic("Colour").unwrap();
    let variant = |colour: &str| {
        json!({
            "product": reference(sim, "product", product), "externalCode": colour,
            "characteristics": [{"name": "Colour", "value": colour}],
        })
    };
    let red = sim.create_in(*main, "variant", variant("red"));
    hook_all(&franchise);
    let part = |id: Uuid| json!({"assortment": reference(sim, "variant", id), "quantity": 2});
    let bundle = sim.create_in(
        *main,
        "bundle",
        json!({"name": "Two kettles", "externalCode": "b", "components": [part(red)]}),
    );
    franchise.settle().await;
    for child in children {
        let own = sim.one(*child, "variant", "red");
        let parent = sim.by_external_code(*child, "k");
        assert_eq!(last_segment(&own["product"]), parent["id"].as_str().unwrap());
        sim.one(*child, "bundle", "b");
        let posted = sim.writes(*child).into_iter().find(|write| write.path.ends_with("/variant")).unwrap();
        assert!(posted.body.get("salePrices").is_none(), "inherited prices stay inherited: {}", posted.body);
    }
    let writes = children.map(|child| sim.writes(child).len());
    franchise.notify_of(*main, "bundle", bundle, "UPDATE", "once more").await;
    franchise.settle().await;
    assert_eq!(children.map(|child| sim.writes(child).len()), writes, "nothing changed");
    sim.create_in(*main, "variant", variant("blue"));
    franchise.settle().await;
    for child in children {
        sim.one(*child, "variant", "blue");
    }
}

#[tokio::test]
async fn a_match_by_article_is_linked_or_a_conflict_and_never_a_guess() {
    let franchise = Franchise::start().await;
    let Franchise { sim, children: [kazan, omsk], .. } = &franchise;
    for child in [kazan, omsk] {
        set_catalog(&franchise, *child, json!({"match_products_by": "article"})).await;
    }
    let old =
        sim.create(*kazan, json!({"name": "Old", "externalCode": "own", "article": "K-1", "archived": true}));
    for name in ["One", "Two"] {
        sim.create(*omsk, json!({"name": name, "externalCode": name, "article": "K-1"}));
    }
    franchise.create(json!({"name": "Kettle", "externalCode": "k", "article": "K-1"})).await;
    let linked = sim.by_external_code(*kazan, "k");
    assert_eq!((linked["id"].as_str(), &linked["archived"]), (Some(&*old.to_string()), &json!(false)));
    assert!(sim.writes(*omsk).is_empty());
    let task = franchise.tasks(*omsk).await.remove(0);
    assert!(
        task["error"].as_str().unwrap().starts_with("conflict: 2 products of the child have this article"),
        "{task}"
    );
}

#[tokio::test]
async fn the_sync_log_says_what_was_written_and_what_was_not() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    let id = franchise.create(json!({"name": "Kettle", "externalCode": "k"})).await;
    sim.edit(*main, id, json!({"salePrices": [sale_price(&franchise, "Retail", "5", "RUB")]}));
    franchise.settle().await;
    let log = gateway
        .admin_get(&format!("/api/v1/sync-log?account={kazan}&entity_type=product&main_id={id}"))
        .await;
    let entries = log["items"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{log}");
    assert_eq!((&entries[0]["operation"], &entries[0]["strategy"]), (&json!("updated"), &json!("prices")));
    assert_eq!(
        (&entries[0]["received"], &entries[0]["applied"]),
        (&json!(["salePrices"]), &json!(["salePrices"]))
    );
    assert_eq!((&entries[1]["operation"], &entries[1]["strategy"]), (&json!("created"), &json!("full")));
    assert!(entries[1]["calls"].as_f64().unwrap() >= 3.0, "{log}");
    assert!(!log.to_string().contains("Kettle"), "no content");
    let days = gateway.admin_get(&format!("/api/v1/sync-log/daily?account={kazan}")).await;
    let changes: i64 = days.as_array().unwrap().iter().map(|day| day["written"].as_i64().unwrap()).sum();
    assert_eq!(changes, 2, "{days}");
    let table = gateway.command(&["queue", "log", "--account", &kazan.to_string()]);
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(text.contains(&format!("product {id}")) && text.contains("prices"), "{text}");
    let json = gateway.command(&["--json", "queue", "log"]);
    let items: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(items.as_array().unwrap().len(), 4);
    assert_eq!(gateway.admin("GET", "/api/v1/sync-log?limit=0", &Value::Null).await.0, 400);
    assert!(sim.requests(*main).iter().all(|request| request.method == Method::GET));
}
