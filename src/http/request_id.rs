//! One id for each request: in its reply, in its problem document and in its log lines.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use std::time::Instant;
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that is being answered; empty outside one.
pub(super) fn current_request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Middleware: takes the caller's id if it is harmless, else makes one, and answers with it.
pub(super) async fn scope(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let given =
        request.headers().get(&HEADER).and_then(|value| value.to_str().ok()).filter(|id| harmless(id));
    let id = given.map_or_else(|| Uuid::now_v7().to_string(), ToOwned::to_owned);
    let method = request.method().clone();
    let mut response = CURRENT.scope(id.clone(), next.call(request)).await?;
    // The pattern and not the path: a path may hold a token.
    let route = response.request().match_pattern().unwrap_or_default();
    let status = response.status().as_u16();
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(request_id = id, %method, route, status, duration_us = micros, "request failed");
    } else {
        tracing::debug!(request_id = id, %method, route, status, duration_us = micros, "request answered");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    Ok(response)
}

fn harmless(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
