//! Both APIs refuse, fail, or want to be asked less often.

use super::{CPF, NAME, Scene};
use crate::support::c2s::{Fault, WORK_KEY};
use crate::support::wait;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn refusals_and_failures_of_both_apis_are_overcome() {
    let scene = Scene::start().await;
    scene.simulator.with(|state| {
        state.work_faults.extend([
            Fault::Status(503, None),
            Fault::Status(429, Some(1)),
            Fault::LoseReply,
            Fault::Body(json!({"status": 500, "reason": "interno"})),
        ]);
        state.message_faults.extend([Fault::Status(502, None), Fault::Status(429, Some(1))]);
        state.lead_faults.push_back(Fault::Status(500, None));
    });
    let event = scene.handled(&scene.ana("77")).await;
    assert_eq!(event["status"], "completed", "{event}");
    scene.message("77");
}

#[tokio::test]
async fn a_refused_key_is_tried_again_and_shown_to_the_operator() {
    let scene = Scene::start().await;
    let refusal = Fault::Body(json!({"status": 403, "reason": format!("Token {WORK_KEY} vencido, {NAME}")}));
    scene.simulator.with(|state| state.work_faults.extend([refusal, Fault::Body(json!({"erro": "limite"}))]));
    let event = scene.handled(&scene.ana("77")).await;
    assert_eq!(
        (event["status"].as_str(), event["attempts"].as_i64()),
        (Some("completed"), Some(3)),
        "{event}"
    );
    scene.message("77");
    let errors: Vec<&str> =
        event["attempt_log"].as_array().unwrap().iter().filter_map(|a| a["error"].as_str()).collect();
    assert!(errors[0].contains("WORK_API"), "{errors:?}");
    assert!(!errors.iter().any(|error| error.contains(WORK_KEY) || error.contains(NAME)), "{errors:?}");
}

#[tokio::test]
async fn a_refused_token_and_a_lead_that_is_gone_end_as_failed() {
    let scene =
        Scene::start_with(&[("C2S_TOKEN", "revoked-canary-55aa"), ("WORKER_BACKOFF_SECONDS", "0.05")]).await;
    let event = scene.handled(&scene.ana("77")).await;
    assert_eq!((event["status"].as_str(), event["attempts"].as_i64()), (Some("failed"), Some(5)), "{event}");
    assert!(event["error"].as_str().unwrap().contains("C2S_TOKEN"), "{event}");
    assert_eq!(scene.simulator.lookups().len(), 3, "the attempts after the first need no lookup");

    let scene = Scene::start().await;
    let mut event = scene.ana("77");
    event["attributes"].as_object_mut().unwrap().remove("customer");
    scene.simulator.with(|state| state.leads.clear());
    let event = scene.handled(&event).await;
    assert_eq!((event["status"].as_str(), event["attempts"].as_i64()), (Some("failed"), Some(1)), "{event}");
}

#[tokio::test]
async fn the_paces_of_both_apis_are_kept() {
    let settings = [("WORK_API_INTERVAL_MS", "100"), ("C2S_REQUESTS_PER_MINUTE", "120")];
    let scene = Scene::start_with(&settings).await;
    let customer = |n| json!({"name": NAME, "phone": format!("(11) 98765-431{n}")});
    let leads: Vec<Value> = (0..7).map(|n| scene.lead(&n.to_string(), &customer(n), "")).collect();
    for n in 0..7 {
        scene.simulator.finds("phone", &format!("1198765431{n}"), &[(CPF, "ANA BEATRIZ LIMA")]);
    }
    let started = Instant::now();
    assert_eq!(scene.post(&json!(leads)).await, 7);
    for lead in &leads {
        assert_eq!(scene.ended(lead).await["status"], "completed");
    }
    // Over the whole run and from before its first call, so that no stall can hurt: n calls take n - 1 intervals. C2S allows
    // a burst of five, and one call more each half second.
    let (lookups, took, posts) = scene.simulator.with(|state| {
        let took = *state.lookup_times.last().unwrap() - started;
        (state.lookup_times.len(), took, state.c2s_times[6] - started)
    });
    assert!(lookups >= 8, "{lookups} lookups");
    assert!(
        took >= Duration::from_millis(100) * u32::try_from(lookups - 2).unwrap(),
        "{lookups} in {took:?}"
    );
    assert!(posts >= Duration::from_millis(800), "{posts:?}");
}

#[tokio::test]
async fn a_lookup_or_message_refused_as_too_early_comes_later() {
    let scene = Scene::start().await;
    scene.simulator.with(|state| {
        state.work_interval = Duration::from_millis(300);
        state.c2s_per_minute = Some(1);
    });
    assert_eq!(scene.handled(&scene.ana("1")).await["status"], "completed");
    scene.message("1");
    let second = scene.ana("2");
    assert_eq!(scene.post(&second).await, 1);
    wait::until("a refusal", Duration::from_secs(10), || async {
        scene.simulator.with(|state| state.c2s_refused > 0).then_some(())
    })
    .await;
    scene.simulator.with(|state| state.c2s_per_minute = None);
    assert_eq!(scene.ended(&second).await["status"], "completed");
    scene.message("2");
    assert!(
        !scene.simulator.with(|state| state.c2s_calls.contains(&"GET 2".to_owned())),
        "a refused post is no doubt"
    );
}
