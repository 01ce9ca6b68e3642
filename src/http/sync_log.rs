//! The admin API of the sync log: what became of each change in a child account, and what has not come there yet.

use super::extract::Parameters;
use super::problem::Problem;
use super::{Admin, AppState};
use crate::sync::moysklad::audit::{self, Filter, SyncDay, SyncLogEntry};
use crate::sync::moysklad::backlog::{self, BacklogItem};
use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Most entries of one page.
const MAX_PAGE: i64 = 200;
/// Most days of the statistics.
const MAX_DAYS: i32 = 90;

pub(super) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(daily).service(list).service(waiting);
}

/// Which entries a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Query {
    /// The account that is written to.
    account: Option<Uuid>,
    /// `product`, …
    entity_type: Option<String>,
    /// Id in main.
    main_id: Option<Uuid>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<Uuid>,
}

/// One page.
#[derive(Serialize, ToSchema)]
struct SyncLogPage {
    /// Newest first.
    items: Vec<SyncLogEntry>,
    /// Give it as `cursor` to get the next page; null on the last.
    next_cursor: Option<Uuid>,
}

/// List what became of changes in child accounts, newest first
#[utoipa::path(tag = "sync", params(Query), security(("admin" = [])), responses((status = 200, body = SyncLogPage)))]
#[get("/api/v1/sync-log")]
async fn list(
    _: Admin,
    Parameters(query): Parameters<Query>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let Query { account, entity_type, main_id, limit, cursor } = query;
    let limit = limit.unwrap_or(50);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::BadRequest(format!("`limit` must be from 1 to {MAX_PAGE}")));
    }
    let filter = Filter { account, entity_type, main_id, before: cursor };
    // One more than shown tells whether there is another page.
    let mut items = audit::list(&mut *state.pool.get().await?, &filter, limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > shown;
    items.truncate(shown);
    let next_cursor = items.last().filter(|_| more).map(|entry| entry.id);
    Ok(HttpResponse::Ok().json(SyncLogPage { items, next_cursor }))
}

/// Which days are counted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Days {
    /// The account that is written to.
    account: Option<Uuid>,
    /// How many, 1 to 90, today included; 7 if not given.
    days: Option<i32>,
}

/// Count changes, writes and calls by day and pair of accounts
#[utoipa::path(tag = "sync", params(Days), security(("admin" = [])), responses((status = 200, body = Vec<SyncDay>)))]
#[get("/api/v1/sync-log/daily")]
async fn daily(
    _: Admin,
    Parameters(query): Parameters<Days>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let days = query.days.unwrap_or(7);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Problem::BadRequest(format!("`days` must be from 1 to {MAX_DAYS}")));
    }
    let items = audit::daily(&mut *state.pool.get().await?, query.account, days).await?;
    Ok(HttpResponse::Ok().json(items))
}

/// Which changes a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Waiting {
    /// `waiting` for their turn, `blocked` until another entity is there, `unwanted` until the child's filters
    /// let in what it is made of, `failed` until a person has looked.
    status: Option<String>,
    /// The child account that does not have them.
    account: Option<Uuid>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
}

/// What children do not have yet.
#[derive(Serialize, ToSchema)]
struct Backlog {
    /// The oldest first.
    items: Vec<BacklogItem>,
}

/// List what children do not have yet, the oldest first
#[utoipa::path(tag = "sync", params(Waiting), security(("admin" = [])), responses((status = 200, body = Backlog)))]
#[get("/api/v1/sync-changes")]
async fn waiting(
    _: Admin,
    Parameters(query): Parameters<Waiting>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let Waiting { status, account, limit } = query;
    if status.as_ref().is_some_and(|status| !backlog::STATUSES.contains(&status.as_str())) {
        return Err(Problem::BadRequest(format!("`status` must be one of {}", backlog::STATUSES.join(", "))));
    }
    let limit = limit.unwrap_or(50);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::BadRequest(format!("`limit` must be from 1 to {MAX_PAGE}")));
    }
    let filter = backlog::Filter { status, account };
    let items = backlog::list(&mut *state.pool.get().await?, &filter, limit).await?;
    Ok(HttpResponse::Ok().json(Backlog { items }))
}
