//! What payments come to, whatever the order of their events.

use super::*;

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
async fn refunds_of_one_payment_that_are_handled_at_once_add_up() {
    let gateway = trusting().await;
    let mut events = Vec::new();
    for number in 0..4 {
        let (id, pi) = (format!("evt_p{number}"), format!("pi_{number}"));
        send(&gateway, &event(&id, "payment_intent.succeeded", T, &intent(&pi, "succeeded"))).await;
        for part in 0..20 {
            let object = refund(&format!("re_{number}_{part}"), &pi, 45, "succeeded");
            events.push(event(&format!("evt_r{number}_{part}"), "refund.created", T + 1, &object));
        }
    }
    all_completed(&gateway, 4).await;
    futures_util::future::join_all(events.iter().map(|event| send(&gateway, event))).await;
    all_completed(&gateway, 84).await;
    for number in 0..4 {
        let pi = format!("pi_{number}");
        assert_eq!(state(&gateway, &pi).await, ("refunded".to_owned(), 900));
        let told = counts(&[("payment.received", 1), ("payment.refunded", 20)]);
        assert_eq!(emitted(&gateway, &pi).await, told);
    }
}
