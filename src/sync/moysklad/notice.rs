//! One element of a notification's `events`: that something happened in an account, not what. That is read anew.

use super::accounts::Account;
use crate::sync::Event;
use serde::Deserialize;
use uuid::Uuid;

/// What was done to an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Update,
    Delete,
}

impl Action {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "CREATE" => Some(Self::Create),
            "UPDATE" => Some(Self::Update),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// As in mappings of changes and tasks.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Something happened in an account that takes part.
#[derive(Debug)]
pub(super) struct Notice<'a> {
    /// The stored event.
    pub(super) event: &'a Event,
    /// Where it happened; active.
    pub(super) account: Account,
    /// `product`, …; `stock` for a stock hook.
    pub(super) entity_type: &'a str,
    /// What was done.
    pub(super) action: Action,
    /// To which entity; the account's id for a stock hook.
    pub(super) entity_id: Uuid,
    /// Fields that a person changed, attributes and price types by their human names; `None` if that was not told.
    pub(super) updated_fields: Option<Vec<String>>,
    /// Who did it (`login@account`), if that was told.
    pub(super) uid: Option<String>,
    /// Found by a sweep, and told of by a webhook before: nothing more is to be emitted of it.
    pub(super) told: bool,
    /// Tries of the tasks that come of it.
    pub(super) max_attempts: i32,
}

/// The parts of an event that matter here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body {
    pub(super) account_id: Uuid,
    #[serde(default)]
    pub(super) updated_fields: Option<Vec<String>>,
    /// Said by a sweep: a webhook has told of this change.
    #[serde(default)]
    pub(super) told: bool,
}

/// Who caused the notification, by its envelope.
pub(super) fn uid(envelope: Option<&str>) -> Option<String> {
    let envelope: serde_json::Value = serde_json::from_str(envelope?).ok()?;
    envelope["auditContext"]["uid"].as_str().map(str::to_owned)
}

/// The change that the notification tells of, by its envelope: the same however many webhooks tell of it.
pub(super) fn audit(envelope: Option<&str>) -> Option<Uuid> {
    let envelope: serde_json::Value = serde_json::from_str(envelope?).ok()?;
    envelope["auditContext"]["meta"]["href"].as_str()?.rsplit('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_is_read_from_the_envelope_where_there_is_one() {
        let envelope = r#"{"auditContext":{"uid":"online@2336623","moment":"2026-01-23 10:44:23"}}"#;
        assert_eq!(uid(Some(envelope)).as_deref(), Some("online@2336623"));
        assert_eq!(audit(Some(envelope)), None);
        let envelope =
            r#"{"auditContext":{"meta":{"href":"https://h/audit/00000000-0000-0000-0000-000000000007"}}}"#;
        assert_eq!(audit(Some(envelope)), Some(Uuid::from_u128(7)));
        for none in [None, Some("{}"), Some("no json"), Some(r#"{"auditContext":null}"#)] {
            assert_eq!(uid(none), None);
        }
    }
}
