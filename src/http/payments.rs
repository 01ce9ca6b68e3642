//! `GET /api/v1/payments`: what payments came to.

use super::AppState;
use super::auth::Admin;
use super::problem::Problem;
use crate::sync::payments::{self, Cursor, Filter, Payment, Status};
use actix_web::{HttpRequest, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Registers the routes.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(list);
}

/// Query of the list. An empty parameter counts as absent.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Params {
    /// Only of this provider.
    provider: Option<String>,
    /// Only the one with this id.
    id: Option<String>,
    /// Only with this status: `pending`, `succeeded`, `failed`, `canceled`, `refunded` or `partially_refunded`.
    status: Option<String>,
    /// 1 to 200, 50 unless told.
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of payments.
#[derive(Debug, Serialize, ToSchema)]
struct Page {
    /// Last changed first.
    items: Vec<Payment>,
    /// Give it as `cursor` to get the next page; null on the last.
    next_cursor: Option<String>,
}

/// Lists payments of all providers, last changed first.
#[utoipa::path(
    tag = "payments",
    params(Params),
    responses((status = 200, body = Page), (status = 400, description = "A parameter is not acceptable")),
    security(("admin" = []))
)]
#[get("/api/v1/payments")]
async fn list(
    _: Admin,
    request: HttpRequest,
    state: web::Data<AppState>,
) -> Result<web::Json<Page>, Problem> {
    let filter = filter(request.query_string())?;
    let mut conn = state.pool.get().await?;
    let (items, next) = payments::list(&mut conn, &filter).await?;
    Ok(web::Json(Page { items, next_cursor: next.map(|cursor| cursor.encode()) }))
}

fn filter(query: &str) -> Result<Filter, Problem> {
    let bad = |detail: &str| Problem::BadRequest(detail.to_owned());
    let params = web::Query::<Params>::from_query(query)
        .map_err(|_| bad("a parameter stands twice or is not UTF-8"))?
        .into_inner();
    let given = |value: Option<String>| value.filter(|text| !text.is_empty());
    let text = |name: &str, value: Option<String>| match given(value) {
        Some(text) if text.contains('\0') => {
            Err(Problem::BadRequest(format!("{name} holds a NUL character")))
        }
        value => Ok(value),
    };
    let limit = given(params.limit).map_or(Some(50), |limit| limit.parse().ok());
    Ok(Filter {
        provider: text("provider", params.provider)?,
        id: text("id", params.id)?,
        status: given(params.status)
            .map(|status| Status::from_name(&status).ok_or_else(|| bad("there is no such status")))
            .transpose()?,
        after: given(params.cursor)
            .map(|cursor| {
                Cursor::decode(&cursor).ok_or_else(|| bad("cursor is not a next_cursor of this list"))
            })
            .transpose()?,
        limit: limit
            .filter(|limit| (1..=200).contains(limit))
            .ok_or_else(|| bad("limit must be a whole number from 1 to 200"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parameters_count_as_absent() {
        let filter = filter("provider=&id=&status=&limit=&cursor=").unwrap();
        assert!(filter.provider.is_none() && filter.id.is_none() && filter.status.is_none());
        assert!(filter.after.is_none());
        assert_eq!(filter.limit, 50);
    }

    #[test]
    fn each_bad_parameter_is_refused_by_name() {
        for (query, word) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=1000", "limit"),
            ("limit=ten", "limit"),
            ("status=paid", "status"),
            ("cursor=xyz", "cursor"),
            ("id=%00", "id"),
            ("provider=a&provider=b", "twice"),
        ] {
            let Err(Problem::BadRequest(detail)) = filter(query) else { panic!("{query} was accepted") };
            assert!(detail.contains(word), "{query}: {detail}");
        }
    }

    #[test]
    fn good_parameters_are_taken() {
        let filter = filter("provider=stripe&id=pi_1&status=partially_refunded&limit=200").unwrap();
        assert_eq!(filter.provider.as_deref(), Some("stripe"));
        assert_eq!(filter.id.as_deref(), Some("pi_1"));
        assert_eq!(filter.status, Some(Status::PartiallyRefunded));
        assert_eq!(filter.limit, 200);
    }
}
