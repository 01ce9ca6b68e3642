//! `hookgate sync full`.

use super::{cut_off, kettle, names};
use crate::moysklad_hooks::{TOKENS, run, told};
use crate::moysklad_sync::{Franchise, account_path};
use crate::support::wait;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use uuid::Uuid;

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Who works on a task.
#[derive(QueryableByName)]
struct Owner {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

async fn emitted(franchise: &Franchise) -> Vec<String> {
    let page = franchise.gateway.admin_get("/api/v1/events?provider=hookgate&limit=200").await;
    let types = page["items"].as_array().unwrap().iter().map(|item| item["event_type"].as_str().unwrap());
    let mut types: Vec<String> =
        types.filter(|name| name.starts_with("import.")).map(str::to_owned).collect();
    types.sort();
    types
}

#[tokio::test(flavor = "multi_thread")]
async fn one_child_gets_everything_and_a_second_import_writes_nothing() {
    let franchise = Franchise::start().await;
    cut_off(&franchise);
    for n in 0..25 {
        franchise.sim.create(franchise.main, kettle(n));
    }
    let [kazan, omsk] = franchise.children;
    let (done, text) = run(&franchise, &["--json", "sync", "full", "--account", &kazan.to_string()]);
    assert!(done, "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["found"], &report["failed"]), (&json!(25), &json!(0)));
    assert_eq!(names(&franchise.sim.products(kazan)).len(), 25);
    assert!(franchise.sim.products(omsk).is_empty(), "the other child asked for nothing");
    assert_eq!(emitted(&franchise).await, ["import.completed", "import.started"]);

    let before = franchise.sim.writes(kazan).len();
    let (done, text) = run(&franchise, &["sync", "full", "--account", &kazan.to_string()]);
    assert!(done && text.contains("imported: 25"), "{text}");
    assert_eq!(franchise.sim.writes(kazan).len(), before);

    let (done, text) = run(&franchise, &["sync", "full", "--account", &franchise.main.to_string()]);
    assert!(done, "{text}");
    assert_eq!(names(&franchise.sim.products(omsk)).len(), 25, "all children of a main account");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_cut_off_goes_on_where_it_stopped() {
    let mut franchise = Franchise::start().await;
    cut_off(&franchise);
    for n in 0..3 {
        franchise.sim.create(franchise.main, kettle(n));
    }
    franchise.sim.kill_token(franchise.main);
    let kazan = franchise.children[0].to_string();
    let (done, text) = run(&franchise, &["sync", "full", "--account", &kazan]);
    assert!(!done && text.contains("refused the token"), "{text}");
    assert_eq!(emitted(&franchise).await, ["import.failed", "import.started"]);

    franchise.sim.set_token(franchise.main, TOKENS[0]);
    let body = json!({"name": "Head office", "role": "main", "access_token": TOKENS[0]});
    assert_eq!(franchise.gateway.admin("PUT", &account_path(franchise.main), &body).await.0, 200);
    // Also without a worker.
    assert!(franchise.gateway.terminate());
    let (done, text) = run(&franchise, &["sync", "full", "--account", &kazan]);
    assert!(done && text.contains("going on where"), "{text}");
    assert_eq!(names(&franchise.sim.products(franchise.children[0])).len(), 3);
    franchise.gateway.restart();
    assert_eq!(emitted(&franchise).await, ["import.completed", "import.failed", "import.started"]);
}

async fn number(franchise: &Franchise, query: &str) -> i64 {
    let mut conn = franchise.gateway.database.connect().await;
    let row: Number = sql_query(query).get_result(&mut conn).await.unwrap();
    row.number
}

async fn execute(franchise: &Franchise, statement: &str) {
    let mut conn = franchise.gateway.database.connect().await;
    assert!(sql_query(statement).execute(&mut conn).await.unwrap() > 0, "{statement}");
}

/// What `sync full` of this account says once it has ended; `meanwhile` is done again and again until then.
async fn full_while(
    franchise: &Franchise,
    account: Uuid,
    mut meanwhile: impl AsyncFnMut(),
) -> (bool, String) {
    let account = account.to_string();
    let mut command = franchise.gateway.begin_command(&["sync", "full", "--account", &account]);
    let start = Instant::now();
    while command.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(180) {
            command.kill().unwrap();
            panic!("it does not end: {}", told(&command.wait_with_output().unwrap()).1);
        }
        meanwhile().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    told(&command.wait_with_output().unwrap())
}

async fn full(franchise: &Franchise, account: Uuid) -> (bool, String) {
    full_while(franchise, account, async || {}).await
}

/// Kills an import of this account once it has read so many types.
async fn cut_short(franchise: &Franchise, account: Uuid, kinds: usize) {
    let account = account.to_string();
    let mut command = franchise.gateway.begin_command(&["sync", "full", "--account", &account]);
    wait::until("the import to have read some", Duration::from_secs(60), || async {
        let read = "SELECT coalesce(max((progress->>'kind')::bigint), 0) AS number FROM moysklad_sweeps
                    WHERE job = 'import'";
        (number(franchise, read).await >= i64::try_from(kinds).unwrap()).then_some(())
    })
    .await;
    command.kill().unwrap();
    command.wait().unwrap();
    // The dead process keeps its import for a minute.
    execute(franchise, "UPDATE moysklad_sweeps SET lease_until = now() WHERE job = 'import'").await;
}

async fn set_status(franchise: &Franchise, child: Uuid, status: &str) {
    let body =
        json!({"name": "Child", "role": "child", "parent_account_id": franchise.main, "status": status});
    assert_eq!(franchise.gateway.admin("PUT", &account_path(child), &body).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_had_read_everything_reads_it_again() {
    let mut franchise = Franchise::start().await;
    cut_off(&franchise);
    let kazan = franchise.children[0];
    franchise.sim.create(franchise.main, kettle(1));
    assert!(franchise.gateway.terminate());
    // It ends by itself once it has read everything and the child has it all.
    franchise.sim.latency(kazan, Duration::from_secs(5));
    cut_short(&franchise, kazan, 5).await;
    franchise.sim.latency(kazan, Duration::ZERO);
    franchise.sim.create(franchise.main, kettle(2));
    franchise.gateway.restart();
    let (done, text) = full(&franchise, kazan).await;
    assert!(done && text.contains("imported: 2"), "{text}");
    assert_eq!(names(&franchise.sim.products(kazan)), ["Kettle 1", "Kettle 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_for_other_children_than_before_begins_anew() {
    let mut franchise = Franchise::start().await;
    cut_off(&franchise);
    let (main, [kazan, omsk]) = (franchise.main, franchise.children);
    set_status(&franchise, omsk, "inactive").await;
    franchise.sim.create(main, kettle(1));
    assert!(franchise.gateway.terminate());
    franchise.sim.latency(main, Duration::from_millis(700));
    // Products are the second type; what is read after them is left to be done.
    cut_short(&franchise, main, 2).await;
    franchise.sim.latency(main, Duration::ZERO);
    franchise.gateway.restart();
    set_status(&franchise, omsk, "active").await;
    let (done, text) = full(&franchise, main).await;
    assert!(done, "{text}");
    for child in [kazan, omsk] {
        assert_eq!(names(&franchise.sim.products(child)), ["Kettle 1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_breaker_holds_is_told_and_not_waited_for() {
    let franchise = Franchise::start().await;
    let kazan = franchise.children[0];
    let id = franchise.create(kettle(1)).await;
    cut_off(&franchise);
    franchise.sim.edit(franchise.main, id, json!({"name": "Renamed"}));
    let trip = format!(
        "UPDATE moysklad_loop_breakers SET tripped_at = now(), trips = 1, reset_at = now() + interval '1 hour'
         WHERE account_id = '{kazan}' AND entity_type = 'product'"
    );
    execute(&franchise, &trip).await;
    let (done, text) = full(&franchise, kazan).await;
    assert!(!done && text.contains("1 change is held until "), "{text}");
    assert_eq!(names(&franchise.sim.products(kazan)), ["Kettle 1"]);

    execute(&franchise, "UPDATE moysklad_loop_breakers SET reset_at = now()").await;
    let (done, text) = full(&franchise, kazan).await;
    assert!(done && text.contains("imported: 1"), "{text}");
    assert_eq!(names(&franchise.sim.products(kazan)), ["Renamed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_was_inactive_learns_what_main_deleted_meanwhile() {
    let franchise = Franchise::start().await;
    let (main, [kazan, omsk]) = (franchise.main, franchise.children);
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(franchise.create(kettle(n)).await);
    }
    set_status(&franchise, kazan, "inactive").await;
    franchise.sim.delete(main, ids[1]);
    franchise.settle().await;
    set_status(&franchise, kazan, "active").await;
    assert_eq!(names(&franchise.sim.products(omsk)), ["Kettle 0", "Kettle 2"]);
    assert_eq!(names(&franchise.sim.products(kazan)), ["Kettle 0", "Kettle 1", "Kettle 2"]);
    let (done, text) = full(&franchise, kazan).await;
    assert!(done && text.contains("imported: 2"), "{text}");
    assert_eq!(names(&franchise.sim.products(kazan)), ["Kettle 0", "Kettle 2"]);
    assert_eq!(franchise.sim.products(kazan).len(), 3, "archived, not deleted");
    let before = franchise.sim.writes(kazan).len();
    assert!(full(&franchise, kazan).await.0);
    assert_eq!(franchise.sim.writes(kazan).len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_most_of_main_seems_gone_nothing_is_deleted_and_that_is_told() {
    let franchise = Franchise::start().await;
    let (main, kazan) = (franchise.main, franchise.children[0]);
    let bodies: Vec<Value> = (0..25).map(kettle).collect();
    let ids = franchise.sim.person(main).create_many("product", &bodies).unwrap();
    franchise.settle().await;
    cut_off(&franchise);
    franchise.sim.person(main).delete_many("product", &ids[..24]).unwrap();
    let (done, text) = full(&franchise, kazan).await;
    assert!(!done && text.contains("24 of 25 mapped products are not shown any more"), "{text}");
    assert_eq!(names(&franchise.sim.products(kazan)).len(), 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_beside_a_busy_worker_leaves_the_tasks_to_it() {
    let env = [("WORKER_CONCURRENCY", "1"), ("WORKER_LEASE_SECONDS", "20")];
    let franchise = Franchise::start_with(&env).await;
    cut_off(&franchise);
    franchise.sim.create(franchise.main, kettle(1));
    for child in franchise.children {
        franchise.sim.latency(child, Duration::from_secs(2));
    }
    let mut conn = franchise.gateway.database.connect().await;
    let mut owners = BTreeSet::new();
    let at_work =
        "SELECT lease_owner AS id FROM sync_queue WHERE status = 'processing' AND lease_owner IS NOT NULL";
    let (done, text) = full_while(&franchise, franchise.main, async || {
        let rows: Vec<Owner> = sql_query(at_work).load(&mut conn).await.unwrap();
        owners.extend(rows.into_iter().map(|owner| owner.id));
    })
    .await;
    assert!(done, "{text}");
    assert_eq!(owners.len(), 1, "the worker was at work all the time");
    for child in franchise.children {
        assert_eq!(names(&franchise.sim.products(child)), ["Kettle 1"]);
    }
}
