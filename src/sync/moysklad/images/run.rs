//! The task of a child: looks at all that is noted, one entity after another, and says what became of each.

use super::copy::{Copied, Copy};
use super::pending::{self, Pending};
use super::plan::{Image, MOST, Plan};
use super::schedule;
use crate::queue::{Backoff, HandlerError, Outcome};
use crate::sync::moysklad::api::{AccountApi, ApiError, NOT_ALLOWED};
use crate::sync::moysklad::catalog::audit::{self, SyncLogEntry};
use crate::sync::moysklad::mappings::Key;
use crate::sync::moysklad::settings::{ChildSettings, EntityKind};
use crate::sync::moysklad::suspects::Standing;
use crate::sync::moysklad::work::{Pair, Work, broken};
use crate::sync::tasks::{self, Task};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Whoever finds all places taken asks again after this time.
const TAKEN: Duration = Duration::from_secs(5);
/// What is left after this time is another run's: a worker is not held for long.
const LONGEST: Duration = Duration::from_secs(60);
/// Failures that may pass, one after another, after which this run ends: it seems to be none of theirs.
const PATIENCE: usize = 3;
/// And goes on after this time.
const PAUSE: Duration = Duration::from_secs(30);
/// Failures and images left out that an outcome names.
const NAMED: usize = 3;

/// When work on one entity began, after how many reads and writes.
type Since = (Instant, (u32, u32));

/// How far a run came.
#[derive(PartialEq, Eq)]
enum Ended {
    /// As far as its time allowed.
    Done,
    /// One after another failed.
    Tired,
}

pub(super) struct Run<'a> {
    pub(super) cx: &'a Work,
    task: &'a Task,
    pub(super) pair: &'a Pair,
    pub(super) main: AccountApi,
    child: AccountApi,
    entries: Vec<SyncLogEntry>,
    /// What was done, and to how many.
    done: BTreeMap<&'static str, usize>,
    /// Images that were uploaded.
    uploaded: usize,
    left_out: Vec<String>,
    failed: Vec<String>,
    /// Failures that may pass.
    put_off: Vec<String>,
}

/// Runs the task of a child.
pub(in crate::sync::moysklad) async fn run(task: &Task, pair: &Pair, cx: &Work) -> Result<Outcome, ApiError> {
    // Contents are large, and this work is nobody's first: few of these tasks run at once.
    let Ok(_place) = cx.image_places.try_acquire() else {
        let reason = "images of other accounts are being copied".to_owned();
        return Err(HandlerError::Defer { after: TAKEN, reason }.into());
    };
    let settings = ChildSettings::read(&pair.child.account.settings).map_err(|error| {
        HandlerError::GiveUp(format!("the child's settings are unreadable ({error}): mend them, then retry"))
    })?;
    let (main, child) = (pair.main_id(), pair.child_id());
    let due = {
        let mut conn = cx.conn().await?;
        tasks::give_up_key(&mut conn, task.id).await.map_err(broken)?;
        if !settings.catalog.images {
            pending::forget(&mut conn, main, child).await.map_err(broken)?;
            return Ok(Outcome::ignored("the child's settings say that it takes no images"));
        }
        pending::due(&mut conn, main, child, task.id).await.map_err(broken)?
    };
    let mut run = Run {
        cx,
        task,
        pair,
        main: cx.api(&pair.main)?,
        child: cx.api(&pair.child)?,
        entries: Vec::new(),
        done: BTreeMap::new(),
        uploaded: 0,
        left_out: Vec::new(),
        failed: Vec::new(),
        put_off: Vec::new(),
    };
    let result = run.all(due).await;
    run.flush().await?;
    // What has failed for good is told first: this task must end with it.
    if result? == Ended::Tired && run.failed.is_empty() {
        let reason = run.put_off.last().cloned().unwrap_or_default();
        return Err(HandlerError::Defer { after: PAUSE, reason }.into());
    }
    let mut conn = cx.conn().await?;
    schedule(&mut conn, main, child, cx.settings.worker.max_attempts).await.map_err(broken)?;
    Ok(run.outcome()?)
}

impl Run<'_> {
    async fn all(&mut self, due: Vec<Pending>) -> Result<Ended, ApiError> {
        let started = Instant::now();
        let mut kinds: BTreeMap<EntityKind, Vec<Pending>> = BTreeMap::new();
        for pending in due {
            kinds.entry(pending.kind).or_default().push(pending);
        }
        let mut passing = 0;
        for (kind, some) in kinds {
            let standing = |pending: &Pending| self.standing(pending) == Standing::Free;
            let (together, mut apart): (Vec<_>, Vec<_>) = some.into_iter().partition(standing);
            apart.sort_by_key(|pending| self.standing(pending));
            let mut lists = match self.lists(kind, &together).await {
                Err(error @ ApiError::NotAllowed { .. }) => {
                    for pending in together.iter().chain(&apart) {
                        self.wait_for_right(pending, &error.to_string()).await?;
                    }
                    continue;
                }
                lists => lists?,
            };
            let mut refused: Option<String> = None;
            for pending in together.into_iter().chain(apart) {
                if started.elapsed() > LONGEST {
                    return Ok(Ended::Done);
                }
                if let Standing::Bad(why, _) = self.standing(&pending) {
                    self.put_off(&pending, &why, pending.failures).await?;
                    continue;
                }
                if let Some(why) = &refused {
                    self.wait_for_right(&pending, why).await?;
                    continue;
                }
                let before = self.put_off.len();
                let since = (Instant::now(), self.calls());
                let images = match lists.remove(&pending.main_id) {
                    Some(images) => Ok(images),
                    // It is a suspect.
                    None => self.list_alone(&pending).await,
                };
                let done = match images {
                    Ok(Some(images)) => self.one(&pending, &images, since).await,
                    // Its deletion is the catalogue's affair.
                    Ok(None) => self.end(&pending, "gone from main").await,
                    Err(error) => self.failed(&pending, error, &[], since).await,
                };
                match done {
                    // The others of its type would be refused, too.
                    Err(error @ ApiError::NotAllowed { .. }) => {
                        let why = error.to_string();
                        self.wait_for_right(&pending, &why).await?;
                        refused = Some(why);
                        continue;
                    }
                    done => done?,
                }
                passing = if self.put_off.len() > before { passing + 1 } else { 0 };
                if passing == PATIENCE {
                    return Ok(Ended::Tired);
                }
            }
        }
        Ok(Ended::Done)
    }

    /// An error is one that concerns all; what is wrong with this one is noted with it.
    async fn one(&mut self, pending: &Pending, images: &[Image], since: Since) -> Result<(), ApiError> {
        let key = self.key(pending);
        let plan = Plan::new(images, &pending.copied);
        let mut copy = Copy {
            cx: self.cx,
            main: &self.main,
            child: &self.child,
            key,
            child_id: pending.child_id,
            plan: if pending.is_doubtful { plan.clone().with_doubt() } else { plan.clone() },
            written: false,
        };
        let result = copy.run().await;
        let mut refusals = copy.plan.refusals();
        let told = plan.refusals() == refusals;
        if images.len() > MOST {
            refusals.push(format!("only the first {MOST} images"));
        }
        let entry = |operation: &str, error: Option<&str>, skipped: &[String]| {
            self.entry(pending, operation, error, skipped, since)
        };
        match result {
            Ok(Copied::InStep) => {
                if !told {
                    let entry = entry("images left out", None, &refusals);
                    self.entries.push(entry);
                    self.left_out.extend(refusals);
                }
                self.end(pending, "no change").await
            }
            Ok(Copied::Written(uploaded)) => {
                let entry = entry("images copied", None, &refusals);
                self.entries.push(entry);
                self.uploaded += uploaded;
                self.left_out.extend(refusals);
                self.end(pending, "copied").await
            }
            Ok(Copied::Held(until)) => {
                let text = format!("held by its loop breaker until {}", until.to_rfc3339());
                let entry = entry("held", Some(&text), &[]);
                self.entries.push(entry);
                *self.done.entry("held").or_default() += 1;
                let mut conn = self.cx.conn().await?;
                pending::postpone(&mut conn, key, pending.version, until, &text, pending.failures)
                    .await
                    .map_err(broken)
            }
            Err(ApiError::NotFound(_)) => self.end(pending, "gone from the child").await,
            Err(error) => self.failed(pending, error, &refusals, since).await,
        }
    }

    /// What may pass is tried again by itself, so many times; the rest waits for a person.
    async fn failed(
        &mut self,
        pending: &Pending,
        error: ApiError,
        refusals: &[String],
        since: Since,
    ) -> Result<(), ApiError> {
        match error {
            ApiError::Work(HandlerError::Retry(text)) | ApiError::Unanswered { text, .. }
                if pending.failures + 1 < self.cx.settings.worker.max_attempts =>
            {
                self.entries.push(self.entry(pending, "put off", Some(&text), refusals, since));
                self.put_off(pending, &text, pending.failures + 1).await
            }
            ApiError::Work(HandlerError::GiveUp(text) | HandlerError::Retry(text))
            | ApiError::NotFound(text)
            | ApiError::Unanswered { text, .. } => {
                self.entries.push(self.entry(pending, "failed", Some(&text), refusals, since));
                self.failed.push(format!("{} {}: {text}", pending.kind.keyword(), pending.main_id));
                *self.done.entry("failed").or_default() += 1;
                let mut conn = self.cx.conn().await?;
                pending::fail(&mut conn, self.key(pending), pending.version, &text, self.task.id)
                    .await
                    .map_err(broken)
            }
            error => Err(error),
        }
    }

    /// What a right or the tariff does not allow now is no failure of this one.
    async fn wait_for_right(&mut self, pending: &Pending, why: &str) -> Result<(), ApiError> {
        self.put_off.push(format!("{} {}: {why}", pending.kind.keyword(), pending.main_id));
        *self.done.entry("put off").or_default() += 1;
        let until = self.cx.clock.now() + NOT_ALLOWED;
        let mut conn = self.cx.conn().await?;
        pending::postpone(&mut conn, self.key(pending), pending.version, until, why, pending.failures)
            .await
            .map_err(broken)
    }

    /// This one is tried again later, and holds nobody meanwhile.
    async fn put_off(&mut self, pending: &Pending, why: &str, failures: i32) -> Result<(), ApiError> {
        self.put_off.push(format!("{} {}: {why}", pending.kind.keyword(), pending.main_id));
        *self.done.entry("put off").or_default() += 1;
        let worker = &self.cx.settings.worker;
        let backoff = Backoff { base: worker.backoff_base, max: worker.backoff_max };
        let until = self.cx.clock.now() + backoff.wait(failures);
        let mut conn = self.cx.conn().await?;
        pending::postpone(&mut conn, self.key(pending), pending.version, until, why, failures)
            .await
            .map_err(broken)
    }

    async fn end(&mut self, pending: &Pending, word: &'static str) -> Result<(), ApiError> {
        *self.done.entry(word).or_default() += 1;
        let mut conn = self.cx.conn().await?;
        pending::done(&mut conn, self.key(pending), pending.version).await.map_err(broken)
    }

    fn key(&self, pending: &Pending) -> Key {
        Key {
            main_account: self.pair.main_id(),
            child_account: self.pair.child_id(),
            entity_type: pending.kind.keyword(),
            main_id: pending.main_id,
        }
    }

    /// Reads and writes so far.
    fn calls(&self) -> (u32, u32) {
        let ((r1, w1), (r2, w2)) = (self.main.counts(), self.child.counts());
        (r1 + r2, w1 + w2)
    }

    fn entry(
        &self,
        pending: &Pending,
        operation: &str,
        error: Option<&str>,
        skipped: &[String],
        (began, before): Since,
    ) -> SyncLogEntry {
        let written = operation == "images copied";
        let now = self.calls();
        SyncLogEntry {
            id: Uuid::now_v7(),
            at: self.cx.clock.now(),
            main_account: self.pair.main_id(),
            child_account: self.pair.child_id(),
            entity_type: pending.kind.keyword().to_owned(),
            main_id: pending.main_id,
            child_id: Some(pending.child_id),
            task_id: Some(self.task.id),
            event_id: pending.event,
            operation: operation.to_owned(),
            strategy: if written { "images" } else { "skipped" }.to_owned(),
            received: None,
            applied: if written { json!(["images"]) } else { json!([]) },
            skipped: json!(skipped),
            error: error.map(str::to_owned),
            calls: f64::from(now.0 + now.1 - before.0 - before.1),
            duration_ms: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
        }
    }

    async fn flush(&mut self) -> Result<(), ApiError> {
        let entries = std::mem::take(&mut self.entries);
        audit::write(&mut *self.cx.conn().await?, &entries).await.map_err(broken)
    }

    fn outcome(&self) -> Result<Outcome, HandlerError> {
        let named = |all: &[String]| {
            let more = all.len().saturating_sub(NAMED);
            let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
            format!("{}{rest}", all.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; "))
        };
        if !self.failed.is_empty() {
            return Err(HandlerError::GiveUp(format!(
                "images of {} failed: {}",
                self.failed.len(),
                named(&self.failed)
            )));
        }
        let done: Vec<String> = self.done.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let mut text = match done.as_slice() {
            [] => return Ok(Outcome::completed("no images were waiting")),
            done => format!("images: {} ({} uploaded)", done.join(", "), self.uploaded),
        };
        if !self.put_off.is_empty() {
            text = format!("{text}; put off: {}", named(&self.put_off));
        }
        if !self.left_out.is_empty() {
            text = format!("{text}; skipped: {}", named(&self.left_out));
        }
        let (reads, writes) = self.calls();
        Ok(Outcome::completed(format!("{text}; {reads} GETs, {writes} writes")))
    }
}
