//! One message for each lead and contact: against echoes, crashes, lost replies and bursts.

use super::{EMAIL, NAME, PHONE, Scene, guard_lines};
use crate::support::c2s::{Fault, WEBHOOK_SECRET};
use crate::support::wait;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn the_echo_of_the_own_message_ends_there() {
    let scene = Scene::start().await;
    let hook = scene.gateway.url(&format!("/api/v1/webhooks/c2s?token={WEBHOOK_SECRET}"));
    scene.simulator.with(|state| state.echo_to = Some(hook));
    scene.handled(&scene.ana("77")).await;
    let echo = wait::until("the echo", Duration::from_secs(5), || async {
        scene.simulator.with(|state| state.echoes.first().cloned())
    })
    .await;
    let echo = scene.gateway.event("c2s", &echo, &["completed", "failed"]).await;
    assert_eq!(echo["outcome"], "already enriched for this contact", "{echo}");
    scene.message("77");
    assert_eq!(scene.simulator.with(|state| state.echoes.len()), 1);
}

#[tokio::test]
async fn a_changed_contact_is_enriched_again_and_an_unchanged_one_is_not() {
    let scene = Scene::start().await;
    scene.handled(&scene.ana("77")).await;

    let written_otherwise =
        json!({"name": "ANA  BEATRIZ LIMA", "phone": "11 98765 4321", "email": EMAIL.to_uppercase()});
    let same = scene.handled(&scene.lead("77", &written_otherwise, "fala com o corretor")).await;
    assert_eq!(same["outcome"], "already enriched for this contact");
    assert_eq!(scene.simulator.messages("77").len(), 1);

    let new_email = json!({"name": NAME, "phone": PHONE, "email": "ana.outra@exemplo.com.br"});
    let changed = scene.handled(&scene.lead("77", &new_email, "")).await;
    assert_eq!(changed["outcome"], "enriched: message posted (CPF by phone)");
    let messages = scene.simulator.messages("77");
    assert_eq!(messages.len(), 2);
    assert_ne!(messages[0].lines().next(), messages[1].lines().next(), "each has a marker of its own");

    let back = scene.handled(&scene.ana("77")).await;
    assert_eq!(back["outcome"], "already enriched for this contact");
    assert_eq!(scene.simulator.messages("77").len(), 2);
}

#[tokio::test]
async fn a_message_whose_reply_was_lost_is_not_posted_again() {
    let scene = Scene::start().await;
    scene.simulator.with(|state| state.message_faults.push_back(Fault::LoseReply));
    let event = scene.handled(&scene.ana("77")).await;
    assert_eq!(event["outcome"], "enriched: the message of an interrupted attempt had arrived", "{event}");
    assert_eq!(event["attempts"], 2);
    scene.message("77");
    assert_eq!(scene.simulator.with(|state| state.c2s_calls.clone()), ["POST 77", "GET 77"]);
}

#[tokio::test]
async fn a_gateway_killed_while_posting_does_not_post_again() {
    let mut scene = Scene::start().await;
    scene.simulator.with(|state| state.message_faults.push_back(Fault::Hang));
    let event = scene.ana("77");
    assert_eq!(scene.post(&event).await, 1);
    wait::until("the message", Duration::from_secs(10), || async {
        (!scene.simulator.messages("77").is_empty()).then_some(())
    })
    .await;
    scene.gateway.kill();
    scene.gateway.restart();
    let event = scene.ended(&event).await;
    assert_eq!(event["outcome"], "enriched: the message of an interrupted attempt had arrived", "{event}");
    scene.message("77");
}

#[tokio::test]
async fn a_gateway_killed_before_posting_posts_after_its_restart() {
    let mut scene = Scene::start().await;
    scene.simulator.with(|state| state.work_faults.push_back(Fault::Hang));
    let event = scene.ana("77");
    assert_eq!(scene.post(&event).await, 1);
    wait::until("the lookup", Duration::from_secs(10), || async {
        (!scene.simulator.lookups().is_empty()).then_some(())
    })
    .await;
    scene.gateway.kill();
    scene.gateway.restart();
    let event = scene.ended(&event).await;
    assert_eq!(event["status"], "completed", "{event}");
    scene.message("77");
}

#[tokio::test]
async fn a_burst_of_leads_is_enriched_each_once() {
    let scene = Scene::start_with(&[("WORKER_CONCURRENCY", "8"), ("C2S_REQUESTS_PER_MINUTE", "60000")]).await;
    let leads: Vec<Value> = (0..30).map(|n| scene.ana(&format!("lead{n}"))).collect();
    assert_eq!(scene.post(&json!(leads)).await, 30);
    for lead in &leads {
        assert_eq!(scene.ended(lead).await["status"], "completed");
        scene.message(lead["id"].as_str().unwrap());
    }
    assert_eq!(guard_lines(&scene.gateway).await.len(), 30);
}
