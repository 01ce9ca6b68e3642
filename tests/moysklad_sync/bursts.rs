//! Many events while a child's task waits already.

use super::{Franchise, account_path};
use crate::moysklad_reconcile::kettle;
use crate::support::wait;
use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

#[derive(QueryableByName, PartialEq, Debug)]
struct Row {
    /// The transaction that wrote the row last.
    #[diesel(sql_type = Text)]
    written_by: String,
    #[diesel(sql_type = Text)]
    id: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_waits_already_is_not_written_again_by_each_event() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    // Its first task is at work for long, so that the next one waits behind it.
    sim.latency(*kazan, Duration::from_secs(15));
    sim.create(*main, kettle(0));
    // Not as soon as it is claimed: until it has begun, it takes what comes.
    wait::until("the task to ask for something", Duration::from_secs(20), || async {
        (sim.in_flight(*kazan) > 0).then_some(())
    })
    .await;
    let mut conn = gateway.database.connect().await;
    let next = "SELECT xmin::text AS written_by, id::text AS id FROM sync_queue
         WHERE account_id = $1 AND entity_type = 'catalog' AND status = 'received'";
    let mut after = async |events: std::ops::Range<usize>| -> Row {
        let last = events.end - 1;
        for n in events {
            sim.create(*main, kettle(n));
        }
        let noted = "SELECT count(*) AS rows FROM webhook_events WHERE status = 'completed'";
        wait::until("the events to be handled", Duration::from_secs(20), || async {
            let mut conn = gateway.database.connect().await;
            let count: Count = sql_query(noted).get_result(&mut conn).await.unwrap();
            (count.rows > i64::try_from(last).unwrap()).then_some(())
        })
        .await;
        sql_query(next).bind::<diesel::sql_types::Uuid, _>(*kazan).get_result(&mut conn).await.unwrap()
    };
    let first = after(1..2).await;
    let last = after(2..12).await;
    assert_eq!(first, last, "each event wrote it");
    sim.latency(*kazan, Duration::ZERO);
    sim.products_when("all to come", *kazan, |products| products.len() == 12).await;
}

async fn link(franchise: &Franchise, child: Uuid, to: Uuid) {
    let body = json!({"name": "Child", "role": "child", "parent_account_id": to});
    let (status, reply) = franchise.gateway.admin("PUT", &account_path(child), &body).await;
    assert_eq!(status, 200, "{reply}");
}

#[tokio::test]
async fn what_waited_of_an_earlier_main_account_makes_no_tasks() {
    let franchise = Franchise::start_with(&[("MOYSKLAD_RECONCILE_MINUTES", "0.03")]).await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    // It waits, since it cannot be written.
    sim.contended(*kazan, Some("kettle-0"));
    sim.create(*main, kettle(0));
    let list = format!("/api/v1/sync-changes?account={kazan}");
    wait::until("a change to wait", Duration::from_secs(20), || async {
        let page = gateway.admin_get(&list).await;
        (!page["items"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    let other = sim.account("other-canary-5501", &["Retail"], &["RUB"]);
    let body = json!({"name": "Other", "role": "main", "access_token": "other-canary-5501"});
    assert_eq!(gateway.admin("PUT", &account_path(other), &body).await.0, 201);
    link(&franchise, *kazan, other).await;
    // It would be the same row each time.
    let ended = async || {
        let tasks: Vec<Value> = franchise.tasks(*kazan).await;
        tasks.into_iter().map(|task| (task["id"].clone(), task["processed_at"].clone())).collect::<Vec<_>>()
    };
    // Sweeps of main, each of which would make a task.
    let sweeps = async || {
        let log = gateway.log();
        log.lines().filter(|line| line.contains("swept") && line.contains(&main.to_string())).count()
    };
    let begun = sweeps().await;
    wait::until("a sweep", Duration::from_secs(30), || async { (sweeps().await > begun + 1).then_some(()) })
        .await;
    let before = ended().await;
    let begun = sweeps().await;
    wait::until("more sweeps", Duration::from_secs(30), || async {
        (sweeps().await > begun + 2).then_some(())
    })
    .await;
    assert_eq!(ended().await, before, "a sweep made a task");
    sim.contended(*kazan, None);
}
