//! The admin API of events: list, look, retry, replay.

use super::extract::Parameters;
use super::problem::Problem;
use super::{Admin, AppState};
use crate::inbox::{self, EventDetail, EventFilter, EventSummary, Status, Steered};
use actix_web::{HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub(super) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list).service(replay_matching).service(show).service(retry).service(replay);
}

/// Which events a list shows.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Exact provider.
    provider: Option<String>,
    /// `received`, `processing`, `completed`, `failed`, `rejected` or `ignored`.
    status: Option<String>,
    /// Exact type, or a family as `payment_intent.*`.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Exact subject.
    subject: Option<String>,
    /// Received at or after this RFC 3339 time.
    since: Option<DateTime<Utc>>,
    /// Received before this RFC 3339 time.
    until: Option<DateTime<Utc>>,
    /// Part of event id, type or subject.
    q: Option<String>,
    /// How many, 1 to 200; 50 if not given. For a replay the most that are queued, 1 to 10000; 1000 if not given.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<Uuid>,
}

impl Filter {
    fn read(self) -> Result<(EventFilter, Option<i64>), Problem> {
        let unknown =
            || Problem::BadRequest("`status` is none of the six words of an event's life".to_owned());
        let texts = [&self.provider, &self.event_type, &self.subject, &self.q];
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(Problem::BadRequest("a filter holds a NUL character".to_owned()));
        }
        let status = self.status.map(|word| Status::parse(&word).ok_or_else(unknown)).transpose()?;
        let filter = EventFilter {
            provider: self.provider,
            status,
            event_type: self.event_type,
            subject: self.subject,
            since: self.since,
            until: self.until,
            search: self.q,
            before: self.cursor,
        };
        Ok((filter, self.limit))
    }
}

/// One page.
#[derive(Serialize, ToSchema)]
struct EventPage {
    /// Newest first.
    items: Vec<EventSummary>,
    /// Give it as `cursor` to get the next page; null on the last.
    next_cursor: Option<Uuid>,
}

/// List events, newest first
#[utoipa::path(tag = "events", params(Filter), security(("admin" = [])), responses((status = 200, body = EventPage)))]
#[get("/api/v1/events")]
async fn list(
    _: Admin,
    Parameters(filter): Parameters<Filter>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let (filter, limit) = filter.read()?;
    let limit = within(limit.unwrap_or(50), 200)?;
    let mut conn = state.pool.get().await?;
    let mut items = inbox::list(&mut conn, &filter, limit + 1).await?;
    let more = i64::try_from(items.len()).unwrap_or(i64::MAX) > limit;
    if more {
        items.pop();
    }
    let next_cursor = items.last().filter(|_| more).map(|event| event.id);
    Ok(HttpResponse::Ok().json(EventPage { items, next_cursor }))
}

fn within(limit: i64, max: i64) -> Result<i64, Problem> {
    if (1..=max).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::BadRequest(format!("`limit` must be from 1 to {max}")))
    }
}

/// Show one event with payload, headers, outcome and attempts
#[utoipa::path(tag = "events", security(("admin" = [])), responses((status = 200, body = EventDetail), (status = 404)))]
#[get("/api/v1/events/{id}")]
async fn show(_: Admin, id: web::Path<Uuid>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let mut conn = state.pool.get().await?;
    let event = inbox::find(&mut conn, *id).await?.ok_or_else(unknown)?;
    Ok(HttpResponse::Ok().json(event))
}

/// Queue a failed or rejected event again, with fresh attempts
#[utoipa::path(tag = "events", security(("admin" = [])), responses((status = 200), (status = 404), (status = 409)))]
#[post("/api/v1/events/{id}/retry")]
async fn retry(_: Admin, id: web::Path<Uuid>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let mut conn = state.pool.get().await?;
    answer(&state, *id, inbox::retry(&mut conn, *id).await?, "only a failed or rejected event can be retried")
}

/// Queue any event again that is not in work, with fresh attempts
#[utoipa::path(tag = "events", security(("admin" = [])), responses((status = 200), (status = 404), (status = 409)))]
#[post("/api/v1/events/{id}/replay")]
async fn replay(_: Admin, id: web::Path<Uuid>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let mut conn = state.pool.get().await?;
    answer(&state, *id, inbox::replay(&mut conn, *id).await?, "the event is in work; wait until it has ended")
}

fn answer(state: &AppState, id: Uuid, steered: Steered, conflict: &str) -> Result<HttpResponse, Problem> {
    match steered {
        Steered::Queued => {
            state.events.wake();
            Ok(HttpResponse::Ok().json(json!({"id": id, "status": "received"})))
        }
        Steered::NotAllowed => Err(Problem::Conflict(conflict.to_owned())),
        Steered::Unknown => Err(unknown()),
    }
}

/// Queue again all ended events that match a filter, the newest first
#[utoipa::path(
    tag = "events", security(("admin" = [])), request_body = Filter,
    responses((status = 200, description = "`{\"queued\": N}`"), (status = 422, description = "An empty filter"))
)]
#[post("/api/v1/events/replay")]
async fn replay_matching(
    _: Admin,
    filter: web::Json<Filter>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let (filter, limit) = filter.into_inner().read()?;
    let limit = within(limit.unwrap_or(1000), 10_000)?;
    // The whole history by a slip of the finger would call every upstream again.
    let narrow = filter.provider.is_some()
        || filter.status.is_some()
        || filter.event_type.is_some()
        || filter.subject.is_some()
        || filter.since.is_some()
        || filter.until.is_some()
        || filter.search.is_some();
    if !narrow {
        return Err(Problem::Unprocessable("give at least one filter".to_owned()));
    }
    let mut conn = state.pool.get().await?;
    let queued = inbox::replay_matching(&mut conn, &filter, limit).await?;
    state.events.wake();
    Ok(HttpResponse::Ok().json(json!({ "queued": queued })))
}

fn unknown() -> Problem {
    Problem::NotFound("there is no event of this id".to_owned())
}
