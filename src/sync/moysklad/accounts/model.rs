//! What an account is, and what it may become.

use crate::db::schema::moysklad_accounts;
use crate::sync::moysklad::settings::{ChildSettings, MainSettings, SettingsError};
use chrono::{DateTime, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;
use std::str::FromStr;
use utoipa::ToSchema;
use uuid::Uuid;

/// Longest name of an account, in characters.
const MAX_NAME: usize = 255;

/// Why an account cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// A field is not acceptable. Never quotes the value: it may be a token.
    #[error("{field}: {problem}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// There is nothing to seal the token with.
    #[error(
        "HOOKGATE_MASTER_KEY is not set, so the token cannot be stored: make one with `openssl rand -base64 32`, \
         set it and restart"
    )]
    NoMasterKey,
    /// A stored secret was sealed with another key.
    #[error("{}", crate::crypto::CryptoError::CannotOpen)]
    WrongMasterKey,
    /// The settings of its sync are not acceptable; names the key at fault.
    #[error("settings: {0}")]
    Settings(#[from] SettingsError),
    /// The settings that it has until now are not acceptable for its new role; names the key at fault.
    #[error(
        "settings: {0}: the account keeps the settings that it had in its other role; replace them first (`hookgate \
         accounts settings ID --set '{{}}'`), or give new ones together with the role"
    )]
    KeptSettings(SettingsError),
    /// A main account that children still follow.
    #[error("other accounts follow this one: link them to another main account or remove them first")]
    HasChildren,
    /// No account has this id.
    #[error("there is no account with this id")]
    Unknown,
    /// The database did not do it.
    #[error("database: {}", crate::db::error_kind(.0))]
    Database(#[from] diesel::result::Error),
}

pub(super) fn invalid<T>(field: &'static str, problem: &'static str) -> Result<T, AccountError> {
    Err(AccountError::Invalid { field, problem })
}

/// Which way an account's catalogue flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Its catalogue is copied to its children.
    Main,
    /// It follows one main account.
    Child,
}

impl Role {
    /// As in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Child => "child",
        }
    }

    /// Refuses settings that an account of this role cannot have.
    pub(super) fn check(self, settings: &Value) -> Result<(), SettingsError> {
        match self {
            Self::Main => MainSettings::read(settings).map(drop),
            Self::Child => ChildSettings::read(settings).map(drop),
        }
    }
}

impl FromStr for Role {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        match text {
            "main" => Ok(Self::Main),
            "child" => Ok(Self::Child),
            _ => invalid("role", "must be `main` or `child`"),
        }
    }
}

/// Whether an account takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It takes part.
    Active,
    /// An operator has switched it off.
    Inactive,
    /// MoySklad refused its token; nothing is sent until a new one is set.
    Suspended,
}

impl Status {
    /// As in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
        }
    }
}

impl FromStr for Status {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        match text {
            "active" => Ok(Self::Active),
            "inactive" => Ok(Self::Inactive),
            "suspended" => Ok(Self::Suspended),
            _ => invalid("status", "must be `active`, `inactive` or `suspended`"),
        }
    }
}

impl ToSql<Text, Pg> for Role {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <str as ToSql<Text, Pg>>::to_sql(self.as_str(), out)
    }
}

impl FromSql<Text, Pg> for Role {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(<String as FromSql<Text, Pg>>::from_sql(value)?.parse()?)
    }
}

impl ToSql<Text, Pg> for Status {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <str as ToSql<Text, Pg>>::to_sql(self.as_str(), out)
    }
}

impl FromSql<Text, Pg> for Status {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(<String as FromSql<Text, Pg>>::from_sql(value)?.parse()?)
    }
}

/// One account, as the API shows it.
#[derive(Debug, Clone, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = moysklad_accounts, check_for_backend(Pg))]
pub struct Account {
    /// MoySklad's own id of the account: `accountId` of its events.
    pub account_id: Uuid,
    /// For people.
    pub name: String,
    /// `main` or `child`.
    pub role: Role,
    /// The main account that a child follows.
    pub parent_account_id: Option<Uuid>,
    /// `active`, `inactive` or `suspended`.
    pub status: Status,
    /// Settings of its sync.
    pub settings: Value,
    /// Whether a token is stored; the token itself is never shown.
    #[diesel(
        select_expression = moysklad_accounts::sealed_token.is_not_null(),
        select_expression_type = diesel::dsl::IsNotNull<moysklad_accounts::sealed_token>,
    )]
    pub has_token: bool,
    /// Whom its token acts as in MoySklad's audit, as far as that is known.
    pub own_uid: Option<String>,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What an account shall be.
#[derive(Debug, Clone)]
pub struct AccountChange {
    /// For people.
    pub name: String,
    /// Whether it leads or follows.
    pub role: Role,
    /// The main account that a child follows.
    pub parent_account_id: Option<Uuid>,
    /// `None` keeps what it is, but a new token ends a suspension.
    pub status: Option<Status>,
    /// `None` keeps what they are.
    pub settings: Option<Value>,
    /// `None` keeps the stored one.
    pub token: Option<SecretString>,
}

impl AccountChange {
    /// What the account is now, as a change that changes nothing.
    pub fn of(account: &Account) -> Self {
        Self {
            name: account.name.clone(),
            role: account.role,
            parent_account_id: account.parent_account_id,
            status: None,
            settings: None,
            token: None,
        }
    }

    /// Refuses what cannot be, as far as the account alone tells.
    pub(super) fn check(&self, id: Uuid) -> Result<(), AccountError> {
        if self.name.trim().is_empty() {
            return invalid("name", "must not be empty");
        }
        if self.name.chars().count() > MAX_NAME || self.name.contains('\0') {
            return invalid("name", "must be at most 255 characters, none of them NUL");
        }
        match (self.role, self.parent_account_id) {
            (Role::Main, Some(_)) => invalid("parent_account_id", "a main account follows no other"),
            (Role::Child, None) => {
                invalid("parent_account_id", "a child must name the main account it follows")
            }
            (Role::Child, Some(parent)) if parent == id => {
                invalid("parent_account_id", "an account cannot follow itself")
            }
            _ => Ok(()),
        }?;
        if let Some(settings) = &self.settings {
            if !settings.is_object() || holds_nul(settings) {
                return invalid("settings", "must be a JSON object without NUL characters");
            }
            self.role.check(settings)?;
        }
        // It goes into a header line.
        let readable = |token: &SecretString| {
            let token = token.expose_secret();
            !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if self.token.as_ref().is_some_and(|token| !readable(token)) {
            return invalid("access_token", "must be visible ASCII characters without spaces");
        }
        Ok(())
    }
}

/// jsonb refuses the NUL character.
fn holds_nul(value: &Value) -> bool {
    value.to_string().contains("\\u0000")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn child() -> AccountChange {
        AccountChange {
            name: "Kazan".to_owned(),
            role: Role::Child,
            parent_account_id: Some(Uuid::from_u128(1)),
            status: None,
            settings: Some(json!({})),
            token: Some("0123abcd".into()),
        }
    }

    fn field(change: &AccountChange) -> Option<&'static str> {
        match change.check(Uuid::from_u128(2)) {
            Err(AccountError::Invalid { field, .. }) => Some(field),
            _ => None,
        }
    }

    #[test]
    fn a_complete_child_is_accepted() {
        assert!(child().check(Uuid::from_u128(2)).is_ok());
    }

    #[test]
    fn the_refused_field_is_named() {
        assert_eq!(field(&AccountChange { name: "  ".to_owned(), ..child() }), Some("name"));
        assert_eq!(field(&AccountChange { name: "x".repeat(256), ..child() }), Some("name"));
        assert_eq!(field(&AccountChange { parent_account_id: None, ..child() }), Some("parent_account_id"));
        assert_eq!(field(&AccountChange { role: Role::Main, ..child() }), Some("parent_account_id"));
        let own = Some(Uuid::from_u128(2));
        assert_eq!(field(&AccountChange { parent_account_id: own, ..child() }), Some("parent_account_id"));
        assert_eq!(field(&AccountChange { settings: Some(json!([])), ..child() }), Some("settings"));
        assert_eq!(field(&AccountChange { settings: Some(json!({"a": "\0"})), ..child() }), Some("settings"));
        let misspelt = AccountChange { settings: Some(json!({"catalog": {"image": true}})), ..child() };
        let refusal = misspelt.check(Uuid::from_u128(2)).unwrap_err().to_string();
        assert!(refusal.starts_with("settings: catalog.image: "), "{refusal}");
        for token in ["", "two words", "line\r\nbreak", "ключ"] {
            assert_eq!(field(&AccountChange { token: Some(token.into()), ..child() }), Some("access_token"));
        }
    }

    #[test]
    fn a_refusal_never_quotes_the_token() {
        let change = AccountChange { token: Some("hunter2 hunter2".into()), ..child() };
        let error = change.check(Uuid::from_u128(2)).unwrap_err();
        assert!(!format!("{error} {error:?} {change:?}").contains("hunter2"));
    }
}
