//! SNS's requests to confirm a subscription are followed for allowed topics, and only to where SNS is.

use crate::support::gateway::Gateway;
use crate::support::inject::{Stored, inject};
use crate::support::observe::completed;
use crate::support::sign;
use crate::support::simulator::{Simulator, Upstream};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;

const CERTIFICATE: &str = "/SimpleNotificationService-0123456789abcdef.pem";
const TOPIC: &str = "arn:aws:sns:us-west-2:123456789012:MyTopic";

/// SNS, as far as it confirms subscriptions.
#[derive(Default)]
struct Sns {
    confirmed: Vec<String>,
    faults: VecDeque<u16>,
    violations: Vec<String>,
}

impl Upstream for Sns {
    fn answer(&mut self, request: &HttpRequest, _: &[u8]) -> HttpResponse {
        if request.method() == "GET" && request.path() == CERTIFICATE {
            let pem = sign::test_key("certificates", "self_signed");
            return HttpResponse::Ok().body(pem.as_str().unwrap().to_owned());
        }
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
        let expected = [("Action", "ConfirmSubscription"), ("TopicArn", TOPIC), ("Token", "2336")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        if request.method() != "GET" || request.path() != "/" || query != expected {
            self.violations.push(format!("{} {}", request.method(), request.uri()));
            return HttpResponse::BadRequest().finish();
        }
        if let Some(status) = self.faults.pop_front() {
            return HttpResponse::build(status.try_into().unwrap()).finish();
        }
        self.confirmed.push(TOPIC.to_owned());
        HttpResponse::Ok().content_type("text/xml").body(
            "<ConfirmSubscriptionResponse xmlns=\"https://sns.amazonaws.com/doc/2010-03-31/\"><ConfirmSubscriptionResult>\
             <SubscriptionArn>arn:aws:sns:us-west-2:123456789012:MyTopic:2bcfbf39</SubscriptionArn>\
             </ConfirmSubscriptionResult></ConfirmSubscriptionResponse>",
        )
    }

    fn latency(&self) -> Duration {
        Duration::ZERO
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}

fn subscribe_url(base: &str) -> String {
    format!("{base}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336")
}

fn confirmation(id: &str, url: &str) -> Value {
    json!({
        "Type": "SubscriptionConfirmation", "MessageId": id, "Token": "2336", "TopicArn": TOPIC,
        "Message": "You have chosen to subscribe…", "SubscribeURL": url, "Timestamp": "2026-11-23T10:00:00.000Z",
        "SignatureVersion": "1", "Signature": "…", "SigningCertURL": "https://sns.us-west-2.amazonaws.com/x.pem",
    })
}

async fn tell(gateway: &Gateway, event_id: &str, event_type: &str, body: &Value) {
    let body = body.to_string();
    inject(
        gateway,
        &Stored {
            provider: "sns",
            event_id,
            event_type,
            subject: Some(TOPIC),
            body: &body,
            ..Stored::default()
        },
    )
    .await;
}

#[tokio::test]
async fn an_allowed_topic_is_confirmed_also_when_sns_fails_first() {
    let sns = Simulator::<Sns>::start();
    let topics = format!("arn:aws:sns:eu-west-1:123456789012:Other, {TOPIC}");
    let gateway = Gateway::start(&[("SNS_TOPIC_ARNS", &topics), ("SNS_BASE_URL", &sns.url)]).await;
    sns.state().faults.extend([500, 503]);
    tell(&gateway, "1", "SubscriptionConfirmation", &confirmation("1", &subscribe_url(&sns.url))).await;
    let outcome = completed(&gateway, "sns", "1").await;
    assert!(outcome.contains("confirmed") && outcome.contains(TOPIC), "{outcome}");
    assert_eq!(sns.state().confirmed, [TOPIC]);
    tell(&gateway, "2", "Notification", &json!({"Type": "Notification", "TopicArn": TOPIC, "Message": "x"}))
        .await;
    gateway.event("sns", "2", &["ignored"]).await;
}

#[tokio::test]
async fn a_topic_that_is_not_allowed_and_an_address_that_is_not_sns_are_left_alone() {
    let sns = Simulator::<Sns>::start();
    let unset = Gateway::start(&[("SNS_BASE_URL", &sns.url)]).await;
    tell(&unset, "1", "SubscriptionConfirmation", &confirmation("1", &subscribe_url(&sns.url))).await;
    let event = unset.event("sns", "1", &["ignored"]).await;
    let outcome = event["outcome"].as_str().unwrap();
    assert!(outcome.contains("SNS_TOPIC_ARNS") && outcome.contains(TOPIC), "{outcome}");
    // A loopback address is no host of Amazon's, unless the settings say so.
    let gateway = Gateway::start(&[("SNS_TOPIC_ARNS", TOPIC)]).await;
    tell(&gateway, "1", "SubscriptionConfirmation", &confirmation("1", &subscribe_url(&sns.url))).await;
    let event = gateway.event("sns", "1", &["failed"]).await;
    assert!(event["error"].as_str().unwrap().contains("SubscribeURL"), "{event}");
    assert_eq!(sns.state().confirmed, [""; 0]);
}

#[tokio::test]
async fn a_signed_confirmation_comes_in_over_http_and_is_followed() {
    let sns = Simulator::<Sns>::start();
    // Stands in for the host of the certificate, whose own rules hold all the same.
    let hosts = format!("sns.us-west-2.amazonaws.com={}", sns.url);
    let gateway = Gateway::start(&[
        ("SNS_TOPIC_ARNS", TOPIC),
        ("SNS_BASE_URL", &sns.url),
        ("HOOKGATE_KEY_HOSTS", &hosts),
    ])
    .await;
    let mut message = confirmation("165545c9-2a5c-472c-8df2-7ff2be2b3b1b", &subscribe_url(&sns.url));
    message["SignatureVersion"] = json!("2");
    message["Timestamp"] = json!(chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    message["SigningCertURL"] = json!(format!("https://sns.us-west-2.amazonaws.com{CERTIFICATE}"));
    let names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
    let lines = names.map(|name| format!("{name}\n{}\n", message[name].as_str().unwrap()));
    let signed = lines.concat();
    let signature = base64::engine::general_purpose::STANDARD.encode(sign::rsa_sha256(signed.as_bytes()));
    message["Signature"] = json!(signature);
    let post = async |message: &Value| {
        let url = gateway.url("/api/v1/webhooks/sns");
        let request = gateway.http.post(url).header("Content-Type", "text/plain; charset=UTF-8");
        request.body(message.to_string()).send().await.unwrap().status().as_u16()
    };
    let mut elsewhere = message.clone();
    elsewhere["SubscribeURL"] = json!(subscribe_url("http://127.0.0.1:1"));
    assert_eq!(post(&elsewhere).await, 401, "the URL is signed");
    assert_eq!(post(&message).await, 200);
    completed(&gateway, "sns", "165545c9-2a5c-472c-8df2-7ff2be2b3b1b").await;
    assert_eq!(sns.state().confirmed, [TOPIC]);
}
