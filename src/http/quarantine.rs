//! The admin API of the quarantine: what was not proven, why, and back to the door with it.

use super::extract::Parameters;
use super::problem::Problem;
use super::receive::admit;
use super::{Admin, AppState};
use crate::providers::{Check, Handshook, explain, summary};
use crate::quarantine::{self, Claim, Detail, Filter, Item, Outcome, Reopened};
use actix_web::{HttpResponse, delete, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Most requests of one page.
const MAX_PAGE: i64 = 200;
/// The reasons that there are.
const REASONS: [&str; 5] = ["missing", "malformed", "expired", "mismatch", "unreadable"];

pub(super) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list).service(show).service(reverify).service(remove);
}

/// Which requests a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Exact provider.
    provider: Option<String>,
    /// `missing`, `malformed`, `expired`, `mismatch` or `unreadable`.
    reason: Option<String>,
    /// Received at or after this RFC 3339 time.
    since: Option<DateTime<Utc>>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<Uuid>,
}

/// One page.
#[derive(Serialize, ToSchema)]
struct QuarantinePage {
    /// Newest first.
    items: Vec<Item>,
    /// Give it as `cursor` to get the next page; null on the last.
    next_cursor: Option<Uuid>,
}

/// List requests that were not proven or could not be read, newest first
#[utoipa::path(
    tag = "quarantine", params(Query), security(("admin" = [])), responses((status = 200, body = QuarantinePage))
)]
#[get("/api/v1/quarantine")]
async fn list(
    _: Admin,
    Parameters(query): Parameters<Query>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let Query { provider, reason, since, limit, cursor } = query;
    if reason.as_ref().is_some_and(|reason| !REASONS.contains(&reason.as_str())) {
        return Err(Problem::BadRequest(format!("`reason` must be one of {}", REASONS.join(", "))));
    }
    let limit = limit.unwrap_or(50);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::BadRequest(format!("`limit` must be from 1 to {MAX_PAGE}")));
    }
    let filter = Filter { provider, reason, since, before: cursor };
    // One more than shown tells whether there is another page.
    let mut items = quarantine::list(&mut *state.pool.get().await?, &filter, limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > shown;
    items.truncate(shown);
    let next_cursor = items.last().filter(|_| more).map(|item| item.id);
    Ok(HttpResponse::Ok().json(QuarantinePage { items, next_cursor }))
}

/// Show one of these requests with headers, body and the steps of its verification
#[utoipa::path(tag = "quarantine", security(("admin" = [])), responses((status = 200, body = Detail), (status = 404)))]
#[get("/api/v1/quarantine/{id}")]
async fn show(_: Admin, id: web::Path<Uuid>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let found = quarantine::find(&mut *state.pool.get().await?, *id).await?;
    Ok(HttpResponse::Ok().json(found.ok_or_else(unknown)?))
}

/// Verify one of these requests again, with the settings of now, at the time it came
///
/// It goes through the same door as when it came: if it is proven now, its events are stored, once. A second time it
/// answers with duplicates.
#[utoipa::path(
    tag = "quarantine", security(("admin" = [])),
    responses(
        (status = 200, body = super::receive::Received), (status = 404),
        (status = 409, description = "Still not proven, or its proof was not kept; the detail says why")
    )
)]
#[post("/api/v1/quarantine/{id}/reverify")]
async fn reverify(
    _: Admin,
    id: web::Path<Uuid>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let mut conn = state.pool.get().await?;
    match quarantine::claim(&mut conn, *id).await? {
        Claim::Yours => {}
        Claim::Unknown => return Err(unknown()),
        Claim::Taken => {
            return Err(Problem::Conflict("it is being verified right now; look at it again".to_owned()));
        }
        Claim::Accepted(receipt) => return Ok(HttpResponse::Ok().json(once_more(receipt))),
    }
    let reopened = quarantine::reopen(&mut conn, *id, state.master_key.as_ref()).await?;
    // Not held while the door fetches keys and waits for its commit.
    drop(conn);
    let (outcome, answer) = match reopened {
        None => return Err(unknown()),
        Some(reopened) => try_again(&state, &reopened).await,
    };
    quarantine::settle(&mut *state.pool.get().await?, *id, outcome).await?;
    Ok(HttpResponse::Ok().json(answer?))
}

async fn try_again(state: &AppState, reopened: &Reopened) -> (Outcome, Result<Value, Problem>) {
    let conflict = |text: String| Err(Problem::Conflict(text));
    let Some(request) = &reopened.request else {
        let text = "its proof was not kept: it is a secret, and there was no HOOKGATE_MASTER_KEY to seal it with, or it \
                    was another one";
        return (Outcome::Unknown, conflict(text.to_owned()));
    };
    let Some(configured) = state.providers.get(&reopened.provider) else {
        return (Outcome::Unknown, conflict(format!("the provider {} is not configured", reopened.provider)));
    };
    let (raw, now) = (request.raw(), reopened.received_at);
    let check = Check { now, evidence: Some(&state.keyring), trace: None };
    // Its answer would reach nobody, and it must not become an event.
    let delivery =
        raw.method == "POST" && matches!(configured.provider.handshake(&raw, &check), Handshook::NotOne);
    if !delivery {
        let text = "it is no delivery, but only sets things up: let the sender repeat it";
        return (Outcome::Unknown, conflict(text.to_owned()));
    }
    match admit(state, &configured, &raw, now, None).await {
        Ok(received) => {
            let receipt = json!(received);
            (Outcome::Accepted(receipt.clone()), Ok(receipt))
        }
        Err(Problem::Unauthorized) => {
            let steps = explain(&*configured.provider, &raw, now, Some(&state.keyring)).steps;
            (Outcome::NotProven, conflict(format!("still not proven: {}", summary(&steps))))
        }
        Err(Problem::BadRequest(reason)) => {
            (Outcome::Unreadable, conflict(format!("it is proven, but cannot be read: {reason}")))
        }
        Err(problem) => (Outcome::Unknown, Err(problem)),
    }
}

/// The receipt of a request whose events are stored already.
fn once_more(mut receipt: Value) -> Value {
    let count = |name: &str| receipt[name].as_u64().unwrap_or(0);
    let known = count("processed") + count("duplicates");
    receipt["processed"] = 0.into();
    receipt["duplicates"] = known.into();
    receipt
}

/// Forget one of these requests
#[utoipa::path(tag = "quarantine", security(("admin" = [])), responses((status = 204), (status = 404)))]
#[delete("/api/v1/quarantine/{id}")]
async fn remove(_: Admin, id: web::Path<Uuid>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    if quarantine::remove(&mut *state.pool.get().await?, *id).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(unknown())
    }
}

fn unknown() -> Problem {
    Problem::NotFound("there is no quarantined request of this id".to_owned())
}
