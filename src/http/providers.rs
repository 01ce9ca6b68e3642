//! The admin API of providers: who may send, which secret proved it, and secrets that wait for approval.

use super::extract::Parameters;
use super::problem::Problem;
use super::{Admin, AppState};
use crate::records::{self, OfferedSecret, ProviderOverview};
use crate::reload::ReloadError;
use actix_web::{HttpResponse, delete, get, post, web};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub(super) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list).service(offered).service(approve).service(forget);
}

/// All configured providers.
#[derive(Serialize, ToSchema)]
struct ProviderList {
    /// In the order of their names.
    items: Vec<ProviderOverview>,
}

/// List configured providers with their secrets' last use, last event, and the last 24 hours
#[utoipa::path(tag = "providers", security(("admin" = [])), responses((status = 200, body = ProviderList)))]
#[get("/api/v1/providers")]
async fn list(_: Admin, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let reports = records::report(&mut *state.pool.get().await?, Utc::now()).await?;
    let app_url = state.settings.receiver.app_url.as_str();
    let items = records::overview(&state.providers.now(), app_url, &reports);
    Ok(HttpResponse::Ok().json(ProviderList { items }))
}

/// Which offered secrets a list shows.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Exact provider.
    provider: Option<String>,
}

/// Offered secrets.
#[derive(Serialize, ToSchema)]
struct OfferedList {
    /// Newest first.
    items: Vec<OfferedSecret>,
}

/// List secrets that handshakes offered
#[utoipa::path(
    tag = "providers", params(Query), security(("admin" = [])), responses((status = 200, body = OfferedList))
)]
#[get("/api/v1/offered-secrets")]
async fn offered(
    _: Admin,
    Parameters(query): Parameters<Query>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let items = records::offered(&mut *state.pool.get().await?, query.provider.as_deref()).await?;
    Ok(HttpResponse::Ok().json(OfferedList { items }))
}

/// Let an offered secret prove requests
///
/// On this node it does so when this answers, on others within ten seconds.
#[utoipa::path(
    tag = "providers", security(("admin" = [])),
    responses(
        (status = 200, body = OfferedSecret), (status = 404),
        (status = 409, description = "The provider's scheme cannot use it")
    )
)]
#[post("/api/v1/offered-secrets/{id}/approve")]
async fn approve(_: Admin, id: web::Path<Uuid>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let mut conn = state.pool.get().await?;
    let approved = records::approve(&mut conn, *id).await?.ok_or_else(unknown)?;
    if let Err(error) = put_in_force(&state).await {
        records::withdraw(&mut conn, *id).await?;
        return Err(error);
    }
    tracing::info!(
        provider = approved.provider,
        secret = approved.secret_id,
        "an offered secret is approved"
    );
    Ok(HttpResponse::Ok().json(approved))
}

/// Forget an offered secret, approved or not
#[utoipa::path(tag = "providers", security(("admin" = [])), responses((status = 204), (status = 404)))]
#[delete("/api/v1/offered-secrets/{id}")]
async fn forget(_: Admin, id: web::Path<Uuid>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    if !records::forget(&mut *state.pool.get().await?, *id).await? {
        return Err(unknown());
    }
    put_in_force(&state).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn put_in_force(state: &AppState) -> Result<(), Problem> {
    match state.reloader.secrets().await {
        Ok(_) => Ok(()),
        Err(ReloadError::Database(_)) => {
            Err(Problem::Unavailable { detail: "the database cannot answer now" })
        }
        Err(error) => Err(Problem::Conflict(error.to_string())),
    }
}

fn unknown() -> Problem {
    Problem::NotFound("there is no offered secret of this id".to_owned())
}
