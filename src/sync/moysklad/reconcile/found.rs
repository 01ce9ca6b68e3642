//! What a sweep found, as events: as if their webhooks had come.

use super::listing::Entry;
use crate::inbox::{NewEvent, Status};
use crate::sync::moysklad::hooks::Action;
use crate::sync::moysklad::orders;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

/// What ids of events that sweeps find begin with.
pub(super) const SWEEP: &str = "sweep";

/// The version of what is no longer there.
const GONE: &str = "gone";

/// How the events of one sweep are made.
pub(super) struct Search<'a> {
    /// Where it was found.
    pub(super) account: Uuid,
    /// `MOYSKLAD_BASE_URL`.
    pub(super) base: &'a str,
}

impl Search<'_> {
    /// Something is there that may have changed; `told`: a webhook has told of that change.
    pub(super) fn there(&self, kind: &str, action: Action, entry: &Entry, told: bool) -> NewEvent {
        let version = entry.updated.timestamp_millis().to_string();
        self.event(kind, action, entry.id, &version, Some(entry.updated), told)
    }

    /// Something is no longer there, and will never be there again.
    pub(super) fn gone(&self, kind: &str, id: Uuid, told: bool) -> NewEvent {
        self.event(kind, Action::Delete, id, GONE, None, told)
    }

    /// A document is no longer there, found by the sweep that began then: out of the bin, it may go there once more.
    pub(super) fn binned(&self, kind: &str, id: Uuid, told: bool, began: DateTime<Utc>) -> NewEvent {
        let version = format!("{GONE}-{}", began.timestamp_millis());
        self.event(kind, Action::Delete, id, &version, None, told)
    }

    /// The id of the event that tells that it is gone.
    pub(super) fn gone_id(&self, kind: &str, id: Uuid) -> String {
        self.event_id(kind, id, GONE)
    }

    fn event_id(&self, kind: &str, id: Uuid, version: &str) -> String {
        format!("{SWEEP}:{}/{kind}/{id}@{version}", self.account)
    }

    fn event(
        &self,
        kind: &str,
        action: Action,
        id: Uuid,
        version: &str,
        occurred_at: Option<DateTime<Utc>>,
        told: bool,
    ) -> NewEvent {
        let mut body = json!({
            "meta": {"type": kind, "href": format!("{}/entity/{kind}/{id}", self.base)},
            "action": action.word(),
            "accountId": self.account,
        });
        if told {
            body["told"] = true.into();
        }
        NewEvent {
            id: Uuid::now_v7(),
            provider: "moysklad".to_owned(),
            event_id: self.event_id(kind, id, version),
            event_type: format!("{kind}.{}", action.word()),
            subject: Some(id.to_string()),
            occurred_at,
            body: body.to_string().into(),
            envelope: None,
            headers: Value::Object(serde_json::Map::new()).to_string(),
            status: Status::Received,
            error: None,
            second_key: None,
            urgent: orders::are(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_change_found_again_is_the_same_event() {
        let search = Search { account: Uuid::from_u128(1), base: "https://h/1.2" };
        let entry = |millis| Entry {
            id: Uuid::from_u128(2),
            updated: DateTime::from_timestamp_millis(millis).unwrap(),
            created: None,
        };
        let first = search.there("product", Action::Update, &entry(1), false);
        assert_eq!(first.event_type, "product.UPDATE");
        assert_eq!(first.event_id, search.there("product", Action::Update, &entry(1), true).event_id);
        assert_ne!(first.event_id, search.there("product", Action::Update, &entry(2), false).event_id);
        assert_ne!(first.event_id, search.gone("product", entry(1).id, false).event_id);
        let body: Value = serde_json::from_slice(&first.body).unwrap();
        assert_eq!(body["accountId"], Uuid::from_u128(1).to_string());
        assert!(body.get("updatedFields").is_none());
    }
}
