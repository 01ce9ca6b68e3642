use super::*;

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn part(kind: Kind, event_type: &str, object: &Value) -> PaymentPart {
    match read(kind, event_type, object, noon()).unwrap() {
        Object::Payment(part) => part,
        other => panic!("{other:?} is no part of a payment"),
    }
}

fn standing(kind: Kind, event_type: &str, object: &Value) -> Standing {
    part(kind, event_type, object).seen.standing
}

#[test]
fn a_payment_intent_says_how_far_it_has_come() {
    for (status, expected) in [
        ("requires_confirmation", Standing::New),
        ("requires_action", Standing::Pending),
        ("processing", Standing::Pending),
        ("requires_capture", Standing::Pending),
        ("canceled", Standing::Canceled),
        ("succeeded", Standing::Succeeded),
        ("a_status_of_next_year", Standing::Pending),
    ] {
        let intent = json!({"id": "pi_1", "status": status});
        assert_eq!(standing(Kind::PaymentIntent, "payment_intent.created", &intent), expected, "{status}");
    }
}

#[test]
fn an_intent_without_a_payment_method_is_new_or_failed() {
    let mut intent = json!({"id": "pi_1", "status": "requires_payment_method", "last_payment_error": null});
    assert_eq!(standing(Kind::PaymentIntent, "payment_intent.created", &intent), Standing::New);
    assert_eq!(standing(Kind::PaymentIntent, "payment_intent.payment_failed", &intent), Standing::Failed);
    intent["last_payment_error"] = json!({"code": "card_declined"});
    assert_eq!(standing(Kind::PaymentIntent, "payment_intent.created", &intent), Standing::Failed);
}

#[test]
fn a_charge_that_only_reserves_money_has_not_taken_it() {
    let mut charge = json!({"id": "ch_1", "status": "succeeded", "amount": 900, "captured": false});
    assert_eq!(standing(Kind::Charge, "charge.succeeded", &charge), Standing::Pending);
    charge["refunded"] = json!(true);
    charge["amount_refunded"] = json!(900);
    let released = part(Kind::Charge, "charge.refunded", &charge);
    assert_eq!((released.seen.standing, released.seen.refunded), (Standing::Canceled, 0));
    charge["captured"] = json!(true);
    let refunded = part(Kind::Charge, "charge.refunded", &charge);
    assert_eq!((refunded.seen.standing, refunded.seen.refunded), (Standing::Succeeded, 900));
}

#[test]
fn a_part_names_its_payment_by_the_intent_else_by_the_charge() {
    let expanded = json!({"id": "ch_1", "payment_intent": {"id": "pi_1", "object": "payment_intent"}});
    assert_eq!(part(Kind::Charge, "charge.succeeded", &expanded).payment_id, "pi_1");
    let alone = json!({"id": "ch_1", "payment_intent": null});
    assert_eq!(part(Kind::Charge, "charge.succeeded", &alone).payment_id, "ch_1");
    let refund = json!({"id": "re_1", "charge": "ch_1", "payment_intent": null, "status": "succeeded"});
    assert_eq!(part(Kind::Refund, "refund.created", &refund).payment_id, "ch_1");
    let of_a_balance = json!({"id": "re_1", "status": "succeeded"});
    let read = read(Kind::Refund, "refund.created", &of_a_balance, noon()).unwrap();
    assert_eq!(read, Object::Record(Value::Null));
}

#[test]
fn a_refund_that_failed_or_was_canceled_is_undone() {
    for (status, expected) in [
        ("pending", Standing::Pending),
        ("requires_action", Standing::Pending),
        ("succeeded", Standing::Succeeded),
        ("failed", Standing::Undone),
        ("canceled", Standing::Undone),
    ] {
        let refund = json!({"id": "re_1", "charge": "ch_1", "status": status});
        assert_eq!(standing(Kind::Refund, "refund.updated", &refund), expected, "{status}");
    }
}

#[test]
fn amounts_are_whole_minor_units_or_refused() {
    let charge = |amount: &str| {
        let text = format!(r#"{{"id": "ch_1", "status": "succeeded", "amount": {amount}}}"#);
        read(Kind::Charge, "charge.succeeded", &serde_json::from_str(&text).unwrap(), noon())
    };
    for bad in ["1.5", "1e3", "-1", "\"100\"", "9223372036854775808", "true"] {
        assert_eq!(charge(bad), Err(BadAmount("amount")), "{bad}");
    }
    let Ok(Object::Payment(part)) = charge("9223372036854775807") else {
        panic!("the largest amount is refused")
    };
    assert_eq!(part.seen.amount, Some(i64::MAX));
}

#[test]
fn only_what_looks_like_an_id_is_taken_for_one() {
    assert_eq!(id(&json!("cus_9aZ")).as_deref(), Some("cus_9aZ"));
    for bad in
        [json!("ana@example.com"), json!("../x"), json!("a b"), json!(""), json!(7), json!("x".repeat(256))]
    {
        assert_eq!(id(&bad), None, "{bad}");
    }
}

#[test]
fn subscribers_are_told_nothing_of_a_person() {
    let person = json!({
        "id": "x_1", "customer": "cus_1", "status": "open", "currency": "brl", "total": -5,
        "name": "Ana Souza", "email": "ana@example.com", "customer_email": "ana@example.com",
        "phone": "+5511999990000", "address": {"city": "Recife"}, "description": "Ana Souza",
        "parent": {"subscription_details": {"subscription": "sub_1"}},
    });
    for (kind, event_type) in [
        (Kind::Invoice, "invoice.paid"),
        (Kind::Customer, "customer.updated"),
        (Kind::Subscription, "customer.subscription.updated"),
    ] {
        let Ok(Object::Record(facts)) = read(kind, event_type, &person, noon()) else { panic!("no record") };
        let text = facts.to_string();
        assert!(!text.contains("Ana") && !text.contains('@') && !text.contains("Recife"), "{text}");
        assert!(text.contains("x_1") && text.contains("brl"), "{text}");
    }
    let invoice = facts(Kind::Invoice, &person);
    assert_eq!((&invoice["subscription"], &invoice["total"]), (&json!("sub_1"), &json!(-5)));
}
