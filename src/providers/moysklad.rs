//! MoySklad: no signature; the proof is a secret in the hook's own URL, `?token=` or the last path segment
//! (facts/moysklad.md 1.4). A secret may be one account's own: then it proves that account's events and no others. `requestId` is added to the query by MoySklad and is the same on every retry (1.2).

use super::incoming::check_count;
use super::proof::SigningKey;
use super::{
    Check, Incoming, KnownSecret, Parsed, Proof, Provider, RawRequest, RejectedPart, SignedSample, Unproven,
    Unreadable, json,
};
use crate::crypto::same_secret;
use chrono::{DateTime, NaiveDateTime, Utc};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use url::Url;
use uuid::Uuid;

/// MoySklad's clock: UTC+3 all year.
const MOSCOW_SECONDS: i64 = 3 * 3600;

/// MoySklad's webhooks.
pub struct Moysklad {
    tokens: Vec<KnownSecret>,
    /// For each token the account whose events alone it proves; `None`: those of all accounts.
    owners: Vec<Option<Uuid>>,
    base_url: Url,
}

impl Moysklad {
    /// Proven by any of `tokens`; what the events point to must lie on the host of `base_url`.
    pub fn new(tokens: Vec<KnownSecret>, base_url: Url) -> Self {
        Self { owners: vec![None; tokens.len()], tokens, base_url }
    }

    /// Proven also by these, each for the events of its account alone.
    #[must_use]
    pub fn with_accounts(mut self, tokens: impl IntoIterator<Item = (KnownSecret, Uuid)>) -> Self {
        for (token, account) in tokens {
            self.tokens.push(token);
            self.owners.push(Some(account));
        }
        self
    }

    fn read_event(&self, element: &str, owner: Option<Uuid>) -> Result<(String, String), Unreadable> {
        let event: HookEvent =
            json::read(element, "an event: `meta.type`, `meta.href` and `action` must be text")?;
        check_owner(owner, event.account_id.as_deref())?;
        let href =
            Url::parse(&event.meta.href).map_err(|_| Unreadable("`meta.href` is no URL".to_owned()))?;
        // The entity is read from the configured API and nowhere else; a foreign host is a forgery or a mix-up.
        if href.host() != self.base_url.host()
            || href.port_or_known_default() != self.base_url.port_or_known_default()
        {
            return Err(Unreadable("`meta.href` is not on the host of MOYSKLAD_BASE_URL".to_owned()));
        }
        let id = href.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
        if id.is_empty()
            || id.len() > 64
            || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            return Err(Unreadable("`meta.href` does not end with an id".to_owned()));
        }
        Ok((format!("{}.{}", event.meta.r#type, event.action), id.to_owned()))
    }
}

/// Who knows one account's URL must not speak for another.
fn check_owner(owner: Option<Uuid>, account: Option<&str>) -> Result<(), Unreadable> {
    match owner {
        Some(owner) if account.and_then(|id| id.parse().ok()) != Some(owner) => {
            Err(Unreadable("`accountId` is not the account that this URL was made for".to_owned()))
        }
        _ => Ok(()),
    }
}

impl Provider for Moysklad {
    fn name(&self) -> &'static str {
        "moysklad"
    }

    fn verify<'a>(&self, request: &'a RawRequest<'a>, check: &Check<'_>) -> Result<Proof<'a>, Unproven> {
        let from_query;
        let given = if let Some(token) = request.path_token {
            token
        } else {
            from_query = request.query_parameter("token").ok_or(Unproven::Missing)?;
            &from_query
        };
        let index = self.tokens.iter().position(|token| same_secret(given.as_bytes(), &token.value));
        index.map(|index| Proof::new(request, check.now, index)).ok_or(Unproven::Mismatch)
    }

    fn secret_ids(&self) -> Vec<&str> {
        self.tokens.iter().map(|token| token.id.as_str()).collect()
    }

    fn secret_parameters(&self) -> Vec<String> {
        vec!["token".to_owned()]
    }

    fn has_path_token(&self) -> bool {
        true
    }

    fn parse(&self, proof: &Proof<'_>) -> Result<Parsed, Unreadable> {
        let body = proof.body();
        let owner = self.owners.get(proof.secret_index()).copied().flatten();
        let notification: Notification<'_> =
            json::read(json::text(body)?, "a MoySklad notification: `events` must be a list")?;
        let request_id = proof.request().query_parameter("requestId").filter(|id| !id.is_empty());
        let request_id = request_id.unwrap_or_else(|| hex::encode(Sha256::digest(body)));
        let occurred_at = notification.audit_context.and_then(moment);
        let envelope =
            notification.audit_context.map(|context| format!("{{\"auditContext\":{}}}", context.get()));
        let incoming = |index: usize, event_type: String, subject: String, slice| Incoming {
            event_id: format!("{request_id}#{index}"),
            urgent: is_of_document(&event_type),
            event_type,
            subject: Some(subject),
            occurred_at,
            body: slice,
            envelope: envelope.clone(),
            second_key: None,
        };
        let events = match (notification.events, notification.stock_type, notification.account_id) {
            (Some(elements), ..) => {
                check_count(elements.len())?;
                let read = |(index, element): (usize, &RawValue)| {
                    let slice = json::slice(body, element);
                    self.read_event(element.get(), owner)
                        .and_then(|(kind, id)| incoming(index, kind, id, slice.clone()).checked())
                        .map_err(|reason| RejectedPart { reason, body: slice })
                };
                elements.into_iter().enumerate().map(read).collect()
            }
            // Stock hooks tell one thing, without `events` (facts/moysklad.md 1.5).
            (None, Some(_), Some(account)) => {
                check_owner(owner, Some(&account))?;
                vec![Ok(incoming(0, "stock.UPDATE".to_owned(), account, body.clone()).checked()?)]
            }
            _ => return Err(Unreadable("a MoySklad notification must hold `events`".to_owned())),
        };
        Ok(Parsed { events })
    }

    fn sample(
        &self,
        event_type: &str,
        _base: &str,
        _key: Option<&SigningKey>,
        now: DateTime<Utc>,
    ) -> Option<Result<SignedSample, String>> {
        let (entity, action) = event_type.split_once('.')?;
        self.sample_types().contains(&event_type).then_some(())?;
        let id = Uuid::new_v4();
        let owner = self.owners.first()?.unwrap_or_default();
        let base = self.base_url.as_str().trim_end_matches('/');
        let moscow = now + chrono::Duration::seconds(MOSCOW_SECONDS);
        let body = serde_json::json!({
            "auditContext": {
                "meta": {"type": "audit", "href": format!("{base}/audit/{}", Uuid::new_v4())},
                "uid": "sample@hookgate", "moment": moscow.format("%Y-%m-%d %H:%M:%S").to_string(),
            },
            "events": [{
                "meta": {"type": entity, "href": format!("{base}/entity/{entity}/{id}")},
                "action": action, "accountId": owner,
            }],
        });
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("token", self.tokens.first()?.value.expose_secret())
            .append_pair("requestId", &Uuid::new_v4().to_string())
            .finish();
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Some(Ok(SignedSample { method: "POST".to_owned(), query, headers, body: body.to_string() }))
    }

    fn sample_types(&self) -> Vec<&str> {
        vec!["product.CREATE", "product.UPDATE", "product.DELETE", "customerorder.CREATE"]
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    #[serde(borrow)]
    audit_context: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<Vec<&'a RawValue>>,
    stock_type: Option<String>,
    account_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HookEvent {
    meta: Meta,
    action: String,
    account_id: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    r#type: String,
    href: String,
}

/// An order should not wait behind the thousand events of an edited catalogue.
fn is_of_document(event_type: &str) -> bool {
    let kind = event_type.split('.').next().unwrap_or_default();
    matches!(kind, "customerorder" | "retaildemand" | "purchaseorder")
}

fn moment(context: &RawValue) -> Option<DateTime<Utc>> {
    #[derive(Deserialize)]
    struct Context {
        moment: String,
    }
    let context: Context = serde_json::from_str(context.get()).ok()?;
    let naive = NaiveDateTime::parse_from_str(&context.moment, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    naive.and_utc().checked_sub_signed(chrono::Duration::seconds(MOSCOW_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::super::{MAX_ENVELOPE, MAX_EVENTS};
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn provider() -> Moysklad {
        let token = KnownSecret { id: "one".to_owned(), value: "tok".into() };
        Moysklad::new(vec![token], "https://api.moysklad.ru/api/remap/1.2".parse().unwrap())
    }

    fn parse(query: &str, body: &str) -> Result<Parsed, Unreadable> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = RawRequest::post(query, vec![], &body);
        provider().parse(&Proof::new(&request, Utc::now(), 0))
    }

    const BODY: &str = r#"{"auditContext":{"meta":{"type":"audit","href":"https://api.moysklad.ru/x"},"uid":"online@1","moment":"2026-01-23 10:44:23"},
 "events":[ {"meta":{"type":"product","href":"https://api.moysklad.ru/api/remap/1.2/entity/product/4081cebb-f82b-11f0-0a80-0472000f6157"}, "action":"UPDATE","updatedFields":["salePrices"],"accountId":"021a"}
 ,{"meta":{"type":"product","href":"https://evil.example/entity/product/1"},"action":"UPDATE"}]}"#;

    #[test]
    fn a_real_capture_is_read_and_a_foreign_host_is_rejected_alone() {
        let parsed = parse("token=tok&requestId=r1", BODY).unwrap();
        let first = parsed.events[0].as_ref().unwrap();
        assert_eq!(first.event_id, "r1#0");
        assert_eq!(first.event_type, "product.UPDATE");
        assert_eq!(first.subject.as_deref(), Some("4081cebb-f82b-11f0-0a80-0472000f6157"));
        assert_eq!(first.occurred_at.unwrap().to_rfc3339(), "2026-01-23T07:44:23+00:00");
        assert!(first.body.starts_with(b"{\"meta\"") && first.body.ends_with(b"\"021a\"}"));
        assert!(first.envelope.as_ref().unwrap().contains("online@1"));
        assert!(parsed.events[1].as_ref().unwrap_err().reason.0.contains("MOYSKLAD_BASE_URL"));
    }

    #[test]
    fn events_of_documents_are_urgent_and_those_of_the_catalogue_are_not() {
        let urgent = |kind: &str| {
            let body = BODY.replace("\"type\":\"product\"", &format!("\"type\":\"{kind}\""));
            parse("", &body).unwrap().events[0].as_ref().unwrap().urgent
        };
        assert!(["customerorder", "retaildemand", "purchaseorder"].into_iter().all(urgent));
        assert!(!["product", "variant", "counterparty"].into_iter().any(urgent));
    }

    #[test]
    fn without_a_request_id_the_body_names_the_event() {
        let id = |query| parse(query, BODY).unwrap().events[0].clone().unwrap().event_id;
        assert_eq!(id("token=tok"), id("token=tok&requestId="));
        assert_eq!(id("token=tok").len(), 64 + 2);
    }

    #[test]
    fn empty_lists_and_stock_hooks_are_no_errors() {
        assert!(parse("", r#"{"events":[]}"#).unwrap().events.is_empty());
        let stock = r#"{"accountId":"f71c","stockType":"stock","reportType":"all","reportUrl":"https://x"}"#;
        assert_eq!(
            parse("requestId=r", stock).unwrap().events[0].as_ref().unwrap().event_type,
            "stock.UPDATE"
        );
        assert!(parse("", "{}").is_err());
        assert!(parse("", "[]").is_err());
    }

    #[test]
    fn one_request_cannot_become_more_than_a_commit_holds() {
        let list = |events: usize| format!(r#"{{"events":[{}]}}"#, vec!["{}"; events].join(","));
        assert_eq!(parse("", &list(MAX_EVENTS)).unwrap().events.len(), MAX_EVENTS);
        assert!(parse("", &list(MAX_EVENTS + 1)).unwrap_err().0.contains("10000 events"));
        let uid = |length| BODY.replace("online@1", &"a".repeat(length));
        let readable = |length| parse("", &uid(length)).unwrap().events[0].is_ok();
        assert!(readable(MAX_ENVELOPE - 200) && !readable(MAX_ENVELOPE));
    }

    #[test]
    fn the_first_moment_that_can_be_written_is_no_panic() {
        let body =
            r#"{"auditContext":{"moment":"-262143-01-01 00:00:00"},"accountId":"a","stockType":"stock"}"#;
        assert_eq!(parse("", body).unwrap().events[0].as_ref().unwrap().occurred_at, None);
    }

    #[test]
    fn the_token_counts_in_path_or_query_but_only_once() {
        let body = Bytes::new();
        let verdict = |path_token, query| {
            let request = RawRequest { path_token, ..RawRequest::post(query, vec![], &body) };
            provider().verify(&request, &Check::plain(Utc::now())).map(|proof| proof.secret_index())
        };
        assert_eq!(verdict(Some("tok"), ""), Ok(0));
        assert_eq!(verdict(None, "a=b&token=%74ok"), Ok(0));
        assert_eq!(verdict(None, "token=tok&token=tok"), Err(Unproven::Missing));
        assert_eq!(verdict(None, ""), Err(Unproven::Missing));
        assert_eq!(verdict(Some("to"), "token=tok"), Err(Unproven::Mismatch));
        assert_eq!(verdict(None, "token="), Err(Unproven::Mismatch));
    }

    #[test]
    fn the_token_of_an_account_proves_its_events_alone() {
        let (own, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let token = KnownSecret { id: "own".to_owned(), value: "own".into() };
        let provider = provider().with_accounts([(token, own)]);
        let event = |account: Option<Uuid>| {
            let href = "https://api.moysklad.ru/api/remap/1.2/entity/product/1";
            serde_json::json!({"meta": {"type": "product", "href": href}, "action": "UPDATE", "accountId": account})
        };
        let events = [event(Some(own)), event(Some(other)), event(None)];
        let body = Bytes::from(serde_json::json!({ "events": events }).to_string());
        let accepted = |token: &str| -> Vec<bool> {
            let query = format!("token={token}");
            let request = RawRequest::post(&query, vec![], &body);
            let proof = provider.verify(&request, &Check::plain(Utc::now())).unwrap();
            provider.parse(&proof).unwrap().events.iter().map(Result::is_ok).collect()
        };
        assert_eq!(accepted("own"), [true, false, false]);
        assert_eq!(accepted("tok"), [true, true, true]);
        let stock = Bytes::from(format!(r#"{{"accountId":"{other}","stockType":"stock"}}"#));
        let request = RawRequest::post("token=own", vec![], &stock);
        let proof = provider.verify(&request, &Check::plain(Utc::now())).unwrap();
        assert!(provider.parse(&proof).is_err());
    }

    #[test]
    fn samples_are_read_back() {
        for event_type in provider().sample_types() {
            let sample = provider().sample(event_type, "", None, Utc::now()).unwrap().unwrap();
            assert_eq!(
                parse(&sample.query, &sample.body).unwrap().events[0].as_ref().unwrap().event_type,
                *event_type
            );
        }
    }

    proptest! {
        #[test]
        fn no_query_and_no_body_panics(query in ".{0,80}", body in ".{0,300}") {
            let _ = parse(&query, &body);
        }

        #[test]
        fn any_other_token_is_refused(token in "[a-z]{0,8}") {
            prop_assume!(token != "tok");
            let body = Bytes::new();
            let request = RawRequest { path_token: Some(&token), ..RawRequest::post("", vec![], &body) };
            prop_assert!(provider().verify(&request, &Check::plain(Utc::now())).is_err());
        }
    }
}
