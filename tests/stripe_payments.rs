//! Stripe's events become payments and emitted events, whatever their order and whatever happens to Stripe's API.

use crate::support::gateway::Gateway;
use crate::support::stripe::{API_KEY, Fault, SECRET, Stripe, event, send};
use crate::support::wait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A second of the provider's clock.
const T: i64 = 1_790_000_000;

/// A gateway that believes the events themselves.
async fn trusting() -> Gateway {
    Gateway::start(&[("STRIPE_WEBHOOK_SECRET", SECRET)]).await
}

/// A gateway that fetches each object.
async fn fetching(stripe: &Stripe, env: &[(&str, &str)]) -> Gateway {
    let own =
        [("STRIPE_WEBHOOK_SECRET", SECRET), ("STRIPE_API_KEY", API_KEY), ("STRIPE_BASE_URL", &stripe.url)];
    Gateway::start(&[&own, env].concat()).await
}

fn intent(id: &str, status: &str) -> Value {
    let error =
        if status == "requires_payment_method" { json!({"code": "card_declined"}) } else { Value::Null };
    json!({
        "id": id, "object": "payment_intent", "amount": 900, "currency": "brl", "customer": "cus_1",
        "status": status, "last_payment_error": error,
    })
}

fn charge(id: &str, intent: Option<&str>, refunded: i64) -> Value {
    json!({
        "id": id, "object": "charge", "amount": 900, "currency": "brl", "customer": "cus_1", "captured": true,
        "status": "succeeded", "payment_intent": intent, "amount_refunded": refunded, "refunded": refunded == 900,
    })
}

fn refund(id: &str, intent: &str, amount: i64, status: &str) -> Value {
    json!({
        "id": id, "object": "refund", "amount": amount, "currency": "brl", "status": status,
        "payment_intent": intent, "charge": "ch_1",
    })
}

async fn payment(gateway: &Gateway, id: &str) -> Option<Value> {
    let page = gateway.admin_get(&format!("/api/v1/payments?provider=stripe&id={id}")).await;
    let items = page["items"].as_array().unwrap();
    assert!(items.len() < 2, "{page}");
    items.first().cloned()
}

/// Status and refunded amount of a payment.
async fn state(gateway: &Gateway, id: &str) -> (String, i64) {
    let payment = payment(gateway, id).await.unwrap_or_else(|| panic!("there is no payment {id}"));
    (payment["status"].as_str().unwrap().to_owned(), payment["amount_refunded"].as_i64().unwrap())
}

/// Waits until the event has ended `completed`, and gives its outcome.
async fn completed(gateway: &Gateway, event_id: &str) -> String {
    let event = gateway.event("stripe", event_id, &["completed"]).await;
    event["outcome"].as_str().unwrap().to_owned()
}

/// Waits until so many events of Stripe have ended, all of them `completed`.
async fn all_completed(gateway: &Gateway, count: usize) {
    wait::until(&format!("{count} events to be completed"), Duration::from_secs(60), || async {
        let page = gateway.admin_get("/api/v1/events?provider=stripe&limit=200").await;
        let statuses: Vec<&str> =
            page["items"].as_array()?.iter().filter_map(|item| item["status"].as_str()).collect();
        assert!(!statuses.contains(&"failed"), "{page}");
        (statuses.iter().filter(|status| **status == "completed").count() == count).then_some(())
    })
    .await;
}

/// How many events of each type were emitted about a subject (all subjects if it is empty).
async fn emitted(gateway: &Gateway, subject: &str) -> BTreeMap<String, usize> {
    let filter = if subject.is_empty() { String::new() } else { format!("&subject={subject}") };
    let page = gateway.admin_get(&format!("/api/v1/events?provider=hookgate&limit=200{filter}")).await;
    let mut counts = BTreeMap::new();
    for item in page["items"].as_array().unwrap() {
        *counts.entry(item["event_type"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// The body of the only event of this type that was emitted.
async fn emission(gateway: &Gateway, event_type: &str) -> Value {
    let page = gateway.admin_get(&format!("/api/v1/events?provider=hookgate&type={event_type}")).await;
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{page}");
    let id = items[0]["id"].as_str().unwrap();
    gateway.admin_get(&format!("/api/v1/events/{id}")).await["payload"].clone()
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(event_type, count)| ((*event_type).to_owned(), *count)).collect()
}

#[tokio::test]
async fn without_a_key_the_object_of_the_event_becomes_a_payment() {
    let gateway = trusting().await;
    send(&gateway, &event("evt_1", "payment_intent.succeeded", T, &intent("pi_1", "succeeded"))).await;
    let outcome = completed(&gateway, "evt_1").await;
    assert!(outcome.contains("pi_1 is succeeded") && outcome.contains("payment.received"), "{outcome}");
    let payment = payment(&gateway, "pi_1").await.unwrap();
    let expected = json!({
        "provider": "stripe", "payment_id": "pi_1", "status": "succeeded", "amount": 900, "amount_refunded": 0,
        "currency": "brl", "customer": "cus_1", "last_event_id": "evt_1", "updated_at": payment["updated_at"],
    });
    assert_eq!(payment, expected);
    let received = emission(&gateway, "payment.received").await;
    assert_eq!(received["data"]["payment_id"], "pi_1");
    assert_eq!(received["data"]["amount"], 900);
    assert_eq!(received["source"], json!({"provider": "stripe", "event_id": "evt_1"}));
}

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

#[tokio::test]
async fn one_look_at_stripe_answers_all_events_that_wait_for_it() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[]).await;
    stripe.put(&charge("ch_1", None, 300));
    stripe.put(&json!({"id": "cus_1", "object": "customer", "currency": "usd"}));
    stripe.set_latency(Duration::from_millis(1500));
    for number in 0..50 {
        let stale = charge("ch_1", None, 0);
        send(&gateway, &event(&format!("evt_ch{number}"), "charge.updated", T + number, &stale)).await;
        let stale = json!({"id": "cus_1", "object": "customer", "currency": null});
        send(&gateway, &event(&format!("evt_cus{number}"), "customer.updated", T + number, &stale)).await;
    }
    all_completed(&gateway, 100).await;
    for id in ["ch_1", "cus_1"] {
        let gets = stripe.gets(id).len();
        assert!((1..=3).contains(&gets), "{gets} requests for 50 events of {id}");
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
async fn every_order_of_events_within_one_second_and_over_many_ends_in_the_same_payment() {
    let gateway = trusting().await;
    let mut sent = 0;
    for (name, seconds) in [("tie", [0, 0, 0]), ("spread", [1, 2, 3])] {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let id = format!("{name}{}{}{}", order[0], order[1], order[2]);
            let (pi, ch) = (format!("pi_{id}"), format!("ch_{id}"));
            let intents = [
                ("payment_intent.payment_failed", intent(&pi, "requires_payment_method")),
                ("payment_intent.processing", intent(&pi, "processing")),
                ("payment_intent.succeeded", intent(&pi, "succeeded")),
            ];
            let charges = [
                ("charge.succeeded", charge(&ch, None, 0)),
                ("charge.refunded", charge(&ch, None, 300)),
                ("charge.refunded", charge(&ch, None, 900)),
            ];
            for step in order {
                for (event_type, object) in [&intents[step], &charges[step]] {
                    let (event_id, at) = (format!("evt_{sent}_{step}"), T + seconds[step]);
                    send(&gateway, &event(&event_id, event_type, at, object)).await;
                    sent += 1;
                }
            }
        }
    }
    all_completed(&gateway, sent).await;
    let page = gateway.admin_get("/api/v1/payments?limit=200").await;
    let payments = page["items"].as_array().unwrap();
    assert_eq!(payments.len(), 24);
    for payment in payments {
        let of_intent = payment["payment_id"].as_str().unwrap().starts_with("pi_");
        let expected = if of_intent { ("succeeded", 0) } else { ("refunded", 900) };
        assert_eq!(
            (payment["status"].as_str().unwrap(), payment["amount_refunded"].as_i64().unwrap()),
            expected,
            "{payment}"
        );
        assert!(payment["last_event_id"].as_str().unwrap().ends_with("_2"), "{payment}");
    }
}

#[tokio::test]
async fn a_late_failure_does_not_undo_a_success_and_a_later_one_is_believed() {
    let gateway = trusting().await;
    let failed = intent("pi_1", "requires_payment_method");
    send(&gateway, &event("evt_1", "payment_intent.succeeded", T + 9, &intent("pi_1", "succeeded"))).await;
    completed(&gateway, "evt_1").await;
    send(&gateway, &event("evt_2", "payment_intent.payment_failed", T, &failed)).await;
    completed(&gateway, "evt_2").await;
    let paid = payment(&gateway, "pi_1").await.unwrap();
    assert_eq!((&paid["status"], &paid["last_event_id"]), (&json!("succeeded"), &json!("evt_1")));
    assert_eq!(emitted(&gateway, "pi_1").await, counts(&[("payment.received", 1), ("payment.failed", 1)]));
    for (number, object) in [&failed, &intent("pi_2", "processing"), &failed].into_iter().enumerate() {
        let mut object = object.clone();
        object["id"] = json!("pi_2");
        let at = T + i64::try_from(number).unwrap();
        send(&gateway, &event(&format!("evt_r{number}"), "payment_intent.payment_failed", at, &object)).await;
    }
    all_completed(&gateway, 5).await;
    assert_eq!(state(&gateway, "pi_2").await.0, "failed");
}

#[tokio::test]
async fn refunds_are_told_once_whichever_events_tell_of_them() {
    let gateway = trusting().await;
    // By charge.refunded alone.
    for (number, refunded) in [0, 300, 900].into_iter().enumerate() {
        let event_type = if refunded == 0 { "charge.succeeded" } else { "charge.refunded" };
        let (id, at) = (format!("evt_c{number}"), T + i64::try_from(number).unwrap());
        send(&gateway, &event(&id, event_type, at, &charge("ch_a", None, refunded))).await;
        completed(&gateway, &id).await;
        let expected = ["succeeded", "partially_refunded", "refunded"][number];
        assert_eq!(state(&gateway, "ch_a").await, (expected.to_owned(), refunded));
    }
    assert_eq!(emitted(&gateway, "ch_a").await, counts(&[("payment.received", 1), ("payment.refunded", 2)]));
    // By refund.* alone, then told again by the charge.
    send(&gateway, &event("evt_p", "payment_intent.succeeded", T, &intent("pi_b", "succeeded"))).await;
    let steps = [
        ("evt_r1", "refund.created", refund("re_1", "pi_b", 300, "pending"), "succeeded", 0),
        ("evt_r2", "refund.updated", refund("re_1", "pi_b", 300, "succeeded"), "partially_refunded", 300),
        (
            "evt_r3",
            "charge.refund.updated",
            refund("re_1", "pi_b", 300, "succeeded"),
            "partially_refunded",
            300,
        ),
        ("evt_r4", "refund.created", refund("re_2", "pi_b", 600, "succeeded"), "refunded", 900),
        ("evt_r5", "charge.refunded", charge("ch_b", Some("pi_b"), 900), "refunded", 900),
        ("evt_r6", "refund.failed", refund("re_2", "pi_b", 600, "failed"), "partially_refunded", 300),
        ("evt_r7", "refund.updated", refund("re_1", "pi_b", 300, "failed"), "succeeded", 0),
    ];
    completed(&gateway, "evt_p").await;
    for (at, (id, event_type, object, status, refunded)) in (T + 1..).zip(&steps) {
        send(&gateway, &event(id, event_type, at, object)).await;
        completed(&gateway, id).await;
        assert_eq!(state(&gateway, "pi_b").await, ((*status).to_owned(), *refunded), "after {id}");
    }
    assert_eq!(emitted(&gateway, "pi_b").await, counts(&[("payment.received", 1), ("payment.refunded", 2)]));
}

#[tokio::test]
async fn parts_of_one_payment_that_come_side_by_side_lose_nothing() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[("STRIPE_REQUESTS_PER_SECOND", "1000")]).await;
    let mut events = Vec::new();
    for number in 0..20 {
        let (pi, ch) = (format!("pi_{number}"), format!("ch_{number}"));
        let objects = [
            ("payment_intent.succeeded", intent(&pi, "succeeded")),
            ("charge.succeeded", charge(&ch, Some(&pi), 900)),
            ("charge.refunded", charge(&ch, Some(&pi), 900)),
            ("refund.created", refund(&format!("re_a{number}"), &pi, 400, "succeeded")),
            ("refund.created", refund(&format!("re_b{number}"), &pi, 500, "succeeded")),
        ];
        for (event_type, object) in objects {
            stripe.put(&object);
            events.push(event(&format!("evt_{}", events.len()), event_type, T, &object));
        }
    }
    futures_util::future::join_all(events.iter().map(|event| send(&gateway, event))).await;
    all_completed(&gateway, 100).await;
    let page = gateway.admin_get("/api/v1/payments?status=refunded&limit=200").await;
    let payments = page["items"].as_array().unwrap();
    assert_eq!(payments.len(), 20);
    assert!(payments.iter().all(|payment| payment["amount_refunded"] == 900), "{page}");
    let told = emitted(&gateway, "").await;
    assert_eq!(told["payment.received"], 20);
    // Refunds may become known at once or one after another, but never more often than there are any.
    assert!((20..=40).contains(&told["payment.refunded"]), "{told:?}");
}

#[tokio::test]
async fn an_object_that_is_gone_ends_the_event() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[]).await;
    send(&gateway, &event("evt_1", "charge.updated", T, &charge("ch_1", None, 0))).await;
    assert!(completed(&gateway, "evt_1").await.contains("gone"));
    assert_eq!(stripe.gets("ch_1").len(), 1);
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
async fn what_no_handler_wants_and_what_has_no_id_sets_nothing_in_motion() {
    let stripe = Stripe::start();
    let gateway = fetching(&stripe, &[]).await;
    let dispute = json!({"id": "dp_1", "object": "dispute", "amount": 900});
    for (id, event_type) in
        [("evt_1", "charge.dispute.created"), ("evt_2", "payout.paid"), ("evt_3", "customer.source.created")]
    {
        send(&gateway, &event(id, event_type, T, &dispute)).await;
        gateway.event("stripe", id, &["ignored"]).await;
    }
    let upcoming = json!({"object": "invoice", "amount_due": 900, "currency": "brl", "status": "draft"});
    send(&gateway, &event("evt_4", "invoice.upcoming", T, &upcoming)).await;
    assert!(completed(&gateway, "evt_4").await.contains("no id"));
    let foreign = json!({"id": "../v1/keys", "object": "charge", "amount": 900});
    send(&gateway, &event("evt_5", "charge.updated", T, &foreign)).await;
    gateway.event("stripe", "evt_5", &["failed"]).await;
    assert!(stripe.all_gets().is_empty(), "{:?}", stripe.all_gets());
    assert!(emitted(&gateway, "").await.is_empty());
    assert_eq!(gateway.admin_get("/api/v1/payments").await["items"], json!([]));
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
    stripe.limit(10);
    for number in 0..30 {
        let object = charge(&format!("ch_{number}"), None, 0);
        stripe.put(&object);
        send(&gateway, &event(&format!("evt_{number}"), "charge.succeeded", T, &object)).await;
    }
    all_completed(&gateway, 30).await;
    let gets = stripe.all_gets();
    assert_eq!(gets.len(), 30);
    assert!(gets.iter().all(|get| get.status == 200), "{gets:?}");
    let took = gets[29].at - gets[0].at;
    assert!(took < Duration::from_secs(8), "30 requests at 8 a second took {took:?}");
}

#[tokio::test]
async fn a_replayed_event_emits_nothing_again() {
    let gateway = trusting().await;
    send(&gateway, &event("evt_1", "payment_intent.succeeded", T, &intent("pi_1", "succeeded"))).await;
    send(&gateway, &event("evt_2", "charge.refunded", T + 1, &charge("ch_1", Some("pi_1"), 300))).await;
    let subscription = json!({
        "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "canceled", "currency": "brl",
    });
    send(&gateway, &event("evt_3", "customer.subscription.deleted", T, &subscription)).await;
    all_completed(&gateway, 3).await;
    let expected =
        counts(&[("payment.received", 1), ("payment.refunded", 1), ("customer.subscription.deleted", 1)]);
    assert_eq!(emitted(&gateway, "").await, expected);
    let before = payment(&gateway, "pi_1").await;
    for event_id in ["evt_1", "evt_2", "evt_3"] {
        let stored = gateway.event("stripe", event_id, &["completed"]).await;
        let path = format!("/api/v1/events/{}/replay", stored["id"].as_str().unwrap());
        assert_eq!(gateway.admin("POST", &path, &json!({})).await.0, 200);
        wait::until("the event to be handled twice", Duration::from_secs(20), || async {
            let again = gateway.event("stripe", event_id, &["completed"]).await;
            (again["attempt_log"].as_array()?.len() == 2).then_some(())
        })
        .await;
    }
    assert_eq!(emitted(&gateway, "").await, expected);
    assert_eq!(payment(&gateway, "pi_1").await, before);
}

#[tokio::test]
async fn a_gateway_killed_while_it_asks_stripe_finishes_after_its_restart() {
    let stripe = Stripe::start();
    let mut gateway = fetching(&stripe, &[]).await;
    stripe.put(&charge("ch_1", None, 900));
    stripe.set_latency(Duration::from_secs(2));
    send(&gateway, &event("evt_1", "charge.refunded", T, &charge("ch_1", None, 900))).await;
    wait::until("Stripe to be asked", Duration::from_secs(10), || async {
        (!stripe.gets("ch_1").is_empty()).then_some(())
    })
    .await;
    gateway.kill();
    stripe.set_latency(Duration::ZERO);
    gateway.restart();
    completed(&gateway, "evt_1").await;
    assert_eq!(state(&gateway, "ch_1").await, ("refunded".to_owned(), 900));
    assert_eq!(emitted(&gateway, "ch_1").await, counts(&[("payment.refunded", 1)]));
}

#[tokio::test]
async fn invoices_and_customers_are_told_by_their_ids_and_amounts_alone() {
    let mut gateway = trusting().await;
    for personal in ["Ana Souza", "ana@example.com", "529.982.247-25", "Recife", "+5581999990000"] {
        gateway.canary(personal);
    }
    let person = json!({
        "name": "Ana Souza", "email": "ana@example.com", "phone": "+5581999990000", "description": "529.982.247-25",
        "customer_name": "Ana Souza", "customer_email": "ana@example.com", "receipt_email": "ana@example.com",
        "billing_details": {"name": "Ana Souza"}, "address": {"city": "Recife"},
    });
    let with_person = |mut object: Value| {
        let fields = person.as_object().unwrap().clone();
        object.as_object_mut().unwrap().extend(fields);
        object
    };
    let invoice = json!({
        "id": "in_1", "object": "invoice", "customer": "cus_1", "status": "paid", "currency": "brl",
        "amount_due": 900, "amount_paid": 900, "amount_remaining": 0, "total": 900,
        "parent": {"subscription_details": {"subscription": "sub_1"}},
    });
    let customer = json!({"id": "cus_1", "object": "customer", "currency": "brl"});
    let objects = [
        ("invoice.paid", invoice),
        ("customer.created", customer.clone()),
        ("customer.deleted", customer),
        ("payment_intent.succeeded", intent("pi_1", "succeeded")),
        ("charge.refunded", charge("ch_1", Some("pi_1"), 300)),
    ];
    for (number, (event_type, object)) in objects.into_iter().enumerate() {
        send(&gateway, &event(&format!("evt_{number}"), event_type, T, &with_person(object))).await;
    }
    all_completed(&gateway, 5).await;
    let paid = emission(&gateway, "invoice.paid").await;
    let expected = json!({
        "provider": "stripe", "invoice": "in_1", "customer": "cus_1", "subscription": "sub_1", "payment_id": null,
        "status": "paid", "currency": "brl", "total": 900, "amount_due": 900, "amount_paid": 900,
        "amount_remaining": 0,
    });
    assert_eq!(paid["data"], expected);
    for event_type in
        ["invoice.paid", "customer.created", "customer.deleted", "payment.received", "payment.refunded"]
    {
        let text = emission(&gateway, event_type).await.to_string();
        assert!(!text.contains("Ana") && !text.contains('@') && !text.contains("529"), "{text}");
    }
}

#[tokio::test]
async fn payments_are_listed_by_filter_and_page_to_the_operator_alone() {
    let gateway = trusting().await;
    for number in 0..7 {
        let status = if number % 2 == 0 { "succeeded" } else { "canceled" };
        let id = format!("evt_{number}");
        let object = intent(&format!("pi_{number}"), status);
        send(&gateway, &event(&id, &format!("payment_intent.{status}"), T, &object)).await;
        completed(&gateway, &id).await;
    }
    let ids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["payment_id"].as_str().unwrap().to_owned()).collect()
    };
    let all = gateway.admin_get("/api/v1/payments").await;
    assert_eq!(ids(&all), ["pi_6", "pi_5", "pi_4", "pi_3", "pi_2", "pi_1", "pi_0"]);
    assert_eq!(all["next_cursor"], Value::Null);
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = gateway.admin_get(&format!("/api/v1/payments?limit=3&cursor={cursor}")).await;
        paged.push(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let expected = [vec!["pi_6", "pi_5", "pi_4"], vec!["pi_3", "pi_2", "pi_1"], vec!["pi_0"]];
    assert_eq!(paged, expected);
    let canceled = gateway.admin_get("/api/v1/payments?provider=stripe&status=canceled").await;
    assert_eq!(ids(&canceled), ["pi_5", "pi_3", "pi_1"]);
    assert_eq!(ids(&gateway.admin_get("/api/v1/payments?id=pi_4").await), ["pi_4"]);
    assert!(ids(&gateway.admin_get("/api/v1/payments?provider=paypal").await).is_empty());
    for bad in ["limit=0", "limit=201", "status=paid", "cursor=x", "stauts=failed", "id=%00"] {
        let (status, problem) = gateway.admin("GET", &format!("/api/v1/payments?{bad}"), &Value::Null).await;
        assert_eq!((status, &problem["status"]), (400, &json!(400)), "{bad}: {problem}");
    }
    let stranger = gateway.http.get(gateway.url("/api/v1/payments")).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
}
