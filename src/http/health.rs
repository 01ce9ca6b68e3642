//! Is the gateway alive, and can it store events?

use super::AppState;
use super::problem::Problem;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, get, web};
use serde_json::json;
use std::sync::atomic::Ordering;

/// Health with the database's state
#[utoipa::path(tag = "health", responses((status = 200, description = "Healthy"), (status = 503, description = "Not")))]
#[get("/health")]
pub(super) async fn health(state: web::Data<AppState>) -> HttpResponse {
    let version = env!("CARGO_PKG_VERSION");
    if crate::db::ping(&state.pool).await {
        HttpResponse::Ok().json(json!({"status": "healthy", "database": "connected", "version": version}))
    } else {
        HttpResponse::ServiceUnavailable()
            .json(json!({"status": "unhealthy", "database": "disconnected", "version": version}))
    }
}

/// The process answers
#[utoipa::path(tag = "health", responses((status = 200, description = "Alive")))]
#[get("/health/live")]
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

/// The process can take requests: its database answers and it is not shutting down
#[utoipa::path(tag = "health", responses((status = 200, description = "Ready"), (status = 503, description = "Not")))]
#[get("/health/ready")]
pub(super) async fn ready(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    if state.draining.load(Ordering::Relaxed) {
        return Err(Problem::Unavailable { detail: "shutting down" });
    }
    if !crate::db::ping(&state.pool).await {
        return Err(Problem::Unavailable { detail: "the database cannot be reached now" });
    }
    Ok(HttpResponse::Ok().json(json!({"status": "ready"})))
}

/// Metrics in Prometheus' text format
#[utoipa::path(tag = "health", responses((status = 200, description = "Metrics", content_type = "text/plain")))]
#[get("/metrics")]
pub(super) async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    let text =
        state.metrics.as_ref().map(metrics_exporter_prometheus::PrometheusHandle::render).unwrap_or_default();
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")).body(text)
}
