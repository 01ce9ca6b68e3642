//! Proves a request, fetching what its proof needs from outside, and puts aside what is not proven.

use super::receive::is_secret;
use super::{AppState, Problem};
use crate::providers::{Check, Configured, OwnedRequest, Proof, Provider, RawRequest, Unproven, explain};
use crate::quarantine::Suspect;
use chrono::{DateTime, Utc};

/// Most things that one proof may need from outside: a certificate, or a key and then a newer set of keys.
const MAX_FETCHES: usize = 2;

/// Proves the request at the time `now`. What is missing for it is fetched; if that fails, the sender has to come again.
pub(super) async fn prove<'a>(
    state: &AppState,
    provider: &dyn Provider,
    raw: &'a RawRequest<'a>,
    now: DateTime<Utc>,
) -> Result<Result<Proof<'a>, Unproven>, Problem> {
    let check = Check { now, evidence: Some(&state.keyring), trace: None };
    for _ in 0..MAX_FETCHES {
        match provider.verify(raw, &check) {
            Err(Unproven::Needs(needed)) => fetch(state, provider, &needed).await?,
            other => return Ok(other),
        }
    }
    Ok(provider.verify(raw, &check))
}

/// Fetches what a proof needs.
pub(super) async fn fetch(
    state: &AppState,
    provider: &dyn Provider,
    needed: &crate::providers::evidence::Needed,
) -> Result<(), Problem> {
    state.keyring.supply(needed).await.map_err(|error| {
        tracing::warn!(provider = provider.name(), %error, "a proof cannot be checked now");
        Problem::Unavailable { detail: "the proof cannot be checked now; send it again" }
    })
}

/// Keeps a request that was not proven, or not readable, with the steps of its verification. They are gone through
/// again to be told: on the way of good requests nobody listens.
pub(super) fn put_aside(
    state: &AppState,
    configured: &Configured,
    raw: &RawRequest<'_>,
    now: DateTime<Utc>,
    reason: &'static str,
) {
    let provider = &*configured.provider;
    state.activity.failed(provider.name(), reason);
    // In a flood nothing more is kept, and nothing more is verified twice.
    if !state.quarantine.has_room(provider.name()) {
        return;
    }
    let private = raw.headers.iter().map(|(name, _)| *name).filter(|name| is_secret(name, &[]));
    state.quarantine.keep(Suspect {
        provider: provider.name().to_owned(),
        reason,
        steps: explain(provider, raw, now, Some(&state.keyring)).steps,
        private_headers: private.map(str::to_owned).collect(),
        secret_headers: configured.secret_headers.clone(),
        secret_parameters: provider.secret_parameters(),
        request: OwnedRequest {
            method: raw.method.to_owned(),
            bases: raw.bases.to_vec(),
            path: raw.path.to_owned(),
            path_token: raw.path_token.map(str::to_owned),
            query: raw.query.to_owned(),
            headers: raw.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
            body: raw.body.clone(),
        },
        received_at: now,
    });
}
