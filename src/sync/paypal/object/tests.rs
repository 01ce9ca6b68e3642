use super::*;
use serde_json::json;

fn started() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn capture_json(status: &str, value: &str) -> Value {
    json!({
        "id": "2GG279541U471931P", "status": status, "amount": {"currency_code": "USD", "value": value},
        "create_time": "2026-11-23T10:00:00Z", "update_time": "2026-11-23T11:00:00Z",
        "supplementary_data": {"related_ids": {"order_id": "5O190127TN364715T"}},
        "links": [
            {"rel": "self", "href": "https://api-m.paypal.com/v2/payments/captures/2GG279541U471931P"},
            {"rel": "up", "href": "https://api-m.paypal.com/v2/checkout/orders/5O190127TN364715T"},
        ],
    })
}

fn read(status: &str) -> Observation {
    capture(&id("C1"), &capture_json(status, "10.00"), started()).unwrap().seen
}

#[test]
fn an_id_is_letters_and_digits() {
    for good in ["2GG279541U471931P", "CAP-1_x"] {
        assert_eq!(Id::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "..", "a/b", "a?b", "a%2fb", "a b", "é", "a\n", &"x".repeat(65)] {
        assert_eq!(Id::new(bad), None, "{bad}");
    }
}

#[test]
fn a_capture_stands_where_its_status_says() {
    for (status, standing, refunded) in [
        ("PENDING", Standing::Pending, 0),
        ("COMPLETED", Standing::Succeeded, 0),
        ("PARTIALLY_REFUNDED", Standing::Succeeded, 0),
        ("REFUNDED", Standing::Succeeded, 1000),
        ("DECLINED", Standing::Failed, 0),
        ("FAILED", Standing::Failed, 0),
        ("SOMETHING_NEW", Standing::Pending, 0),
    ] {
        let seen = read(status);
        assert_eq!((seen.standing, seen.refunded, seen.amount), (standing, refunded, Some(1000)), "{status}");
        assert_eq!(seen.currency.as_deref(), Some("USD"));
    }
}

#[test]
fn a_version_is_the_last_change_and_a_refusal_outranks_pending_of_the_same_second() {
    assert_eq!(read("COMPLETED").as_of.to_rfc3339(), "2026-11-23T11:00:00+00:00");
    assert!(read("DECLINED") > read("PENDING"));
    assert!(read("COMPLETED") > read("PENDING"));
    let mut object = capture_json("COMPLETED", "10.00");
    object["update_time"] = Value::Null;
    assert_eq!(
        capture(&id("C1"), &object, started()).unwrap().seen.as_of.to_rfc3339(),
        "2026-11-23T10:00:00+00:00"
    );
    object["create_time"] = json!("yesterday");
    assert_eq!(capture(&id("C1"), &object, started()).unwrap().seen.as_of, started());
}

#[test]
fn a_refund_stands_where_its_status_says() {
    for (status, standing) in [
        ("PENDING", Standing::Pending),
        ("COMPLETED", Standing::Succeeded),
        ("FAILED", Standing::Undone),
        ("CANCELLED", Standing::Undone),
    ] {
        let seen = refund(&id("R1"), &capture_json(status, "3.00"), started()).unwrap().seen;
        assert_eq!((seen.standing, seen.amount), (standing, Some(300)), "{status}");
    }
}

#[test]
fn an_order_shows_its_captures_and_refunds() {
    let object = json!({
        "id": "O1", "status": "COMPLETED", "payer": {"payer_id": "QYR5Z8XDVJNXQ", "email_address": "a@example.com"},
        "purchase_units": [
            {"amount": {"currency_code": "USD", "value": "10.00"}, "payments": {
                "captures": [{"id": "C1", "status": "PARTIALLY_REFUNDED",
                    "amount": {"currency_code": "USD", "value": "10.00"}}],
                "refunds": [{"id": "R1", "status": "COMPLETED", "amount": {"currency_code": "USD", "value": "3.00"}}],
            }},
            {"amount": {"currency_code": "USD", "value": "5.50"}},
        ],
    });
    let parts = order(&id("O1"), &object, started()).unwrap();
    let short: Vec<_> = parts
        .iter()
        .map(|part| (part.id.as_str(), part.role, part.seen.standing, part.seen.amount.unwrap()))
        .collect();
    assert_eq!(
        short,
        [
            ("O1", Role::Intent, Standing::New, 1550),
            ("C1", Role::Charge, Standing::Succeeded, 1000),
            ("R1", Role::Refund, Standing::Succeeded, 300),
        ]
    );
    assert_eq!(parts[0].seen.customer.as_deref(), Some("QYR5Z8XDVJNXQ"));
}

#[test]
fn only_a_voided_order_is_canceled_and_none_says_that_money_came() {
    for (status, standing) in [
        ("CREATED", Standing::New),
        ("APPROVED", Standing::New),
        ("COMPLETED", Standing::New),
        ("VOIDED", Standing::Canceled),
    ] {
        let parts = order(&id("O1"), &json!({"id": "O1", "status": status}), started()).unwrap();
        assert_eq!(parts[0].seen.standing, standing, "{status}");
    }
}

#[test]
fn what_an_object_belongs_to_is_read_from_its_ids_and_links() {
    let mut object = capture_json("COMPLETED", "1.00");
    assert_eq!(order_of(&object), Some(id("5O190127TN364715T")));
    object["supplementary_data"] = Value::Null;
    assert_eq!(order_of(&object), Some(id("5O190127TN364715T")), "by its link");
    object["links"][1]["href"] =
        json!("https://api-m.paypal.com/v2/payments/authorizations/7W5147081L658180V");
    assert_eq!(order_of(&object), None);
    let refund = |href: &str| json!({"links": [{"rel": "self", "href": "x"}, {"rel": "up", "href": href}]});
    assert_eq!(capture_of(&refund("https://api-m.paypal.com/v2/payments/captures/C9")), Some(id("C9")));
    for bad in
        ["/v2/payments/captures/", "/v2/payments/captures/../x", "/v2/payments/captures/C9/refund", "C9"]
    {
        assert_eq!(capture_of(&refund(bad)), None, "{bad}");
    }
}

#[test]
fn what_has_not_the_documented_form_is_refused_by_name() {
    let started = started();
    let unit = |currency: &str| json!({"amount": {"currency_code": currency, "value": "1.00"}});
    let units = json!({"status": "CREATED", "purchase_units": [unit("USD"), unit("EUR")]});
    for (error, word) in [
        (capture(&id("C1"), &json!({"id": "C1"}), started).unwrap_err(), "status"),
        (capture(&id("C1"), &capture_json("COMPLETED", "1.001"), started).unwrap_err(), "decimal places"),
        (
            capture(&id("C1"), &json!({"status": "COMPLETED", "amount": {"value": 1.0}}), started)
                .unwrap_err(),
            "value",
        ),
        (order(&id("O1"), &units, started).unwrap_err(), "currency_code"),
        (order(&id("O1"), &json!({"purchase_units": {}}), started).unwrap_err(), "purchase_units"),
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
}
