//! Makes main's copy of a child's document as the document is.
//!
//! Safe to run twice and to be cut off anywhere: it starts from what the child says now and what main has now; a create
//! that was cut off is found by its `syncId` or external code, lines that were added without an answer by what they are.

use super::super::api::{AccountApi, ApiError, id_of_entity};
use super::super::loops;
use super::super::settings::{DocumentKind, OrderSettings};
use super::super::work::{Work, broken};
use super::amounts::{self, Vat};
use super::diff;
use super::header::{self, Header, Parties};
use super::lines::{self, Missing, Wanted};
use super::log::{Entry, Log};
use super::read::{self, Document, PAGE};
use super::step::Step;
use super::store::{self, Link, OTHERWISE, Source};
use super::write::{self, Lines};
use super::{ORDER, goods, held, party, refusals, sums, sync_id};
use crate::queue::{HandlerError, Outcome};
use crate::sync::tasks::Task;
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use uuid::Uuid;

const CREATE: &str = "POST /entity/customerorder";
pub(super) const UPDATE: &str = "PUT /entity/customerorder/{id}";

/// One document of a child on its way to main.
pub(super) struct Transfer<'a> {
    pub(super) main: AccountApi,
    pub(super) child: AccountApi,
    pub(super) source: Source,
    pub(super) kind: DocumentKind,
    pub(super) organization: Uuid,
    pub(super) settings: &'a OrderSettings,
    pub(super) cx: &'a Work,
}

/// What main's order shall be.
struct Target {
    header: Header,
    lines: Vec<Wanted>,
    agent: Uuid,
    step: Step,
    /// What MoySklad adds the child's document up to.
    sum: Option<Decimal>,
}

impl Transfer<'_> {
    /// Reads the document and brings it to main.
    pub(super) async fn run(&self, task: &Task) -> Result<Outcome, ApiError> {
        let apis = [&self.main, &self.child];
        let log = Log { cx: self.cx, task, source: self.source, apis, started: Instant::now() };
        if let Some(ended) = held::still(self.cx, task, self.source).await? {
            return Ok(ended);
        }
        let link = store::link(&mut *self.cx.conn().await?, self.source).await.map_err(broken)?;
        if let Some(since) = link.as_ref().and_then(|link| link.adding_since) {
            write::may_land(since, self.cx.clock.now())?;
        }
        let document = read::document(&self.child, self.source.kind, self.source.document).await?;
        let is_to_be = document.as_ref().is_some_and(|document| {
            document.fields["applicable"].as_bool().unwrap_or(true) || !self.settings.only_applicable
        });
        let link = match link {
            None if !is_to_be => self.made_unknown().await?,
            link => link,
        };
        let Some(document) = document else {
            return self.gone(link, &log).await.map(Outcome::completed);
        };
        if link.is_none() && !is_to_be {
            return Ok(Outcome::completed("not applicable, and unknown to main: not created"));
        }
        let words = goods::words(self.cx, self.source, &self.main, &self.child, &document.lines).await?;
        let reserves = self.kind == DocumentKind::Customerorder;
        let lines = match lines::translate(&document.lines, &words, self.main.base(), reserves) {
            Ok(lines) => lines,
            Err(missing) => {
                tracing::warn!(
                    task = %task.id, account = %self.source.child_account, lines = missing.lines,
                    "an order waits for counterparts of what it sells"
                );
                return held::hold(self.cx, task, &missing).await;
            }
        };
        let fingerprint = header::fingerprint(self.kind, &document.fields, &lines, self.settings);
        if link.as_ref().and_then(|link| link.written.as_ref()) == Some(&fingerprint) {
            return Ok(Outcome::completed("no change"));
        }
        let copy = self.copy(link).await?;
        if copy.is_none() && !is_to_be {
            return Ok(Outcome::completed("not applicable, and gone from main: not created again"));
        }
        let target = self.target(&document, lines, copy.as_ref()).await?;
        let done = match self.bring(copy, &target).await {
            // What it refers to is gone in main: the next run asks anew.
            Err(ApiError::NotFound(text)) => {
                party::forget(self.cx, self.source, target.agent).await?;
                self.cx.metadata.younger_than(Duration::ZERO, &self.main).await?;
                if let Some(wrong) = self.wrong_settings().await? {
                    return Err(wrong.into());
                }
                let gone = goods::gone(self.cx, self.source, &self.main, &words.items).await?;
                if gone.is_empty() {
                    return Err(HandlerError::Retry(text).into());
                }
                let sells = |line: &&Value| lines::item(line).is_some_and(|(item, _)| gone.contains(&item));
                let (lines, of) = (document.lines.iter().filter(sells).count(), document.lines.len());
                let missing = Missing { lines, of, items: gone, packs: BTreeSet::new() };
                return held::hold(self.cx, task, &missing).await;
            }
            Err(error) => return Err(refusals::advised(&self.main, ORDER, error).await?),
            Ok(done) => done,
        };
        let stateless = target.step.is_stateless;
        let skipped = if stateless { &["state: main has no such one".to_owned()][..] } else { &[] };
        if !done.applied.is_empty() {
            let entry = Entry {
                order: done.order,
                operation: &done.summary,
                is_new: done.is_new,
                applied: &done.applied,
                skipped,
                error: done.sums.as_ref().err().map(ToString::to_string),
            };
            log.write(entry).await?;
        }
        let written = if done.sums.is_ok() { fingerprint.as_slice() } else { OTHERWISE };
        self.note(done.order, Some(written), &target.header.said()).await?;
        done.sums?;
        let skipped = if stateless { "; skipped: main has no such state" } else { "" };
        Ok(Outcome::completed(format!("{}{skipped}", done.summary)))
    }

    async fn target(
        &self,
        document: &Document,
        lines: Vec<Wanted>,
        copy: Option<&(Link, Document)>,
    ) -> Result<Target, ApiError> {
        let fields = &document.fields;
        let policy = self.settings.counterparty;
        let agent = party::find(self.cx, self.source, policy, &self.main, &self.child, fields).await?;
        let (currency, is_own_currency) = self.currency(fields).await?;
        let step = Step::read(self, fields, copy.map(|(_, order)| &order.fields)).await?;
        let parties = Parties {
            organization: self.organization,
            agent: ("counterparty", agent),
            currency,
            is_own_currency,
            state: step.target(),
        };
        let mut header = Header::of(self.kind, fields, self.settings, &parties, self.main.base());
        // What a new order has is ours, though the reply that told of its creation was lost.
        header.empty(&copy.map_or_else(header::all_optional, |(link, _)| link.said.clone()));
        let sum = match fields.get("sum") {
            Some(sum) => amounts::decimal(sum),
            None => amounts::total(&document.lines, Vat::of(fields)),
        };
        Ok(Target { header, lines, agent, step, sum })
    }

    async fn bring(&self, copy: Option<(Link, Document)>, target: &Target) -> Result<Done, ApiError> {
        if let Some((link, order)) = copy {
            return self.update(&link, order, target, "updated").await;
        }
        let mut body = target.header.create(sync_id(self.source.child_account, self.source.document));
        let first: Vec<Value> = target.lines.iter().take(PAGE).map(Wanted::create).collect();
        body.insert("positions".to_owned(), first.into());
        let created = self.main.create(CREATE, "/entity/customerorder", &body.clone().into()).await?;
        let order = id_of_entity(&created)?;
        // Not before the write, as elsewhere: until now it had no id.
        loops::wrote(&mut *self.cx.conn().await?, self.source.main_account, ORDER, &[order]).await?;
        let said = target.header.said();
        self.link(order, &said).await?;
        let Some(present) = read::document(&self.main, ORDER, order).await? else {
            let text = "main's order is in the bin: restore it there, or empty the bin, then retry";
            return Err(HandlerError::GiveUp(text.to_owned()).into());
        };
        let link = Link { order, written: None, said, adding_since: None };
        let mut done = self.update(&link, present, target, "created").await?;
        let mut applied: BTreeSet<String> = body.into_iter().map(|(name, _)| name).collect();
        applied.extend(done.applied);
        done.applied = applied.into_iter().collect();
        done.is_new = true;
        Ok(done)
    }

    /// Makes main's order so.
    async fn update(
        &self,
        link: &Link,
        order: Document,
        target: &Target,
        did: &'static str,
    ) -> Result<Done, ApiError> {
        // An earlier write may have been cut off.
        let (id, unfinished) = (link.order, link.written.is_none());
        let known = store::positions(&mut *self.cx.conn().await?, self.source).await.map_err(broken)?;
        let plan = diff::plan(&target.lines, &order.lines, &known, unfinished);
        let header = target.header.update(&order.fields);
        let path = read::path(ORDER, id);
        let mut present = order.fields;
        let quiet = header.is_none() && plan.is_done();
        if !quiet {
            // Should this run be cut off, the next one must not believe the old fingerprint.
            loops::before_write(&mut *self.cx.conn().await?, self.source.main_account, ORDER, id).await?;
            self.note(id, None, &(&link.said | &target.header.said())).await?;
        }
        let mut applied: Vec<String> =
            header.iter().filter_map(Value::as_object).flatten().map(|(name, _)| name.clone()).collect();
        if !plan.is_done() {
            applied.push("positions".to_owned());
        }
        if let Some(header) = header {
            present = self.main.update(UPDATE, &path, &header).await?;
        }
        // Before the lines, which may take several runs: main's state is set once.
        if let Some(states) = target.step.noted(&present) {
            store::keep_in_step(&mut *self.cx.conn().await?, self.source, &states).await.map_err(broken)?;
        }
        let lines = Lines { main: &self.main, source: self.source, cx: self.cx, order: id, path: &path };
        match lines.write(&target.lines, &plan).await {
            // Nothing was cut off: what main refused it has told.
            Err(error @ ApiError::Work(HandlerError::GiveUp(_))) => {
                self.note(id, Some(OTHERWISE), &(&link.said | &target.header.said())).await?;
                return Err(error);
            }
            written => written?,
        }
        if !quiet {
            present = self.main.get("GET /entity/customerorder/{id}", &path, &[]).await?;
        }
        let mut sums = sums::check(target.sum, &present, &plan.foreign);
        if sums.is_err()
            && !quiet
            && let Some(now) = read::document(&self.main, ORDER, id).await?
        {
            // Somebody may have added a line meanwhile.
            let known = store::positions(&mut *self.cx.conn().await?, self.source).await.map_err(broken)?;
            let after = diff::plan(&target.lines, &now.lines, &known, false);
            // A line like one of ours may be ours, added twice.
            let is_before =
                |line: &&Value| plan.foreign.iter().any(|before| lines::id(before) == lines::id(line));
            let is_like_ours = |line: &&&Value| target.lines.iter().any(|ours| ours.is_held_by(line));
            if !after.foreign.iter().filter(|line| !is_before(line)).any(|line| is_like_ours(&line)) {
                sums = sums::check(target.sum, &now.fields, &after.foreign);
            }
        }
        let summary = match (plan.foreign.len(), quiet && did == "updated") {
            (0, true) => "no change".to_owned(),
            (0, false) => did.to_owned(),
            (1, _) => format!("{did}; main's order has 1 line of its own"),
            (n, _) => format!("{did}; main's order has {n} lines of its own"),
        };
        Ok(Done { order: id, summary, is_new: false, applied, sums })
    }
}

/// How it went.
struct Done {
    order: Uuid,
    summary: String,
    is_new: bool,
    /// Names of the fields that were written; none: it was so already.
    applied: Vec<String>,
    /// Whether main adds it up to what the child does.
    sums: Result<(), HandlerError>,
}
