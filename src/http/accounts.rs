//! The admin API of MoySklad accounts. Tokens come in and never go out.

use super::problem::Problem;
use super::{Admin, AppState};
use crate::sync::moysklad::accounts::{self, Account, AccountChange, AccountError};
use crate::sync::moysklad::settings::ChildSettings;
use actix_web::{HttpResponse, delete, get, put, web};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub(super) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list).service(put_by_body).service(show).service(put_by_path).service(remove);
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Invalid { .. } | AccountError::Settings(_) | AccountError::KeptSettings(_) => {
                Self::Unprocessable(error.to_string())
            }
            AccountError::NoMasterKey | AccountError::WrongMasterKey | AccountError::HasChildren => {
                Self::Conflict(error.to_string())
            }
            AccountError::Unknown => Self::NotFound(error.to_string()),
            AccountError::Database(error) => error.into(),
        }
    }
}

/// What an account shall be. Values are read as text and judged field by field, so that a refusal names the field.
#[derive(Deserialize, ToSchema)]
struct AccountBody {
    /// MoySklad's own id of the account: `accountId` of its events. In the path, here or in both.
    #[schema(value_type = Option<Uuid>)]
    account_id: Option<String>,
    /// For people.
    #[schema(required)]
    name: Option<String>,
    /// `main` or `child`.
    #[schema(required)]
    role: Option<String>,
    /// Token of MoySklad's API. Required for a new account; without it the stored one stays.
    #[schema(write_only)]
    access_token: Option<String>,
    /// The main account that a child follows.
    #[schema(value_type = Option<Uuid>)]
    parent_account_id: Option<String>,
    /// `active`, `inactive` or `suspended`; without it the account stays what it is, but a new token ends a suspension.
    status: Option<String>,
    /// Settings of its sync: these of a child, of a main account `dedicated_login` alone; without it they stay what
    /// they are.
    #[schema(value_type = Option<ChildSettings>)]
    settings: Option<Value>,
}

impl AccountBody {
    fn read(self, path: Option<Uuid>) -> Result<(Uuid, AccountChange), AccountError> {
        let required = |field| AccountError::Invalid { field, problem: "is required" };
        let id = uuid("account_id", self.account_id)?;
        if path.is_some() && id.is_some() && path != id {
            return Err(AccountError::Invalid {
                field: "account_id",
                problem: "differs from the one in the path",
            });
        }
        let change = AccountChange {
            name: self.name.ok_or_else(|| required("name"))?,
            role: self.role.ok_or_else(|| required("role"))?.parse()?,
            parent_account_id: uuid("parent_account_id", self.parent_account_id)?,
            status: self.status.map(|status| status.parse()).transpose()?,
            settings: self.settings,
            token: self.access_token.map(SecretString::from),
        };
        Ok((path.or(id).ok_or_else(|| required("account_id"))?, change))
    }
}

fn uuid(field: &'static str, text: Option<String>) -> Result<Option<Uuid>, AccountError> {
    text.map(|text| text.parse().map_err(|_| AccountError::Invalid { field, problem: "must be a UUID" }))
        .transpose()
}

/// All accounts.
#[derive(Serialize, ToSchema)]
struct AccountList {
    /// Each main account before its children.
    items: Vec<Account>,
}

/// List MoySklad accounts
#[utoipa::path(tag = "moysklad", security(("admin" = [])), responses((status = 200, body = AccountList)))]
#[get("/api/v1/moysklad/accounts")]
async fn list(_: Admin, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let items = accounts::list(&mut *state.pool.get().await?).await?;
    Ok(HttpResponse::Ok().json(AccountList { items }))
}

/// Show one MoySklad account
#[utoipa::path(tag = "moysklad", security(("admin" = [])), responses((status = 200, body = Account), (status = 404)))]
#[get("/api/v1/moysklad/accounts/{account_id}")]
async fn show(_: Admin, id: web::Path<Uuid>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    let account = accounts::find(&mut *state.pool.get().await?, *id).await?;
    Ok(HttpResponse::Ok().json(account.ok_or(AccountError::Unknown)?))
}

/// Create or replace a MoySklad account
#[utoipa::path(
    tag = "moysklad", security(("admin" = [])), request_body = AccountBody,
    responses(
        (status = 200, body = Account), (status = 201, body = Account, description = "It is new"),
        (status = 409, description = "It has children, or HOOKGATE_MASTER_KEY is not set"),
        (status = 422, description = "A field is not acceptable; the detail names it")
    )
)]
#[put("/api/v1/moysklad/accounts/{account_id}")]
async fn put_by_path(
    _: Admin,
    id: web::Path<Uuid>,
    body: web::Json<AccountBody>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    store(&state, body.into_inner().read(Some(*id))?).await
}

/// Create or replace the MoySklad account that the body names
#[utoipa::path(
    tag = "moysklad", security(("admin" = [])), request_body = AccountBody,
    responses(
        (status = 200, body = Account), (status = 201, body = Account, description = "It is new"),
        (status = 409, description = "It has children, or HOOKGATE_MASTER_KEY is not set"),
        (status = 422, description = "A field is not acceptable; the detail names it")
    )
)]
#[put("/api/v1/moysklad/accounts")]
async fn put_by_body(
    _: Admin,
    body: web::Json<AccountBody>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, Problem> {
    store(&state, body.into_inner().read(None)?).await
}

async fn store(state: &AppState, (id, change): (Uuid, AccountChange)) -> Result<HttpResponse, Problem> {
    let mut conn = state.pool.get().await?;
    let (account, is_new) = accounts::put(&mut conn, state.master_key.as_ref(), id, change).await?;
    // Tasks that waited for it may be due.
    state.sync_tasks.wake();
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(account))
}

/// Forget a MoySklad account, its token and its mappings
///
/// Nothing changes at MoySklad.
#[utoipa::path(
    tag = "moysklad", security(("admin" = [])),
    responses((status = 204), (status = 404), (status = 409, description = "Children follow it"))
)]
#[delete("/api/v1/moysklad/accounts/{account_id}")]
async fn remove(_: Admin, id: web::Path<Uuid>, state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    accounts::remove(&mut *state.pool.get().await?, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}
