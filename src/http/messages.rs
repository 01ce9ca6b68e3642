//! The admin API of messages: how far they have come, at every provider.

use super::AppState;
use super::auth::Admin;
use super::extract::Parameters;
use super::paging::Given;
use super::problem::Problem;
use crate::sync::messages::{self, Message, Status};
use crate::sync::paging::Filter;
use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list);
}

/// Which messages a list shows.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Params {
    /// Exact provider.
    provider: Option<String>,
    /// Exact message id.
    id: Option<String>,
    /// `scheduled`, `accepted`, `queued`, `receiving`, `sending`, `sent`, `partially_delivered`, `canceled`, `failed`,
    /// `undelivered`, `received`, `delivered` or `read`.
    status: Option<String>,
    /// How many, 1 to 200; 50 if not given.
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
struct MessagePage {
    /// Last changed first.
    items: Vec<Message>,
    /// Give it as `cursor` to get the next page; null on the last.
    next_cursor: Option<String>,
}

/// List messages and push notifications of all providers, last changed first
#[utoipa::path(
    tag = "messages", params(Params), security(("admin" = [])), responses((status = 200, body = MessagePage))
)]
#[get("/api/v1/messages")]
async fn list(
    _: Admin,
    Parameters(params): Parameters<Params>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let filter = params.read()?;
    let mut conn = state.pool.get().await?;
    let (items, next) = messages::list(&mut conn, &filter).await?;
    let next_cursor = next.map(|cursor| cursor.encode());
    Ok(HttpResponse::Ok().json(MessagePage { items, next_cursor }))
}

impl Params {
    fn read(self) -> Result<Filter<Status>, Problem> {
        let Self { provider, id, status, limit, cursor } = self;
        Given { provider, id, status, limit, cursor }.filter(Status::from_name, "none of a message")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Filter<Status>, Problem> {
        Parameters::<Params>::read(query)?.0.read()
    }

    #[test]
    fn each_bad_parameter_is_refused_by_name() {
        for (query, word) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("status=teleported", "status"),
            ("cursor=xyz", "cursor"),
            ("provider=%00", "provider"),
        ] {
            let Err(Problem::BadRequest(detail)) = read(query) else { panic!("{query} was accepted") };
            assert!(detail.contains(word), "{query}: {detail}");
        }
    }

    #[test]
    fn good_and_empty_parameters_are_taken() {
        let filter = read("provider=twilio&id=SM1&status=partially_delivered&limit=200&cursor=").unwrap();
        assert_eq!((filter.provider.as_deref(), filter.id.as_deref()), (Some("twilio"), Some("SM1")));
        assert_eq!((filter.status, filter.limit), (Some(Status::PartiallyDelivered), 200));
        assert_eq!(read("status=").unwrap().limit, 50);
    }
}
