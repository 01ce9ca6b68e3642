//! What must hold of every result, whatever came in.

use crate::wire::Wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookgate::providers::{Answer, MAX_EVENT_ID, MAX_EVENT_TYPE, MAX_SUBJECT, Parsed, Step};
use secrecy::ExposeSecret as _;
use serde_json::Value;

/// Most events of one request by a scheme of tables.
pub const MAX_EVENTS: usize = 10_000;

/// The events can be stored: keys within their limits, bodies parts of what came, envelopes JSON.
pub fn readable(parsed: &Parsed, wire: &Wire, most: usize) {
    storable(parsed, most);
    // A field of a form may grow, where bytes that are no UTF-8 are written anew.
    let longest = wire.body.len() * 3;
    for event in &parsed.events {
        let body = match event {
            Ok(event) => &event.body,
            Err(part) => &part.body,
        };
        assert!(body.len() <= longest, "{} bytes of {}", body.len(), wire.body.len());
    }
}

/// The events can be stored.
pub fn storable(parsed: &Parsed, most: usize) {
    assert!(parsed.events.len() <= most, "{} events", parsed.events.len());
    for event in &parsed.events {
        match event {
            Ok(event) => {
                key("event id", &event.event_id, MAX_EVENT_ID);
                key("event type", &event.event_type, MAX_EVENT_TYPE);
                if let Some(subject) = &event.subject {
                    key("subject", subject, MAX_SUBJECT);
                }
                if let Some(envelope) = &event.envelope {
                    serde_json::from_str::<Value>(envelope).expect("an envelope is JSON");
                    assert!(!envelope.contains('\0'));
                }
            }
            Err(part) => {
                assert!(!part.reason.0.is_empty() && part.reason.0.len() < 1000, "{}", part.reason);
            }
        }
    }
}

fn key(what: &str, value: &str, most: usize) {
    assert!(!value.is_empty() && value.len() <= most && !value.contains('\0'), "{what}: {value:?}");
}

/// An answer to a handshake is small, has a status that exists, and shows no secret that was not shown to it.
pub fn answer(answer: &Answer, wire: &Wire, secret: &str) {
    assert!((100..1000).contains(&answer.status), "status {}", answer.status);
    assert!(answer.body.len() <= 4096, "{} bytes", answer.body.len());
    if let Some(learned) = &answer.learned {
        let length = learned.expose_secret().len();
        assert!((1..=512).contains(&length), "an offered secret of {length} bytes");
    }
    if secret.is_empty() || shows(wire, secret) {
        return;
    }
    assert!(!contains(&answer.body, secret.as_bytes()), "the secret is in the reply");
    for (name, value) in &answer.headers {
        assert!(!value.contains(secret), "the secret is in the reply's header {name}");
    }
}

/// The steps of a verification are for operators, and hold no secret that the request did not.
pub fn steps(steps: &[Step], wire: &Wire, secret: &str) {
    if secret.is_empty() || shows(wire, secret) {
        return;
    }
    for step in steps {
        assert!(!step.detail.contains(secret) && !step.check.contains(secret), "the secret is in {step:?}");
    }
}

/// Whether the request holds this text, in one of the ways in which a verifier could find it.
pub fn shows(wire: &Wire, text: &str) -> bool {
    let wanted = text.as_bytes();
    let decoded = |bytes: &[u8]| {
        url::form_urlencoded::parse(bytes).any(|(name, value)| name.contains(text) || value.contains(text))
    };
    let json = || serde_json::from_slice::<Value>(&wire.body).is_ok_and(|json| in_json(&json, text));
    let based = |value: &[u8]| {
        value
            .split(|byte| !byte.is_ascii_alphanumeric() && !b"+/=".contains(byte))
            .any(|word| STANDARD.decode(word).is_ok_and(|plain| contains(&plain, wanted)))
    };
    contains(&wire.body, wanted)
        || wire.path.contains(text)
        || wire.query.contains(text)
        || decoded(wire.query.as_bytes())
        || decoded(&wire.body)
        || json()
        || wire.headers.iter().any(|(_, value)| contains(value, wanted) || based(value))
}

fn in_json(json: &Value, text: &str) -> bool {
    match json {
        Value::String(value) => value.contains(text),
        Value::Array(list) => list.iter().any(|item| in_json(item, text)),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains(text) || in_json(value, text))
        }
        _ => false,
    }
}

/// Whether `part` is in `whole`.
pub fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len().max(1)).any(|window| window == part)
}
