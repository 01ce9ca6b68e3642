//! The admin API of messages: how far they have come, at every provider.

use super::AppState;
use super::auth::Admin;
use super::extract::given;
use super::problem::Problem;
use crate::sync::messages::{self, Filter, Message, Status};
use crate::sync::paging::Cursor;
use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list);
}

/// Which messages a list shows. An empty parameter counts as absent.
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
    params: web::Query<Params>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    let filter = params.into_inner().read()?;
    let mut conn = state.pool.get().await?;
    let (items, next) = messages::list(&mut conn, &filter).await?;
    let next_cursor = next.map(|cursor| cursor.encode());
    Ok(HttpResponse::Ok().json(MessagePage { items, next_cursor }))
}

impl Params {
    fn read(self) -> Result<Filter, Problem> {
        let limit = given("limit", self.limit)?.map_or(Ok(50), |text| text.parse());
        let status = given("status", self.status)?.map(|word| Status::from_name(&word).ok_or(word));
        let after = given("cursor", self.cursor)?.map(|text| Cursor::decode(&text).ok_or(text));
        let bad = |detail: &str| Problem::BadRequest(detail.to_owned());
        Ok(Filter {
            provider: given("provider", self.provider)?,
            id: given("id", self.id)?,
            status: status.transpose().map_err(|_| bad("`status` is none of a message"))?,
            after: after.transpose().map_err(|_| bad("`cursor` is no next_cursor of this list"))?,
            limit: limit
                .ok()
                .filter(|limit| (1..=200).contains(limit))
                .ok_or_else(|| bad("`limit` must be from 1 to 200"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Filter, Problem> {
        web::Query::<Params>::from_query(query).unwrap().into_inner().read()
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
