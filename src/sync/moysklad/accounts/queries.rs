//! The table `moysklad_accounts`.

use super::model::{Account, AccountChange, AccountError, Role, Status, invalid};
use crate::crypto::MasterKey;
use crate::db::schema::moysklad_accounts::dsl;
use crate::sync::moysklad::catalog;
use crate::sync::moysklad::reconcile::forget_trouble;
use crate::sync::tasks;
use diesel::prelude::*;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

/// All accounts: each main account before its children, both by name.
pub async fn list(conn: &mut AsyncPgConnection) -> QueryResult<Vec<Account>> {
    let mut accounts: Vec<Account> = dsl::moysklad_accounts
        .select(Account::as_select())
        .order((dsl::role.desc(), dsl::name, dsl::account_id))
        .load(conn)
        .await?;
    let mains: Vec<Uuid> = accounts
        .iter()
        .filter(|account| account.role == Role::Main)
        .map(|account| account.account_id)
        .collect();
    accounts.sort_by_key(|account| {
        let family = account.parent_account_id.unwrap_or(account.account_id);
        mains.iter().position(|main| *main == family)
    });
    Ok(accounts)
}

/// One account.
pub async fn find(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<Account>> {
    dsl::moysklad_accounts.find(id).select(Account::as_select()).first(conn).await.optional()
}

/// The accounts that follow this one.
pub async fn children(conn: &mut AsyncPgConnection, main: Uuid) -> QueryResult<Vec<Account>> {
    dsl::moysklad_accounts
        .filter(dsl::parent_account_id.eq(main))
        .select(Account::as_select())
        .order(dsl::account_id)
        .load(conn)
        .await
}

/// Creates or replaces an account; says whether it is new.
pub async fn put(
    conn: &mut AsyncPgConnection,
    key: Option<&MasterKey>,
    id: Uuid,
    change: AccountChange,
) -> Result<(Account, bool), AccountError> {
    change.check(id)?;
    let sealed = match &change.token {
        Some(token) => Some(key.ok_or(AccountError::NoMasterKey)?.seal(&place(id), token)),
        None => None,
    };
    conn.transaction(async |conn| {
        let current = dsl::moysklad_accounts
            .find(id)
            .select(Account::as_select())
            .for_update()
            .first(conn)
            .await
            .optional()?;
        check_family(conn, id, &change).await?;
        if let (Some(account), None) = (&current, &change.settings)
            && account.role != change.role
        {
            change.role.check(&account.settings).map_err(AccountError::KeptSettings)?;
        }
        let status = change.status.unwrap_or(match &current {
            Some(account) if account.status != Status::Suspended || sealed.is_none() => account.status,
            _ => Status::Active,
        });
        let fields = (
            dsl::name.eq(change.name.trim().to_owned()),
            dsl::role.eq(change.role),
            dsl::parent_account_id.eq(change.parent_account_id),
            dsl::status.eq(status),
        );
        if current.is_none() {
            let Some(sealed) = sealed else {
                return invalid("access_token", "is required for a new account");
            };
            let settings = change.settings.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            let row =
                (dsl::account_id.eq(id), fields, dsl::sealed_token.eq(sealed), dsl::settings.eq(settings));
            let account = diesel::insert_into(dsl::moysklad_accounts)
                .values(row)
                .returning(Account::as_returning())
                .get_result(conn)
                .await?;
            return Ok((account, true));
        }
        let was_active = current.as_ref().is_some_and(|before| before.status == Status::Active);
        let is_mended = status == Status::Active && (!was_active || sealed.is_some());
        if is_mended {
            forget_trouble(conn, id).await?;
        }
        let account = diesel::update(dsl::moysklad_accounts.find(id))
            .set((
                fields,
                sealed.map(|sealed| dsl::sealed_token.eq(sealed)),
                change.settings.map(|settings| dsl::settings.eq(settings)),
                dsl::updated_at.eq(diesel::dsl::now),
            ))
            .returning(Account::as_returning())
            .get_result(conn)
            .await?;
        let parent = current.map_or(account.parent_account_id, |before| before.parent_account_id);
        // One that follows another by now has work that goes on under another name.
        if is_mended || status == Status::Active && parent != account.parent_account_id {
            let mut family = vec![id];
            family.extend(children(conn, id).await?.iter().map(|child| child.account_id));
            catalog::try_refused(conn, &family).await?;
            tasks::hurry(conn, &family).await?;
        }
        Ok((account, false))
    })
    .await
}

/// The parent of a child is a main account, and who leads does not follow.
async fn check_family(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    change: &AccountChange,
) -> Result<(), AccountError> {
    if let Some(parent) = change.parent_account_id {
        // Locked, so that it stays a main account until this is committed.
        let role: Option<Role> =
            dsl::moysklad_accounts.find(parent).select(dsl::role).for_share().first(conn).await.optional()?;
        match role {
            None => {
                return invalid(
                    "parent_account_id",
                    "there is no account with this id; add the main account first",
                );
            }
            Some(Role::Child) => {
                return invalid("parent_account_id", "must be a main account, this one is a child");
            }
            Some(Role::Main) => {}
        }
    }
    if change.role == Role::Child && !children(conn, id).await?.is_empty() {
        return Err(AccountError::HasChildren);
    }
    Ok(())
}

/// Forgets an account, its token and its mappings; nothing changes at MoySklad.
pub async fn remove(conn: &mut AsyncPgConnection, id: Uuid) -> Result<(), AccountError> {
    use diesel::result::{DatabaseErrorKind, Error};
    match diesel::delete(dsl::moysklad_accounts.find(id)).execute(conn).await {
        Ok(0) => Err(AccountError::Unknown),
        Ok(_) => Ok(()),
        Err(Error::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) => {
            Err(AccountError::HasChildren)
        }
        Err(error) => Err(error.into()),
    }
}

/// An account with its token, still sealed.
#[derive(Clone)]
pub(in crate::sync::moysklad) struct Credentials {
    pub(in crate::sync::moysklad) account: Account,
    pub(in crate::sync::moysklad) sealed_token: Vec<u8>,
}

/// An account with its token, still sealed.
pub(in crate::sync::moysklad) async fn credentials(
    conn: &mut AsyncPgConnection,
    id: Uuid,
) -> QueryResult<Option<Credentials>> {
    let row: Option<(Account, Vec<u8>)> = dsl::moysklad_accounts
        .find(id)
        .select((Account::as_select(), dsl::sealed_token))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(account, sealed_token)| Credentials { account, sealed_token }))
}

/// MoySklad has refused this token: nothing more is sent for its account. A token that was replaced meanwhile is
/// not blamed. True if this call suspended it.
pub(in crate::sync::moysklad) async fn suspend(
    conn: &mut AsyncPgConnection,
    refused: &Credentials,
) -> QueryResult<bool> {
    let rows = diesel::update(dsl::moysklad_accounts.find(refused.account.account_id))
        .filter(dsl::status.eq(Status::Active).and(dsl::sealed_token.eq(&refused.sealed_token)))
        .set((dsl::status.eq(Status::Suspended), dsl::updated_at.eq(diesel::dsl::now)))
        .execute(conn)
        .await?;
    Ok(rows > 0)
}

/// Where a token is sealed for.
pub(in crate::sync::moysklad) fn place(id: Uuid) -> String {
    format!("moysklad_accounts/{id}")
}
