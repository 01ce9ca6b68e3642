//! What payments come to, whatever the order of their events.

use super::*;
use std::slice::from_ref;

#[tokio::test]
async fn a_fetched_capture_becomes_a_payment_and_the_body_of_the_event_counts_for_nothing() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    paypal.put("captures", &capture("CAP1", Some("ORD1"), "COMPLETED", 1));
    tell(&gateway, "WH-1", "PAYMENT.CAPTURE.COMPLETED", "capture", "CAP1").await;
    let outcome = completed(&gateway, "WH-1").await;
    assert!(outcome.contains("payment ORD1 is succeeded, emitted payment.received"), "{outcome}");
    let found = payment(&gateway, "ORD1").await.unwrap();
    let expected = json!({
        "provider": "paypal", "payment_id": "ORD1", "status": "succeeded", "amount": 900, "amount_refunded": 0,
        "currency": "USD", "customer": null, "last_event_id": "WH-1", "updated_at": found["updated_at"],
    });
    assert_eq!(found, expected);
    assert_eq!(payment(&gateway, "CAP1").await, Some(found), "it is found by the id of its capture too");
    let received = emission(&gateway, "payment.received").await;
    assert_eq!((&received["data"]["payment_id"], &received["data"]["amount"]), (&json!("ORD1"), &json!(900)));
    assert_eq!(received["source"], json!({"provider": "paypal", "event_id": "WH-1"}));
    assert_eq!(paypal.gets("CAP1"), 1);
}

#[tokio::test]
async fn without_credentials_nothing_is_believed_and_the_remedy_is_told() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[("PAYPAL_CLIENT_SECRET", "")]).await;
    tell(&gateway, "WH-1", "PAYMENT.CAPTURE.COMPLETED", "capture", "CAP1").await;
    let event = gateway.event("paypal", "WH-1", &["ignored"]).await;
    let outcome = event["outcome"].as_str().unwrap();
    assert!(outcome.contains("PAYPAL_CLIENT_ID") && outcome.contains("PAYPAL_CLIENT_SECRET"), "{outcome}");
    assert_eq!(gateway.admin_get("/api/v1/payments").await["items"], json!([]));
    assert!(emitted(&gateway, "").await.is_empty());
    let state = paypal.state();
    assert!(state.gets.is_empty() && state.tokens_made == 0);
}

#[tokio::test]
async fn every_order_of_the_events_of_a_payment_ends_in_the_same_payment_told_once() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    let mut sent = 0;
    for order_of in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let name = order_of.map(|step: usize| step.to_string()).concat();
        let (ord, cap, re) = (format!("O{name}"), format!("C{name}"), format!("R{name}"));
        let (taken, back) =
            (capture(&cap, Some(&ord), "PARTIALLY_REFUNDED", 2), refund(&re, &cap, "3.00", "COMPLETED", 2));
        paypal.put("orders", &order(&ord, "COMPLETED", from_ref(&taken), from_ref(&back), 1));
        paypal.put("captures", &taken);
        paypal.put("refunds", &back);
        let events = [
            ("CHECKOUT.ORDER.COMPLETED", "checkout-order", &ord),
            ("PAYMENT.CAPTURE.COMPLETED", "capture", &cap),
            ("PAYMENT.CAPTURE.REFUNDED", "refund", &re),
        ];
        for step in order_of {
            let (event_type, resource_type, id) = events[step];
            let event_id = format!("WH-{name}-{step}");
            tell(&gateway, &event_id, event_type, resource_type, id).await;
            completed(&gateway, &event_id).await;
            sent += 1;
        }
        assert_eq!(state(&gateway, &ord).await, ("partially_refunded".to_owned(), 900, 300), "{name}");
        let told = counts(&[("payment.received", 1), ("payment.refunded", 1)]);
        assert_eq!(emitted(&gateway, &ord).await, told, "{name}");
        assert_eq!(payment(&gateway, &ord).await.unwrap()["customer"], "QYR5Z8XDVJNXQ");
    }
    all_completed(&gateway, "paypal", sent).await;
    assert_eq!(gateway.admin_get("/api/v1/payments").await["items"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_status_never_goes_back_even_when_paypal_shows_an_older_one() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    for (step, status, shown) in [
        (1, "PENDING", "pending"),
        (3, "COMPLETED", "succeeded"),
        // Answers of a copy that lags behind.
        (1, "PENDING", "succeeded"),
        (3, "COMPLETED", "succeeded"),
    ] {
        paypal.put("captures", &capture("CAP1", None, status, step));
        let event_id = format!("WH-{}", paypal.state().gets.len());
        tell(&gateway, &event_id, "PAYMENT.CAPTURE.PENDING", "capture", "CAP1").await;
        completed(&gateway, &event_id).await;
        assert_eq!(state(&gateway, "CAP1").await, (shown.to_owned(), 900, 0), "{event_id}");
    }
    assert_eq!(emitted(&gateway, "CAP1").await, counts(&[("payment.received", 1)]));
}

#[tokio::test]
async fn a_declined_capture_is_a_failed_payment_told_once() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    paypal.put("captures", &capture("CAP1", Some("ORD1"), "PENDING", 1));
    tell(&gateway, "WH-1", "PAYMENT.CAPTURE.PENDING", "capture", "CAP1").await;
    completed(&gateway, "WH-1").await;
    // Within the same second of PayPal's clock.
    paypal.put("captures", &capture("CAP1", Some("ORD1"), "DECLINED", 1));
    paypal.put("orders", &order("ORD1", "COMPLETED", &[capture("CAP1", None, "DECLINED", 1)], &[], 1));
    tell(&gateway, "WH-2", "PAYMENT.CAPTURE.DENIED", "capture", "CAP1").await;
    tell(&gateway, "WH-3", "CHECKOUT.ORDER.COMPLETED", "checkout-order", "ORD1").await;
    all_completed(&gateway, "paypal", 3).await;
    assert_eq!(state(&gateway, "ORD1").await, ("failed".to_owned(), 900, 0));
    assert_eq!(emitted(&gateway, "").await, counts(&[("payment.failed", 1)]));
}

#[tokio::test]
async fn refunds_add_up_and_one_that_fails_is_taken_back() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    let steps = [
        ("PAYMENT.CAPTURE.COMPLETED", "COMPLETED", None, "succeeded", 0),
        ("PAYMENT.REFUND.PENDING", "COMPLETED", Some(("R1", "3.00", "PENDING")), "succeeded", 0),
        (
            "PAYMENT.CAPTURE.REFUNDED",
            "PARTIALLY_REFUNDED",
            Some(("R1", "3.00", "COMPLETED")),
            "partially_refunded",
            300,
        ),
        ("PAYMENT.CAPTURE.REFUNDED", "REFUNDED", Some(("R2", "6.00", "COMPLETED")), "refunded", 900),
        // The capture itself is not told of it.
        ("PAYMENT.REFUND.FAILED", "REFUNDED", Some(("R2", "6.00", "FAILED")), "partially_refunded", 300),
        ("PAYMENT.REFUND.FAILED", "COMPLETED", Some(("R1", "3.00", "CANCELLED")), "succeeded", 0),
    ];
    for (step, (event_type, status, back, shown, refunded)) in steps.into_iter().enumerate() {
        let changed =
            if event_type == "PAYMENT.REFUND.FAILED" && status == "REFUNDED" { step - 1 } else { step };
        paypal.put("captures", &capture("CAP1", Some("ORD1"), status, changed));
        let event_id = format!("WH-{step}");
        match back {
            Some((id, value, status)) => {
                paypal.put("refunds", &refund(id, "CAP1", value, status, step));
                tell(&gateway, &event_id, event_type, "refund", id).await;
            }
            None => tell(&gateway, &event_id, event_type, "capture", "CAP1").await,
        }
        completed(&gateway, &event_id).await;
        assert_eq!(state(&gateway, "ORD1").await, (shown.to_owned(), 900, refunded), "after {event_id}");
    }
    assert_eq!(emitted(&gateway, "ORD1").await, counts(&[("payment.received", 1), ("payment.refunded", 2)]));
}

#[tokio::test]
async fn orders_are_pending_until_a_capture_takes_the_money_or_they_are_voided() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    paypal.put("orders", &order("ORD1", "APPROVED", &[], &[], 1));
    tell(&gateway, "WH-1", "CHECKOUT.ORDER.APPROVED", "checkout-order", "ORD1").await;
    completed(&gateway, "WH-1").await;
    assert_eq!(state(&gateway, "ORD1").await, ("pending".to_owned(), 900, 0));
    let captures = [capture("CAP1", None, "COMPLETED", 2), capture("CAP2", None, "COMPLETED", 2)];
    paypal.put("orders", &order("ORD1", "COMPLETED", &captures, &[], 2));
    tell(&gateway, "WH-2", "CHECKOUT.ORDER.COMPLETED", "checkout-order", "ORD1").await;
    completed(&gateway, "WH-2").await;
    assert_eq!(state(&gateway, "ORD1").await, ("succeeded".to_owned(), 1800, 0), "what was captured counts");
    paypal.put("orders", &order("ORD2", "VOIDED", &[], &[], 1));
    tell(&gateway, "WH-3", "CHECKOUT.ORDER.VOIDED", "checkout-order", "ORD2").await;
    completed(&gateway, "WH-3").await;
    assert_eq!(state(&gateway, "ORD2").await.0, "canceled");
    assert_eq!(emitted(&gateway, "").await, counts(&[("payment.received", 1)]));
}

#[tokio::test]
async fn amounts_are_exact_minor_units_of_their_currency_or_refused() {
    let paypal = Paypal::start();
    let gateway = fetching(&paypal, &[]).await;
    for (id, currency, value, units) in
        [("CJPY", "JPY", "500", 500), ("CKWD", "KWD", "1.234", 1234), ("CBRL", "BRL", "10.99", 1099)]
    {
        let mut object = capture(id, None, "COMPLETED", 1);
        object["amount"] = money(currency, value);
        paypal.put("captures", &object);
        tell(&gateway, &format!("WH-{id}"), "PAYMENT.CAPTURE.COMPLETED", "capture", id).await;
        completed(&gateway, &format!("WH-{id}")).await;
        let found = payment(&gateway, id).await.unwrap();
        assert_eq!((&found["amount"], &found["currency"]), (&json!(units), &json!(currency)));
    }
    let mut object = capture("CBAD", None, "COMPLETED", 1);
    object["amount"] = money("JPY", "500.5");
    paypal.put("captures", &object);
    tell(&gateway, "WH-BAD", "PAYMENT.CAPTURE.COMPLETED", "capture", "CBAD").await;
    let event = gateway.event("paypal", "WH-BAD", &["failed"]).await;
    assert!(event["error"].as_str().unwrap().contains("decimal places"), "{event}");
    assert_eq!(payment(&gateway, "CBAD").await, None);
}

#[tokio::test]
async fn a_replayed_event_emits_nothing_again_and_nobody_learns_of_the_payer() {
    let paypal = Paypal::start();
    let mut gateway = fetching(&paypal, &[]).await;
    for personal in ["Ana", "ana@example.com"] {
        gateway.canary(personal);
    }
    let taken = capture("CAP1", None, "COMPLETED", 1);
    paypal.put("orders", &order("ORD1", "COMPLETED", &[taken], &[], 1));
    tell(&gateway, "WH-1", "CHECKOUT.ORDER.COMPLETED", "checkout-order", "ORD1").await;
    completed(&gateway, "WH-1").await;
    let before = payment(&gateway, "ORD1").await;
    replay(&gateway, "paypal", "WH-1").await;
    assert_eq!(emitted(&gateway, "").await, counts(&[("payment.received", 1)]));
    assert_eq!(payment(&gateway, "ORD1").await, before);
    let text = emission(&gateway, "payment.received").await.to_string();
    assert!(!text.contains("Ana") && !text.contains('@'), "{text}");
}
