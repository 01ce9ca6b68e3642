//! Images whose way to a child was cut off: files that the storage has lost, replies that never came.

use super::{calls, kept, kettle, named, names, set, task};
use crate::moysklad_sync::Franchise;
use crate::support::moysklad::Fault;
use crate::support::wait;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

/// A franchise where one child alone takes images.
async fn start(env: &[(&str, &str)]) -> Franchise {
    let franchise = Franchise::start_with(env).await;
    set(&franchise, franchise.children[1], json!({"catalog": {"images": false}})).await;
    franchise
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

async fn count(franchise: &Franchise, query: &str) -> i64 {
    let mut conn = franchise.gateway.database.connect().await;
    let count: Count = sql_query(query).get_result(&mut conn).await.unwrap();
    count.rows
}

#[tokio::test]
async fn files_that_are_lost_hold_nobody_and_fail_with_their_reason() {
    let franchise = start(&[("WORKER_MAX_ATTEMPTS", "3")]).await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    sim.lose_contents("x.png");
    let lost: Vec<Value> = (0..3)
        .map(|n| json!({"name": "Cup", "externalCode": format!("cup {n}"), "images": [named("x")]}))
        .collect();
    let ids = sim.person(*main).create_many("product", &lost).unwrap();
    wait::until("the lost files to be asked for", LONG, || async {
        (calls(&franchise).1 >= 6).then_some(())
    })
    .await;
    sim.create(*main, kettle(&["a"]));
    wait::until("the image behind them to be brought", LONG, || async {
        franchise.due_now().await;
        let there = sim.products(*kazan).iter().any(|product| product["externalCode"] == "k");
        (there && names(&franchise, *kazan) == ["a.png"]).then_some(())
    })
    .await;
    let failed =
        "SELECT count(*) AS rows FROM moysklad_images WHERE status = 'failed' AND failed_task IS NOT NULL";
    wait::until("the lost ones to be given up", LONG, || async {
        franchise.due_now().await;
        (count(&franchise, failed).await == 3).then_some(())
    })
    .await;
    franchise.settle().await;
    for id in ids {
        let log = gateway.admin_get(&format!("/api/v1/sync-log?account={kazan}&main_id={id}")).await;
        let newest = &log["items"][0];
        assert_eq!(newest["operation"], "failed");
        assert!(newest["error"].as_str().unwrap().contains("image of main"), "{newest}");
    }
    let (downloads, tasks) = (calls(&franchise).1, franchise.tasks(*kazan).await);
    let failures = tasks.iter().filter(|task| task["status"] == "failed");
    assert!(failures.clone().count() > 0 && failures.clone().all(|task| task["entity_type"] == "images"));
    franchise.due_now().await;
    franchise.settle().await;
    assert_eq!(calls(&franchise).1, downloads, "nobody asks for them any more");
}

#[tokio::test]
async fn a_lost_reply_to_an_upload_that_main_takes_back_leaves_nothing_in_the_child() {
    let franchise = start(&[]).await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let id = franchise.create(kettle(&["a"])).await;
    let a = kept(&franchise, *main, id, "a");
    let list = |list: Value| {
        let path = format!("/entity/product/{id}/images");
        sim.person(*main).request(&Method::POST, &path, &list).unwrap();
    };
    sim.fault(*kazan, Method::POST, Fault::DropAfterCommit);
    list(json!([a, named("b")]));
    let at_work = "SELECT count(*) AS rows FROM sync_queue WHERE status = 'processing'";
    wait::until("the upload without a reply", LONG, || async {
        let uploaded = names(&franchise, *kazan) == ["a.png", "b.png"];
        (uploaded && count(&franchise, at_work).await == 0).then_some(())
    })
    .await;
    list(json!([a]));
    wait::until("main's list to be the child's", LONG, || async {
        franchise.due_now().await;
        (names(&franchise, *kazan) == ["a.png"]).then_some(())
    })
    .await;
    franchise.due_now().await;
    franchise.settle().await;
    let writes = sim.writes(*kazan).len();
    franchise.notify(*main, id, "UPDATE", "again").await;
    franchise.settle().await;
    assert_eq!(sim.writes(*kazan).len(), writes, "and then silence");
    assert!(task(&franchise, *kazan).await["outcome"].as_str().unwrap().contains("no change"));
}

#[tokio::test]
async fn a_product_whose_creation_was_cut_off_gets_its_images_whatever_was_told() {
    let franchise = start(&[("WORKER_BACKOFF_SECONDS", "600")]).await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let id = franchise.unheard(|| sim.create(*main, kettle(&["a"])));
    // The call is tried three times by itself: it carries a syncId.
    for _ in 0..3 {
        sim.fault(*kazan, Method::POST, Fault::DropAfterCommit);
    }
    sim.edit(*main, id, json!({"description": "Whistles"}));
    franchise.task_when("the creation to be lost", *kazan, |task| !task["error"].is_null()).await;
    franchise.due_now().await;
    franchise.settle().await;
    assert_eq!(sim.by_external_code(*kazan, "k")["description"], "Whistles");
    assert_eq!(names(&franchise, *kazan), ["a.png"]);
}
