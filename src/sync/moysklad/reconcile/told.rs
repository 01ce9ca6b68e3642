//! Which changes that a sweep finds webhooks have told of: the sync looks at them once more, subscribers hear of them once.

use super::found::SWEEP;
use super::listing::Entry;
use crate::db::schema::webhook_events::dsl;
use crate::sync::moysklad::hooks::Action;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::collections::HashMap;
use uuid::Uuid;

/// Webhooks tell whole seconds, and their time may be that of the request and not of the change.
const SLACK: TimeDelta = TimeDelta::seconds(2);

/// The last webhook about each entity, by what was done.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<(Uuid, Action), DateTime<Utc>>);

/// Type, subject, when it happened, when it came.
type Row = (String, Option<String>, Option<DateTime<Utc>>, DateTime<Utc>);

impl Told {
    /// Those that came since then about these entities.
    pub(super) async fn since(
        conn: &mut AsyncPgConnection,
        since: DateTime<Utc>,
        kind: &str,
        ids: &[Uuid],
    ) -> QueryResult<Self> {
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let actions = [Action::Create, Action::Update, Action::Delete];
        let types = actions.map(|action| format!("{kind}.{}", action.word()));
        let subjects: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        let rows: Vec<Row> = dsl::webhook_events
            // Ids begin with the time at which they were made: a range of the primary key.
            .filter(dsl::id.ge(first_id(since)).and(dsl::provider.eq("moysklad")))
            .filter(dsl::event_type.eq_any(&types).and(dsl::subject.eq_any(subjects)))
            .filter(dsl::event_id.not_like(format!("{SWEEP}:%")))
            .select((dsl::event_type, dsl::subject, dsl::occurred_at, dsl::received_at))
            .load(conn)
            .await?;
        let mut told = HashMap::new();
        for (event_type, subject, occurred_at, received_at) in rows {
            let action = actions.into_iter().zip(&types).find(|(_, name)| **name == event_type);
            let id = subject.and_then(|subject| subject.parse::<Uuid>().ok());
            let (Some((action, _)), Some(id)) = (action, id) else { continue };
            let at = occurred_at.unwrap_or(received_at);
            let last = told.entry((id, action)).or_insert(at);
            *last = at.max(*last);
        }
        Ok(Self(told))
    }

    /// Whether one told of this change; of goods it is not known whether they are new, so there any will do.
    pub(super) fn there(&self, entry: &Entry, action: Action) -> bool {
        let last = |action| self.0.get(&(entry.id, action)).copied();
        let at = match (action, entry.created) {
            (Action::Create, Some(_)) => return last(Action::Create).is_some(),
            _ => last(Action::Create).max(last(Action::Update)),
        };
        at.is_some_and(|at| at + SLACK >= entry.updated)
    }

    /// Whether one told that it is gone.
    pub(super) fn gone(&self, id: Uuid) -> bool {
        self.0.contains_key(&(id, Action::Delete))
    }
}

fn first_id(time: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(time.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn told(action: Action, seconds: i64) -> Told {
        Told([((Uuid::nil(), action), at(seconds))].into())
    }

    fn entry(updated: i64, created: Option<i64>) -> Entry {
        Entry { id: Uuid::nil(), updated: at(updated), created: created.map(at) }
    }

    #[test]
    fn an_id_that_is_made_later_is_greater() {
        let now = Utc::now();
        assert!(Uuid::now_v7() > first_id(now - TimeDelta::milliseconds(1)));
        assert!(Uuid::now_v7() < first_id(now + TimeDelta::seconds(10)));
    }

    #[test]
    fn a_later_change_is_news_and_the_one_that_was_told_is_not() {
        let told = told(Action::Update, 10);
        assert!(told.there(&entry(10, None), Action::Update));
        assert!(told.there(&entry(11, None), Action::Update), "a clock that is a little behind");
        assert!(!told.there(&entry(20, None), Action::Update));
        assert!(!told.gone(Uuid::nil()));
    }

    #[test]
    fn that_a_document_is_new_is_told_by_its_creation_alone() {
        assert!(!told(Action::Update, 10).there(&entry(10, Some(9)), Action::Create));
        assert!(told(Action::Create, 9).there(&entry(20, Some(9)), Action::Create));
        assert!(told(Action::Create, 9).there(&entry(9, None), Action::Create), "goods do not tell");
        assert!(told(Action::Delete, 1).gone(Uuid::nil()));
    }
}
