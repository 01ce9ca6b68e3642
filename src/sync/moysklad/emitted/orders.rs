//! How an order stands, and whether that was told.

use super::super::api::{AccountApi, ApiError};
use super::super::orders::{State, States};
use super::super::work::{Work, broken};
use super::Source;
use crate::db::schema::{moysklad_mappings, moysklad_order_standings};
use crate::queue::Outcome;
use crate::sync::told;
use diesel::prelude::*;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde_json::{Value, json};
use uuid::Uuid;

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody has taken it on yet.
    Open,
    /// Somebody has.
    Confirmed,
    /// It will not be delivered.
    Cancelled,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Confirmed => "confirmed",
            Self::Cancelled => "cancelled",
        }
    }

    fn of(order: &Value, state: Option<&State>, is_first: bool) -> Self {
        let unsuccessful = state.is_some_and(|state| state.kind == "Unsuccessful");
        if unsuccessful || order["applicable"].as_bool() == Some(false) || order["deleted"].is_string() {
            Self::Cancelled
        } else if state.is_some() && !is_first {
            Self::Confirmed
        } else {
            Self::Open
        }
    }
}

/// Whether main's entity was brought from a child.
pub(super) async fn is_copy(
    conn: &mut AsyncPgConnection,
    main_account: Uuid,
    entity_type: &str,
    id: Uuid,
) -> QueryResult<bool> {
    use moysklad_mappings::dsl;
    if entity_type == "customerorder" {
        return Ok(!super::super::orders::copied_from(conn, main_account, id).await?.is_empty());
    }
    // A child's own organization is a customer of main's, by its purchase orders.
    let kinds: &[&str] =
        if entity_type == "counterparty" { &["counterparty", "organization"] } else { &[entity_type] };
    let rows = dsl::moysklad_mappings.filter(
        dsl::main_account.eq(main_account).and(dsl::entity_type.eq_any(kinds)).and(dsl::main_id.eq(id)),
    );
    diesel::select(diesel::dsl::exists(rows)).get_result(conn).await
}

/// Reads the order and tells how it stands, if that is new.
pub(super) async fn run(
    source: &Source,
    account: Uuid,
    order_id: Uuid,
    api: &AccountApi,
    cx: &Work,
) -> Result<Outcome, ApiError> {
    let path = format!("/entity/customerorder/{order_id}");
    let order = match api.get("GET /entity/customerorder/{id}", &path, &[]).await {
        Err(ApiError::NotFound(_)) => return Ok(Outcome::completed("the order no longer exists")),
        order => order?,
    };
    let states = States::read(api, "customerorder").await?;
    let state = states.of(&order);
    let standing = Standing::of(&order, state, state.is_some_and(|state| states.is_first(state)));
    let mut data = json!({
        "id": order_id, "account_id": account, "entity_type": "customerorder",
        "state": state.map(|state| &state.name),
    });
    // What subscribers know of it is the child's document.
    let copied = super::super::orders::copied_from(&mut *cx.conn().await?, account, order_id).await;
    if let Some((child, kind, document)) = copied.map_err(broken)?.into_iter().next() {
        data["copy_of"] = json!({"account_id": child, "entity_type": kind, "id": document});
    }
    let new =
        tell(&mut *cx.conn().await?, source, account, order_id, standing, data).await.map_err(broken)?;
    Ok(Outcome::completed(if new {
        told(&[event_type(standing)])
    } else {
        format!("the order is {}, nothing new emitted", standing.word())
    }))
}

fn event_type(standing: Standing) -> &'static str {
    match standing {
        Standing::Open | Standing::Confirmed => "sales_order.confirmed",
        Standing::Cancelled => "sales_order.cancelled",
    }
}

/// Keeps how the order stands and tells it, if that is new; says whether it told.
pub(super) async fn tell(
    conn: &mut AsyncPgConnection,
    source: &Source,
    account: Uuid,
    order: Uuid,
    standing: Standing,
    data: Value,
) -> QueryResult<bool> {
    use moysklad_order_standings::dsl;
    conn.transaction(async |conn| {
        let before: Option<String> = dsl::moysklad_order_standings
            .find((account, order))
            .select(dsl::standing)
            .for_update()
            .first(conn)
            .await
            .optional()?;
        if before.as_deref().unwrap_or(Standing::Open.word()) == standing.word() {
            return Ok(false);
        }
        diesel::insert_into(dsl::moysklad_order_standings)
            .values((dsl::account_id.eq(account), dsl::order_id.eq(order), dsl::standing.eq(standing.word())))
            .on_conflict((dsl::account_id, dsl::order_id))
            .do_update()
            .set(dsl::standing.eq(standing.word()))
            .execute(conn)
            .await?;
        if standing == Standing::Open {
            return Ok(false);
        }
        source.emit(conn, event_type(standing), &order.to_string(), data).await
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(order: &Value, kind: &str, is_first: bool) -> Standing {
        let state = State { id: Uuid::nil(), name: "x".to_owned(), kind: kind.to_owned() };
        Standing::of(order, Some(&state), is_first)
    }

    #[test]
    fn an_order_stands_as_its_state_and_its_flags_say() {
        let order = json!({"applicable": true});
        assert_eq!(Standing::of(&order, None, false), Standing::Open);
        assert_eq!(standing(&order, "Regular", true), Standing::Open);
        assert_eq!(standing(&order, "Regular", false), Standing::Confirmed);
        assert_eq!(standing(&order, "Successful", false), Standing::Confirmed);
        assert_eq!(standing(&order, "Unsuccessful", false), Standing::Cancelled);
        assert_eq!(standing(&json!({"applicable": false}), "Successful", false), Standing::Cancelled);
        assert_eq!(
            standing(&json!({"deleted": "2026-11-23 10:00:00"}), "Regular", true),
            Standing::Cancelled
        );
    }
}
