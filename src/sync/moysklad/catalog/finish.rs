//! How each change ended: noted, held or failed, and in the sync log.

use super::audit::{self, SyncLogEntry};
use super::changes::{self, Change};
use super::dependencies::Obstacle;
use super::drain::{Drain, Item};
use crate::queue::{Backoff, HandlerError};
use crate::sync::moysklad::api::ApiError;
use crate::sync::moysklad::images;
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// Held until the child wants what it is made of.
const UNWANTED: &str = "unwanted";
/// Held until another entity is there.
const BLOCKED: &str = "blocked";

impl Drain<'_> {
    /// The child has it; `fields` were written, if any were.
    pub(super) async fn done(
        &mut self,
        item: Item,
        child_id: Option<Uuid>,
        text: &str,
        fields: Option<Vec<String>>,
    ) -> Result<(), ApiError> {
        let Item { change, entity, projection, strategy, lacks, images, .. } = item;
        // New in the child, or newly known there, it has nothing of them; and what is new there and has none in main needs no
        // look: most of a catalogue.
        let is_new = text.starts_with("created");
        if (images || is_new || text.starts_with("linked")) && !(is_new && images::has_none(&entity)) {
            self.note_images(&change, &entity).await?;
        }
        let strategy_name = fields.as_ref().map_or("skipped", |fields| strategy.written(fields).as_str());
        let word = match (text, strategy_name) {
            ("updated", name @ ("prices" | "attributes")) => name,
            (text, _) => text,
        };
        self.report.count(&change, word, &projection.outcome(text));
        self.log(&change, child_id, text, strategy_name, fields.as_deref(), projection.skipped(), None);
        // Of one that was there it was noted before the write.
        if let Some(child_id) = child_id.filter(|_| text == "created") {
            self.note_created(change.kind, child_id);
        }
        match lacks {
            None => self.remove(&change).await,
            Some(obstacle) => {
                let status = self.wait_for(&obstacle);
                self.hold(&change, status, &obstacle.to_string(), None).await.map(drop)
            }
        }
    }

    /// Main's images of this one may differ from the child's: a task of its own looks at that later.
    async fn note_images(&self, change: &Change, entity: &Value) -> Result<(), ApiError> {
        if !self.settings.images || !images::has_images(change.kind) {
            return Ok(());
        }
        let mut conn = self.cx.conn().await?;
        let key = self.key(change.kind, change.main_id);
        images::note(&mut conn, key, images::has_none(entity), change.event).await.map_err(broken)
    }

    /// Sees to it that what was noted, now or in a run that was cut off, has its task.
    pub(super) async fn schedule_images(&self) -> Result<(), ApiError> {
        let (main, child) = (self.pair.main_id(), self.pair.child_id());
        let mut conn = self.cx.conn().await?;
        if !self.settings.images {
            return images::forget(&mut conn, main, child).await.map_err(broken);
        }
        images::schedule(&mut conn, main, child, self.cx.settings.worker.max_attempts).await.map_err(broken)
    }

    /// Nothing is to be written.
    pub(super) async fn skip(&mut self, change: Change, why: &str) -> Result<(), ApiError> {
        self.report.count(&change, why, why);
        self.log(&change, None, "skipped", "skipped", None, &[why.to_owned()], None);
        self.remove(&change).await
    }

    /// The child is not to have it, and so nothing that needs it.
    pub(super) async fn skip_unwanted(&mut self, change: Change, why: &str) -> Result<(), ApiError> {
        self.unwanted.insert((change.kind, change.main_id), why.to_owned());
        self.skip(change, why).await
    }

    /// It needs something that is not in the child. A variant of an unwanted product comes when the product does
    /// ([`Drain::call_variants`]); of a bundle with an unwanted part nothing else tells, so it is kept in mind.
    pub(super) async fn hold_back(&mut self, change: Change, obstacle: &Obstacle) -> Result<(), ApiError> {
        let why = self.why(change.kind, obstacle);
        match self.wait_for(obstacle) {
            UNWANTED if change.kind == EntityKind::Variant => self.skip_unwanted(change, &why).await,
            UNWANTED => {
                self.report.count(&change, &why, &why);
                self.log(&change, None, "skipped", "skipped", None, &[why], None);
                self.hold(&change, UNWANTED, &obstacle.to_string(), None).await.map(drop)
            }
            _ => self.block(change, &why).await,
        }
    }

    /// How what has this obstacle waits.
    fn wait_for(&self, obstacle: &Obstacle) -> &'static str {
        let is_unwanted = obstacle.awaited().is_some_and(|awaited| self.unwanted.contains_key(&awaited));
        if is_unwanted { UNWANTED } else { BLOCKED }
    }

    /// The obstacle as the operator reads it.
    pub(super) fn why(&self, kind: EntityKind, obstacle: &Obstacle) -> String {
        match obstacle.awaited().and_then(|awaited| self.unwanted.get(&awaited)) {
            Some(why) if kind == EntityKind::Variant => format!("its product: {why}"),
            Some(why) => format!("one of its parts: {why}"),
            None => obstacle.to_string(),
        }
    }

    /// It is not written now.
    pub(super) fn report_held(&mut self, change: &Change, why: &str) {
        self.report.count(change, "held", why);
        self.log(change, None, "held", "skipped", None, &[], Some(why));
    }

    /// Another entity must be in the child first.
    async fn block(&mut self, change: Change, why: &str) -> Result<(), ApiError> {
        self.report.count(&change, "waiting for others", why);
        self.log(&change, None, "blocked", "skipped", None, &[], Some(why));
        self.hold(&change, BLOCKED, why, None).await.map(drop)
    }

    /// It was refused. What may pass makes the task run again; the rest waits for a person.
    pub(super) async fn fail(&mut self, change: Change, error: ApiError) -> Result<(), ApiError> {
        let text = match error {
            ApiError::TokenRefused { .. } | ApiError::Work(HandlerError::Defer { .. }) => return Err(error),
            ApiError::NotAllowed { .. } if !self.is_refused_alone(&change) => return Err(error),
            ApiError::NotAllowed { .. } => {
                self.report.passing.push((change, error.to_string()));
                return Ok(());
            }
            ApiError::Work(HandlerError::Retry(text)) | ApiError::Unanswered { text, .. } => {
                self.report.passing.push((change, text));
                return Ok(());
            }
            ApiError::Work(HandlerError::GiveUp(text)) | ApiError::NotFound(text) => advised(text),
        };
        self.report.count(&change, "failed", &text);
        self.log(&change, None, "failed", "skipped", None, &[], Some(&text));
        // What needs it waits for it; that it fails is told once, with its own change.
        if self.hold(&change, "failed", &text, Some(self.task.id)).await? {
            self.report.failed.push(format!("{} {}: {text}", change.kind.keyword(), change.main_id));
        }
        Ok(())
    }

    /// What failed while others went through is tried again later by itself, ever more rarely: it must not keep the others
    /// waiting. Where all failed it is not theirs, and the whole run is tried again.
    pub(super) async fn settle_passing(&mut self) -> Result<(), ApiError> {
        let is_alone = self.report.total.is_empty();
        if is_alone && self.report.passing.iter().any(|(change, _)| change.version.is_some()) {
            return Ok(());
        }
        self.put_off_passing().await
    }

    /// Each of these is tried again by itself.
    pub(super) async fn put_off_passing(&mut self) -> Result<(), ApiError> {
        let passing = std::mem::take(&mut self.report.passing);
        for (change, text) in passing {
            self.put_off(&change, &text).await?;
        }
        Ok(())
    }

    /// It is tried again by itself after this time. That is no try: nobody has asked for it.
    pub(super) async fn rest(&mut self, change: &Change, why: &str, rest: Duration) -> Result<(), ApiError> {
        let Some(version) = change.version else { return self.put_off(change, why).await };
        // Not all children at once: one of them is enough to find out.
        let spread = self.cx.settings.worker.backoff_base * 3;
        let until = self.cx.clock.now() + rest + Backoff { base: spread, max: spread }.wait(1);
        let (place, mut conn) = (self.place(change), self.cx.conn().await?);
        changes::wait_until(&mut conn, place, version, until, why).await.map_err(broken)?;
        drop(conn);
        self.report_held(change, why);
        Ok(())
    }

    /// It is tried again by itself.
    pub(super) async fn put_off(&mut self, change: &Change, why: &str) -> Result<(), ApiError> {
        let worker = &self.cx.settings.worker;
        let backoff = Backoff { base: worker.backoff_base, max: worker.backoff_max };
        let at = self.cx.clock.now() + backoff.wait(change.tries.saturating_add(1));
        let (place, mut conn) = (self.place(change), self.cx.conn().await?);
        if let Some(version) = change.version {
            changes::try_again(&mut conn, place, version, at, why).await.map_err(broken)?;
        } else {
            changes::hold_new(&mut conn, place, "waiting", why, None, at).await.map_err(broken)?;
        }
        drop(conn);
        self.report_held(change, why);
        Ok(())
    }

    /// Main has deleted it, and the child has put it away.
    pub(super) async fn archived_in_child(&mut self, change: Change, child_id: Uuid) -> Result<(), ApiError> {
        self.report.count(&change, "archived", "archived: main has deleted it");
        let fields = ["archived".to_owned()];
        self.log(&change, Some(child_id), "archived", "base", Some(&fields), &[], None);
        self.remove(&change).await
    }

    async fn remove(&mut self, change: &Change) -> Result<(), ApiError> {
        if let Some(version) = change.version {
            return self.note_done(change.kind, change.main_id, version).await;
        }
        let mut conn = self.cx.conn().await?;
        changes::forget_failure(&mut conn, self.place(change)).await.map_err(broken)
    }

    fn place(&self, change: &Change) -> changes::Place {
        (self.pair.child_id(), self.pair.main_id(), change.kind.keyword(), change.main_id)
    }

    /// False: it is no change of this run, and has one that waits or is held already.
    async fn hold(
        &self,
        change: &Change,
        status: &str,
        why: &str,
        task: Option<Uuid>,
    ) -> Result<bool, ApiError> {
        let place = self.place(change);
        let mut conn = self.cx.conn().await?;
        if let Some(version) = change.version {
            changes::hold(&mut conn, place, version, status, why, task).await.map_err(broken)?;
            return Ok(true);
        }
        let now = self.cx.clock.now();
        changes::hold_new(&mut conn, place, status, why, task, now).await.map_err(broken)
    }

    #[allow(clippy::too_many_arguments, reason = "the columns of one row")]
    fn log(
        &mut self,
        change: &Change,
        child_id: Option<Uuid>,
        operation: &str,
        strategy: &str,
        applied: Option<&[String]>,
        skipped: &[String],
        error: Option<&str>,
    ) {
        self.report.entries.push(SyncLogEntry {
            id: Uuid::now_v7(),
            at: self.cx.clock.now(),
            main_account: self.pair.main_id(),
            child_account: self.pair.child_id(),
            entity_type: change.kind.keyword().to_owned(),
            main_id: change.main_id,
            child_id,
            task_id: Some(self.task.id),
            event_id: change.event,
            operation: operation.to_owned(),
            strategy: strategy.to_owned(),
            received: change.updated_fields.as_deref().map(Value::from),
            applied: json!(applied.unwrap_or_default()),
            skipped: json!(skipped),
            error: error.map(str::to_owned),
            calls: 0.0,
            duration_ms: i64::try_from(self.report.started.elapsed().as_millis()).unwrap_or(i64::MAX),
        });
    }

    /// Stores what is not noted yet, and the sync log of this run; its calls are shared evenly.
    pub(super) async fn flush(&mut self) -> Result<(), ApiError> {
        self.settle().await?;
        let mut entries = std::mem::take(&mut self.report.entries);
        if entries.is_empty() {
            return Ok(());
        }
        let (reads, writes) = self.calls();
        let share = f64::from(reads + writes) / f64::from(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        for entry in &mut entries {
            entry.calls = share;
        }
        let mut conn = self.cx.conn().await?;
        audit::write(&mut conn, &entries).await.map_err(broken)?;
        audit::forget_old(&mut conn).await.map_err(broken)?;
        Ok(())
    }
}

/// What to do about codes that a person can do something about.
fn advised(text: String) -> String {
    let advice = [
        (
            "(code 29001)",
            "the child uses this bundle in documents, so its components cannot change: make a new bundle in main, or \
             delete those documents in the child, then retry",
        ),
        (
            "(code 15000)",
            "another variant of this product in the child has these characteristics: delete it or change them there, \
             then retry",
        ),
        (
            "(code 3006)",
            "something else in the child has this code already: change one of the two, then retry",
        ),
    ];
    match advice.iter().find(|(code, _)| text.contains(code)) {
        Some((_, advice)) => format!("{text}: {advice}"),
        None => text,
    }
}
