//! Twilio's callbacks become messages and emitted events, whatever their order and whatever happens to Twilio's API.

use crate::support::gateway::Gateway;
use crate::support::inject::{Stored, inject};
use crate::support::observe::{self, all_completed, counts, emission, emitted, item, replay};
use crate::support::sign;
use crate::support::twilio::{ACCOUNT, AUTH_TOKEN, Fault, Twilio};
use serde_json::{Value, json};
use std::time::Duration;

/// A gateway that has only the callbacks.
async fn trusting() -> Gateway {
    let mut gateway = Gateway::start(&[("TWILIO_AUTH_TOKEN", AUTH_TOKEN)]).await;
    personal(&mut gateway);
    gateway
}

/// A gateway that looks at messages too.
async fn looking(twilio: &Twilio) -> Gateway {
    let env = [
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("TWILIO_BASE_URL", &*twilio.url),
    ];
    let mut gateway = Gateway::start(&env).await;
    personal(&mut gateway);
    gateway
}

fn personal(gateway: &mut Gateway) {
    for personal in ["5581999990000", "5005550006", "Ana, your code", "Ana%2C+your+code"] {
        gateway.canary(personal);
    }
}

/// The id of a message.
fn sid(number: u32) -> String {
    format!("SM{number:032x}")
}

fn form(sid: &str, status: &str, more: &str) -> String {
    format!(
        "AccountSid={ACCOUNT}&MessageSid={sid}&SmsSid={sid}&MessageStatus={status}&SmsStatus={status}\
         &To=%2B5581999990000&From=%2B15005550006&Body=Ana%2C+your+code{more}"
    )
}

/// Stores a callback as the receiver does.
async fn tell(gateway: &Gateway, sid: &str, status: &str, more: &str) -> String {
    let (event_id, event_type) = (format!("{sid}.{status}"), format!("message.{status}"));
    let body = form(sid, status, more);
    let stored = Stored {
        provider: "twilio",
        event_id: &event_id,
        event_type: &event_type,
        subject: Some(sid),
        body: &body,
        ..Stored::default()
    };
    inject(gateway, &stored).await;
    event_id
}

async fn told(gateway: &Gateway, sid: &str, status: &str) -> String {
    let event_id = tell(gateway, sid, status, "").await;
    observe::completed(gateway, "twilio", &event_id).await
}

async fn message(gateway: &Gateway, sid: &str) -> Value {
    item(gateway, "messages", "twilio", sid).await.unwrap_or_else(|| panic!("there is no message {sid}"))
}

#[tokio::test]
async fn callbacks_become_a_message_without_its_numbers_and_its_text() {
    let gateway = trusting().await;
    let id = sid(1);
    for status in ["queued", "sent"] {
        told(&gateway, &id, status).await;
    }
    let event_id = tell(&gateway, &id, "undelivered", "&ErrorCode=30003&RawDlrDoneDate=2611231000").await;
    let outcome = observe::completed(&gateway, "twilio", &event_id).await;
    assert!(outcome.contains("it is undelivered, emitted message.undelivered"), "{outcome}");
    let found = message(&gateway, &id).await;
    let expected = json!({
        "provider": "twilio", "message_id": id, "direction": "outbound", "status": "undelivered",
        "seen": ["queued", "sent", "undelivered"], "error_code": "30003", "last_event_id": event_id,
        "updated_at": found["updated_at"],
    });
    assert_eq!(found, expected);
    let expected = counts(&[("message.queued", 1), ("message.sent", 1), ("message.undelivered", 1)]);
    assert_eq!(emitted(&gateway, &id).await, expected);
    let data = emission(&gateway, "message.undelivered").await["data"].clone();
    let expected = json!({
        "provider": "twilio", "message_id": id, "direction": "outbound", "status": "undelivered", "error_code": "30003",
    });
    assert_eq!(data, expected);
}

#[tokio::test]
async fn every_order_of_callbacks_ends_in_the_same_message_told_once() {
    let gateway = trusting().await;
    let statuses = ["queued", "sent", "delivered", "read"];
    let (mut number, mut sent) = (0, 0);
    for a in 0..4 {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| *c != a && *c != b) {
                number += 1;
                let id = sid(number);
                for step in [a, b, c, 6 - a - b - c] {
                    tell(&gateway, &id, statuses[step], "").await;
                    sent += 1;
                }
            }
        }
    }
    // More than one page of events: those that are not completed are looked for instead.
    crate::support::wait::until("all callbacks to be handled", Duration::from_secs(60), || async {
        let page = gateway.admin_get("/api/v1/messages?provider=twilio&status=read&limit=200").await;
        let seen: usize =
            page["items"].as_array()?.iter().map(|item| item["seen"].as_array().unwrap().len()).sum();
        (seen == sent).then_some(())
    })
    .await;
    for number in 1..=number {
        let found = message(&gateway, &sid(number)).await;
        assert_eq!(found["seen"], json!(["queued", "sent", "delivered", "read"]));
        assert_eq!(found["last_event_id"], format!("{}.read", sid(number)));
    }
    let each = |name| (name, number as usize);
    let expected = counts(&["message.queued", "message.sent", "message.delivered", "message.read"].map(each));
    assert_eq!(emitted(&gateway, "").await, expected);
}

#[tokio::test]
async fn an_end_is_final_and_a_replay_tells_nothing_again() {
    let gateway = trusting().await;
    let id = sid(1);
    told(&gateway, &id, "delivered").await;
    for late in ["queued", "sent", "sending"] {
        let outcome = told(&gateway, &id, late).await;
        assert!(outcome.contains("it is delivered"), "{outcome}");
        assert_eq!(message(&gateway, &id).await["status"], "delivered");
    }
    let before = (message(&gateway, &id).await, emitted(&gateway, "").await);
    replay(&gateway, "twilio", &format!("{id}.delivered")).await;
    assert_eq!((message(&gateway, &id).await, emitted(&gateway, "").await), before);
}

#[tokio::test]
async fn an_inbound_message_is_received_and_calls_and_unknown_statuses_are_kept_as_events() {
    let gateway = trusting().await;
    let id = sid(1);
    let body = form(&id, "received", "");
    let inbound = Stored {
        provider: "twilio",
        event_id: &id,
        event_type: "message.received",
        subject: Some(&id),
        body: &body,
        ..Stored::default()
    };
    inject(&gateway, &inbound).await;
    observe::completed(&gateway, "twilio", &id).await;
    let found = message(&gateway, &id).await;
    assert_eq!((&found["direction"], &found["status"]), (&json!("inbound"), &json!("received")));
    assert_eq!(emitted(&gateway, "").await, counts(&[("message.received", 1)]));
    let call = Stored {
        event_id: "CA1.completed",
        event_type: "call.completed",
        subject: Some("CA1"),
        ..inbound.clone()
    };
    inject(&gateway, &call).await;
    let event = gateway.event("twilio", "CA1.completed", &["ignored"]).await;
    assert!(event["outcome"].as_str().unwrap().contains("calls"), "{event}");
    let unknown = tell(&gateway, &sid(2), "teleported", "").await;
    let event = gateway.event("twilio", &unknown, &["ignored"]).await;
    assert!(event["outcome"].as_str().unwrap().contains("not known"), "{event}");
    assert_eq!(gateway.admin_get("/api/v1/messages").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_look_at_twilio_finds_an_end_whose_callback_is_lost_and_tells_it_once() {
    let twilio = Twilio::start();
    let gateway = looking(&twilio).await;
    let id = sid(1);
    twilio.put(&id, "undelivered", Some(30005));
    let outcome = told(&gateway, &id, "sent").await;
    assert!(outcome.contains("(fetched): it is undelivered"), "{outcome}");
    let found = message(&gateway, &id).await;
    assert_eq!((&found["seen"], &found["error_code"]), (&json!(["sent", "undelivered"]), &json!("30005")));
    // The callback comes after all; an end needs no look.
    told(&gateway, &id, "undelivered").await;
    assert_eq!(twilio.gets(&id), 1);
    assert_eq!(emitted(&gateway, &id).await, counts(&[("message.sent", 1), ("message.undelivered", 1)]));
    // A status that is not known here is looked up.
    twilio.put(&sid(2), "delivered", None);
    let event_id = tell(&gateway, &sid(2), "teleported", "").await;
    observe::completed(&gateway, "twilio", &event_id).await;
    assert_eq!(message(&gateway, &sid(2)).await["seen"], json!(["delivered"]));
}

#[tokio::test]
async fn a_twilio_that_cannot_be_asked_costs_nothing() {
    let twilio = Twilio::start();
    let gateway = looking(&twilio).await;
    twilio.state().faults.extend([Fault::Status(500), Fault::TooMany(60)]);
    let outcome = told(&gateway, &sid(1), "sent").await;
    assert!(outcome.contains("answered 500") && outcome.contains("it is sent"), "{outcome}");
    let outcome = told(&gateway, &sid(2), "sent").await;
    assert!(outcome.contains("rate limited") && outcome.contains("it is sent"), "{outcome}");
    // While it wants to be left alone it is.
    told(&gateway, &sid(3), "sent").await;
    assert_eq!((twilio.gets(&sid(1)), twilio.gets(&sid(2)), twilio.gets(&sid(3))), (1, 1, 0));
    let event = gateway.event("twilio", &format!("{}.sent", sid(2)), &["completed"]).await;
    assert_eq!(event["attempts"], 1);
}

#[tokio::test]
async fn a_message_that_is_gone_or_of_another_account_is_believed_from_its_callback() {
    let twilio = Twilio::start();
    let gateway = looking(&twilio).await;
    told(&gateway, &sid(1), "sent").await;
    assert_eq!(
        (message(&gateway, &sid(1)).await["status"].clone(), twilio.gets(&sid(1))),
        (json!("sent"), 1)
    );
    let body = form(&sid(2), "sent", "").replace(ACCOUNT, "ACffffffffffffffffffffffffffffffff");
    let (event_id, id) = (format!("{}.sent", sid(2)), sid(2));
    let stored = Stored {
        provider: "twilio",
        event_id: &event_id,
        event_type: "message.sent",
        subject: Some(&id),
        body: &body,
        ..Stored::default()
    };
    inject(&gateway, &stored).await;
    all_completed(&gateway, "twilio", 2).await;
    assert_eq!((message(&gateway, &id).await["status"].clone(), twilio.gets(&id)), (json!("sent"), 0));
}

#[tokio::test]
async fn messages_are_listed_in_pages_and_by_filter() {
    let gateway = trusting().await;
    for number in 0..7 {
        tell(&gateway, &sid(number), if number % 2 == 0 { "delivered" } else { "sent" }, "").await;
    }
    all_completed(&gateway, "twilio", 7).await;
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = gateway.admin_get(&format!("/api/v1/messages?limit=3&cursor={cursor}")).await;
        ids.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["message_id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    ids.sort();
    assert_eq!(ids, (0..7).map(sid).collect::<Vec<_>>());
    let page = gateway.admin_get("/api/v1/messages?provider=twilio&status=sent").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    assert_eq!(gateway.admin_get("/api/v1/messages?provider=firebase").await["items"], json!([]));
    assert_eq!(gateway.admin("GET", "/api/v1/messages?status=teleported", &json!({})).await.0, 400);
    let unproven = gateway.http.get(gateway.url("/api/v1/messages")).send().await.unwrap();
    assert_eq!(unproven.status(), 401);
    let described = gateway.admin_get("/api/openapi.json").await;
    assert!(described["paths"]["/api/v1/messages"]["get"].is_object());
}

/// Posts a callback signed as Twilio does; gives the status of the reply.
async fn post(gateway: &Gateway, provider: &str, token: &str, form: &str) -> u16 {
    let path = format!("/api/v1/webhooks/{provider}");
    let signature = sign::twilio(token, &format!("https://hooks.example.com{path}"), form);
    let request = gateway
        .http
        .post(gateway.url(&path))
        .header("X-Twilio-Signature", signature)
        .header("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
        .body(form.to_owned());
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn signed_callbacks_come_in_over_http_also_for_an_instance_with_a_token_of_its_own() {
    let twilio = Twilio::start();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("hookgate.toml");
    let table = "[providers.twilio-eu]\nscheme = \"twilio\"\nsecret = \"twilio-eu-canary-77\"\n";
    std::fs::write(&config, table).unwrap();
    let mut gateway = Gateway::start(&[
        ("APP_URL", "https://hooks.example.com"),
        ("HOOKGATE_CONFIG", config.to_str().unwrap()),
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
        ("TWILIO_BASE_URL", &twilio.url),
    ])
    .await;
    personal(&mut gateway);
    gateway.canary("twilio-eu-canary-77");
    let (id, other) = (sid(1), sid(2));
    twilio.put(&id, "delivered", None);
    assert_eq!(post(&gateway, "twilio", AUTH_TOKEN, &form(&id, "sent", "")).await, 200);
    assert_eq!(post(&gateway, "twilio", AUTH_TOKEN, &form(&id, "sent", "")).await, 200, "a repetition");
    assert_eq!(post(&gateway, "twilio", "another token", &form(&id, "read", "")).await, 401);
    let inbound = form(&other, "received", "").replace("MessageStatus=received&", "");
    assert_eq!(post(&gateway, "twilio", AUTH_TOKEN, &inbound).await, 200);
    // Another account's message is not looked up with the credentials of the settings.
    let foreign =
        form(&id, "failed", "&ErrorCode=30008").replace(ACCOUNT, "ACffffffffffffffffffffffffffffffff");
    assert_eq!(post(&gateway, "twilio-eu", "twilio-eu-canary-77", &foreign).await, 200);
    all_completed(&gateway, "twilio", 2).await;
    all_completed(&gateway, "twilio-eu", 1).await;
    assert_eq!(message(&gateway, &id).await["seen"], json!(["sent", "delivered"]));
    assert_eq!(message(&gateway, &other).await["direction"], "inbound");
    let eu = item(&gateway, "messages", "twilio-eu", &id).await.unwrap();
    assert_eq!((&eu["status"], &eu["error_code"]), (&json!("failed"), &json!("30008")));
    assert_eq!(twilio.gets(&id), 1);
    let failed = emission(&gateway, "message.failed").await;
    assert_eq!(failed["source"]["provider"], "twilio-eu");
}
