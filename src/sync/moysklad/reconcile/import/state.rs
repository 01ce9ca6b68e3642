//! What is remembered of an import between two runs, and whose it is: the row of `moysklad_sweeps` whose job is `import`.

use super::ImportError;
use crate::db::schema::moysklad_sweeps::dsl;
use crate::sync::moysklad::reconcile::listing::Place;
use crate::sync::moysklad::settings::EntityKind;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// As in `moysklad_sweeps`.
const JOB: &str = "import";
/// A silent process keeps its import for this long.
const LEASE: TimeDelta = TimeDelta::seconds(60);

/// What was read longer ago is read again: a list goes on from the last change that it showed, and knows nothing of what
/// was deleted since.
const OLDEST: TimeDelta = TimeDelta::hours(24);

/// What is read, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scope {
    /// In the order in which they are read.
    pub(super) kinds: Vec<EntityKind>,
    /// Accounts that are written to.
    pub(super) targets: Vec<Uuid>,
}

/// How far the reading of main is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// Names the events of this import, however often it is taken up.
    pub(super) run: Uuid,
    pub(super) started_at: DateTime<Utc>,
    pub(super) scope: Scope,
    /// Type that is read now, by its place among those to be read.
    pub(super) kind: usize,
    pub(super) place: Place,
    /// What the page before showed that the next one shows once more.
    #[serde(default)]
    pub(super) overlap: Vec<Uuid>,
    pub(super) found: u64,
}

impl State {
    fn new(scope: Scope, now: DateTime<Utc>) -> Self {
        Self {
            run: Uuid::now_v7(),
            started_at: now,
            scope,
            kind: 0,
            place: Place::beginning(),
            overlap: Vec::new(),
            found: 0,
        }
    }

    /// Whether an import of this scope goes on here. One that has read everything does not: what is waited for may need
    /// another reading, and of what is equal nothing is written.
    fn goes_on(&self, scope: &Scope, now: DateTime<Utc>) -> bool {
        self.scope == *scope && self.kind < scope.kinds.len() && now - self.started_at < OLDEST
    }
}

/// An account's import, as the process has it that took it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub(super) account: Uuid,
    owner: Uuid,
}

impl Hold {
    /// Takes the account's import if no other process has it, where one of the same scope stopped or from the beginning;
    /// `true`: it goes on.
    pub(super) async fn take(
        conn: &mut AsyncPgConnection,
        account: Uuid,
        scope: Scope,
    ) -> Result<(Self, State, bool), ImportError> {
        let hold = Self { account, owner: Uuid::new_v4() };
        conn.transaction(async |conn| {
            diesel::insert_into(dsl::moysklad_sweeps)
                .values((dsl::account_id.eq(account), dsl::job.eq(JOB)))
                .on_conflict_do_nothing()
                .execute(conn)
                .await?;
            let row = dsl::moysklad_sweeps.find((account, JOB));
            let (lease, progress): (Option<DateTime<Utc>>, Option<Value>) =
                row.select((dsl::lease_until, dsl::progress)).for_update().first(conn).await?;
            let now = Utc::now();
            if lease.is_some_and(|lease| lease > now) {
                return Err(ImportError::Running);
            }
            let stopped: Option<State> = progress.and_then(|progress| serde_json::from_value(progress).ok());
            let stopped = stopped.filter(|state| state.goes_on(&scope, now));
            let resumed = stopped.is_some();
            let state = stopped.unwrap_or_else(|| State::new(scope, now));
            let none: Option<String> = None;
            diesel::update(row)
                .set((
                    dsl::lease_owner.eq(hold.owner),
                    dsl::lease_until.eq(now + LEASE),
                    dsl::progress.eq(serde_json::to_value(&state).ok()),
                    dsl::last_error.eq(none),
                ))
                .execute(conn)
                .await?;
            Ok((hold, state, resumed))
        })
        .await
    }

    /// Tells other processes that this one is alive.
    pub(super) async fn extend(self, conn: &mut AsyncPgConnection) -> Result<(), ImportError> {
        let row = diesel::update(dsl::moysklad_sweeps.find((self.account, JOB)));
        let mine = row.filter(dsl::lease_owner.eq(self.owner));
        still_mine(mine.set(dsl::lease_until.eq(Utc::now() + LEASE)).execute(conn).await?)
    }

    /// Notes how far it is.
    pub(super) async fn remember(
        self,
        conn: &mut AsyncPgConnection,
        state: &State,
    ) -> Result<(), ImportError> {
        let row = diesel::update(dsl::moysklad_sweeps.find((self.account, JOB)));
        let mine = row.filter(dsl::lease_owner.eq(self.owner));
        let noted =
            (dsl::progress.eq(serde_json::to_value(state).ok()), dsl::lease_until.eq(Utc::now() + LEASE));
        still_mine(mine.set(noted).execute(conn).await?)
    }

    /// There is nothing more to be done: the next import begins anew.
    pub(super) async fn end(self, conn: &mut AsyncPgConnection) -> Result<(), ImportError> {
        let none: Option<Value> = None;
        let (none_owner, none_lease): (Option<Uuid>, Option<DateTime<Utc>>) = (None, None);
        let row = diesel::update(dsl::moysklad_sweeps.find((self.account, JOB)));
        let mine = row.filter(dsl::lease_owner.eq(self.owner));
        let ended = (
            dsl::progress.eq(none),
            dsl::lease_owner.eq(none_owner),
            dsl::lease_until.eq(none_lease),
            dsl::finished_at.eq(diesel::dsl::now),
        );
        still_mine(mine.set(ended).execute(conn).await?)
    }

    /// Whoever takes it next goes on from here.
    pub(super) async fn give_up(self, conn: &mut AsyncPgConnection, reason: &str) -> Result<(), ImportError> {
        let (none_owner, none_lease): (Option<Uuid>, Option<DateTime<Utc>>) = (None, None);
        let row = diesel::update(dsl::moysklad_sweeps.find((self.account, JOB)));
        let mine = row.filter(dsl::lease_owner.eq(self.owner));
        let left =
            (dsl::lease_owner.eq(none_owner), dsl::lease_until.eq(none_lease), dsl::last_error.eq(reason));
        still_mine(mine.set(left).execute(conn).await?)
    }
}

/// A process that was silent for too long may find that its import is another's.
fn still_mine(rows: usize) -> Result<(), ImportError> {
    if rows > 0 { Ok(()) } else { Err(ImportError::TakenOver) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_goes_on_only_where_the_same_one_stopped_while_it_read() {
        let now = Utc::now();
        let scope = Scope {
            kinds: vec![EntityKind::Product, EntityKind::Variant],
            targets: vec![Uuid::from_u128(1), Uuid::from_u128(2)],
        };
        let mut state = State::new(scope.clone(), now);
        assert!(state.goes_on(&scope, now + TimeDelta::hours(23)));
        assert!(!state.goes_on(&scope, now + TimeDelta::hours(25)), "that is long ago");
        let other = Scope { kinds: vec![EntityKind::Product], ..scope.clone() };
        assert!(!state.goes_on(&other, now), "other types");
        let other = Scope { targets: vec![Uuid::from_u128(1)], ..scope.clone() };
        assert!(!state.goes_on(&other, now), "other children");
        state.kind = 2;
        assert!(!state.goes_on(&scope, now), "everything was read");
        let stored = serde_json::to_value(&state).unwrap();
        assert_eq!(serde_json::from_value::<State>(stored).unwrap().scope, scope);
    }
}
