//! One sweep of one account: what has changed since the last one, and what is gone.

use super::found::Search;
use super::listing::{self, Entry, IDS, Place};
use super::schedule::Turn;
use super::told::Told;
use crate::db::schema::moysklad_mappings::dsl;
use crate::inbox::{self, NewEvent};
use crate::queue::HandlerError;
use crate::sync::moysklad::accounts::{self, Credentials, Role, Status};
use crate::sync::moysklad::api::{AccountApi, ApiError};
use crate::sync::moysklad::catalog;
use crate::sync::moysklad::hooks::{self, Action, HookError};
use crate::sync::moysklad::mappings::ARCHIVED;
use crate::sync::moysklad::orders;
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::{Work, broken};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection as _};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Clocks differ, and a change may show in the list a little after its time.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// Documents that are older are compared once a day.
const NEW: TimeDelta = TimeDelta::days(3);
/// When more than this many, and more than half of all, are gone at once, it is more likely that a list is not shown to this
/// token any more: nothing is deleted then.
const MANY: usize = 20;

/// What a sweep brought to light.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Changes that were not known by this name.
    pub(super) changed: usize,
    /// Mapped entities that are gone.
    pub(super) gone: usize,
    /// What was too odd to be acted on, in words for the operator.
    pub(super) refused: Vec<String>,
}

/// Sweeps the account whose turn it is.
pub(super) async fn sweep(work: &Work, turn: &Turn) -> Result<Found, HookError> {
    let mut conn = work.pool.get().await?;
    let Some(credentials) = accounts::credentials(&mut conn, turn.account_id).await? else {
        return Ok(Found::default());
    };
    let needed = hooks::needed(&mut conn, &credentials.account).await?;
    drop(conn);
    let mut kinds: BTreeMap<&'static str, BTreeSet<Action>> = BTreeMap::new();
    for wanted in needed {
        kinds.entry(wanted.entity_type).or_default().insert(wanted.action);
    }
    let found = async {
        let sweep = Sweep { work, turn, api: work.api(&credentials)?, credentials: &credentials };
        let mut found = Found::default();
        for (kind, actions) in &kinds {
            if actions.contains(&Action::Update) || actions.contains(&Action::Create) {
                found.changed += sweep.changed(kind).await?;
            }
            if actions.contains(&Action::Delete) {
                match sweep.gone(kind).await {
                    Ok(gone) => found.gone += gone,
                    // Of one type it says nothing about the others.
                    Err(ApiError::Work(HandlerError::GiveUp(text))) => found.refused.push(text),
                    Err(error @ ApiError::NotAllowed { .. }) => found.refused.push(error.to_string()),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
    };
    if credentials.account.role == Role::Main {
        let attempts = work.settings.worker.max_attempts;
        catalog::rouse(&mut *work.pool.get().await?, turn.account_id, attempts).await?;
    }
    match found.await {
        Ok(found) => Ok(found),
        Err(error) => Err(HookError::Api(hooks::told(work, &credentials, error).await)),
    }
}

struct Sweep<'a> {
    work: &'a Work,
    turn: &'a Turn,
    api: AccountApi,
    credentials: &'a Credentials,
}

impl Sweep<'_> {
    /// Every change before this was seen by an earlier sweep.
    fn since(&self) -> DateTime<Utc> {
        self.turn.seen_until - OVERLAP
    }

    /// What webhooks told of these since then.
    async fn told(
        &self,
        conn: &mut AsyncPgConnection,
        kind: &str,
        entries: &[Entry],
    ) -> Result<Told, ApiError> {
        let ids: Vec<Uuid> = entries.iter().map(|entry| entry.id).collect();
        Told::since(conn, self.since(), kind, &ids).await.map_err(broken)
    }

    fn search(&self) -> Search<'_> {
        Search { account: self.turn.account_id, base: self.api.base() }
    }

    /// Brings in what has changed since the last sweep.
    async fn changed(&self, kind: &str) -> Result<usize, ApiError> {
        let mut place = Some(Place::since(self.since()));
        let mut found = 0;
        while let Some(here) = place {
            let page = listing::page(&self.api, kind, &here).await?;
            let mut conn = self.work.conn().await?;
            let new = self.not_mapped(&mut conn, kind, &page.entries).await.map_err(broken)?;
            let told = self.told(&mut conn, kind, &page.entries).await?;
            let search = self.search();
            let events: Vec<NewEvent> = page
                .entries
                .iter()
                .map(|entry| {
                    // What a filter leaves out on its way to a child is judged when it is created.
                    let is_new = match entry.created {
                        Some(created) => created >= self.since(),
                        None => new.contains(&entry.id),
                    };
                    let action = if is_new { Action::Create } else { Action::Update };
                    search.there(kind, action, entry, told.there(entry, action))
                })
                .collect();
            found += self.store(&mut conn, &events).await?;
            place = page.next;
        }
        Ok(found)
    }

    /// Those that not every active child has.
    async fn not_mapped(
        &self,
        conn: &mut AsyncPgConnection,
        kind: &str,
        entries: &[Entry],
    ) -> QueryResult<BTreeSet<Uuid>> {
        if self.credentials.account.role == Role::Child {
            return Ok(BTreeSet::new());
        }
        let main = self.turn.account_id;
        let children = accounts::children(conn, main).await?;
        let active: Vec<Uuid> = children
            .iter()
            .filter(|child| child.status == Status::Active)
            .map(|child| child.account_id)
            .collect();
        let mut ids: BTreeSet<Uuid> = entries.iter().map(|entry| entry.id).collect();
        let mapped: Vec<(Uuid, i64)> = dsl::moysklad_mappings
            .filter(dsl::main_account.eq(main).and(dsl::entity_type.eq(kind)))
            .filter(dsl::child_account.eq_any(&active).and(dsl::main_id.eq_any(&ids)))
            .group_by(dsl::main_id)
            .select((dsl::main_id, diesel::dsl::count_star()))
            .load(conn)
            .await?;
        for (id, children) in mapped {
            if usize::try_from(children).is_ok_and(|children| children >= active.len()) {
                ids.remove(&id);
            }
        }
        Ok(ids)
    }

    /// Brings in what is mapped and no longer there.
    async fn gone(&self, kind: &str) -> Result<usize, ApiError> {
        let is_document = EntityKind::parse(kind).is_none();
        if is_document
            && !self.turn.compares_all
            && let Some(gone) = self.gone_of(kind, true).await?
        {
            return Ok(gone);
        }
        Ok(self.gone_of(kind, false).await?.unwrap_or_default())
    }

    /// The same of those that are new, or of all. `None`: so many of the new ones are not shown that only all of them together
    /// tell what that means.
    async fn gone_of(&self, kind: &str, only_new: bool) -> Result<Option<usize>, ApiError> {
        let mapped = self.mapped(&mut *self.work.conn().await?, kind, only_new).await.map_err(broken)?;
        if mapped.is_empty() {
            return Ok(Some(0));
        }
        let mut missing = mapped.clone();
        // Documents only grow in number: there may be a thousand times more in the list than there are new ones.
        let mut place = (!only_new).then(Place::beginning);
        while let Some(here) = place {
            let page = listing::page(&self.api, kind, &here).await?;
            for entry in &page.entries {
                missing.remove(&entry.id);
            }
            place = page.next;
        }
        // A list that others change meanwhile may skip a row: each is asked for by its id.
        let doubtful: Vec<Uuid> = missing.iter().copied().collect();
        for ids in doubtful.chunks(IDS) {
            for entry in listing::among(&self.api, kind, ids).await? {
                missing.remove(&entry.id);
            }
        }
        let search = self.search();
        let mut conn = self.work.conn().await?;
        let ids: Vec<Uuid> = missing.iter().copied().collect();
        let told = Told::since(&mut conn, self.since(), kind, &ids).await.map_err(broken)?;
        let main = self.credentials.account.parent_account_id.filter(|_| orders::are(kind));
        let known = match main {
            Some(main) => orders::at_work(&mut conn, main, kind, &ids).await,
            None => known(&mut conn, &search, kind, &ids).await,
        };
        let known = known.map_err(broken)?;
        let mut ids: Vec<Uuid> = ids.into_iter().filter(|id| !known.contains(id)).collect();
        if main.is_some() && !ids.is_empty() {
            // A task that has ended meanwhile may have been about just this.
            let still = self.mapped(&mut conn, kind, only_new).await.map_err(broken)?;
            ids.retain(|id| still.contains(id));
        }
        // Those of which a webhook told are gone for certain.
        let doubtful = ids.iter().filter(|id| !told.gone(**id)).count();
        let there = mapped.len() - known.len();
        if only_new && doubtful * 2 > there {
            return Ok(None);
        }
        if is_odd(doubtful, there) {
            let text = match self.credentials.account.role {
                Role::Main => gone_from_main(doubtful, there, kind),
                Role::Child => format!(
                    "{doubtful} of {there} mapped {kind}s are not shown any more: nothing is made anew; check what the token \
                     may see; those that really are gone come back when they next change in main"
                ),
            };
            tracing::warn!(alert = "sweep", account = %self.turn.account_id, "{text}");
            return Err(HandlerError::GiveUp(text).into());
        }
        let gone = |id: &Uuid| match main {
            Some(_) => search.binned(kind, *id, told.gone(*id), self.turn.began),
            None => search.gone(kind, *id, told.gone(*id)),
        };
        let events: Vec<NewEvent> = ids.iter().map(gone).collect();
        self.store(&mut conn, &events).await.map(Some)
    }

    /// Ids of this account that have a counterpart, or that got one lately.
    async fn mapped(
        &self,
        conn: &mut AsyncPgConnection,
        kind: &str,
        only_new: bool,
    ) -> QueryResult<BTreeSet<Uuid>> {
        let after = if only_new { Utc::now() - NEW } else { DateTime::UNIX_EPOCH };
        let of_kind = dsl::moysklad_mappings.filter(dsl::entity_type.eq(kind).and(dsl::created_at.ge(after)));
        let ids: Vec<Uuid> = match self.credentials.account.role {
            Role::Main => {
                // What is archived because main deleted it is known to be gone, and would look like a loss again and again.
                let gone = dsl::written_hash.is_distinct_from(ARCHIVED);
                of_kind
                    .filter(dsl::main_account.eq(self.turn.account_id).and(gone))
                    .select(dsl::main_id)
                    .load(conn)
                    .await?
            }
            Role::Child => {
                // Not those of a main account that it followed before, nor documents that main's orders say are gone: these
                // come out of the bin by a change, and may go there again.
                let main = self.credentials.account.parent_account_id.unwrap_or_default();
                let gone = dsl::written_hash.is_distinct_from(orders::GONE);
                of_kind
                    .filter(
                        dsl::child_account.eq(self.turn.account_id).and(dsl::main_account.eq(main)).and(gone),
                    )
                    .select(dsl::child_id)
                    .load(conn)
                    .await?
            }
        };
        Ok(ids.into_iter().collect())
    }

    async fn store(&self, conn: &mut AsyncPgConnection, events: &[NewEvent]) -> Result<usize, ApiError> {
        store(conn, events, self.work.settings.worker.max_attempts).await.map_err(broken)
    }
}

/// Those of these that an earlier sweep has told to be gone: what becomes of that may take a while, and goods never come
/// back under their id.
async fn known(
    conn: &mut AsyncPgConnection,
    search: &Search<'_>,
    kind: &str,
    ids: &[Uuid],
) -> QueryResult<BTreeSet<Uuid>> {
    use crate::db::schema::webhook_events::dsl;
    let event_ids: Vec<String> = ids.iter().map(|id| search.gone_id(kind, *id)).collect();
    let subjects: Vec<Option<String>> = dsl::webhook_events
        .filter(dsl::provider.eq("moysklad").and(dsl::event_id.eq_any(event_ids)))
        .select(dsl::subject)
        .load(conn)
        .await?;
    Ok(subjects.into_iter().filter_map(|subject| subject?.parse().ok()).collect())
}

/// Whether so many of so many mapped entities that are not shown any more mean something else than that they are gone.
pub(super) fn is_odd(missing: usize, mapped: usize) -> bool {
    missing > MANY && missing * 2 > mapped
}

/// What the operator is told of that.
pub(super) fn gone_from_main(missing: usize, mapped: usize, kind: &str) -> String {
    format!(
        "{missing} of {mapped} mapped {kind}s are not shown any more: nothing is deleted; if they really are gone, delete \
         their counterparts by hand, else check what the token may see"
    )
}

/// Stores events and wakes who handles them; gives how many are new.
async fn store(conn: &mut AsyncPgConnection, events: &[NewEvent], max_attempts: i32) -> QueryResult<usize> {
    if events.is_empty() {
        return Ok(0);
    }
    let new = conn.transaction(async |conn| inbox::bring_in(conn, events, max_attempts).await).await?;
    if new > 0 {
        conn.batch_execute("SELECT pg_notify('hookgate', 'webhook_events')").await?;
    }
    Ok(new)
}
