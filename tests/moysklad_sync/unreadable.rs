//! One entity that cannot be read, for longer than a task tries: the others do not wait for it, and it comes by itself.

use super::{Franchise, hook_all};
use crate::moysklad_reconcile::kettle;
use crate::support::moysklad::Fault;
use crate::support::wait;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// A circuit that opens stays open for half a minute, and one call then shows whether it closes.
const LONG: Duration = Duration::from_secs(180);
const BROKEN: Fault = Fault::Status(500, 1);

#[tokio::test(flavor = "multi_thread")]
async fn one_of_main_keeps_no_other_waiting_and_is_named() {
    let franchise = Franchise::start_with(&[("WORKER_BACKOFF_SECONDS", "1")]).await;
    hook_all(&franchise);
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let bodies: Vec<Value> = (0..3).map(kettle).collect();
    let ids = sim.person(*main).create_many("product", &bodies).unwrap();
    franchise.settle().await;
    sim.trouble(*main, Method::GET, &ids[1].to_string(), BROKEN);
    for id in &ids {
        sim.edit(*main, *id, json!({"description": "Anew"}));
    }
    // Of a type that comes after theirs.
    sim.create_in(*main, "service", json!({"name": "Repair", "externalCode": "repair"}));
    let is_anew =
        |child, n: usize| sim.by_external_code(child, &format!("kettle-{n}"))["description"] == "Anew";
    wait::until("the others to come", LONG, || async {
        let all = [*kazan, *omsk]
            .into_iter()
            .all(|child| is_anew(child, 0) && is_anew(child, 2) && sim.entities(child, "service").len() == 1);
        all.then_some(())
    })
    .await;
    let list = format!("/api/v1/sync-changes?account={kazan}&status=waiting");
    wait::until("the one to be named", LONG, || async {
        let page = franchise.gateway.admin_get(&list).await;
        let [one] = page["items"].as_array().unwrap().as_slice() else { return None };
        (one["main_id"] == json!(ids[1]) && one["error"].as_str()?.contains("answered 500")).then_some(())
    })
    .await;
    assert!(!is_anew(*kazan, 1));
    sim.no_trouble(*main);
    wait::until("the one to come by itself", LONG, || async {
        (is_anew(*kazan, 1) && is_anew(*omsk, 1)).then_some(())
    })
    .await;
}

/// So many that the circuit opens for sure, and what shows that main works must not be one of them again and again.
#[tokio::test(flavor = "multi_thread")]
async fn several_of_main_keep_no_other_waiting() {
    let franchise = Franchise::start_with(&[("WORKER_BACKOFF_SECONDS", "1")]).await;
    hook_all(&franchise);
    let Franchise { sim, main, children: [kazan, omsk], .. } = &franchise;
    let bodies: Vec<Value> = (0..9).map(kettle).collect();
    let ids = sim.person(*main).create_many("product", &bodies).unwrap();
    franchise.settle().await;
    for id in &ids[1..8] {
        sim.trouble(*main, Method::GET, &id.to_string(), BROKEN);
    }
    for id in &ids {
        sim.edit(*main, *id, json!({"description": "Anew"}));
    }
    sim.create_in(*main, "service", json!({"name": "Repair", "externalCode": "repair"}));
    let is_anew =
        |child, n: usize| sim.by_external_code(child, &format!("kettle-{n}"))["description"] == "Anew";
    wait::until("the others to come", LONG, || async {
        let all = [*kazan, *omsk]
            .into_iter()
            .all(|child| is_anew(child, 0) && is_anew(child, 8) && sim.entities(child, "service").len() == 1);
        all.then_some(())
    })
    .await;
    sim.no_trouble(*main);
    wait::until("the rest to come by itself", LONG, || async {
        [*kazan, *omsk].into_iter().all(|child| (1..8).all(|n| is_anew(child, n))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_list_of_images_keeps_no_other_waiting() {
    let franchise = Franchise::start_with(&[("WORKER_BACKOFF_SECONDS", "1")]).await;
    let Franchise { sim, main, children: [kazan, _], .. } = &franchise;
    let bodies: Vec<Value> = (0..3).map(kettle).collect();
    let ids = sim.person(*main).create_many("product", &bodies).unwrap();
    franchise.settle().await;
    sim.trouble(*main, Method::GET, &format!("{} expand=images", ids[1]), BROKEN);
    for id in &ids {
        sim.edit(*main, *id, json!({"images": [super::images::named("a")]}));
    }
    let has = |n: usize| {
        let id = super::id_of(&sim.by_external_code(*kazan, &format!("kettle-{n}")));
        sim.images(*kazan, id).len() == 1
    };
    wait::until("images of the others", LONG, || async { (has(0) && has(2)).then_some(()) }).await;
    assert!(!has(1));
    sim.no_trouble(*main);
    wait::until("its images to come by themselves", LONG, || async { has(1).then_some(()) }).await;
}
