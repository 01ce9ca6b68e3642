//! The receiver: prove, parse, store, answer. Nothing else is on this path.

use super::AppState;
use super::client_address::client_address;
use super::problem::Problem;
use super::prove;
use super::public_url::public_bases;
use super::rate_limit::RateLimits;
use super::receive_metrics::{ProviderMetrics, ReceiveMetrics};
use crate::inbox::{NewEvent, Receipt, Status};
use crate::providers::{Configured, Incoming, Parsed, RawRequest, RejectedPart, Unreadable};
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize, Serializer as _};
use sha2::{Digest as _, Sha256};
use std::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

/// What of a route's path the receiver reads.
#[derive(Deserialize)]
pub(super) struct Path {
    provider: String,
    token: Option<String>,
}

/// What the receiver answers.
#[allow(clippy::struct_field_names, reason = "the words of the reply")]
#[derive(Serialize, ToSchema)]
pub(super) struct Received {
    /// Always `received`.
    status: &'static str,
    /// Events in the request.
    received: usize,
    /// Stored now.
    processed: usize,
    /// Known before.
    duplicates: usize,
    /// Unreadable ones; only present when there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<usize>,
    /// Why, for each of those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Rejection>,
}

/// Why one event of a batch could not be read.
#[derive(Serialize, ToSchema)]
pub(super) struct Rejection {
    /// Its place in the batch, from 0.
    index: usize,
    /// What is wrong with it.
    detail: String,
}

/// Receive a webhook
///
/// Answers after the events are durably stored. The proof is the provider's own (signature or token).
#[utoipa::path(
    post, path = "/api/v1/webhooks/{provider}", tag = "receiver",
    params(("provider" = String, Path, description = "Name of a configured provider")),
    request_body(content = String, description = "Whatever the provider sends", content_type = "application/json"),
    responses(
        (status = 200, body = Received),
        (status = 400, description = "Unreadable"), (status = 401, description = "Not proven"),
        (status = 404, description = "No such provider, or it has no secret"), (status = 413, description = "Too large"),
        (status = 429, description = "Over a rate limit"), (status = 503, description = "Cannot be stored now; come again"),
    )
)]
pub(super) async fn receive(
    request: HttpRequest,
    path: web::Path<Path>,
    payload: web::Payload,
    state: web::Data<AppState>,
    limits: web::Data<RateLimits>,
    metrics: web::Data<ReceiveMetrics>,
) -> HttpResponse {
    let mut known = state.providers.get(&path.provider);
    // The first secret of all may have just been made.
    if known.is_none() && state.reloader.look_again(&path.provider).await {
        known = state.providers.get(&path.provider);
    }
    let Some(configured) = known else {
        return Problem::NotFound("there is no provider of this name, or it has no secret".to_owned())
            .error_response();
    };
    let metrics = metrics.of(&path.provider);
    let result = answer(&request, &path, payload, &state, &limits, &configured, &metrics).await;
    match &result {
        Err(Problem::Unauthorized) => metrics.unproven.increment(1),
        Err(Problem::Unavailable { .. }) => metrics.unavailable.increment(1),
        Err(Problem::TooLarge { .. } | Problem::TooManyRequests { .. } | Problem::Timeout) => {
            metrics.refused.increment(1);
        }
        _ => {}
    }
    match result {
        Ok(response) => response,
        Err(problem) if configured.reply.bare_errors => HttpResponse::build(problem.status_code()).finish(),
        Err(problem) => problem.error_response(),
    }
}

async fn answer(
    request: &HttpRequest,
    path: &Path,
    payload: web::Payload,
    state: &AppState,
    limits: &RateLimits,
    configured: &Configured,
    metrics: &ProviderMetrics,
) -> Result<HttpResponse, Problem> {
    let provider = &*configured.provider;
    if path.token.is_some() && !provider.has_path_token() {
        return Err(Problem::NotFound("there is no such route".to_owned()));
    }
    let posted = *request.method() == Method::POST;
    if !posted && !provider.has_handshakes() {
        return Err(Problem::MethodNotAllowed);
    }
    let receiver = &state.settings.receiver;
    let client = client_address(request, &receiver.trusted_proxies);
    let allow = &configured.access.allow;
    if !allow.is_empty()
        && !client.is_some_and(|client| allow.iter().any(|network| network.contains(&client)))
    {
        tracing::debug!(provider = provider.name(), "a caller is not on the list of addresses");
        return Err(Problem::Unauthorized);
    }
    limits.check(provider.name(), configured.access.requests_per_second, client)?;
    let max = configured.access.max_body_bytes.unwrap_or(usize::MAX).min(receiver.max_body_bytes);
    let body = read_body(request, payload, max, receiver.body_timeout).await?;
    let started = Instant::now();
    let bases = public_bases(request, receiver);
    let raw = RawRequest {
        method: request.method().as_str(),
        bases: &bases,
        path: request.path(),
        path_token: path.token.as_deref(),
        query: request.query_string(),
        headers: request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect(),
        body: &body,
    };
    if provider.has_handshakes()
        && let Some(response) = super::handshake::answer(state, configured, &raw).await?
    {
        return Ok(response);
    }
    if !posted {
        return Err(Problem::MethodNotAllowed);
    }
    let result = admit(state, configured, &raw, state.clock.now(), Some(metrics)).await;
    metrics.ack.record(started.elapsed().as_secs_f64());
    let receipt = result?;
    let reply = &configured.reply;
    let mut response = HttpResponse::build(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK));
    Ok(match &reply.body {
        Some(body) => response.content_type(reply.content_type.as_str()).body(body.clone()),
        None if reply.status == 204 => response.finish(),
        None => response.json(receipt),
    })
}

/// Any other method.
pub(super) async fn wrong_method() -> Result<HttpResponse, Problem> {
    Err(Problem::MethodNotAllowed)
}

/// Proves, reads and stores a request: the one door, for what arrives and for what an operator verifies again. `now` is
/// the time that its proof is judged at; without `metrics` it was counted before, and is not put into quarantine again.
pub(super) async fn admit(
    state: &AppState,
    configured: &Configured,
    raw: &RawRequest<'_>,
    now: DateTime<Utc>,
    metrics: Option<&ProviderMetrics>,
) -> Result<Received, Problem> {
    let mut proven = prove::prove(state, &*configured.provider, raw, now).await?;
    // A secret that has just been made, on another node perhaps.
    let mut newer = None;
    let name = configured.provider.name();
    if proven.is_err() && metrics.is_some() && state.reloader.look_again(name).await {
        newer = state.providers.get(name);
    }
    if let Some(newer) = &newer {
        proven = prove::prove(state, &*newer.provider, raw, now).await?;
    }
    let provider = &*newer.as_deref().unwrap_or(configured).provider;
    let proof = match proven {
        Ok(proof) => proof,
        Err(unproven) => {
            if metrics.is_some() {
                prove::put_aside(state, configured, raw, now, unproven.label());
            }
            return Err(Problem::Unauthorized);
        }
    };
    if let Some(id) = provider.secret_ids().get(proof.secret_index()) {
        state.activity.proven(provider.name(), id);
    }
    let parsed = provider.parse(&proof).unwrap_or_else(|reason| {
        if metrics.is_some() {
            prove::put_aside(state, configured, raw, now, "unreadable");
        }
        Parsed { events: vec![Err(RejectedPart { reason, body: raw.body.clone() })] }
    });
    let kept_headers = kept_headers(&raw.headers, &configured.secret_headers);
    let received = parsed.events.len();
    let mut errors = Vec::new();
    let mut events = Vec::with_capacity(received);
    for (index, event) in parsed.events.into_iter().enumerate() {
        match event {
            Ok(incoming) => events.push(new_event(state, provider.name(), incoming, &kept_headers)),
            Err(part) => {
                events.push(rejected_event(provider.name(), &part, index, &kept_headers));
                errors.push(Rejection { index, detail: part.reason.0 });
            }
        }
    }
    let receipt = state.inbox.accept(events).await.map_err(|error| {
        tracing::debug!(%error, "a request was refused");
        Problem::Unavailable { detail: "the events cannot be stored now; send them again" }
    })?;
    state.activity.stored(provider.name(), receipt.processed);
    if let Some(metrics) = metrics {
        metrics.new.increment(receipt.processed as u64);
        metrics.duplicate.increment(receipt.duplicates as u64);
        metrics.rejected.increment(errors.len() as u64);
    }
    // Nothing of it became an event; it is kept all the same, as `rejected`.
    if receipt == Receipt::default()
        && let Some(first) = errors.first()
    {
        return Err(Problem::BadRequest(first.detail.clone()));
    }
    Ok(Received {
        status: "received",
        received,
        processed: receipt.processed,
        duplicates: receipt.duplicates,
        rejected: (!errors.is_empty()).then_some(errors.len()),
        errors,
    })
}

fn new_event(state: &AppState, provider: &str, incoming: Incoming, headers: &str) -> NewEvent {
    let wanted = state.handlers.want(provider, &incoming.event_type);
    NewEvent {
        id: Uuid::now_v7(),
        provider: provider.to_owned(),
        event_id: incoming.event_id,
        event_type: incoming.event_type,
        subject: incoming.subject,
        occurred_at: incoming.occurred_at,
        body: incoming.body,
        envelope: incoming.envelope,
        headers: headers.to_owned(),
        status: if wanted { Status::Received } else { Status::Ignored },
        error: None,
        second_key: incoming.second_key,
        urgent: incoming.urgent,
    }
}

/// Authentic but unreadable: kept under the hash of its bytes, so that its repetition is one row too.
fn rejected_event(provider: &str, part: &RejectedPart, index: usize, headers: &str) -> NewEvent {
    let Unreadable(reason) = &part.reason;
    NewEvent {
        id: Uuid::now_v7(),
        provider: provider.to_owned(),
        event_id: format!("unreadable:{}#{index}", hex::encode(Sha256::digest(&part.body))),
        event_type: "unreadable".to_owned(),
        subject: None,
        occurred_at: None,
        body: part.body.clone(),
        envelope: None,
        headers: headers.to_owned(),
        status: Status::Rejected,
        error: Some(reason.clone()),
        second_key: None,
        urgent: false,
    }
}

/// Reads the exact bytes, never more than `max`, never longer than `patience`.
async fn read_body(
    request: &HttpRequest,
    mut payload: web::Payload,
    max: usize,
    patience: std::time::Duration,
) -> Result<Bytes, Problem> {
    let announced: Option<usize> =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length| length > max) {
        return Err(Problem::TooLarge { max });
    }
    let read = async {
        let mut body = BytesMut::with_capacity(announced.unwrap_or(0));
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Problem::BadRequest("the body broke off".to_owned()))?;
            if body.len() + chunk.len() > max {
                return Err(Problem::TooLarge { max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(patience, read).await.unwrap_or(Err(Problem::Timeout))
}

/// Headers that hold credentials or a person's address, whoever sends them.
const NEVER_KEPT: [&str; 12] = [
    "authorization",
    "proxy-authorization",
    "authentication",
    "cookie",
    "x-api-key",
    "x-auth-token",
    "x-forwarded-for",
    "x-real-ip",
    "forwarded",
    "true-client-ip",
    "cf-connecting-ip",
    "fly-client-ip",
];
/// Longest header value that is kept.
const MAX_HEADER: usize = 1024;

/// The headers that an operator may see, as a JSON object. Of a header that stands more than once the last line is shown.
fn kept_headers(headers: &[(&str, &[u8])], secret: &[String]) -> String {
    let mut kept: Vec<(&str, &str)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        if is_secret(name, secret) || value.len() > MAX_HEADER {
            continue;
        }
        let Ok(value) = std::str::from_utf8(value) else { continue };
        match kept.iter_mut().find(|line| line.0 == *name) {
            Some(line) => line.1 = value,
            None => kept.push((name, value)),
        }
    }
    let mut text = Vec::with_capacity(256);
    let mut json = serde_json::Serializer::new(&mut text);
    // Neither writing texts nor writing to memory can fail.
    let written = json.collect_map(kept).ok().and_then(|()| String::from_utf8(text).ok());
    written.unwrap_or_else(|| "{}".to_owned())
}

/// Whether a header holds a credential or an address.
pub(super) fn is_secret(name: &str, secret: &[String]) -> bool {
    NEVER_KEPT.contains(&name) || secret.iter().any(|known| known == name)
}
