//! The initial import: everything that main has, for one child or for all. Cut off, it goes on where it stopped.

mod gone;
mod progress;
mod state;

pub use progress::Progress;

use self::progress::Counts;
use self::state::{Hold, Scope, State};
use super::listing::{self, Page, Place};
use crate::config::Settings;
use crate::crypto::MasterKey;
use crate::db::{Pool, PoolError};
use crate::inbox::{self, Emission, HOOKGATE};
use crate::nodes::Nodes;
use crate::sync::moysklad::accounts::{self, Account, AccountError, Credentials, Status};
use crate::sync::moysklad::api::ApiError;
use crate::sync::moysklad::catalog::{self, News};
use crate::sync::moysklad::hooks::{self, HookError};
use crate::sync::moysklad::settings::{ChildSettings, EntityKind};
use crate::sync::moysklad::work::Work;
use diesel::QueryResult;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// Why an import did not go through. It goes on where it stopped when it is started again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Another process has it.
    #[error("an import of this account is under way; wait for it, or a minute after it was cut off")]
    Running,
    /// It was this process's, and was silent for too long.
    #[error("another process has taken this import over")]
    TakenOver,
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

/// An import that this process has.
pub struct Import {
    work: Work,
    main: Credentials,
    hold: Hold,
    state: State,
    /// What was too odd to be acted on, in words for the operator.
    refused: Vec<String>,
    /// What changes meanwhile comes once more at the end of the list; it is counted once.
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
        nodes: Nodes,
        account: Uuid,
    ) -> Result<Self, ImportError> {
        let refused = |text: &str| Err(ImportError::Refused(text.to_owned()));
        let work = Work::new(settings, pool, master_key, nodes);
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
        let targets = children.iter().map(|child| child.account_id).collect();
        let scope = Scope { kinds: kinds.into_iter().collect(), targets };
        let (hold, state, resumed) = Hold::take(&mut conn, account, scope).await?;
        drop(conn);
        let seen = state.overlap.iter().copied().collect();
        let import = Self { work, main, hold, state, refused: Vec::new(), seen, resumed };
        let mut conn = import.work.pool.get().await?;
        // Who imports has seen to it that it can be done.
        catalog::try_refused(&mut conn, &import.state.scope.targets).await?;
        // What waits from before may have no task: the one that it had may have failed for good.
        catalog::rouse(&mut conn, import.main.account.account_id, import.max_attempts()).await?;
        import.tell(&mut conn, "import.started", &import.state.run.to_string(), json!({})).await?;
        drop(conn);
        Ok(import)
    }

    /// Finds everything that main has and notes it for each child; `report` is called after each page.
    pub async fn find(&mut self, mut report: impl FnMut(Progress)) -> Result<(), ImportError> {
        let api = match self.work.api(&self.main) {
            Ok(api) => api,
            Err(error) => return Err(self.api_error(error).await),
        };
        while let Some(kind) = self.state.scope.kinds.get(self.state.kind).copied() {
            let page = match listing::page(&api, kind.keyword(), &self.state.place).await {
                Ok(page) => page,
                Err(error) => return Err(self.api_error(error).await),
            };
            let known = page.entries.iter().filter(|entry| self.seen.contains(&entry.id)).count();
            let expected = self.state.found + (page.size - known) as u64;
            self.note(kind, page).await?;
            report(self.counts().await?.progress(self.state.found, expected, self.state.scope.targets.len()));
        }
        match self.find_gone(&api).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.api_error(error).await),
        }
    }

    /// What was too odd to be acted on, in words for the operator.
    pub fn refused(&self) -> &[String] {
        &self.refused
    }

    fn max_attempts(&self) -> i32 {
        self.work.settings.worker.max_attempts
    }

    /// Notes a page for each child, and that it was read: both or neither, so that what is cut off here is not read again
    /// and not left out.
    async fn note(&mut self, kind: EntityKind, page: Page) -> Result<(), ImportError> {
        let mut state = self.state.clone();
        let overlap: HashSet<Uuid> = state.overlap.drain(..).collect();
        let ids: Vec<Uuid> =
            page.entries.iter().map(|entry| entry.id).filter(|id| !overlap.contains(id)).collect();
        state.found += ids.iter().filter(|id| self.seen.insert(**id)).count() as u64;
        if let Some(next) = page.next {
            state.overlap = next.overlap(&page.entries);
            state.place = next;
        } else {
            state.kind += 1;
            state.place = Place::beginning();
        }
        let news = News {
            main: self.main.account.account_id,
            children: &self.state.scope.targets,
            kind,
            main_ids: &ids,
            operation: "import",
            updated_fields: None,
            event: None,
            delay: Duration::ZERO,
        };
        let hold = self.hold;
        let mut conn = self.work.pool.get().await?;
        conn.transaction(async |conn| {
            if !ids.is_empty() {
                catalog::note(conn, &news).await?;
            }
            hold.remember(conn, &state).await
        })
        .await?;
        // Cut off before, the next run of this import sees to it, as it begins.
        if !ids.is_empty() {
            catalog::assign(&mut conn, &news, self.max_attempts()).await?;
        }
        self.state = state;
        Ok(())
    }

    /// How far it is. Also tells other processes that this one is alive.
    pub async fn progress(&self) -> Result<Progress, ImportError> {
        let counts = self.counts().await?;
        Ok(counts.progress(self.state.found, self.state.found, self.state.scope.targets.len()))
    }

    async fn counts(&self) -> Result<Counts, ImportError> {
        let mut conn = self.work.pool.get().await?;
        self.hold.extend(&mut conn).await?;
        let main = self.main.account.account_id;
        Ok(Counts::read(&mut conn, main, &self.state.scope.targets, self.state.started_at).await?)
    }

    /// Ends it: everything was done, or what could be done was.
    pub async fn finish(self, progress: Progress) -> Result<(), ImportError> {
        let run = self.state.run.to_string();
        let mut conn = self.work.pool.get().await?;
        conn.transaction(async |conn| {
            self.hold.end(conn).await?;
            let found = progress.found;
            let (event, data) = if progress.failed + progress.held == 0 && self.refused.is_empty() {
                ("import.completed", json!({"found": found}))
            } else {
                let mut data = json!({"found": found, "failed": progress.failed, "held": progress.held});
                if !self.refused.is_empty() {
                    data["reason"] = self.refused.join("; ").into();
                }
                ("import.failed", data)
            };
            Ok(self.tell(conn, event, &run, data).await?)
        })
        .await
    }

    /// Leaves it for later: the next run goes on from here.
    pub async fn interrupt(self, reason: &str) -> Result<(), ImportError> {
        // It may be interrupted more than once.
        let event = format!("{}/{}", self.state.run, Uuid::now_v7());
        let mut conn = self.work.pool.get().await?;
        let ended = conn
            .transaction(async |conn| {
                self.hold.give_up(conn, reason).await?;
                let data = json!({"found": self.state.found, "reason": reason});
                Ok(self.tell(conn, "import.failed", &event, data).await?)
            })
            .await;
        match ended {
            // It is not at an end: another process goes on with it.
            Err(ImportError::TakenOver) => Ok(()),
            ended => ended,
        }
    }

    async fn tell(
        &self,
        conn: &mut AsyncPgConnection,
        event_type: &str,
        source: &str,
        more: Value,
    ) -> QueryResult<()> {
        let account = self.hold.account;
        let mut data = json!({"account_id": account, "main_account_id": self.main.account.account_id});
        for (name, value) in more.as_object().into_iter().flatten() {
            data[name] = value.clone();
        }
        let subject = account.to_string();
        let emission = Emission {
            event_type,
            subject: &subject,
            source_provider: HOOKGATE,
            source_event_id: source,
            once_for: None,
            occurred_at: None,
            data,
        };
        inbox::emit(conn, &emission).await.map(|_| ())
    }

    async fn api_error(&self, error: ApiError) -> ImportError {
        HookError::Api(hooks::told(&self.work, &self.main, error).await).into()
    }
}
