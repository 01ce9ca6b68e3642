//! The admin API of payments: what they came to, at every provider.

use super::AppState;
use super::auth::Admin;
use super::extract::Parameters;
use super::paging::Given;
use super::problem::Problem;
use crate::sync::paging::Filter;
use crate::sync::payments::{self, Payment, Status};
use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list);
}

/// Which payments a list shows.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Params {
    /// Exact provider.
    provider: Option<String>,
    /// Exact id of the payment, or of a part of it: a charge, a capture, a refund.
    id: Option<String>,
    /// `pending`, `succeeded`, `failed`, `canceled`, `refunded` or `partially_refunded`.
    status: Option<String>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of payments.
#[derive(Serialize, ToSchema)]
struct PaymentPage {
    /// Last changed first.
    items: Vec<Payment>,
    /// Give it as `cursor` to get the next page; null on the last.
    next_cursor: Option<String>,
}

/// List payments of all providers, last changed first
#[utoipa::path(
    tag = "payments", params(Params), security(("admin" = [])), responses((status = 200, body = PaymentPage))
)]
#[get("/api/v1/payments")]
async fn list(
    _: Admin,
    Parameters(params): Parameters<Params>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let filter = params.read()?;
    let mut conn = state.pool.get().await?;
    let (items, next) = payments::list(&mut conn, &filter).await?;
    let next_cursor = next.map(|cursor| cursor.encode());
    Ok(HttpResponse::Ok().json(PaymentPage { items, next_cursor }))
}

impl Params {
    fn read(self) -> Result<Filter<Status>, Problem> {
        let Self { provider, id, status, limit, cursor } = self;
        Given { provider, id, status, limit, cursor }
            .filter(Status::from_name, "none of the six of a payment")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Filter<Status>, Problem> {
        Parameters::<Params>::read(query)?.0.read()
    }

    #[test]
    fn empty_parameters_count_as_absent() {
        let filter = read("provider=&id=&status=&limit=&cursor=").unwrap();
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
        ] {
            let Err(Problem::BadRequest(detail)) = read(query) else { panic!("{query} was accepted") };
            assert!(detail.contains(word), "{query}: {detail}");
        }
    }

    #[test]
    fn good_parameters_are_taken() {
        let filter = read("provider=stripe&id=pi_1&status=partially_refunded&limit=200").unwrap();
        assert_eq!(filter.provider.as_deref(), Some("stripe"));
        assert_eq!(filter.id.as_deref(), Some("pi_1"));
        assert_eq!(filter.status, Some(Status::PartiallyRefunded));
        assert_eq!(filter.limit, 200);
    }
}
