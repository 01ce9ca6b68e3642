//! Stripe: `Stripe-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>…]`, HMAC-SHA256 over `t.body`, keyed with the whole
//! secret text including `whsec_` (docs.stripe.com/webhooks; facts/providers.md section A).

use super::{Check, Incoming, Parsed, Proof, Provider, RawRequest, SignedSample, Unproven, Unreadable, json};
use chrono::{DateTime, Duration, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Stripe's webhooks.
#[derive(Debug)]
pub struct Stripe {
    secrets: Vec<SecretString>,
    tolerance: Duration,
}

impl Stripe {
    /// Proven by any of `secrets`, with a signature at most `tolerance` away from now, both ways.
    pub fn new(secrets: Vec<SecretString>, tolerance: Duration) -> Self {
        Self { secrets, tolerance }
    }
}

impl Provider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn verify<'a>(&self, request: &'a RawRequest<'a>, check: &Check<'_>) -> Result<Proof<'a>, Unproven> {
        let header = request.header("stripe-signature").ok_or(Unproven::Missing)?;
        let header = Signatures::parse(header).ok_or(Unproven::Malformed)?;
        // Bounded on both sides: a signature from the future would stay replayable until its time has passed.
        let age = check.now.timestamp().checked_sub(header.seconds).ok_or(Unproven::Malformed)?;
        if age.unsigned_abs() > self.tolerance.num_seconds().unsigned_abs() {
            return Err(Unproven::Expired);
        }
        for (index, secret) in self.secrets.iter().enumerate() {
            let expected = sign(secret, header.timestamp, request.body);
            // Compared as text: Stripe sends lower case, and its own libraries accept nothing else.
            if header.v1.iter().any(|given| bool::from(given.as_bytes().ct_eq(expected.as_bytes()))) {
                return Ok(Proof::new(request, check.now, index));
            }
        }
        Err(Unproven::Mismatch)
    }

    fn parse(&self, proof: &Proof<'_>) -> Result<Parsed, Unreadable> {
        let body = proof.body();
        let event: StripeEvent =
            json::read(json::text(body)?, "a Stripe event: `id` and `type` must be text")?;
        let subject =
            event.data.and_then(|data| data.object).or(event.related_object).and_then(|object| object.id);
        let incoming = Incoming {
            event_id: event.id,
            event_type: event.r#type,
            subject: subject.filter(|id| !id.is_empty()),
            occurred_at: event.created.as_ref().and_then(instant),
            body: body.clone(),
            envelope: None,
        };
        Ok(Parsed { events: vec![Ok(incoming.checked()?)] })
    }

    fn sample(&self, event_type: &str, now: DateTime<Utc>) -> Option<SignedSample> {
        let (object, mut fields) = sample_object(event_type)?;
        let id = |prefix: &str| format!("{prefix}_sample{}", uuid::Uuid::new_v4().simple());
        fields["id"] = Value::from(id(object_prefix(object)));
        fields["object"] = Value::from(object);
        let body = serde_json::json!({
            "id": id("evt"), "object": "event", "type": event_type, "created": now.timestamp(), "livemode": false,
            "api_version": "2025-09-30.clover", "pending_webhooks": 1, "data": {"object": fields},
        })
        .to_string();
        let t = now.timestamp().to_string();
        let signature = sign(self.secrets.first()?, &t, body.as_bytes());
        let headers = vec![("Stripe-Signature", format!("t={t},v1={signature}"))];
        Some(SignedSample { query: String::new(), headers, body })
    }

    fn sample_types(&self) -> &'static [&'static str] {
        &[
            "payment_intent.succeeded",
            "payment_intent.payment_failed",
            "charge.succeeded",
            "charge.refunded",
            "refund.created",
            "invoice.paid",
            "customer.created",
        ]
    }
}

fn object_prefix(object: &str) -> &'static str {
    match object {
        "payment_intent" => "pi",
        "charge" => "ch",
        "refund" => "re",
        "invoice" => "in",
        _ => "cus",
    }
}

fn sample_object(event_type: &str) -> Option<(&'static str, Value)> {
    let money = |status: &str| serde_json::json!({"amount": 4200, "currency": "brl", "status": status});
    Some(match event_type {
        "payment_intent.succeeded" => ("payment_intent", money("succeeded")),
        "payment_intent.payment_failed" => ("payment_intent", money("requires_payment_method")),
        "charge.succeeded" => ("charge", money("succeeded")),
        "charge.refunded" => {
            let mut charge = money("succeeded");
            charge["amount_refunded"] = 4200.into();
            charge["refunded"] = true.into();
            ("charge", charge)
        }
        "refund.created" => {
            let mut refund = money("succeeded");
            refund["charge"] = "ch_sample".into();
            ("refund", refund)
        }
        "invoice.paid" => {
            ("invoice", serde_json::json!({"amount_paid": 4200, "currency": "brl", "status": "paid"}))
        }
        "customer.created" => ("customer", serde_json::json!({"livemode": false})),
        _ => return None,
    })
}

/// Lower-case hex HMAC-SHA256 over `timestamp.body`.
fn sign(secret: &SecretString, timestamp: &str, body: &[u8]) -> String {
    hex::encode(mac(secret, timestamp, body))
}

fn mac(secret: &SecretString, timestamp: &str, body: &[u8]) -> [u8; 32] {
    // HMAC takes keys of every length, so the error cannot happen; an all-zero tag would match nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return [0; 32];
    };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// The header's parts. Only `v1` counts (others would allow a downgrade), and there must be exactly one `t`: two
/// would let sender and receiver disagree on which is signed.
struct Signatures<'a> {
    timestamp: &'a str,
    seconds: i64,
    v1: Vec<&'a str>,
}

impl<'a> Signatures<'a> {
    fn parse(header: &'a [u8]) -> Option<Self> {
        let mut timestamp = None;
        let mut v1 = Vec::new();
        for part in std::str::from_utf8(header).ok()?.split(',') {
            match part.split_once('=')? {
                ("t", value) if timestamp.is_some() || !value.bytes().all(|b| b.is_ascii_digit()) => {
                    return None;
                }
                ("t", value) => timestamp = Some(value),
                ("v1", value) => v1.push(value),
                _ => {}
            }
        }
        let timestamp = timestamp?;
        Some(Self { timestamp, seconds: timestamp.parse().ok()?, v1 })
    }
}

#[derive(Deserialize)]
struct StripeEvent {
    id: String,
    r#type: String,
    created: Option<Value>,
    data: Option<Data>,
    /// Thin events name the object instead of holding it.
    related_object: Option<Object>,
}

#[derive(Deserialize)]
struct Data {
    object: Option<Object>,
}

#[derive(Deserialize)]
struct Object {
    /// Absent in `invoice.upcoming`.
    id: Option<String>,
}

/// Whole seconds in snapshot events, RFC 3339 in thin ones.
fn instant(created: &Value) -> Option<DateTime<Utc>> {
    match created {
        Value::Number(seconds) => DateTime::from_timestamp(seconds.as_i64()?, 0),
        Value::String(text) => DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    const SECRET: &str = "whsec_unit";

    fn provider() -> Stripe {
        Stripe::new(vec!["whsec_old".into(), SECRET.into()], Duration::seconds(300))
    }

    fn verdict(header: &[u8], body: &[u8], now: i64) -> Result<usize, Unproven> {
        let body = Bytes::copy_from_slice(body);
        let request = RawRequest::post("", vec![("stripe-signature", header)], &body);
        let now = DateTime::from_timestamp(now, 0).unwrap();
        provider().verify(&request, &Check::plain(now)).map(|proof| proof.secret_index())
    }

    fn header(t: i64, body: &[u8]) -> String {
        format!("t={t},v1={}", sign(&SECRET.into(), &t.to_string(), body))
    }

    #[test]
    fn the_second_secret_proves_too_and_is_named() {
        assert_eq!(verdict(header(1000, b"x").as_bytes(), b"x", 1000), Ok(1));
    }

    #[test]
    fn tolerance_is_inclusive_and_bounded_both_ways() {
        let header = header(1000, b"x");
        for (now, good) in [(1300, true), (1301, false), (700, true), (699, false)] {
            assert_eq!(verdict(header.as_bytes(), b"x", now).is_ok(), good, "now {now}");
        }
        let huge = format!("t={},v1=00", i64::MAX);
        assert_eq!(verdict(huge.as_bytes(), b"x", -5), Err(Unproven::Malformed));
    }

    #[test]
    fn a_provider_without_secrets_proves_nothing() {
        let body = Bytes::from_static(b"x");
        let header = format!("t=1000,v1={}", sign(&String::new().into(), "1000", b"x"));
        let headers = vec![("stripe-signature", header.as_bytes())];
        let request = RawRequest::post("", headers, &body);
        let stripe = Stripe::new(vec![], Duration::seconds(300));
        assert!(stripe.verify(&request, &Check::plain(DateTime::from_timestamp(1000, 0).unwrap())).is_err());
    }

    fn parse(body: &str) -> Result<Incoming, Unreadable> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = RawRequest::post("", vec![], &body);
        let proof = Proof::new(&request, Utc::now(), 0);
        provider().parse(&proof).map(|parsed| parsed.events.into_iter().next().unwrap().unwrap())
    }

    #[test]
    fn snapshot_and_thin_events_are_read() {
        let event =
            parse(r#"{"id":"evt_1","type":"charge.refunded","created":5,"data":{"object":{"id":"ch_1"}}}"#);
        let event = event.unwrap();
        assert_eq!((event.subject.as_deref(), event.occurred_at.unwrap().timestamp()), (Some("ch_1"), 5));
        let thin = r#"{"id":"evt_2","type":"v1.x","created":"1970-01-01T00:00:07Z","related_object":{"id":"acct_1"}}"#;
        let event = parse(thin).unwrap();
        assert_eq!((event.subject.as_deref(), event.occurred_at.unwrap().timestamp()), (Some("acct_1"), 7));
        assert_eq!(
            parse(r#"{"id":"e","type":"invoice.upcoming","data":{"object":{}}}"#).unwrap().subject,
            None
        );
    }

    #[test]
    fn keys_that_cannot_be_stored_are_unreadable() {
        for id in ["", "a\\u0000b", &"x".repeat(513)] {
            assert!(parse(&format!(r#"{{"id":"{id}","type":"t"}}"#)).is_err(), "{id:.20}");
        }
        assert!(parse(r#"{"id":"a","id":"b","type":"t"}"#).is_err());
        assert!(parse(r#"{"id":1,"type":"t"}"#).is_err());
        assert!(parse("\u{0}").is_err());
    }

    #[test]
    fn samples_prove_themselves() {
        let now = DateTime::from_timestamp(1_760_000_000, 0).unwrap();
        for event_type in provider().sample_types() {
            let sample =
                Stripe::new(vec![SECRET.into()], Duration::seconds(300)).sample(event_type, now).unwrap();
            assert_eq!(
                verdict(sample.headers[0].1.as_bytes(), sample.body.as_bytes(), now.timestamp()),
                Ok(1)
            );
            assert_eq!(parse(&sample.body).unwrap().event_type, *event_type);
        }
    }

    proptest! {
        #[test]
        fn one_flipped_bit_anywhere_never_verifies(
            body in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8u8,
        ) {
            let good = header(1000, &body);
            prop_assert!(verdict(good.as_bytes(), &body, 1000).is_ok());
            let mut changed = body.clone();
            changed[at.index(body.len())] ^= 1 << bit;
            prop_assert!(verdict(good.as_bytes(), &changed, 1000).is_err());
            let mut changed = good.clone().into_bytes();
            changed[at.index(good.len())] ^= 1 << bit;
            prop_assert!(verdict(&changed, &body, 1000).is_err());
        }

        #[test]
        fn no_header_and_no_body_panics(header in ".{0,200}", body in ".{0,200}") {
            let _ = verdict(header.as_bytes(), body.as_bytes(), 1000);
            let _ = parse(&body);
        }
    }
}
