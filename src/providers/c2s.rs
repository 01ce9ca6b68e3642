//! C2S (Contact2Sale): no signature; the proof is a token in `X-Webhook-Token`, or in `?token=` because C2S itself can
//! send no header. Its documentation shows no body; these are the shapes that receivers see
//! (facts/c2s-stripe-paypal-twilio.md 1.4).

use super::incoming::check_count;
use super::proof::SigningKey;
use super::{
    Check, Incoming, KnownSecret, Parsed, Proof, Provider, RawRequest, RejectedPart, SignedSample, Unproven,
    Unreadable, json,
};
use crate::crypto::same_secret;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

const TOKEN_HEADER: &str = "x-webhook-token";

/// C2S's webhooks.
pub struct C2s {
    secrets: Vec<KnownSecret>,
}

impl C2s {
    /// Proven by any of `secrets`.
    pub fn new(secrets: Vec<KnownSecret>) -> Self {
        Self { secrets }
    }
}

impl Provider for C2s {
    fn name(&self) -> &'static str {
        "c2s"
    }

    fn verify<'a>(&self, request: &'a RawRequest<'a>, check: &Check<'_>) -> Result<Proof<'a>, Unproven> {
        let header = request.header(TOKEN_HEADER).map(<[u8]>::to_vec);
        let query = request.query_parameter("token").map(String::into_bytes);
        if header.is_none() && query.is_none() {
            return Err(Unproven::Missing);
        }
        let matches =
            |given: &Option<Vec<u8>>, secret| given.as_ref().is_some_and(|given| same_secret(given, secret));
        let index = self
            .secrets
            .iter()
            .position(|secret| matches(&header, &secret.value) || matches(&query, &secret.value));
        index.map(|index| Proof::new(request, check.now, index)).ok_or(Unproven::Mismatch)
    }

    fn parse(&self, proof: &Proof<'_>) -> Result<Parsed, Unreadable> {
        let body = proof.body();
        let text = json::text(body)?;
        if first_byte(text) == Some(b'[') {
            return batch(body, text, None);
        }
        let outer: Outer<'_> = json::read(text, SHAPE)?;
        match outer.data {
            Some(data) if first_byte(data.get()) == Some(b'[') => {
                batch(body, data.get(), outer.hook_action.as_deref())
            }
            Some(inner) => single(body, inner.get(), outer.hook_action.as_deref()),
            None => match outer.lead {
                Some(inner) => single(body, inner.get(), outer.hook_action.as_deref()),
                None => Ok(alone(read_lead(text, None, false)?.into_incoming(body.clone())?)),
            },
        }
    }

    fn secret_ids(&self) -> Vec<&str> {
        self.secrets.iter().map(|secret| secret.id.as_str()).collect()
    }

    fn secret_parameters(&self) -> Vec<String> {
        vec!["token".to_owned()]
    }

    fn secret_headers(&self) -> Vec<String> {
        vec![TOKEN_HEADER.to_owned()]
    }

    fn sample(
        &self,
        event_type: &str,
        _base: &str,
        _key: Option<&SigningKey>,
        now: DateTime<Utc>,
    ) -> Option<Result<SignedSample, String>> {
        self.sample_types().contains(&event_type).then_some(())?;
        let at = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let body = serde_json::json!({
            "id": uuid::Uuid::new_v4().simple().to_string(),
            "hook_action": event_type,
            "attributes": {
                "created_at": at, "updated_at": at, "description": "Sample lead of hookgate send",
                "customer": {"name": "Cliente de Exemplo"}, "lead_status": {"alias": "new", "name": "Novo"},
            },
        });
        let secret = self.secrets.first()?.value.expose_secret();
        let headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("X-Webhook-Token".to_owned(), secret.to_owned()),
        ];
        Some(Ok(SignedSample {
            method: "POST".to_owned(),
            query: String::new(),
            headers,
            body: body.to_string(),
        }))
    }

    fn sample_types(&self) -> Vec<&str> {
        vec!["on_create_lead", "on_update_lead", "on_close_lead"]
    }
}

const SHAPE: &str =
    "a C2S event: an object with `id` and `attributes`, one in `data` or `lead`, or a list of them";

/// A body that is one object: the lead itself, or a wrapper of it.
#[derive(Deserialize)]
struct Outer<'a> {
    hook_action: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    lead: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LeadFields {
    hook_action: Option<String>,
    id: Option<Value>,
    lead_id: Option<Value>,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize, Default)]
struct Attributes {
    id: Option<Value>,
    updated_at: Option<Value>,
    created_at: Option<Value>,
    done_details: Option<Value>,
    archive_details: Option<Value>,
}

/// What makes an event of a lead.
#[derive(Debug)]
struct Lead {
    id: String,
    event_type: String,
    updated_at: DateTime<Utc>,
}

impl Lead {
    fn into_incoming(self, body: Bytes) -> Result<Incoming, Unreadable> {
        let updated_at = self.updated_at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        Incoming {
            event_id: format!("{}@{updated_at}", self.id),
            event_type: self.event_type,
            subject: Some(self.id),
            occurred_at: Some(self.updated_at),
            body,
            envelope: None,
            second_key: None,
            urgent: false,
        }
        .checked()
    }
}

fn first_byte(text: &str) -> Option<u8> {
    text.trim_start().bytes().next()
}

fn alone(incoming: Incoming) -> Parsed {
    Parsed { events: vec![Ok(incoming)] }
}

fn single(body: &Bytes, lead: &str, hook_action: Option<&str>) -> Result<Parsed, Unreadable> {
    Ok(alone(read_lead(lead, hook_action, true)?.into_incoming(body.clone())?))
}

fn batch(body: &Bytes, list: &str, hook_action: Option<&str>) -> Result<Parsed, Unreadable> {
    let elements: Vec<&RawValue> = json::read(list, SHAPE)?;
    if elements.is_empty() {
        return Err(Unreadable("the list holds no event".to_owned()));
    }
    check_count(elements.len())?;
    let wrapped = hook_action.is_some();
    let read = |element: &RawValue| {
        let slice = json::slice(body, element);
        read_lead(element.get(), hook_action, wrapped)
            .and_then(|lead| lead.into_incoming(slice.clone()))
            .map_err(|reason| RejectedPart { reason, body: slice })
    };
    Ok(Parsed { events: elements.into_iter().map(read).collect() })
}

fn read_lead(text: &str, outer_action: Option<&str>, wrapped: bool) -> Result<Lead, Unreadable> {
    let fields: LeadFields = json::read(text, SHAPE)?;
    let attributes = fields.attributes;
    let id = [&fields.id, &fields.lead_id, &attributes.id]
        .into_iter()
        .find_map(|id| id.as_ref().and_then(plain_id));
    let id = id.ok_or_else(|| Unreadable("`id` is missing".to_owned()))?;
    let updated_at = attributes.updated_at.as_ref().filter(|at| !at.is_null());
    let updated_at = updated_at.ok_or_else(|| Unreadable("`attributes.updated_at` is missing".to_owned()))?;
    let updated_at = instant(updated_at)
        .ok_or_else(|| Unreadable("`attributes.updated_at` is not an RFC 3339 time".to_owned()))?;
    let named = fields
        .hook_action
        .or_else(|| outer_action.map(ToOwned::to_owned))
        .filter(|action| !action.is_empty());
    let event_type = named.unwrap_or_else(|| {
        let flag = |details: &Option<Value>, name| {
            details.as_ref().and_then(|details| details.get(name)?.as_bool()).unwrap_or(false)
        };
        let created_at = attributes.created_at.as_ref().and_then(instant);
        if !wrapped {
            "lead.updated"
        } else if flag(&attributes.done_details, "done") || flag(&attributes.archive_details, "archived") {
            "lead.closed"
        } else if created_at == Some(updated_at) {
            "lead.created"
        } else {
            "lead.updated"
        }
        .to_owned()
    });
    Ok(Lead { id, event_type, updated_at })
}

fn plain_id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::super::MAX_EVENTS;
    use super::*;
    use proptest::prelude::*;

    fn provider() -> C2s {
        C2s::new(vec![KnownSecret { id: "one".to_owned(), value: "s3".into() }])
    }

    fn parse(body: &str) -> Result<Parsed, Unreadable> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = RawRequest::post("", vec![], &body);
        provider().parse(&Proof::new(&request, Utc::now(), 0))
    }

    fn only(body: &str) -> Incoming {
        parse(body).unwrap().events.remove(0).unwrap()
    }

    #[test]
    fn one_request_cannot_become_more_than_a_commit_holds() {
        let list = |events: usize| format!("[{}]", vec!["{}"; events].join(","));
        assert_eq!(parse(&list(MAX_EVENTS)).unwrap().events.len(), MAX_EVENTS);
        assert!(parse(&list(MAX_EVENTS + 1)).unwrap_err().0.contains("10000 events"));
    }

    const ATTRIBUTES: &str = r#""attributes":{"updated_at":"2026-04-16T11:41:52.000-03:00"}"#;

    #[test]
    fn every_documented_shape_is_read() {
        let flat = only(&format!(r#"{{"id":"ab","hook_action":"on_create_lead",{ATTRIBUTES}}}"#));
        assert_eq!(flat.event_id, "ab@2026-04-16T14:41:52Z");
        assert_eq!((flat.event_type.as_str(), flat.subject.as_deref()), ("on_create_lead", Some("ab")));
        for body in [
            format!(r#"{{"data":{{"id":"ab",{ATTRIBUTES}}}}}"#),
            format!(r#"{{"lead":{{"id":"ab",{ATTRIBUTES}}}}}"#),
            format!(r#"{{"hook_action":"x","data":{{"id":"ab",{ATTRIBUTES}}},"timestamp":1}}"#),
            format!(r#" [{{"id":"ab",{ATTRIBUTES}}}]"#),
            format!(r#"{{"data":[{{"lead_id":"ab",{ATTRIBUTES}}}]}}"#),
            format!(r#"{{"lead_id":"ab",{ATTRIBUTES}}}"#),
        ] {
            assert_eq!(only(&body).event_id, "ab@2026-04-16T14:41:52Z", "{body}");
        }
        assert_eq!(only(&format!(r#"{{"id":77,{ATTRIBUTES}}}"#)).subject.as_deref(), Some("77"));
    }

    #[test]
    fn a_wrapped_lead_without_an_action_is_judged_by_its_dates_and_details() {
        let kind = |attributes: &str| {
            only(&format!(r#"{{"data":{{"id":"a","attributes":{{{attributes}}}}}}}"#)).event_type
        };
        let at = r#""updated_at":"2026-01-01T00:00:00Z""#;
        assert_eq!(kind(&format!(r#"{at},"created_at":"2025-12-31T21:00:00-03:00""#)), "lead.created");
        assert_eq!(kind(&format!(r#"{at},"created_at":"2025-01-01T00:00:00Z""#)), "lead.updated");
        assert_eq!(kind(&format!(r#"{at},"done_details":{{"done":true}}"#)), "lead.closed");
        assert_eq!(kind(&format!(r#"{at},"archive_details":{{"archived":true}}"#)), "lead.closed");
        let flat = only(
            r#"{"id":"a","attributes":{"updated_at":"2026-01-01T00:00:00Z","created_at":"2026-01-01T00:00:00Z"}}"#,
        );
        assert_eq!(flat.event_type, "lead.updated");
    }

    #[test]
    fn a_bad_time_is_unreadable_alone_and_rejected_in_a_batch() {
        for bad in ["", r#""updated_at":null"#, r#""updated_at":"yesterday""#, r#""updated_at":5"#] {
            assert!(parse(&format!(r#"{{"id":"a","attributes":{{{bad}}}}}"#)).is_err(), "{bad}");
            let list = format!(r#"[{{"id":"a","attributes":{{{bad}}}}},{{"id":"b",{ATTRIBUTES}}}]"#);
            let parsed = parse(&list).unwrap();
            assert!(parsed.events[0].is_err() && parsed.events[1].is_ok());
        }
        assert!(parse("[]").is_err());
        assert!(parse("{}").is_err());
        assert!(parse("[1]").unwrap().events[0].is_err());
    }

    #[test]
    fn either_place_of_the_token_counts() {
        let body = Bytes::new();
        let verdict = |headers: &[(&'static str, &'static [u8])], query| {
            let request = RawRequest::post(query, headers.to_vec(), &body);
            provider().verify(&request, &Check::plain(Utc::now())).map(|proof| proof.secret_index())
        };
        assert_eq!(verdict(&[(TOKEN_HEADER, b"s3")], ""), Ok(0));
        assert_eq!(verdict(&[], "token=s3"), Ok(0));
        assert_eq!(verdict(&[(TOKEN_HEADER, b"no")], ""), Err(Unproven::Mismatch));
        assert_eq!(verdict(&[(TOKEN_HEADER, b"s3"), (TOKEN_HEADER, b"s3")], ""), Err(Unproven::Missing));
        assert_eq!(verdict(&[], ""), Err(Unproven::Missing));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in ".{0,300}") {
            let _ = parse(&body);
        }
    }
}
