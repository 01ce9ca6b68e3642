//! Brings a child all that has gathered for it, in the order of dependencies: a few reads, a few writes.
//!
//! Safe to run twice and to be cut off anywhere: it starts from what main says now; what is there already is not
//! written again; a create that was cut off is found by its `syncId`; a change is removed when the child has it.

use super::apart::together;
use super::changes::{self, Change};
use super::dependencies::Obstacle;
use super::report::Report;
use super::settle::Unsettled;
use super::strategy::Strategy;
use super::task;
use crate::queue::{HandlerError, Outcome};
use crate::sync::moysklad::api::{AccountApi, ApiError};
use crate::sync::moysklad::images;
use crate::sync::moysklad::mappings::Mapping;
use crate::sync::moysklad::metadata::FRESH;
use crate::sync::moysklad::product::Projection;
use crate::sync::moysklad::settings::{CatalogSettings, ChildSettings, EntityKind};
use crate::sync::moysklad::suspects::Standing;
use crate::sync::moysklad::work::{Pair, Work, broken};
use crate::sync::tasks::{self, Task};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Entities of one read or write: what `expand` allows, and as many ids as fit into a URL.
pub(super) const AT_ONCE: usize = 100;
/// Where something cannot cross over, metadata of this age may be the reason.
pub(super) const RECENT: Duration = Duration::from_secs(30);
/// Attempts of one task that read and write many at once, whatever becomes of it.
pub(super) const ARRAYS: i32 = 2;
/// Times that one entity is taken up in one run: in an array, alone, and with fresh metadata.
const ROUNDS: usize = 4;

/// One run for one child.
pub(super) struct Drain<'a> {
    pub(super) cx: &'a Work,
    pub(super) task: &'a Task,
    pub(super) pair: &'a Pair,
    pub(super) main: AccountApi,
    pub(super) child: AccountApi,
    pub(super) settings: CatalogSettings,
    pub(super) report: Report,
    pub(super) unsettled: Unsettled,
    /// The folder in which each folder of main stands; read when a filter needs it.
    pub(super) parents: Option<HashMap<Uuid, Option<Uuid>>>,
    /// Entities of main that the child is not to have, and why.
    pub(super) unwanted: HashMap<(EntityKind, Uuid), String>,
    /// Products whose variants have been told to follow.
    pub(super) called: HashSet<(Uuid, bool)>,
    /// Types of which the child took something.
    pub(super) allowed: HashSet<EntityKind>,
    /// Types of which no new ones may be made.
    pub(super) no_new: HashSet<EntityKind>,
    /// Until when what an earlier run was refused is not tried.
    pub(super) refused_until: HashMap<EntityKind, DateTime<Utc>>,
    /// Whether what was refused last was a new one.
    pub(super) refused_new: bool,
    /// What it took not, for want of a right.
    pub(super) refusals: usize,
}

/// One entity on its way.
pub(super) struct Item {
    pub(super) change: Change,
    /// Main's.
    pub(super) entity: Value,
    pub(super) projection: Projection,
    pub(super) strategy: Strategy,
    pub(super) mapping: Option<Mapping>,
    /// What was done so far, as the outcome says it: `linked`, …
    pub(super) so_far: Option<&'static str>,
    /// What keeps a part of it from a counterpart that is there already.
    pub(super) lacks: Option<Obstacle>,
    /// Whether what was told may be about main's images, too.
    pub(super) images: bool,
    /// Main's metadata or the counterpart has been looked at again already.
    pub(super) mended: bool,
}

/// Runs the task of a child.
pub(super) async fn run(task: &Task, pair: &Pair, cx: &Work) -> Result<Outcome, ApiError> {
    let settings = ChildSettings::read(&pair.child.account.settings).map_err(|error| {
        HandlerError::GiveUp(format!("the child's settings are unreadable ({error}): mend them, then retry"))
    })?;
    tasks::give_up_key(&mut *cx.conn().await?, task.id).await.map_err(broken)?;
    let mut drain = Drain {
        cx,
        task,
        pair,
        main: cx.api(&pair.main)?,
        child: cx.api(&pair.child)?,
        settings: settings.catalog,
        report: Report::new(Instant::now()),
        unsettled: Unsettled::default(),
        parents: None,
        unwanted: HashMap::new(),
        called: HashSet::new(),
        allowed: HashSet::new(),
        no_new: HashSet::new(),
        refused_until: HashMap::new(),
        refused_new: false,
        refusals: 0,
    };
    drain.recall_refusals().await?;
    let due = changes::due(&mut *cx.conn().await?, pair.main_id(), pair.child_id(), task.id).await;
    let result = match drain.all(due.map_err(broken)?).await {
        Ok(()) => drain.settle_passing().await,
        // Else the next run would meet the same ones first, and be cut off by them again.
        Err(error) => drain.put_off_passing().await.and(Err(error)),
    };
    let (main, child) = (pair.main_id(), pair.child_id());
    drain.flush().await?;
    drain.schedule_images().await?;
    result?;
    // What all have and what may pass ends here: this task runs again and takes up what is left.
    let outcome = match drain.report.outcome(drain.calls()) {
        Err(error @ (HandlerError::Retry(_) | HandlerError::Defer { .. })) => return Err(error.into()),
        outcome => outcome,
    };
    let mut conn = cx.conn().await?;
    changes::unblock(&mut conn, main, Some(child)).await.map_err(broken)?;
    if let Some(delay) = changes::next_due(&mut conn, main, child).await.map_err(broken)? {
        let next = task_for_the_rest(main, child, delay, cx);
        // Not this one, put off: what is told of meanwhile may be of a type that can be written, and would stand behind it.
        tasks::enqueue_gathering(&mut conn, std::slice::from_ref(&next)).await.map_err(broken)?;
        if let Some(why) = changes::waits_for_person(&mut conn, main, child).await.map_err(broken)? {
            tasks::explain(&mut conn, &next.dedupe_key, &why).await.map_err(broken)?;
        }
    }
    Ok(outcome?)
}

fn task_for_the_rest(main: Uuid, child: Uuid, delay: Duration, cx: &Work) -> tasks::NewTask {
    task(main, child, None, delay, cx.settings.worker.max_attempts)
}

impl Drain<'_> {
    async fn all(&mut self, due: Vec<Change>) -> Result<(), ApiError> {
        let (free, suspects) = self.apart(due);
        for kind in EntityKind::ALL {
            let of_kind: Vec<Change> = free.iter().filter(|change| change.kind == kind).cloned().collect();
            for some in together(of_kind) {
                if self.is_refused(kind) {
                    break;
                }
                self.bring(kind, some).await?;
            }
        }
        for one in suspects {
            match self.standing(one.kind, one.main_id) {
                Standing::Bad(why, rest) => self.rest(&one, &why, rest).await?,
                _ if self.is_refused(one.kind) => {}
                _ => self.bring(one.kind, vec![one]).await?,
            }
        }
        Ok(())
    }

    async fn bring(&mut self, kind: EntityKind, some: Vec<Change>) -> Result<(), ApiError> {
        self.refused_new = false;
        let done = match self.process(kind, some.clone()).await {
            Err(error) if self.may_be_of_one(&error, &some) => self.one_by_one(kind, &some, error).await,
            done => done,
        };
        match done {
            Err(error @ ApiError::NotAllowed { .. }) => self.refuse(kind, &error).await,
            done => done,
        }
    }

    /// Brings these to the child. An error is one that concerns all of them; what is wrong with one is noted with it.
    pub(super) async fn process(&mut self, kind: EntityKind, changes: Vec<Change>) -> Result<(), ApiError> {
        let ids: Vec<Uuid> = changes.iter().map(|change| change.main_id).collect();
        if kind == EntityKind::Productfolder {
            self.call_goods(&changes).await?;
        }
        if !self.settings.entities.contains(&kind) {
            for change in changes {
                self.skip_unwanted(change, "the child takes no entities of this type").await?;
            }
            return Ok(());
        }
        if kind == EntityKind::Productfolder && !self.settings.create_folders {
            for change in changes {
                self.skip_unwanted(change, "the child's folders are its own affair").await?;
            }
            return Ok(());
        }
        let mut mappings = self.mappings(kind, &ids).await?;
        let mut entities = self.read_or_suspect(kind, &ids).await?;
        if let ([one], true) = (changes.as_slice(), entities.is_empty())
            && !one.deleted
        {
            let alone = self.read_alone(kind, one.main_id).await?;
            entities.extend(alone.map(|entity| (one.main_id, entity)));
        }
        let unknown = ids.iter().copied().filter(|id| !mappings.contains_key(id)).collect();
        let made = self.made_unknown(kind, unknown).await?;
        mappings.extend(made);
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for change in changes {
            let mapping = mappings.remove(&change.main_id);
            match entities.remove(&change.main_id) {
                None => gone.push((change, mapping)),
                Some(entity) => there.push((change, entity, mapping)),
            }
        }
        let gone = self.certainly_gone(kind, gone, there.len()).await?;
        self.gone(kind, gone).await?;
        if !there.is_empty() {
            let items = self.items(kind, there).await?;
            self.rounds(kind, items).await?;
        }
        self.settle().await
    }

    /// What the child shall hold of each; those that wait for another entity are noted and left out.
    async fn items(
        &mut self,
        kind: EntityKind,
        there: Vec<(Change, Value, Option<Mapping>)>,
    ) -> Result<Vec<Item>, ApiError> {
        let entities: Vec<&Value> = there.iter().map(|(_, entity, _)| entity).collect();
        let written = |mapping: &Option<Mapping>| mapping.as_ref()?.written_fields.clone();
        let clears = there
            .iter()
            .any(|(_, _, mapping)| written(mapping).is_some_and(|written| had_attributes(&written)));
        let mut words = self.words(kind, &entities, clears, FRESH).await?;
        let links = self.links(kind, &entities).await?;
        let mut brought = HashMap::new();
        if kind == EntityKind::Productfolder {
            // Folders stand in folders: one of these may have been brought a moment ago for another of them.
            let unknown = there.iter().filter(|(_, _, mapping)| mapping.is_none());
            let ids: Vec<Uuid> = unknown.map(|(change, _, _)| change.main_id).collect();
            brought = self.mappings(kind, &ids).await?;
        }
        let incomplete = there.iter().any(|(_, entity, _)| {
            !words.projection(kind, entity, &self.settings, self.child.base()).is_complete()
        });
        if incomplete {
            words = self.words(kind, &entities, clears, RECENT).await?;
        }
        let mut items = Vec::new();
        for (change, entity, mapping) in there {
            let mapping = mapping.or_else(|| brought.remove(&change.main_id));
            let base = self.child.base();
            let written = written(&mapping);
            let mut projection =
                words.projection_after(kind, &entity, written.as_ref(), &self.settings, base);
            let linked = links.add(kind, &entity, &mut projection, &self.settings, base);
            let lacks = linked.err();
            if let Some(obstacle) = &lacks {
                if mapping.is_none() || kind == EntityKind::Variant {
                    self.hold_back(change, obstacle).await?;
                    continue;
                }
                // Prices and the like must not wait for a part or a folder.
                projection.skip(self.why(kind, obstacle));
            }
            let strategy = Strategy::of(change.updated_fields.as_deref(), words.main());
            // Where a create, a link or a write was cut off, nobody came as far as its images.
            let cut_off = mapping.as_ref().is_some_and(|mapping| mapping.written_hash.is_none());
            let images = cut_off || images::may_differ(change.updated_fields.as_deref(), words.main());
            let (so_far, mended) = (None, false);
            items.push(Item { change, entity, projection, strategy, mapping, so_far, lacks, images, mended });
        }
        Ok(items)
    }

    /// The same for one whose write failed, because something that it refers to may be gone.
    pub(super) async fn project_afresh(&mut self, item: &mut Item) -> Result<(), ApiError> {
        self.forget_dead(item.change.kind, &item.entity).await?;
        self.project_anew(item, Duration::ZERO).await
    }

    /// The same for one of which more is known now: what its counterpart was written before. With metadata of this age.
    pub(super) async fn project_anew(&mut self, item: &mut Item, age: Duration) -> Result<(), ApiError> {
        let kind = item.change.kind;
        let entities = [&item.entity];
        let written = item.mapping.as_ref().and_then(|mapping| mapping.written_fields.clone());
        let clears = written.as_ref().is_some_and(had_attributes);
        let words = self.words(kind, &entities, clears, age).await?;
        let links = self.links(kind, &entities).await?;
        let base = self.child.base();
        let mut projection =
            words.projection_after(kind, &item.entity, written.as_ref(), &self.settings, base);
        item.lacks = links.add(kind, &item.entity, &mut projection, &self.settings, self.child.base()).err();
        item.projection = projection;
        item.strategy = Strategy::Full;
        Ok(())
    }

    async fn rounds(&mut self, kind: EntityKind, mut items: Vec<Item>) -> Result<(), ApiError> {
        let mut makes = false;
        for round in 0..ROUNDS {
            if items.is_empty() {
                break;
            }
            let mut again = Vec::new();
            if round == 0 {
                let writes = self.decide(kind, items, &mut again).await?;
                let writes = self.let_pass(kind, writes).await?;
                makes |= self.note_creates(kind, &writes).await?;
                // What an array fails with may be the fault of one, which then shows.
                let alone = writes.len() == 1 || self.task.attempts > ARRAYS;
                let mut writes = writes.into_iter().peekable();
                while writes.peek().is_some() {
                    let some = writes.by_ref().take(AT_ONCE).collect();
                    if alone {
                        self.write_alone(some, &mut again).await?;
                    } else {
                        self.write_together(kind, some, &mut again).await?;
                    }
                }
            } else {
                // One after another: each may be the counterpart that the next finds.
                for item in items {
                    let writes = self.decide(kind, vec![item], &mut again).await?;
                    let writes = self.let_pass(kind, writes).await?;
                    makes |= self.note_creates(kind, &writes).await?;
                    self.write_alone(writes, &mut again).await?;
                }
            }
            items = again;
        }
        if makes {
            self.forget_creates(kind).await?;
        }
        for item in items {
            self.fail(
                item.change,
                HandlerError::Retry("the child's entity keeps vanishing".to_owned()).into(),
            )
            .await?;
        }
        Ok(())
    }
}

/// Whether attributes are among the fields that were written.
fn had_attributes(written: &Value) -> bool {
    written.as_object().is_some_and(|written| written.keys().any(|key| key.starts_with("attributes/")))
}
