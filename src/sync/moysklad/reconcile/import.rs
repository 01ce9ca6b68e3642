//! The initial import: everything that main has, for one child or for all. Cut off, it goes on where it stopped.

use super::listing::{self, Place};
use super::schedule;
use crate::config::Settings;
use crate::crypto::MasterKey;
use crate::db::schema::moysklad_sweeps::dsl;
use crate::db::{Pool, PoolError};
use crate::inbox::{self, Emission, HOOKGATE};
use crate::sync::moysklad::accounts::{self, Account, AccountError, Credentials, Status};
use crate::sync::moysklad::catalog::{self, News};
use crate::sync::moysklad::hooks::{self, HookError};
use crate::sync::moysklad::settings::{ChildSettings, EntityKind};
use crate::sync::moysklad::work::Work;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// As in `moysklad_sweeps`.
const JOB: &str = "import";
/// A silent process keeps its import for this long.
const LEASE: TimeDelta = TimeDelta::seconds(60);

/// Why an import did not go through. It goes on where it stopped when it is started again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Another process has it.
    #[error("an import of this account is under way; wait for it, or a minute after it was cut off")]
    Running,
    /// The account cannot be imported.
    #[error("{0}")]
    Refused(String),
    /// MoySklad did not do it, or the database.
    #[error(transparent)]
    Hook(#[from] HookError),
}

impl From<diesel::result::Error> for ImportError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Hook(error.into())
    }
}

impl From<PoolError> for ImportError {
    fn from(error: PoolError) -> Self {
        Self::Hook(error.into())
    }
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Entities of main that were found.
    pub found: u64,
    /// As many as there are, as far as that is known.
    pub expected: u64,
    /// Changes that wait for their turn, one for each entity and child; and those whose images do.
    pub waiting: u64,
    /// Sync tasks of the children that are still to be done.
    pub tasks: u64,
    /// Entities that a child did not get, or tasks that failed since the import began.
    pub failed: u64,
}

/// What is remembered between two runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    run: Uuid,
    started_at: DateTime<Utc>,
    /// Type that is read now, by its place among those to be read.
    kind: usize,
    place: Place,
    found: u64,
}

/// An import that this process has.
pub struct Import {
    work: Work,
    account: Uuid,
    main: Credentials,
    /// Accounts that are written to.
    targets: Vec<Uuid>,
    kinds: Vec<EntityKind>,
    owner: Uuid,
    state: State,
    /// Pages overlap by rows of one time.
    seen: HashSet<Uuid>,
    /// Whether it goes on where an earlier one stopped.
    pub resumed: bool,
}

impl Import {
    /// Begins an import into this child, or into all children of this main account; goes on with one that was cut off.
    pub async fn begin(
        settings: &Settings,
        pool: Pool,
        master_key: Option<MasterKey>,
        account: Uuid,
    ) -> Result<Self, ImportError> {
        let refused = |text: &str| Err(ImportError::Refused(text.to_owned()));
        let work = Work::new(settings, pool, master_key);
        let mut conn = work.pool.get().await?;
        let Some(found) = accounts::find(&mut conn, account).await? else {
            return Err(HookError::Account(AccountError::Unknown).into());
        };
        let (main, children) = match found.parent_account_id {
            Some(main) => (main, vec![found.clone()]),
            None => (account, accounts::children(&mut conn, account).await?),
        };
        let children: Vec<Account> =
            children.into_iter().filter(|child| child.status == Status::Active).collect();
        if children.is_empty() {
            return refused("there is no active child to import into");
        }
        let Some(main) = accounts::credentials(&mut conn, main).await? else {
            return refused("its main account is gone");
        };
        if main.account.status != Status::Active {
            return refused("its main account is not active");
        }
        let mut kinds = BTreeSet::new();
        for child in &children {
            let settings = ChildSettings::read(&child.settings)
                .map_err(|error| HookError::Settings(child.account_id, error))?;
            kinds.extend(settings.catalog.entities);
        }
        let owner = Uuid::new_v4();
        let (state, resumed) = take(&mut conn, account, owner).await?;
        drop(conn);
        let targets = children.iter().map(|child| child.account_id).collect();
        let kinds = kinds.into_iter().collect();
        let import =
            Self { work, account, main, targets, kinds, owner, state, seen: HashSet::new(), resumed };
        import.tell("import.started", &import.state.run.to_string(), json!({})).await?;
        Ok(import)
    }

    /// Finds everything that main has and notes it for each child; `report` is called after each page.
    pub async fn find(&mut self, mut report: impl FnMut(Progress)) -> Result<(), ImportError> {
        let api = match self.work.api(&self.main) {
            Ok(api) => api,
            Err(error) => return Err(self.api_error(error).await),
        };
        while let Some(kind) = self.kinds.get(self.state.kind) {
            let page = match listing::page(&api, kind.keyword(), &self.state.place).await {
                Ok(page) => page,
                Err(error) => return Err(self.api_error(error).await),
            };
            let ids: Vec<Uuid> =
                page.entries.iter().map(|entry| entry.id).filter(|id| self.seen.insert(*id)).collect();
            let mut conn = self.work.pool.get().await?;
            let news = News {
                main: self.main.account.account_id,
                children: &self.targets,
                kind: *kind,
                main_ids: &ids,
                operation: "import",
                updated_fields: None,
                event: None,
                delay: Duration::ZERO,
            };
            catalog::enqueue(&mut conn, &news, self.work.settings.worker.max_attempts).await?;
            self.state.found += ids.len() as u64;
            if let Some(next) = page.next {
                self.state.place = next;
            } else {
                self.state.kind += 1;
                self.state.place = Place::beginning();
            }
            self.remember(&mut conn).await?;
            drop(conn);
            let expected = self.state.found.max(page.size);
            report(Progress { expected, ..self.progress().await? });
        }
        Ok(())
    }

    /// How far it is. Also tells other processes that this one is alive.
    pub async fn progress(&self) -> Result<Progress, ImportError> {
        let mut conn = self.work.pool.get().await?;
        schedule::extend(&mut conn, JOB, self.account, self.owner).await?;
        let counts: Counts = diesel::sql_query(
            "SELECT
                 (SELECT count(*) FROM moysklad_changes WHERE status = 'waiting' AND main_account = $1
                     AND child_account = ANY ($2))
                 + (SELECT count(*) FROM moysklad_images WHERE status = 'waiting' AND main_account = $1
                     AND child_account = ANY ($2)) AS waiting,
                 (SELECT count(*) FROM sync_queue WHERE status IN ('received', 'processing')
                     AND account_id = ANY ($2)) AS tasks,
                 (SELECT count(*) FROM moysklad_changes WHERE status IN ('blocked', 'failed') AND main_account = $1
                     AND child_account = ANY ($2)) AS unable,
                 (SELECT count(*) FROM sync_queue WHERE status = 'failed' AND account_id = ANY ($2)
                     AND processed_at >= $3) AS failed",
        )
        .bind::<SqlUuid, _>(self.main.account.account_id)
        .bind::<Array<SqlUuid>, _>(&self.targets)
        .bind::<Timestamptz, _>(self.state.started_at)
        .get_result(&mut conn)
        .await?;
        let whole = |count: i64| u64::try_from(count).unwrap_or_default();
        Ok(Progress {
            found: self.state.found,
            expected: self.state.found,
            waiting: whole(counts.waiting),
            tasks: whole(counts.tasks),
            // A task that failed may have left the changes that it failed with.
            failed: whole(counts.unable.max(counts.failed)),
        })
    }

    /// Ends it: everything was done, or what could be done was.
    pub async fn finish(self, progress: Progress) -> Result<(), ImportError> {
        let run = self.state.run.to_string();
        if progress.failed == 0 {
            self.tell("import.completed", &run, json!({"found": progress.found})).await?;
        } else {
            self.tell("import.failed", &run, json!({"found": progress.found, "failed": progress.failed}))
                .await?;
        }
        let none: Option<Value> = None;
        let none_owner: Option<Uuid> = None;
        let none_lease: Option<DateTime<Utc>> = None;
        diesel::update(self.row())
            .set((
                dsl::progress.eq(none),
                dsl::lease_owner.eq(none_owner),
                dsl::lease_until.eq(none_lease),
                dsl::finished_at.eq(diesel::dsl::now),
            ))
            .execute(&mut *self.work.pool.get().await?)
            .await?;
        Ok(())
    }

    /// Leaves it for later: the next run goes on from here.
    pub async fn interrupt(self, reason: &str) -> Result<(), ImportError> {
        // It may be interrupted more than once.
        let event = format!("{}/{}", self.state.run, Uuid::now_v7());
        self.tell("import.failed", &event, json!({"found": self.state.found, "reason": reason})).await?;
        let none_owner: Option<Uuid> = None;
        let none_lease: Option<DateTime<Utc>> = None;
        diesel::update(self.row())
            .set((
                dsl::lease_owner.eq(none_owner),
                dsl::lease_until.eq(none_lease),
                dsl::last_error.eq(reason),
            ))
            .execute(&mut *self.work.pool.get().await?)
            .await?;
        Ok(())
    }

    fn row(&self) -> diesel::dsl::Find<dsl::moysklad_sweeps, (Uuid, &'static str)> {
        dsl::moysklad_sweeps.find((self.account, JOB))
    }

    async fn remember(&self, conn: &mut AsyncPgConnection) -> QueryResult<()> {
        diesel::update(self.row())
            .set((
                dsl::progress.eq(serde_json::to_value(&self.state).ok()),
                dsl::lease_until.eq(Utc::now() + LEASE),
            ))
            .execute(conn)
            .await?;
        Ok(())
    }

    async fn tell(&self, event_type: &str, source: &str, more: Value) -> Result<(), ImportError> {
        let mut data = json!({"account_id": self.account, "main_account_id": self.main.account.account_id});
        for (name, value) in more.as_object().into_iter().flatten() {
            data[name] = value.clone();
        }
        let subject = self.account.to_string();
        let emission = Emission {
            event_type,
            subject: &subject,
            source_provider: HOOKGATE,
            source_event_id: source,
            once_for: None,
            occurred_at: None,
            data,
        };
        inbox::emit(&mut *self.work.pool.get().await?, &emission).await?;
        Ok(())
    }

    async fn api_error(&self, error: crate::sync::moysklad::api::ApiError) -> ImportError {
        HookError::Api(hooks::told(&self.work, &self.main, error).await).into()
    }
}

/// Takes the account's import, if no other process has it.
async fn take(
    conn: &mut AsyncPgConnection,
    account: Uuid,
    owner: Uuid,
) -> Result<(State, bool), ImportError> {
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
            found: 0,
        });
        let none: Option<String> = None;
        diesel::update(row)
            .set((
                dsl::lease_owner.eq(owner),
                dsl::lease_until.eq(now + LEASE),
                dsl::progress.eq(serde_json::to_value(&state).ok()),
                dsl::last_error.eq(none),
            ))
            .execute(conn)
            .await?;
        Ok((state, resumed))
    })
    .await
}

#[derive(QueryableByName)]
struct Counts {
    #[diesel(sql_type = BigInt)]
    waiting: i64,
    #[diesel(sql_type = BigInt)]
    tasks: i64,
    #[diesel(sql_type = BigInt)]
    unable: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
}
