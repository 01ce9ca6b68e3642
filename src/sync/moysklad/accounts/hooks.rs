//! What an account's webhooks are known by: the secret in its own URL, and whom its token acts as.

use super::model::AccountError;
use crate::crypto::{MasterKey, random_bytes};
use crate::db::schema::moysklad_accounts::dsl;
use crate::providers::scheme::Learned;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Where the secret is sealed for.
fn place(id: Uuid) -> String {
    format!("moysklad_accounts/{id}/hook_token")
}

/// The secret of the account's webhook URL: 32 hexadecimal digits. Made if there is none.
pub async fn ensure_hook_token(
    conn: &mut AsyncPgConnection,
    key: Option<&MasterKey>,
    id: Uuid,
) -> Result<SecretString, AccountError> {
    let key = key.ok_or(AccountError::NoMasterKey)?;
    let fresh = SecretString::from(hex::encode(random_bytes::<16>()));
    diesel::update(dsl::moysklad_accounts.find(id))
        .filter(dsl::sealed_hook_token.is_null())
        .set(dsl::sealed_hook_token.eq(key.seal(&place(id), &fresh)))
        .execute(conn)
        .await?;
    hook_token(conn, Some(key), id).await?.ok_or(AccountError::Unknown)
}

/// The secret of the account's webhook URL; `None` before its webhooks are set up.
pub async fn hook_token(
    conn: &mut AsyncPgConnection,
    key: Option<&MasterKey>,
    id: Uuid,
) -> Result<Option<SecretString>, AccountError> {
    let key = key.ok_or(AccountError::NoMasterKey)?;
    let sealed: Option<Option<Vec<u8>>> =
        dsl::moysklad_accounts.find(id).select(dsl::sealed_hook_token).first(conn).await.optional()?;
    match sealed.flatten() {
        Some(sealed) => Ok(Some(key.open(&place(id), &sealed).map_err(|_| AccountError::WrongMasterKey)?)),
        None => Ok(None),
    }
}

/// Forgets the secret: its URL proves nothing any more.
pub async fn forget_hook_token(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<()> {
    let none: Option<Vec<u8>> = None;
    diesel::update(dsl::moysklad_accounts.find(id))
        .set(dsl::sealed_hook_token.eq(none))
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether the account's webhooks are this gateway's to look after.
pub async fn has_hook_token(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<bool> {
    let found: Option<bool> = dsl::moysklad_accounts
        .find(id)
        .select(dsl::sealed_hook_token.is_not_null())
        .first(conn)
        .await
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// The secrets of all accounts' webhook URLs, for the receiver.
pub async fn hook_tokens(conn: &mut AsyncPgConnection, key: &MasterKey) -> QueryResult<Vec<Learned>> {
    let rows: Vec<(Uuid, Option<Vec<u8>>)> = dsl::moysklad_accounts
        .filter(dsl::sealed_hook_token.is_not_null())
        .order(dsl::account_id)
        .select((dsl::account_id, dsl::sealed_hook_token))
        .load(conn)
        .await?;
    let mut tokens = Vec::new();
    for (id, sealed) in rows {
        match key.open(&place(id), &sealed.unwrap_or_default()) {
            Ok(value) => {
                // Of 128 random bits a bare hash tells nothing.
                let tag = hex::encode(&Sha256::digest(value.expose_secret())[..4]);
                tokens.push(Learned { id: format!("account {id} {tag}"), value, account: Some(id) });
            }
            Err(error) => tracing::error!(account = %id, %error, "a webhook secret is left out"),
        }
    }
    Ok(tokens)
}

/// Notes whom the account's access token acts as in the audit.
pub async fn set_own_uid(conn: &mut AsyncPgConnection, id: Uuid, uid: &str) -> QueryResult<()> {
    diesel::update(dsl::moysklad_accounts.find(id)).set(dsl::own_uid.eq(uid)).execute(conn).await?;
    Ok(())
}
