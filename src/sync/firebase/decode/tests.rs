use super::*;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

fn read(body: &Value) -> Decoded {
    Decoded::read(body.to_string().as_bytes(), None).unwrap()
}

fn encoded(data: &Value) -> String {
    STANDARD.encode(data.to_string())
}

fn inner() -> Value {
    json!({"messageId": "m1", "status": "delivered"})
}

#[test]
fn a_pubsub_envelope_is_opened_in_both_spellings() {
    for (id, time) in [("messageId", "publishTime"), ("message_id", "publish_time")] {
        let decoded = read(&json!({
            "message": {id: "1", time: "2026-11-23T10:00:00Z", "data": encoded(&inner()), "attributes": {"a": "b"}},
            "subscription": "projects/p/subscriptions/s",
        }));
        assert_eq!(decoded.data, Data::Json(inner()));
        assert_eq!(decoded.attributes["a"], "b");
        assert_eq!(decoded.describe(), "Pub/Sub message with JSON data and 1 attributes");
    }
}

#[test]
fn data_may_be_absent_unpadded_or_no_json() {
    let message =
        |data: Value| json!({"message": {"messageId": "1", "data": data, "attributes": {"a": "b"}}});
    assert_eq!(read(&json!({"message": {"messageId": "1", "attributes": {"a": "b"}}})).data, Data::Absent);
    assert_eq!(read(&message(Value::Null)).data, Data::Absent);
    assert_eq!(read(&message(json!(""))).data, Data::Absent);
    assert_eq!(read(&message(json!("eyJhIjoxfQ"))).data, Data::Json(json!({"a": 1})));
    assert_eq!(read(&message(json!("AAEC"))).data, Data::Bytes(3));
    for (bad, error) in
        [(json!("%%%"), Unopened::Base64("message.data")), (json!({"a": 1}), Unopened::Form("message.data"))]
    {
        assert_eq!(Decoded::read(message(bad).to_string().as_bytes(), None), Err(error));
    }
}

#[test]
fn cloud_events_are_opened_in_both_modes() {
    let around = |rest: Value| {
        let mut event = json!({"specversion": "1.0", "id": "1", "source": "//x", "type": "t"});
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    };
    assert_eq!(read(&around(json!({"data": inner()}))).data, Data::Json(inner()));
    assert_eq!(read(&around(json!({"data_base64": encoded(&inner())}))).data, Data::Json(inner()));
    assert_eq!(read(&around(json!({"data": inner().to_string()}))).data, Data::Json(inner()));
    assert_eq!(read(&around(json!({}))).data, Data::Absent);
    let bad = around(json!({"data_base64": "%"})).to_string();
    assert_eq!(Decoded::read(bad.as_bytes(), None), Err(Unopened::Base64("data_base64")));
    let envelope = Some(r#"{"id":"1","source":"//x","type":"t"}"#);
    for envelope in [envelope, Some(r#"{"ce-id":"1","ce-source":"//x","ce-type":"t","ce-time":"…"}"#)] {
        let binary = Decoded::read(inner().to_string().as_bytes(), envelope).unwrap();
        assert_eq!((binary.by, binary.data), ("CloudEvent", Data::Json(inner())));
    }
    let beside = Some(r#"{"x-goog-pubsub-message-id":"1"}"#);
    assert_eq!(Decoded::read(inner().to_string().as_bytes(), beside).unwrap().by, "unwrapped message");
    assert_eq!(Decoded::read(&[8, 1, 255], envelope).unwrap().data, Data::Bytes(3), "protobuf");
    assert_eq!(Decoded::read(&[], envelope).unwrap().data, Data::Absent);
}

#[test]
fn a_pubsub_message_within_a_cloud_event_is_opened_too() {
    let message = json!({
        "message": {"messageId": "1", "data": encoded(&inner())}, "subscription": "projects/p/subscriptions/s",
    });
    let structured = json!({"specversion": "1.0", "id": "1", "source": "//x", "type": "t", "data": message});
    assert_eq!(read(&structured).data, Data::Json(inner()));
    let envelope =
        Some(r#"{"id":"1","source":"//x","type":"google.cloud.pubsub.topic.v1.messagePublished"}"#);
    let binary = Decoded::read(message.to_string().as_bytes(), envelope).unwrap();
    assert_eq!(binary.data, Data::Json(inner()));
}

#[test]
fn what_has_no_envelope_is_the_data_itself() {
    for body in [inner(), json!({"message": "hello"}), json!({"message": {"title": "hello"}}), json!([1, 2])]
    {
        let decoded = read(&body);
        assert_eq!((decoded.by, decoded.data), ("unwrapped message", Data::Json(body)));
    }
    assert_eq!(Decoded::read(b"plain text", None).unwrap().data, Data::Bytes(10));
    assert_eq!(Decoded::read(b"", None).unwrap().data, Data::Absent);
}

#[test]
fn what_is_too_large_is_not_looked_into() {
    let long = json!({"messageId": "m1", "status": "sent", "text": "x".repeat(MAX_DATA)});
    let length = long.to_string().len();
    let decoded = read(&json!({"a": 1}));
    assert_eq!(decoded.data, Data::Json(json!({"a": 1})));
    assert_eq!(Decoded::read(long.to_string().as_bytes(), None).unwrap().data, Data::Bytes(length));
}

proptest! {
    #[test]
    fn no_body_breaks_it(body in prop::collection::vec(any::<u8>(), 0..200), envelope in "\\PC{0,30}") {
        let _ = Decoded::read(&body, None);
        let _ = Decoded::read(&body, Some(&envelope));
        let wrapped = json!({"message": {"messageId": "1", "data": STANDARD.encode(&body)}}).to_string();
        let decoded = Decoded::read(wrapped.as_bytes(), None).unwrap();
        prop_assert_eq!(decoded.data, data(json(&body), &body));
    }
}
