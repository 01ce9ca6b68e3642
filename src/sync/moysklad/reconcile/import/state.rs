//! What is remembered of an import between two runs, and whose it is: the row of `moysklad_sweeps` whose job is `import`.

use super::ImportError;
use crate::db::schema::moysklad_sweeps::dsl;
use crate::sync::moysklad::reconcile::listing::Place;
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

/// How far the reading of main is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// Names the events of this import, however often it is taken up.
    pub(super) run: Uuid,
    pub(super) started_at: DateTime<Utc>,
    /// Type that is read now, by its place among those to be read.
    pub(super) kind: usize,
    pub(super) place: Place,
    /// What the page before showed that the next one shows once more.
    #[serde(default)]
    pub(super) overlap: Vec<Uuid>,
    pub(super) found: u64,
}

/// An account's import, as the process has it that took it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub(super) account: Uuid,
    owner: Uuid,
}

impl Hold {
    /// Takes the account's import if no other process has it, where it stopped or from the beginning; `true`: it goes on.
    pub(super) async fn take(
        conn: &mut AsyncPgConnection,
        account: Uuid,
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
            let stopped = progress.and_then(|progress| serde_json::from_value(progress).ok());
            let resumed = stopped.is_some();
            let state = stopped.unwrap_or_else(|| State {
                run: Uuid::now_v7(),
                started_at: now,
                kind: 0,
                place: Place::beginning(),
                overlap: Vec::new(),
                found: 0,
            });
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
