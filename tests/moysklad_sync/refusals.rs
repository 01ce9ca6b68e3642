//! What a token's user or a tariff may not do waits with its remedy, and goes on by itself when it may.

use super::{Franchise, hook_all};
use crate::moysklad_reconcile::kettle;
use crate::support::moysklad::Fault;
use crate::support::wait;
use diesel::sql_query;
use diesel_async::RunQueryDsl;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(diesel::QueryableByName)]
struct Busy {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    rows: i64,
}

/// The quarter of an hour after which it is tried again is over.
async fn later(franchise: &Franchise) {
    // A run that has not ended yet would put the next one off for as long once more.
    wait::until("no work", Duration::from_secs(60), || async {
        let busy = "SELECT (SELECT count(*) FROM webhook_events WHERE status IN ('received', 'processing'))
            + (SELECT count(*) FROM sync_queue WHERE status = 'processing' OR status = 'received' AND run_at <= now()) AS rows";
        let mut conn = franchise.gateway.database.connect().await;
        let busy: Busy = sql_query(busy).get_result(&mut conn).await.unwrap();
        (busy.rows == 0 && franchise.sim.is_quiet()).then_some(())
    })
    .await;
    let mut conn = franchise.gateway.database.connect().await;
    for table in
        ["moysklad_changes SET due_at = now() WHERE status", "sync_queue SET run_at = now() WHERE status"]
    {
        let status = if table.starts_with("sync") { "received" } else { "waiting" };
        sql_query(format!("UPDATE {table} = '{status}'")).execute(&mut conn).await.unwrap();
    }
}

#[tokio::test]
async fn a_lapsed_tariff_costs_few_calls_and_no_change_fails() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, omsk] } = &franchise;
    sim.trouble(*kazan, Method::POST, "/entity/product", Fault::Status(403, 1070));
    let bodies: Vec<Value> = (0..20).map(kettle).collect();
    // For one run: the second would say the same of what the first did not see, but a moment later.
    franchise.gathered(async || sim.person(*main).create_many("product", &bodies).unwrap()).await;
    sim.products_when("the other child to have all", *omsk, |products| products.len() == 20).await;
    let task = franchise
        .task_when("the task to wait", *kazan, |task| {
            task["error"].as_str().is_some_and(|e| e.contains("1070"))
        })
        .await;
    let error = task["error"].as_str().unwrap();
    assert!(error.starts_with(&format!("blocked: account {kazan} may not do this")), "{error}");
    assert!(error.contains("tariff has to include it"), "{error}");
    assert_eq!(
        (&task["status"], &task["attempts"]),
        (&json!("received"), &json!(0)),
        "waiting is no attempt"
    );
    let blocked = gateway.admin_get("/api/v1/sync-queue?status=blocked").await;
    assert_eq!(blocked["items"][0]["account_id"], kazan.to_string());
    let changes = gateway.admin_get(&format!("/api/v1/sync-changes?account={kazan}")).await;
    let changes = changes["items"].as_array().unwrap();
    assert_eq!(changes.len(), 20);
    assert!(changes.iter().all(|one| one["status"] == "waiting" && one["error"] == error), "{changes:?}");
    let failed = sim.answers(*kazan) - sim.requests(*kazan).iter().filter(|one| one.status < 400).count();
    assert_eq!(failed, 1, "one refusal says it of all");

    sim.no_trouble(*kazan);
    later(&franchise).await;
    sim.products_when("all to come by themselves", *kazan, |products| products.len() == 20).await;
}

#[tokio::test]
async fn news_of_what_may_be_written_does_not_wait_behind_what_may_not() {
    let franchise = Franchise::start().await;
    hook_all(&franchise);
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    sim.trouble(*kazan, Method::POST, "/entity/service", Fault::Status(403, 1045));
    sim.create_in(*main, "service", json!({"name": "Repair", "externalCode": "repair"}));
    wait::until("the service to wait", Duration::from_secs(60), || async {
        let blocked = gateway.admin_get("/api/v1/sync-queue?status=blocked").await;
        (blocked["items"][0]["account_id"] == kazan.to_string()).then_some(())
    })
    .await;
    let refused = || {
        let done = sim.requests(*kazan).iter().filter(|one| one.status < 400).count();
        sim.answers(*kazan) - done
    };
    wait::until("the one refusal to be counted", Duration::from_secs(20), || async {
        (refused() == 1).then_some(())
    })
    .await;
    sim.create(*main, kettle(1));
    // Well before the quarter of an hour is over.
    sim.products_when("the product to come", *kazan, |products| products.len() == 1).await;
    sim.create_in(*main, "service", json!({"name": "Cleaning", "externalCode": "cleaning"}));
    wait::until("the other service to wait with it", Duration::from_secs(60), || async {
        let page = gateway.admin_get(&format!("/api/v1/sync-changes?account={kazan}")).await;
        let blocked =
            |one: &&Value| one["error"].as_str().is_some_and(|error| error.starts_with("blocked: "));
        (page["items"].as_array().unwrap().iter().filter(blocked).count() == 2).then_some(())
    })
    .await;
    wait::until("its task to say so", Duration::from_secs(20), || async {
        let blocked = gateway.admin_get("/api/v1/sync-queue?status=blocked").await;
        (blocked["items"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
    wait::until("nothing to be tried", Duration::from_secs(20), || async {
        (sim.is_quiet() && refused() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_child_that_may_create_but_not_change_gets_what_is_new() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    let id = franchise.create(kettle(1)).await;
    sim.trouble(*kazan, Method::PUT, "/entity/product", Fault::Status(403, 1045));
    sim.edit(*main, id, json!({"name": "Anew"}));
    wait::until("the edit to wait", Duration::from_secs(60), || async {
        let blocked = gateway.admin_get("/api/v1/sync-queue?status=blocked").await;
        (blocked["items"][0]["account_id"] == kazan.to_string()).then_some(())
    })
    .await;
    sim.create(*main, kettle(2));
    sim.products_when("the new one to come", *kazan, |products| products.len() == 2).await;
    sim.no_trouble(*kazan);
    // Who sets a token has seen to it: nothing waits for the quarter of an hour.
    super::tokens::set_token(&franchise, *kazan, super::CHILD_TOKENS[0]).await;
    sim.products_when("the edit to come", *kazan, |all| all.iter().any(|one| one["name"] == "Anew")).await;
}

#[tokio::test]
async fn a_right_that_one_type_lacks_keeps_no_other_waiting() {
    let franchise = Franchise::start().await;
    hook_all(&franchise);
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    sim.trouble(*kazan, Method::POST, "/entity/productfolder", Fault::Status(403, 1045));
    sim.trouble(*kazan, Method::POST, "/entity/service", Fault::Status(403, 1045));
    let folder = sim.create_in(*main, "productfolder", json!({"name": "Kitchen", "externalCode": "f"}));
    let mut inside = kettle(1);
    inside["productFolder"] = super::reference(sim, "productfolder", folder);
    sim.create(*main, inside);
    sim.create(*main, kettle(2));
    sim.create_in(*main, "service", json!({"name": "Repair", "externalCode": "repair"}));
    // That in a folder waits for it.
    sim.products_when("the product to come", *kazan, |products| products.len() == 1).await;
    let list = format!("/api/v1/sync-changes?account={kazan}");
    wait::until("the others to wait", Duration::from_secs(60), || async {
        let page = gateway.admin_get(&list).await;
        let says = |kind: &str, text: &str| {
            page["items"].as_array().unwrap().iter().any(|one| {
                one["entity_type"] == kind && one["error"].as_str().is_some_and(|error| error.contains(text))
            })
        };
        (says("service", "this right") && says("productfolder", "this right") && says("product", "waits for"))
            .then_some(())
    })
    .await;
    sim.no_trouble(*kazan);
    later(&franchise).await;
    sim.entities_when("the service to come", *kazan, "service", |services| services.len() == 1).await;
    sim.products_when("what waited for the folder", *kazan, |products| products.len() == 2).await;
}
