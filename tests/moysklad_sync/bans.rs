//! What MoySklad bans a token for is held back well before: equal failures, and writes of one entity.

use super::Franchise;
use crate::moysklad_reconcile::kettle;
use crate::support::moysklad::Fault;
use crate::support::wait;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

async fn held(franchise: &Franchise, reason: &str) -> Option<()> {
    let url = franchise.gateway.url("/metrics");
    let text = franchise.gateway.http.get(url).send().await.unwrap().text().await.unwrap();
    let line = format!("upstream_held_total{{upstream=\"moysklad\",reason=\"{reason}\"}} 1");
    text.contains(&line).then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_failures_of_one_child_stop_at_half_of_what_brings_a_ban() {
    let franchise = Franchise::start_with(&[("MOYSKLAD_BAN_EQUAL_ERRORS", "20")]).await;
    let Franchise { gateway, sim, main, children: [kazan, omsk] } = &franchise;
    sim.unique_codes(*kazan);
    for n in 0..40 {
        sim.create(
            *kazan,
            json!({"name": format!("Own {n}"), "code": n.to_string(), "externalCode": format!("own-{n}")}),
        );
    }
    let bodies: Vec<Value> = (0..40)
        .map(|n| {
            let mut body = kettle(n);
            body["code"] = n.to_string().into();
            body
        })
        .collect();
    franchise.gathered(async || sim.person(*main).create_many("product", &bodies).unwrap()).await;
    let task = franchise
        .task_when("the child's task to be held", *kazan, |task| {
            task["error"].as_str().is_some_and(|error| error.contains("held back"))
        })
        .await;
    assert!(task["error"].as_str().unwrap().contains("too many equal failures in a minute"), "{task}");
    assert_eq!(
        (&task["status"], &task["attempts"]),
        (&json!("received"), &json!(0)),
        "waiting is no attempt"
    );
    // All of one kind, and those in flight when the last one came may be more.
    let failed = sim.answers(*kazan) - sim.requests(*kazan).iter().filter(|one| one.status < 400).count();
    assert!((10..=15).contains(&failed), "{failed}");
    wait::until("a metric to tell of it", SOON, || held(&franchise, "equal_failures")).await;
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("alert=\"ban\"")).unwrap();
    assert!(line.contains(&kazan.to_string()) && line.contains("remedy="), "{line}");
    sim.products_when("the other child to have all", *omsk, |products| products.len() == 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entity_that_is_changed_without_end_is_not_written_without_end() {
    let franchise = Franchise::start_with(&[("MOYSKLAD_BAN_PUTS", "8")]).await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let id = franchise.create(kettle(1)).await;
    let puts = || sim.writes(*kazan).iter().filter(|write| write.method == Method::PUT).count();
    for n in 0..4 {
        sim.edit(*main, id, json!({"description": format!("Edit {n}")}));
        wait::until("the edit to be written", SOON, || async { (puts() > n).then_some(()) }).await;
    }
    sim.edit(*main, id, json!({"description": "One too many"}));
    franchise.sim.create(*main, kettle(2));
    sim.products_when("another product to cross over", *kazan, |products| products.len() == 2).await;
    let says =
        |entry: &Value| entry["error"].as_str().is_some_and(|error| error.contains("written too often"));
    wait::until("the log to say that the change is held", SOON, || async {
        let log = franchise.log(*kazan, id).await;
        log.iter().any(says).then_some(())
    })
    .await;
    assert_eq!(puts(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_at_once_makes_fewer_at_once() {
    let franchise = Franchise::start().await;
    let Franchise { gateway, sim, main, children: [kazan, _] } = &franchise;
    // Other programs fill the account's places.
    sim.fault(*kazan, Method::GET, Fault::Status(429, 1073));
    sim.create(*main, kettle(1));
    sim.products_when("the product to cross over all the same", *kazan, |products| products.len() == 1).await;
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("fewer calls at once")).unwrap();
    assert!(line.contains(&kazan.to_string()) && line.contains("parallel=2"), "{line}");
}
