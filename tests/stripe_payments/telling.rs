//! What is emitted, and that nobody learns more than that.

use super::*;

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
