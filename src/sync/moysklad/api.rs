//! MoySklad's JSON API 1.2 as one account sees it: mandatory headers, loop prevention, what its errors mean.

use crate::config::{Moysklad, MoyskladBans, Settings};
use crate::queue::HandlerError;
use crate::upstream::{Call, Policy, Reply, Thresholds, Told, Upstream, UpstreamError};
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use url::{Host, Url};
use uuid::Uuid;

/// MoySklad accepts this spelling alone, without a space, or no header at all (error 1062).
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
/// Webhooks whose URL begins with its value are not raised by the write that carries it.
const DISABLE_BY_PREFIX: HeaderName = HeaderName::from_static("x-lognex-webhook-disablebyprefix");
/// Too many requests are in flight, of this token or of all that use the account.
const TOO_MANY_AT_ONCE: u64 = 1073;
/// A thousand entities with many prices and attributes.
const MOST_BYTES: usize = 32 << 20;
/// Of a small request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// MoySklad ends a request after this time (error 1088).
const LONGEST: Duration = Duration::from_secs(300);
/// The bucket refills over this time (`X-Lognex-Retry-TimeInterval`).
const WINDOW: Duration = Duration::from_secs(3);

/// MoySklad for all accounts: connections, limits, circuits.
#[derive(Clone)]
pub(super) struct Gateway {
    upstream: Upstream,
    base: String,
    own_webhooks: HeaderValue,
    weight: u32,
}

impl Gateway {
    pub(super) fn new(settings: &Settings) -> Self {
        let moysklad = &settings.moysklad;
        let own_webhooks = webhook_prefix(&settings.receiver.app_url);
        Self {
            upstream: Upstream::new("moysklad", &moysklad.base_url, policy(moysklad)),
            base: moysklad.base_url.as_str().trim_end_matches('/').to_owned(),
            // A URL is visible ASCII, so this cannot fail; the default keeps the write and loses only the muting.
            own_webhooks: HeaderValue::from_str(&own_webhooks).unwrap_or(HeaderValue::from_static("")),
            weight: moysklad.request_weight,
        }
    }

    /// The API as the owner of this token sees it.
    pub(super) fn account(&self, id: Uuid, token: &SecretString) -> Result<AccountApi, ApiError> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ApiError::TokenRefused { account: id })?;
        authorization.set_sensitive(true);
        Ok(AccountApi { gateway: self.clone(), id, authorization, counts: Arc::default() })
    }
}

/// `APP_URL` without a trailing slash: the prefix of every webhook URL of this gateway.
fn webhook_prefix(app_url: &Url) -> String {
    app_url.as_str().trim_end_matches('/').to_owned()
}

/// Whether MoySklad accepts this `APP_URL` in the loop-prevention header: it wants a scheme and a complete host, and
/// refuses one without a dot, such as `localhost`.
pub fn is_accepted_prefix(app_url: &Url) -> bool {
    match app_url.host() {
        Some(Host::Domain(name)) => name.trim_end_matches('.').contains('.'),
        Some(Host::Ipv4(_)) => true,
        Some(Host::Ipv6(_)) | None => false,
    }
}

/// Whatever the bucket's form, no window of three seconds sees more than its units: the burst and what refills in
/// that time add up to them.
fn policy(settings: &Moysklad) -> Policy {
    let burst = (settings.units_per_3s / 5).max(settings.request_weight);
    let units = settings.units_per_3s.saturating_sub(burst).max(1);
    Policy {
        timeout: TIMEOUT,
        units,
        per: WINDOW,
        burst,
        parallel: settings.parallel,
        max_reply: MOST_BYTES,
        thresholds: thresholds(settings.bans),
        told,
        ..Policy::default()
    }
}

/// Half of what brings a ban: other programs that use the token count too, and so does this gateway's other process, such
/// as a command beside the server.
fn thresholds(bans: MoyskladBans) -> Thresholds {
    let half = |most: u32| (most / 2).max(1);
    Thresholds {
        equal_failures: half(bans.equal_errors),
        refusals: half(bans.refusals),
        writes_of_one: half(bans.puts),
    }
}

/// "Identical failing requests" are taken to be those with one status and code: what else they have in common is not
/// documented, and this counts most.
fn told(body: &[u8]) -> Told {
    let code = serde_json::from_slice(body).ok().as_ref().and_then(error_code);
    Told { code, too_many_at_once: code == Some(TOO_MANY_AT_ONCE) }
}

/// The API as one account sees it.
#[derive(Clone)]
pub(super) struct AccountApi {
    gateway: Gateway,
    id: Uuid,
    authorization: HeaderValue,
    counts: Arc<Counts>,
}

/// Calls that were made through one [`AccountApi`] and its clones.
#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU32,
    writes: AtomicU32,
}

impl AccountApi {
    /// Reads and writes so far.
    pub(super) fn counts(&self) -> (u32, u32) {
        (self.counts.reads.load(Ordering::Relaxed), self.counts.writes.load(Ordering::Relaxed))
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Prefix of every href.
    pub(super) fn base(&self) -> &str {
        &self.gateway.base
    }

    /// Reads `path` under the API's base.
    pub(super) async fn get(
        &self,
        route: &'static str,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<Value, ApiError> {
        self.call(get(route, path, query)).await
    }

    /// The same as `T`, without a tree of all that the reply holds: a page of a thousand entities is large.
    pub(super) async fn get_as<T: DeserializeOwned>(
        &self,
        route: &'static str,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<T, ApiError> {
        self.send(get(route, path, query))
            .await
            .and_then(|reply| reply.json())
            .map_err(|error| sort(error, self.id))
    }

    /// How long a write of `path` has to wait because it was written too often within a minute.
    pub(super) fn holds(&self, path: &str) -> Option<Duration> {
        self.gateway.upstream.holds_put(&self.id.to_string(), path)
    }

    /// Creates an entity. A `syncId` in the body makes it safe to send again after a lost reply.
    pub(super) async fn create(
        &self,
        route: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let call = Call::new(Method::POST, route, path);
        self.write(if body.get("syncId").is_some() { call.repeatable() } else { call }, body).await
    }

    /// Creates and updates (those with `meta`) many entities of one type at once, at most 1,000. Gives what became of
    /// each, in their order: the good ones are saved whatever the others are.
    pub(super) async fn write_many(
        &self,
        route: &'static str,
        path: &str,
        items: Vec<Value>,
    ) -> Result<Vec<Result<Value, ApiError>>, ApiError> {
        let safe = items.iter().all(|item| item.get("meta").is_some() || item.get("syncId").is_some());
        let (count, body) = (items.len(), Value::Array(items));
        let items_time = Duration::from_secs(count as u64);
        let call = Call::new(Method::POST, route, path)
            .timeout((TIMEOUT + items_time).min(LONGEST))
            .header(DISABLE_BY_PREFIX, self.gateway.own_webhooks.clone())
            .json(&body);
        let reply = match self.send(if safe { call.repeatable() } else { call }).await {
            // Whether some failed items make the whole a 400 or a 200 is not documented: the form tells.
            Err(UpstreamError::Status { upstream, route, status, body }) => {
                match serde_json::from_slice(&body.0) {
                    Ok(Value::Array(results)) => Value::Array(results),
                    _ => return Err(sort(UpstreamError::Status { upstream, route, status, body }, self.id)),
                }
            }
            reply => reply.and_then(|reply| reply.json()).map_err(|error| sort(error, self.id))?,
        };
        let results = match reply {
            Value::Array(results) if results.len() == count => results,
            _ => return Err(HandlerError::Retry(format!("moysklad: {route} answered another list")).into()),
        };
        let one = |result: Value| match error_code(&result) {
            None if result.get("errors").is_none() => Ok(result),
            code => Err(sort_code(None, code, format!("moysklad: an item of {route} was refused"), self.id)
                .unwrap_or_else(|text| HandlerError::GiveUp(text).into())),
        };
        Ok(results.into_iter().map(one).collect())
    }

    /// Changes the fields of the body.
    pub(super) async fn update(
        &self,
        route: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        self.write(Call::new(Method::PUT, route, path), body).await
    }

    /// Posts what must not be sent again by itself: nothing would recognize it, so after a lost reply the next run looks.
    pub(super) async fn post_once(
        &self,
        route: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        self.write(Call::new(Method::POST, route, path), body).await
    }

    /// Asks for a file below `/download`: the answer is its place for the next minute, in `Location`, or the file itself.
    pub(super) async fn download(&self, path: &str) -> Result<Reply, ApiError> {
        let call = Call::new(Method::GET, "GET /download/{id}", path).takes_redirect();
        self.send(call).await.map_err(|error| sort(error, self.id))
    }

    async fn write(&self, call: Call, body: &Value) -> Result<Value, ApiError> {
        self.call(call.header(DISABLE_BY_PREFIX, self.gateway.own_webhooks.clone()).json(body)).await
    }

    async fn call(&self, call: Call) -> Result<Value, ApiError> {
        self.send(call).await.and_then(|reply| reply.json()).map_err(|error| sort(error, self.id))
    }

    async fn send(&self, call: Call) -> Result<Reply, UpstreamError> {
        let count = if call.is_get() { &self.counts.reads } else { &self.counts.writes };
        count.fetch_add(1, Ordering::Relaxed);
        let call = call
            .header(ACCEPT, JSON)
            .header(AUTHORIZATION, self.authorization.clone())
            .weight(self.gateway.weight);
        let principal = self.id.to_string();
        // Boxed: it is large, and part of every future that makes a call.
        Box::pin(self.gateway.upstream.call(&principal, call)).await
    }
}

fn get(route: &'static str, path: &str, query: &[(&'static str, String)]) -> Call {
    query.iter().fold(Call::new(Method::GET, route, path), |call, (name, value)| call.query(name, value))
}

/// What an error of the API means for the work.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The account's token is not (or no longer) good.
    #[error("MoySklad refused the token of account {account}")]
    TokenRefused {
        /// Whose.
        account: Uuid,
    },
    /// The entity, or one that the body refers to, is not in this account.
    #[error("{0}")]
    NotFound(String),
    /// Anything else.
    #[error(transparent)]
    Work(#[from] HandlerError),
}

impl ApiError {
    /// MoySklad's code of the error, if it gave one.
    pub(super) fn code(&self) -> Option<u64> {
        let text = match self {
            Self::TokenRefused { .. } => return Some(1056),
            Self::NotFound(text)
            | Self::Work(
                HandlerError::Retry(text)
                | HandlerError::GiveUp(text)
                | HandlerError::Defer { reason: text, .. },
            ) => text,
        };
        // As [`sort`] writes it.
        text.rsplit_once("(code ")?.1.strip_suffix(')')?.parse().ok()
    }

    /// Whether MoySklad gave this code as the reason.
    pub(super) fn has_code(&self, code: u64) -> bool {
        matches!(self, Self::Work(HandlerError::GiveUp(text)) | Self::NotFound(text) if text.contains(&format!("(code {code})")))
    }
}

impl From<ApiError> for HandlerError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Work(error) => error,
            ApiError::TokenRefused { .. } | ApiError::NotFound(_) => Self::GiveUp(error.to_string()),
        }
    }
}

/// Codes of facts/moysklad.md 4.8; texts are translated and never looked at.
fn sort(error: UpstreamError, account: Uuid) -> ApiError {
    let body: Option<Value> = error.body().and_then(|body| serde_json::from_slice(body).ok());
    let code = body.as_ref().and_then(error_code);
    // A missing entity is told by an error body or by none; anything else came from no MoySklad at all, and taking its
    // word for "gone" would lose the work of a wrong MOYSKLAD_BASE_URL without a trace.
    let says_missing = error.body().is_some_and(bytes::Bytes::is_empty) || code.is_some();
    match sort_code(error.status(), code, error.to_string(), account) {
        Ok(sorted) => sorted,
        Err(text) if error.status() == Some(404) && says_missing => ApiError::NotFound(text),
        Err(text) => ApiError::Work(match error.into() {
            HandlerError::Retry(_) => HandlerError::Retry(text),
            HandlerError::GiveUp(_) => HandlerError::GiveUp(text),
            defer @ HandlerError::Defer { .. } => defer,
        }),
    }
}

/// What a code or status means by itself; otherwise the text with the code.
fn sort_code(
    status: Option<u16>,
    code: Option<u64>,
    text: String,
    account: Uuid,
) -> Result<ApiError, String> {
    let text = match code {
        Some(code) => format!("{text} (code {code})"),
        None => text,
    };
    Ok(match (status, code) {
        (Some(401), _) | (_, Some(1056)) => ApiError::TokenRefused { account },
        (_, Some(1021)) => ApiError::NotFound(text),
        // Too many at once (1073) comes without a time to wait.
        (Some(429), _) | (_, Some(1049 | TOO_MANY_AT_ONCE)) => {
            HandlerError::Defer { after: WINDOW, reason: text }.into()
        }
        // Another request changed the entity meanwhile.
        (_, Some(1065)) => HandlerError::Retry(text).into(),
        _ => return Err(text),
    })
}

/// The first error code of the body.
fn error_code(body: &Value) -> Option<u64> {
    body.get("errors")?.get(0)?.get("code")?.as_u64()
}

/// The id at the end of an entity's href.
pub(super) fn id_of(reference: &Value) -> Option<Uuid> {
    let href = reference.get("meta")?.get("href")?.as_str()?;
    let path = href.split(['?', '#']).next()?;
    path.rsplit('/').next()?.parse().ok()
}

/// The id of an entity that the API gave.
pub(super) fn id_of_entity(entity: &Value) -> Result<Uuid, ApiError> {
    let id = entity["id"].as_str().and_then(|id| id.parse().ok());
    id.ok_or_else(|| HandlerError::Retry("moysklad: an entity came without its id".to_owned()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Redacted;
    use serde_json::json;

    fn failure(status: u16, body: &str) -> ApiError {
        let body = Redacted(body.to_owned().into());
        let error =
            UpstreamError::Status { upstream: "moysklad", route: "PUT /entity/product/{id}", status, body };
        sort(error, Uuid::nil())
    }

    fn with_code(status: u16, code: u64) -> ApiError {
        failure(status, &json!({"errors": [{"error": "текст", "code": code}]}).to_string())
    }

    #[test]
    fn codes_decide_before_statuses() {
        assert!(matches!(with_code(401, 1056), ApiError::TokenRefused { .. }));
        assert!(matches!(failure(401, ""), ApiError::TokenRefused { .. }));
        assert!(matches!(with_code(412, 1021), ApiError::NotFound(_)));
        assert!(matches!(failure(404, ""), ApiError::NotFound(_)));
        assert!(matches!(with_code(429, 1073), ApiError::Work(HandlerError::Defer { .. })));
        assert!(matches!(with_code(429, 1049), ApiError::Work(HandlerError::Defer { .. })));
        assert!(matches!(with_code(412, 1065), ApiError::Work(HandlerError::Retry(_))));
        assert!(matches!(with_code(503, 1074), ApiError::Work(HandlerError::Retry(_))));
    }

    #[test]
    fn the_code_is_told() {
        assert_eq!(with_code(412, 30003).code(), Some(30003));
        assert_eq!(with_code(404, 1021).code(), Some(1021));
        assert_eq!(failure(500, "").code(), None);
    }

    #[test]
    fn a_404_of_somebody_else_does_not_mean_that_an_entity_is_gone() {
        for body in ["<html>nginx</html>", "{}", "null"] {
            assert!(matches!(failure(404, body), ApiError::Work(HandlerError::GiveUp(_))), "{body}");
        }
    }

    #[test]
    fn a_refused_field_gives_up_and_says_the_code_without_the_text() {
        let text = match with_code(412, 3006) {
            ApiError::Work(HandlerError::GiveUp(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(text.contains("3006") && text.contains("412") && !text.contains("текст"), "{text}");
    }

    #[test]
    fn a_prefix_needs_a_dotted_host() {
        for (url, accepted) in [
            ("https://hooks.example.com", true),
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080", false),
            ("http://localhost.:8080", false),
            ("http://[::1]:8080", false),
        ] {
            assert_eq!(is_accepted_prefix(&Url::parse(url).unwrap()), accepted, "{url}");
        }
    }

    #[test]
    fn the_prefix_is_what_app_url_says() {
        for (url, prefix) in [
            ("https://hooks.example.com", "https://hooks.example.com"),
            ("https://hooks.example.com/", "https://hooks.example.com"),
            ("https://hooks.example.com/base", "https://hooks.example.com/base"),
        ] {
            assert_eq!(webhook_prefix(&Url::parse(url).unwrap()), prefix);
        }
    }

    #[test]
    fn no_window_sees_more_units_than_the_bucket_holds() {
        for (units_per_3s, request_weight) in [(45, 1), (45, 3), (45, 4), (22, 1), (11, 4)] {
            let base_url = Url::parse("https://api.moysklad.ru/api/remap/1.2").unwrap();
            let policy = policy(&Moysklad {
                webhook_tokens: vec![],
                base_url,
                units_per_3s,
                request_weight,
                parallel: 5,
                bans: MoyskladBans { equal_errors: 200, refusals: 200, puts: 100 },
            });
            assert_eq!(
                policy.thresholds,
                Thresholds { equal_failures: 100, refusals: 100, writes_of_one: 50 }
            );
            assert!(policy.burst >= request_weight);
            assert!(policy.units + policy.burst <= units_per_3s);
        }
    }

    #[test]
    fn a_failure_tells_its_code_and_whether_too_many_were_in_flight() {
        let body = |code: u64| json!({"errors": [{"error": "текст", "code": code}]}).to_string();
        assert_eq!(told(body(1073).as_bytes()), Told { code: Some(1073), too_many_at_once: true });
        assert_eq!(told(body(1049).as_bytes()), Told { code: Some(1049), too_many_at_once: false });
        for body in ["", "[]", "<html>", "{\"errors\": []}"] {
            assert_eq!(told(body.as_bytes()), Told::default(), "{body}");
        }
    }

    #[test]
    fn an_id_is_the_last_segment_of_an_href() {
        let id = Uuid::from_u128(7);
        let meta = |href: String| json!({"meta": {"href": href, "type": "product"}});
        assert_eq!(id_of(&meta(format!("https://h/entity/product/{id}"))), Some(id));
        assert_eq!(id_of(&meta(format!("https://h/entity/product/{id}?expand=uom"))), Some(id));
        assert_eq!(id_of(&meta("https://h/entity/product".to_owned())), None);
        assert_eq!(id_of(&json!({})), None);
    }
}
