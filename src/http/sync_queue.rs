//! The admin API of sync tasks: list and retry.

use super::extract::Parameters;
use super::problem::Problem;
use super::{Admin, AppState};
use crate::sync::tasks::{self, Filter, RetryError, STATES, TaskItem};
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Most tasks of one page.
const MAX_PAGE: i64 = 200;

pub(super) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list).service(retry);
}

/// Which tasks a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Query {
    /// `received`, `processing`, `completed`, `failed` or `ignored`; of those that are `received` also `held` (wait for
    /// the counterparts of what they refer to) and `blocked` (wait for an operator).
    status: Option<String>,
    /// The account that is written to.
    account: Option<Uuid>,
    /// `product`, …
    entity_type: Option<String>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<Uuid>,
}

/// One page.
#[derive(Serialize, ToSchema)]
struct TaskPage {
    /// Newest first.
    items: Vec<TaskItem>,
    /// Give it as `cursor` to get the next page; null on the last.
    next_cursor: Option<Uuid>,
}

/// List sync tasks, newest first
#[utoipa::path(tag = "sync", params(Query), security(("admin" = [])), responses((status = 200, body = TaskPage)))]
#[get("/api/v1/sync-queue")]
async fn list(
    _: Admin,
    Parameters(query): Parameters<Query>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let Query { status, account, entity_type, limit, cursor } = query;
    if status.as_ref().is_some_and(|status| !STATES.contains(&status.as_str())) {
        return Err(Problem::BadRequest(format!("`status` must be one of {}", STATES.join(", "))));
    }
    let limit = limit.unwrap_or(50);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::BadRequest(format!("`limit` must be from 1 to {MAX_PAGE}")));
    }
    let filter = Filter { status, account, entity_type, before: cursor };
    // One more than shown tells whether there is another page.
    let mut items = tasks::list(&mut *state.pool.get().await?, &filter, limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > shown;
    items.truncate(shown);
    let next_cursor = items.last().filter(|_| more).map(|task| task.id);
    Ok(HttpResponse::Ok().json(TaskPage { items, next_cursor }))
}

/// Queue a failed sync task again, with fresh attempts
#[utoipa::path(
    tag = "sync", security(("admin" = [])),
    responses((status = 200, body = TaskItem), (status = 404), (status = 409, description = "It has not failed"))
)]
#[post("/api/v1/sync-queue/{id}/retry")]
async fn retry(_: Admin, id: web::Path<Uuid>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let task = tasks::retry(&mut *state.pool.get().await?, *id).await.map_err(|error| match error {
        RetryError::Unknown => Problem::NotFound(error.to_string()),
        RetryError::NotFailed => Problem::Conflict(error.to_string()),
        RetryError::Database(error) => error.into(),
    })?;
    state.sync_tasks.wake();
    Ok(HttpResponse::Ok().json(task))
}
