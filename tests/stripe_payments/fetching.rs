//! Objects are fetched from Stripe: seldom, in its limits, and however it answers.

use super::*;
use std::time::Instant;

#[tokio::test]
async fn with_a_key_the_fetched_object_counts_and_not_the_one_in_the_event() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[]).await;
    stripe.put(&intent("pi_1", "succeeded"));
    send(&gateway, &event("evt_1", "payment_intent.processing", T, &intent("pi_1", "processing"))).await;
    let outcome = completed(&gateway, "evt_1").await;
    assert!(outcome.contains("fetched"), "{outcome}");
    assert_eq!(state(&gateway, "pi_1").await, ("succeeded".to_owned(), 0));
    assert_eq!(stripe.gets("pi_1").len(), 1);
    assert_eq!(stripe.gets("pi_1")[0].account, None);
}

/// Waits until Stripe was asked for each of these.
async fn asked(stripe: &Stripe, ids: &[&str]) {
    wait::until("Stripe to be asked", Duration::from_secs(60), || async {
        ids.iter().all(|id| !stripe.gets(id).is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_look_at_stripe_answers_all_events_that_wait_for_it() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[]).await;
    stripe.put(&charge("ch_1", None, 300));
    stripe.put(&json!({"id": "cus_1", "object": "customer", "currency": "usd"}));
    let gate = stripe.hold();
    for number in 0..50 {
        if number == 1 {
            // What is told from now on is answered by the next look, not by this one.
            asked(&stripe, &["ch_1", "cus_1"]).await;
        }
        let stale = charge("ch_1", None, 0);
        send(&gateway, &event(&format!("evt_ch{number}"), "charge.updated", T + number, &stale)).await;
        let stale = json!({"id": "cus_1", "object": "customer", "currency": null});
        send(&gateway, &event(&format!("evt_cus{number}"), "customer.updated", T + number, &stale)).await;
    }
    gate.open();
    all_completed(&gateway, 100).await;
    for id in ["ch_1", "cus_1"] {
        let gets = stripe.gets(id).len();
        assert!((1..=2).contains(&gets), "{gets} requests for 50 events of {id}");
    }
    assert_eq!(state(&gateway, "ch_1").await, ("partially_refunded".to_owned(), 300));
    assert_eq!(payment(&gateway, "ch_1").await.unwrap()["last_event_id"], "evt_ch49");
    assert_eq!(emitted(&gateway, "ch_1").await, counts(&[("payment.refunded", 1)]));
    // Each of these is an event of its own, and each tells what was fetched.
    assert_eq!(emitted(&gateway, "cus_1").await, counts(&[("customer.updated", 50)]));
    let page = gateway.admin_get("/api/v1/events?provider=hookgate&type=customer.updated").await;
    let id = page["items"][0]["id"].as_str().unwrap();
    assert_eq!(
        gateway.admin_get(&format!("/api/v1/events/{id}")).await["payload"]["data"]["currency"],
        "usd"
    );
}

#[tokio::test]
async fn an_object_that_is_gone_ends_the_event() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[]).await;
    let gate = stripe.hold();
    for number in 0..10 {
        if number == 1 {
            asked(&stripe, &["ch_1"]).await;
        }
        let id = format!("evt_ch{number}");
        send(&gateway, &event(&id, "charge.updated", T, &charge("ch_1", None, 0))).await;
    }
    gate.open();
    all_completed(&gateway, 10).await;
    assert!(completed(&gateway, "evt_ch9").await.contains("gone"));
    let gets = stripe.gets("ch_1").len();
    assert!((1..=2).contains(&gets), "{gets} requests for 10 events of what is gone");
    assert_eq!(payment(&gateway, "ch_1").await, None);

    stripe.put(&json!({"id": "cus_1", "object": "customer", "deleted": true}));
    let customer = json!({"id": "cus_1", "object": "customer", "currency": "brl"});
    send(&gateway, &event("evt_2", "customer.updated", T, &customer)).await;
    assert!(completed(&gateway, "evt_2").await.contains("gone"));
    send(&gateway, &event("evt_3", "customer.deleted", T + 1, &customer)).await;
    completed(&gateway, "evt_3").await;
    assert_eq!(emitted(&gateway, "").await, counts(&[("customer.deleted", 1)]));
    assert_eq!(stripe.gets("cus_1").len(), 1, "what was deleted is not looked for");
}

#[tokio::test]
async fn a_404_of_something_that_is_not_stripe_is_no_deleted_object() {
    let stripe = Stripe::start();
    let elsewhere = format!("{}/proxy", stripe.url);
    let gateway = Gateway::start(&[
        ("STRIPE_WEBHOOK_SECRET", SECRET),
        ("STRIPE_API_KEY", API_KEY),
        ("STRIPE_BASE_URL", &elsewhere),
    ])
    .await;
    send(&gateway, &event("evt_1", "charge.updated", T, &charge("ch_1", None, 0))).await;
    let event = gateway.event("stripe", "evt_1", &["failed"]).await;
    assert!(event["error"].as_str().unwrap().contains("404"), "{event}");
}

#[tokio::test]
async fn a_wrong_key_fails_at_once_and_is_not_shown() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[("STRIPE_API_KEY", "sk_test_wrong_canary")]).await;
    stripe.put(&charge("ch_1", None, 0));
    send(&gateway, &event("evt_1", "charge.updated", T, &charge("ch_1", None, 0))).await;
    let event = gateway.event("stripe", "evt_1", &["failed"]).await;
    assert_eq!(event["attempts"], 1);
    assert!(event["error"].as_str().unwrap().contains("401"), "{event}");
    assert!(!event.to_string().contains("canary"), "{event}");
}

#[tokio::test]
async fn an_object_of_a_connected_account_is_fetched_from_there() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[]).await;
    stripe.put_in("acct_9", &intent("pi_1", "succeeded"));
    let mut connect = event("evt_1", "payment_intent.succeeded", T, &intent("pi_1", "processing"));
    connect["account"] = json!("acct_9");
    send(&gateway, &connect).await;
    completed(&gateway, "evt_1").await;
    assert_eq!(stripe.gets("pi_1")[0].account.as_deref(), Some("acct_9"));
    assert_eq!(state(&gateway, "pi_1").await.0, "succeeded");
}

#[tokio::test]
async fn a_stripe_that_fails_is_asked_again_until_it_answers() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[]).await;
    stripe.put(&intent("pi_1", "succeeded"));
    stripe.fail(&[Fault::Status(500), Fault::Status(503), Fault::Status(502), Fault::Status(500)]);
    send(&gateway, &event("evt_1", "payment_intent.succeeded", T, &intent("pi_1", "succeeded"))).await;
    let event = gateway.event("stripe", "evt_1", &["completed"]).await;
    assert_eq!(event["attempts"], 2, "{event}");
    assert_eq!(stripe.gets("pi_1").len(), 5);
    assert_eq!(state(&gateway, "pi_1").await.0, "succeeded");
    assert_eq!(emitted(&gateway, "pi_1").await, counts(&[("payment.received", 1)]));
}

#[tokio::test]
async fn a_refusal_for_too_many_requests_is_waited_out() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[]).await;
    stripe.put(&intent("pi_1", "succeeded"));
    stripe.fail(&[Fault::TooMany(2)]);
    send(&gateway, &event("evt_1", "payment_intent.succeeded", T, &intent("pi_1", "succeeded"))).await;
    let event = gateway.event("stripe", "evt_1", &["completed"]).await;
    assert_eq!(event["attempts"], 1, "{event}");
    let gets = stripe.gets("pi_1");
    assert_eq!((gets[0].status, gets.len()), (429, 2));
    assert!(gets[1].at - gets[0].at >= Duration::from_secs(2), "{gets:?}");
}

#[tokio::test]
async fn no_second_holds_more_requests_than_stripe_allows() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[("STRIPE_REQUESTS_PER_SECOND", "8")]).await;
    // Before the first request can have gone out: what is late at Stripe does not come closer to what follows by that.
    let started = Instant::now();
    for number in 0..30 {
        let object = charge(&format!("ch_{number}"), None, 0);
        stripe.put(&object);
        send(&gateway, &event(&format!("evt_{number}"), "charge.succeeded", T, &object)).await;
    }
    all_completed(&gateway, 30).await;
    let gets = stripe.all_gets();
    assert_eq!(gets.len(), 30);
    assert!(gets.iter().all(|get| get.status == 200), "{gets:?}");
    // Two at once, then one each eighth of a second; that no second holds more is shown on a clock of its own
    // (`upstream/limit.rs`).
    let took = gets.iter().map(|get| get.at).max().unwrap() - started;
    assert!(took >= Duration::from_millis(3_400), "30 requests at 8 a second took {took:?}");
}

#[tokio::test]
async fn a_gateway_killed_while_it_asks_stripe_finishes_after_its_restart() {
    let stripe = Stripe::start();
    let mut gateway = fetching(&stripe, &[]).await;
    stripe.put(&charge("ch_1", None, 900));
    stripe.set_latency(Duration::from_secs(2));
    send(&gateway, &event("evt_1", "charge.refunded", T, &charge("ch_1", None, 900))).await;
    asked(&stripe, &["ch_1"]).await;
    gateway.kill();
    stripe.set_latency(Duration::ZERO);
    gateway.restart();
    completed(&gateway, "evt_1").await;
    assert_eq!(state(&gateway, "ch_1").await, ("refunded".to_owned(), 900));
    assert_eq!(emitted(&gateway, "ch_1").await, counts(&[("payment.refunded", 1)]));
}
