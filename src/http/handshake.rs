//! Answers requests that only set things up: challenges, verify tokens, offered secrets.

use super::{AppState, Problem, prove};
use crate::providers::{Check, Configured, Handshook, RawRequest, Unproven};
use crate::records;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;

/// The answer, if the request is a handshake of this provider.
pub(super) async fn answer(
    state: &AppState,
    configured: &Configured,
    raw: &RawRequest<'_>,
) -> Result<Option<HttpResponse>, Problem> {
    let provider = &*configured.provider;
    let now = state.clock.now();
    let check = Check { now, evidence: Some(&state.keyring), trace: None };
    let mut found = provider.handshake(raw, &check);
    if let Handshook::Unproven(Unproven::Needs(needed)) = &found {
        prove::fetch(state, provider, needed).await?;
        found = provider.handshake(raw, &check);
    }
    let answer = match found {
        Handshook::NotOne => return Ok(None),
        Handshook::Answer(answer) => answer,
        Handshook::Unproven(unproven) => {
            prove::put_aside(state, configured, raw, now, unproven.label());
            return Err(Problem::Unauthorized);
        }
    };
    if let Some(secret) = &answer.learned {
        // Kept before it is confirmed: the sender signs with it from now on, and never shows it again.
        records::offer(&state.pool, state.master_key.as_ref(), provider.name(), secret).await.map_err(
            |error| {
                tracing::warn!(provider = provider.name(), %error, "an offered secret was not kept");
                Problem::Unavailable { detail: "the secret cannot be kept now; send it again" }
            },
        )?;
        tracing::info!(provider = provider.name(), "a secret was offered; it waits for approval");
    }
    let answer = answer.guarded();
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK));
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    Ok(Some(response.body(answer.body)))
}
