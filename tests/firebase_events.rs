//! What Google delivers: push-notification statuses become messages and emitted events, the rest is kept and explained.

use crate::support::gateway::Gateway;
use crate::support::inject::{Stored, inject};
use crate::support::observe::{completed, counts, emission, emitted, item, replay};
use crate::support::sign;
use crate::support::simulator::{Simulator, Upstream};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;

fn pubsub(id: &str, data: &Value) -> Value {
    json!({
        "message": {
            "messageId": id, "publishTime": "2026-11-23T10:00:00.123Z", "data": STANDARD.encode(data.to_string()),
            "attributes": {"eventType": "push.status"},
        },
        "subscription": "projects/p/subscriptions/s",
    })
}

async fn tell(gateway: &Gateway, event_id: &str, body: &Value, envelope: Option<&str>) {
    let stored = Stored {
        provider: "firebase",
        event_id,
        event_type: "push.status",
        body: &body.to_string(),
        envelope,
        ..Stored::default()
    };
    inject(gateway, &stored).await;
}

#[tokio::test]
async fn a_push_status_in_any_envelope_becomes_a_message_and_is_told_once() {
    let gateway = Gateway::start(&[]).await;
    let status = |word: &str| json!({"messageId": "m1", "status": word, "token": "device"});
    let delivered = pubsub("2", &status("delivered"));
    let snake = json!({"message": {"message_id": "4", "attributes": {"message_id": "m1", "event": "MESSAGE_OPENED"}}});
    let cloud = json!({
        "specversion": "1.0", "id": "3", "source": "//x", "type": "push.status",
        "data_base64": STANDARD.encode(status("queued").to_string()),
    });
    tell(&gateway, "1", &pubsub("1", &status("sent")), None).await;
    assert!(completed(&gateway, "firebase", "1").await.contains("emitted notification.sent"));
    tell(&gateway, "2", &delivered, None).await;
    completed(&gateway, "firebase", "2").await;
    tell(&gateway, "3", &cloud, None).await;
    tell(&gateway, "4", &snake, None).await;
    tell(&gateway, "5", &status("sent"), Some(r#"{"id":"5","source":"//x","type":"push.status"}"#)).await;
    for event_id in ["3", "4", "5"] {
        completed(&gateway, "firebase", event_id).await;
    }
    let found = item(&gateway, "messages", "firebase", "m1").await.unwrap();
    assert_eq!(found["seen"], json!(["queued", "sent", "delivered", "read"]));
    assert_eq!((&found["status"], &found["last_event_id"]), (&json!("read"), &json!("4")));
    let expected = counts(&[
        ("notification.queued", 1),
        ("notification.sent", 1),
        ("notification.delivered", 1),
        ("notification.opened", 1),
    ]);
    assert_eq!(emitted(&gateway, "m1").await, expected);
    replay(&gateway, "firebase", "2").await;
    assert_eq!(emitted(&gateway, "m1").await, expected);
    let told = emission(&gateway, "notification.delivered").await;
    assert_eq!(told["source"], json!({"provider": "firebase", "event_id": "2"}));
    assert!(!told.to_string().contains("device"), "{told}");
}

#[tokio::test]
async fn everything_else_is_kept_with_a_reason_and_a_broken_envelope_fails() {
    let gateway = Gateway::start(&[]).await;
    tell(&gateway, "1", &pubsub("1", &json!({"orderId": "9", "status": "sent"})), None).await;
    tell(&gateway, "2", &json!({"message": {"messageId": "2", "attributes": {"a": "b"}}}), None).await;
    tell(&gateway, "3", &json!({"emailAddress": "ana@example.com"}), None).await;
    for (event_id, held) in [
        ("1", "Pub/Sub message with JSON data and 1 attributes"),
        ("2", "Pub/Sub message with no data"),
        ("3", "unwrapped message with JSON data"),
    ] {
        let event = gateway.event("firebase", event_id, &["ignored"]).await;
        let outcome = event["outcome"].as_str().unwrap();
        assert!(outcome.contains(held) && outcome.contains("no status of a push notification"), "{outcome}");
        assert!(!outcome.contains("ana@"), "{outcome}");
    }
    tell(&gateway, "4", &json!({"message": {"messageId": "4", "data": "%%%"}}), None).await;
    let event = gateway.event("firebase", "4", &["failed"]).await;
    assert!(event["error"].as_str().unwrap().contains("message.data"), "{event}");
    assert!(emitted(&gateway, "").await.is_empty());
    assert_eq!(gateway.admin_get("/api/v1/messages").await["items"], json!([]));
}

/// Google's key set.
#[derive(Default)]
struct Google {
    fetches: usize,
    violations: Vec<String>,
}

impl Upstream for Google {
    fn answer(&mut self, request: &HttpRequest, _: &[u8]) -> HttpResponse {
        if request.method() != "GET" || request.path() != "/oauth2/v3/certs" {
            self.violations.push(format!("{} {}", request.method(), request.path()));
            return HttpResponse::NotFound().finish();
        }
        self.fetches += 1;
        let mut key = sign::test_key("jwk", "rsa");
        key["kid"] = json!("key-1");
        key["alg"] = json!("RS256");
        key["use"] = json!("sig");
        let keys = json!({"keys": [key]});
        HttpResponse::Ok().insert_header(("Cache-Control", "public, max-age=22221")).json(keys)
    }

    fn latency(&self) -> Duration {
        Duration::ZERO
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}

const AUDIENCE: &str = "https://hooks.example.com/api/v1/webhooks/firebase";
const ACCOUNT: &str = "push@p.iam.gserviceaccount.com";

fn token(email: &str) -> String {
    let now = chrono::Utc::now().timestamp();
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "113774264463038321964", "email": email,
        "email_verified": true, "iat": now - 10, "exp": now + 3590,
    });
    format!("Bearer {}", sign::jwt("key-1", &claims))
}

async fn post(gateway: &Gateway, token: &str, headers: &[(&str, &str)], body: &Value) -> u16 {
    let url = gateway.url("/api/v1/webhooks/firebase");
    let mut request = gateway.http.post(url).header("Authorization", token).body(body.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.header("Content-Type", "application/json").send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn pushes_with_googles_token_come_in_over_http_in_every_envelope() {
    let google = Simulator::<Google>::start();
    let keys = format!("{}/oauth2/v3/certs", google.url);
    let gateway = Gateway::start(&[
        ("FIREBASE_AUDIENCE", AUDIENCE),
        ("FIREBASE_SERVICE_ACCOUNT", ACCOUNT),
        ("GOOGLE_JWKS_URL", &keys),
    ])
    .await;
    let status = |word: &str| json!({"message_id": "projects/p/messages/1", "status": word});
    let sent = pubsub("1", &status("sent"));
    assert_eq!(post(&gateway, &token(ACCOUNT), &[], &sent).await, 200);
    assert_eq!(post(&gateway, &token(ACCOUNT), &[], &sent).await, 200, "a repetition");
    assert_eq!(post(&gateway, &token("stranger@q.iam.gserviceaccount.com"), &[], &sent).await, 401);
    let binary = [
        ("ce-id", "2"),
        ("ce-source", "//push.example.com"),
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.push.delivered"),
        ("ce-time", "2026-11-23T10:00:01Z"),
    ];
    assert_eq!(post(&gateway, &token(ACCOUNT), &binary, &status("delivered")).await, 200);
    let alert = json!({
        "specversion": "1.0", "id": "3", "source": "//firebasealerts.googleapis.com/projects/1",
        "type": "google.firebase.firebasealerts.alerts.v1.published", "data": {"payload": {"issue": {"id": "9"}}},
    });
    assert_eq!(post(&gateway, &token(ACCOUNT), &[], &alert).await, 200);
    completed(&gateway, "firebase", "projects/p/subscriptions/s#1").await;
    completed(&gateway, "firebase", "//push.example.com#2").await;
    let kept = gateway.event("firebase", "//firebasealerts.googleapis.com/projects/1#3", &["ignored"]).await;
    assert!(kept["outcome"].as_str().unwrap().contains("CloudEvent with JSON data"), "{kept}");
    let page = gateway.admin_get("/api/v1/messages?provider=firebase").await;
    assert_eq!(page["items"][0]["message_id"], "projects/p/messages/1");
    assert_eq!(page["items"][0]["seen"], json!(["sent", "delivered"]));
    let told = counts(&[("notification.sent", 1), ("notification.delivered", 1)]);
    assert_eq!(emitted(&gateway, "").await, told);
    assert_eq!(google.state().fetches, 1);
}
