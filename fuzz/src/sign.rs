//! Senders' signatures, made from their documentation with the HMAC of `providers::proof` and nothing else of the engine.

use crate::schemes::SECRET;
use crate::wire::Wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookgate::providers::proof::{Hash, digest, hmac};
use serde_json::Value;

/// How the secret is written in the settings.
enum Form {
    Text,
    Hex,
    Whsec,
}

/// A sender that signs.
pub struct Signer {
    /// Name of the signer; a scheme may have several.
    pub name: &'static str,
    /// The built-in scheme.
    pub scheme: &'static str,
    form: Form,
    /// Signs the request; `false` if this sender could not have sent it.
    pub sign: fn(&mut Wire, &[u8]) -> bool,
}

impl Signer {
    /// As it is configured.
    pub fn secret(&self) -> String {
        match self.form {
            Form::Text => SECRET.to_owned(),
            Form::Hex => hex::encode(SECRET),
            Form::Whsec => format!("whsec_{}", STANDARD.encode(SECRET)),
        }
    }

    /// As it signs.
    pub fn key(&self) -> Vec<u8> {
        SECRET.as_bytes().to_vec()
    }
}

const fn text(name: &'static str, scheme: &'static str, sign: fn(&mut Wire, &[u8]) -> bool) -> Signer {
    Signer { name, scheme, form: Form::Text, sign }
}

/// All of them.
pub const SIGNERS: &[Signer] = &[
    text("github", "github", |wire, key| {
        let tag = hex::encode(hmac(Hash::Sha256, key, &wire.body));
        wire.set("x-hub-signature-256", format!("sha256={tag}"));
        true
    }),
    text("meta", "meta", |wire, key| {
        let tag = hex::encode(hmac(Hash::Sha256, key, &wire.body));
        wire.set("x-hub-signature-256", format!("sha256={tag}"));
        true
    }),
    text("shopify", "shopify", |wire, key| {
        let tag = STANDARD.encode(hmac(Hash::Sha256, key, &wire.body));
        wire.remove("shopify-hmac-sha256");
        wire.set("x-shopify-hmac-sha256", tag);
        true
    }),
    text("stripe", "stripe", |wire, key| {
        let time = wire.now.timestamp();
        let tag = hex::encode(hmac(Hash::Sha256, key, &joined(&[&time.to_string(), "."], &wire.body)));
        wire.set("stripe-signature", format!("t={time},v1={tag},v0={tag}"));
        true
    }),
    text("slack", "slack", |wire, key| {
        let time = wire.now.timestamp().to_string();
        let tag = hex::encode(hmac(Hash::Sha256, key, &joined(&["v0:", &time, ":"], &wire.body)));
        wire.set("x-slack-request-timestamp", time);
        wire.set("x-slack-signature", format!("v0={tag}"));
        true
    }),
    text("zoom", "zoom", |wire, key| {
        let time = wire.now.timestamp().to_string();
        let tag = hex::encode(hmac(Hash::Sha256, key, &joined(&["v0:", &time, ":"], &wire.body)));
        wire.set("x-zm-request-timestamp", time);
        wire.set("x-zm-signature", format!("v0={tag}"));
        true
    }),
    text("paddle", "paddle", |wire, key| {
        let time = wire.now.timestamp().to_string();
        let tag = hex::encode(hmac(Hash::Sha256, key, &joined(&[&time, ":"], &wire.body)));
        // The second of two is the one of the new secret's successor: rotation.
        wire.set("paddle-signature", format!("ts={time};h1={};h1={tag}", "0".repeat(64)));
        true
    }),
    Signer {
        name: "standardwebhooks",
        scheme: "standardwebhooks",
        form: Form::Whsec,
        sign: |wire, key| {
            let time = wire.now.timestamp().to_string();
            let id = wire.header("webhook-id").unwrap_or_else(|| "msg_1".to_owned());
            let tag = STANDARD.encode(hmac(Hash::Sha256, key, &joined(&[&id, ".", &time, "."], &wire.body)));
            wire.remove("svix-id");
            wire.set("webhook-id", id);
            wire.set("webhook-timestamp", time);
            wire.set("webhook-signature", format!("v1,AAAA v1,{tag}"));
            true
        },
    },
    text("hubspot", "hubspot", |wire, key| {
        // Escapes in the URL have rules of their own, which the engine's unit tests know.
        if wire.url().contains('%') {
            return false;
        }
        let time = wire.now.timestamp_millis().to_string();
        let mut signed = joined(&[&wire.method, &wire.url()], &wire.body);
        signed.extend_from_slice(time.as_bytes());
        wire.set("x-hubspot-request-timestamp", time);
        wire.set("x-hubspot-signature-v3", STANDARD.encode(hmac(Hash::Sha256, key, &signed)));
        true
    }),
    text("square", "square", |wire, key| {
        let tag = STANDARD.encode(hmac(Hash::Sha256, key, &joined(&[&wire.url()], &wire.body)));
        wire.set("x-square-hmacsha256-signature", tag);
        true
    }),
    text("trello", "trello", |wire, key| {
        let mut signed = wire.body.to_vec();
        signed.extend_from_slice(wire.url().as_bytes());
        wire.set("x-trello-webhook", STANDARD.encode(hmac(Hash::Sha1, key, &signed)));
        true
    }),
    text("mandrill", "mandrill", |wire, key| {
        wire.set("content-type", "application/x-www-form-urlencoded");
        let signed = joined(&[&wire.url()], &sorted_form(&wire.body));
        wire.set("x-mandrill-signature", STANDARD.encode(hmac(Hash::Sha1, key, &signed)));
        true
    }),
    text("twilio", "twilio", |wire, key| {
        wire.remove("x-twilio-webhooks-signature-settings");
        wire.set("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let signed = joined(&[&wire.url()], &sorted_form(&wire.body));
        wire.set("x-twilio-signature", STANDARD.encode(hmac(Hash::Sha1, key, &signed)));
        true
    }),
    text("twilio-json", "twilio", |wire, key| {
        wire.remove("x-twilio-webhooks-signature-settings");
        wire.set("content-type", "application/json");
        wire.method = "POST".to_owned();
        wire.query = format!("bodySHA256={}", hex::encode(digest(Hash::Sha256, &wire.body)));
        wire.set("x-twilio-signature", STANDARD.encode(hmac(Hash::Sha1, key, wire.url().as_bytes())));
        true
    }),
    text("mailgun", "mailgun", |wire, key| {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(&wire.body) else { return false };
        let (time, token) = (wire.now.timestamp().to_string(), "a8ce0edb2dd8301dee6c2405235584e45aa91d1e");
        let tag = hex::encode(hmac(Hash::Sha256, key, format!("{time}{token}").as_bytes()));
        body.insert(
            "signature".to_owned(),
            serde_json::json!({"timestamp": time, "token": token, "signature": tag}),
        );
        wire.body = Value::Object(body).to_string().into();
        true
    }),
    Signer { name: "adyen", scheme: "adyen", form: Form::Hex, sign: adyen },
];

/// Each item signs eight of its fields.
fn adyen(wire: &mut Wire, key: &[u8]) -> bool {
    const SIGNED: [&str; 8] = [
        "/pspReference",
        "/originalReference",
        "/merchantAccountCode",
        "/merchantReference",
        "/amount/value",
        "/amount/currency",
        "/eventCode",
        "/success",
    ];
    let Ok(mut body) = serde_json::from_slice::<Value>(&wire.body) else { return false };
    let Some(items) = body.get_mut("notificationItems").and_then(Value::as_array_mut) else { return false };
    if items.is_empty() || items.len() > 1000 {
        return false;
    }
    for item in items {
        let Some(item) = item.get_mut("NotificationRequestItem").and_then(Value::as_object_mut) else {
            return false;
        };
        item.insert("additionalData".to_owned(), Value::Null);
        let fields = Value::Object(item.clone());
        let plain = |pointer: &str| match fields.pointer(pointer) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        let signed = SIGNED.map(plain).join(":");
        let tag = STANDARD.encode(hmac(Hash::Sha256, key, signed.as_bytes()));
        item.insert("additionalData".to_owned(), serde_json::json!({"hmacSignature": tag}));
    }
    wire.body = body.to_string().into();
    true
}

fn joined(head: &[&str], body: &[u8]) -> Vec<u8> {
    let mut all = head.concat().into_bytes();
    all.extend_from_slice(body);
    all
}

/// Names in order, each with its value behind it; of equal fields one.
fn sorted_form(body: &[u8]) -> Vec<u8> {
    let mut fields: Vec<_> = url::form_urlencoded::parse(body).take(1000).collect();
    fields.sort();
    fields.dedup();
    fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()].concat()).collect()
}
