//! Resources are fetched from PayPal: with one token for all, in its limits, and however it answers.

use super::*;
use std::time::Instant;

/// Attempts are few, and none is to be the last before the test has done its part.
const UNHURRIED: &[(&str, &str)] = &[("WORKER_BACKOFF_SECONDS", "1")];

#[tokio::test]
async fn one_token_serves_all_events_that_need_it() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    paypal.state().latency = Duration::from_millis(200);
    for number in 0..30 {
        let id = format!("CAP{number}");
        paypal.put("captures", &capture(&id, None, "COMPLETED", 1));
        tell(&gateway, &format!("WH-{number}"), "PAYMENT.CAPTURE.COMPLETED", "capture", &id).await;
    }
    all_completed(&gateway, "paypal", 30).await;
    assert_eq!(paypal.state().tokens_made, 1);
    assert_eq!(emitted(&gateway, "").await, counts(&[("payment.received", 30)]));
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_once_when_it_is_refused() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    paypal.put("captures", &capture("CAP1", None, "COMPLETED", 1));
    let tell_next = async |number: usize| {
        let event_id = format!("WH-{number}");
        tell(&gateway, &event_id, "PAYMENT.CAPTURE.COMPLETED", "capture", "CAP1").await;
        completed(&gateway, &event_id).await;
    };
    // Good for longer than it is said to be: a request that was sent in time may be late here, if something stood still.
    paypal.state().told_life = Some(10);
    tell_next(0).await;
    paypal.state().told_life = None;
    // It was made before now, so its last tenth has begun by then. That is longer than the queue may take to look again.
    let last_tenth = Instant::now() + Duration::from_secs(9);
    wait::until("the token's last tenth", Duration::from_secs(60), || async {
        (Instant::now() >= last_tenth).then_some(())
    })
    .await;
    tell_next(1).await;
    assert_eq!(paypal.state().tokens_made, 2, "a token was used in the last tenth of its life");
    assert!(paypal.state().gets.iter().all(|get| get.1 == 200), "{:?}", paypal.state().gets);
    // A token that ends before its time is refused, and a new one is asked for.
    paypal.revoke_tokens();
    let made = paypal.state().tokens_made;
    let number = paypal.state().gets.len();
    tell_next(number).await;
    let state = paypal.state();
    assert_eq!(state.tokens_made, made + 1);
    assert_eq!(state.gets.iter().filter(|get| get.1 == 401).count(), 1);
    assert_eq!(state.gets.last().unwrap().1, 200);
}

#[tokio::test]
async fn a_token_that_is_always_refused_is_renewed_once_and_no_more() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    paypal.put("captures", &capture("CAP1", None, "COMPLETED", 1));
    {
        let mut state = paypal.state();
        state.token_life = Duration::ZERO;
        state.told_life = Some(32400);
    }
    tell(&gateway, "WH-1", "PAYMENT.CAPTURE.COMPLETED", "capture", "CAP1").await;
    let event = gateway.event("paypal", "WH-1", &["failed"]).await;
    assert!(event["error"].as_str().unwrap().contains("401"), "{event}");
    assert_eq!(event["attempts"], 1);
    let state = paypal.state();
    assert_eq!((state.tokens_made, state.gets.len()), (2, 2));
}

#[tokio::test]
async fn wrong_credentials_fail_at_once_with_a_hint_and_are_not_shown() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[("PAYPAL_CLIENT_SECRET", "EL-wrong-canary")]).await;
    tell(&gateway, "WH-1", "PAYMENT.CAPTURE.COMPLETED", "capture", "CAP1").await;
    let event = gateway.event("paypal", "WH-1", &["failed"]).await;
    assert!(event["error"].as_str().unwrap().contains("PAYPAL_CLIENT_SECRET"), "{event}");
    assert!(!event.to_string().contains("canary"), "{event}");
    assert!(paypal.state().gets.is_empty());
}

#[tokio::test]
async fn a_resource_that_is_not_readable_yet_is_asked_for_again() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, UNHURRIED).await;
    tell(&gateway, "WH-1", "PAYMENT.CAPTURE.COMPLETED", "capture", "CAP1").await;
    wait::until("a first question", Duration::from_secs(20), || async {
        (paypal.gets("CAP1") > 0).then_some(())
    })
    .await;
    paypal.put("captures", &capture("CAP1", None, "COMPLETED", 1));
    let event = gateway.event("paypal", "WH-1", &["completed"]).await;
    assert!(event["attempts"].as_i64().unwrap() >= 2, "{event}");
    let first = event["attempt_log"][0]["error"].as_str().unwrap();
    assert!(first.contains("404") && first.contains("not readable yet"), "{first}");
    assert_eq!(state(&gateway, "CAP1").await.0, "succeeded");
}

#[tokio::test]
async fn a_paypal_that_limits_or_fails_is_asked_again_until_it_answers() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    paypal.put("captures", &capture("CAP1", None, "COMPLETED", 1));
    paypal.state().faults.extend([
        Fault::TooMany(1),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(502),
    ]);
    let started = Instant::now();
    tell(&gateway, "WH-1", "PAYMENT.CAPTURE.COMPLETED", "capture", "CAP1").await;
    completed(&gateway, "WH-1").await;
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After was not waited for");
    assert_eq!(paypal.gets("CAP1"), 5);
    assert_eq!(emitted(&gateway, "").await, counts(&[("payment.received", 1)]));
}

#[tokio::test]
async fn an_id_of_another_form_reaches_no_path_and_other_types_nothing_at_all() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    for (number, id) in
        ["../../v1/identity", "CAP1/refund", "CAP1?x=1", "CAP%2f1", ""].into_iter().enumerate()
    {
        let event_id = format!("WH-{number}");
        tell(&gateway, &event_id, "PAYMENT.CAPTURE.COMPLETED", "capture", id).await;
        let event = gateway.event("paypal", &event_id, &["failed"]).await;
        assert!(event["error"].as_str().unwrap().contains("no id of PayPal"), "{event}");
    }
    tell(&gateway, "WH-9", "BILLING.SUBSCRIPTION.CREATED", "subscription", "I-BW452GLLEP1G").await;
    gateway.event("paypal", "WH-9", &["ignored"]).await;
    let state = paypal.state();
    assert!(state.gets.is_empty() && state.tokens_made == 0);
}

#[tokio::test]
async fn a_refund_is_kept_only_with_its_capture() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, UNHURRIED).await;
    paypal.put("refunds", &refund("REF1", "CAP1", "9.00", "COMPLETED", 2));
    tell(&gateway, "WH-1", "PAYMENT.CAPTURE.REFUNDED", "refund", "REF1").await;
    wait::until("a question for the capture", Duration::from_secs(20), || async {
        (paypal.gets("CAP1") > 0).then_some(())
    })
    .await;
    assert_eq!(gateway.admin_get("/api/v1/payments").await["items"], json!([]));
    paypal.put("captures", &capture("CAP1", Some("ORD1"), "REFUNDED", 2));
    completed(&gateway, "WH-1").await;
    assert_eq!(state(&gateway, "ORD1").await, ("refunded".to_owned(), 900, 900));
    assert_eq!(emitted(&gateway, "ORD1").await, counts(&[("payment.received", 1), ("payment.refunded", 1)]));
}
