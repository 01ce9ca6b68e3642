//! Makes main's copy of a child's document as the document is.
//!
//! Safe to run twice and to be cut off anywhere: it starts from what the child says now and what main has now; a create
//! that was cut off is found by its `syncId`, lines that were added without an answer by what they are.

use super::super::api::{AccountApi, ApiError, id_of_entity};
use super::super::settings::{DocumentKind, OrderSettings};
use super::super::work::{Work, broken};
use super::super::{loops, mappings};
use super::diff;
use super::header;
use super::lines::{self, Wanted};
use super::log::{Entry, Log};
use super::read::{self, Document, PAGE};
use super::store::{self, Link, Source};
use super::target::Target;
use super::write::Lines;
use super::{ORDER, goods, held, party, sums, sync_id};
use crate::queue::{HandlerError, Outcome};
use crate::sync::tasks::Task;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use uuid::Uuid;

const CREATE: &str = "POST /entity/customerorder";
const UPDATE: &str = "PUT /entity/customerorder/{id}";

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

impl Transfer<'_> {
    /// Reads the document and brings it to main.
    pub(super) async fn run(&self, task: &Task) -> Result<Outcome, ApiError> {
        let apis = [&self.main, &self.child];
        let log = Log { cx: self.cx, task, source: self.source, apis, started: Instant::now() };
        if let Some(wait) = held::still(self.cx, task, self.source).await? {
            return Err(wait.into());
        }
        let link = store::link(&mut *self.cx.conn().await?, self.source).await.map_err(broken)?;
        let document = read::document(&self.child, self.source.kind, self.source.document).await?;
        let Some(document) = document else {
            return self.gone(link, &log).await.map(Outcome::completed);
        };
        let applicable = document.fields["applicable"].as_bool().unwrap_or(true);
        if link.is_none() && self.settings.only_applicable && !applicable {
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
                return Err(held::hold(self.cx, task, &missing).await?.into());
            }
        };
        let fingerprint = header::fingerprint(self.kind, &document.fields, &lines, self.settings);
        if link.as_ref().and_then(|link| link.written.as_ref()) == Some(&fingerprint) {
            return Ok(Outcome::completed("no change"));
        }
        let present = self.present(link).await?;
        if present.is_none() && self.settings.only_applicable && !applicable {
            return Ok(Outcome::completed("not applicable, and gone from main: not created again"));
        }
        let sent = present.as_ref().map_or(&[][..], |(link, _)| &link.sent);
        let target = self.target(&document, lines, sent).await?;
        let done = match self.bring(present, &target).await {
            // What it refers to is gone in main: the next run asks anew.
            Err(ApiError::NotFound(text)) => {
                party::forget(self.cx, self.source, target.agent).await?;
                self.cx.metadata.younger_than(Duration::ZERO, &self.main).await?;
                return Err(HandlerError::Retry(text).into());
            }
            done => done?,
        };
        let skipped = if target.stateless { &["state: main has no such one".to_owned()][..] } else { &[] };
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
        done.sums?;
        let mut conn = self.cx.conn().await?;
        let sent = json!(header::cleared(&document.fields));
        mappings::note(&mut conn, self.source.key(done.order), Some(&fingerprint), Some(&sent))
            .await
            .map_err(broken)?;
        store::keep_in_step(&mut conn, self.source, &target.states).await.map_err(broken)?;
        let skipped = if target.stateless { "; skipped: main has no such state" } else { "" };
        Ok(Outcome::completed(format!("{}{skipped}", done.summary)))
    }

    /// Main's order as it is. One that somebody has deleted there is forgotten: the next will be another one.
    async fn present(&self, link: Option<Link>) -> Result<Option<(Link, Document)>, ApiError> {
        let Some(link) = link else { return Ok(None) };
        if let Some(order) = read::document(&self.main, ORDER, link.order).await? {
            return Ok(Some((link, order)));
        }
        let mut conn = self.cx.conn().await?;
        store::forget_states(&mut conn, self.source).await.map_err(broken)?;
        store::keep_positions(&mut conn, self.source, &[]).await.map_err(broken)?;
        mappings::remove(&mut conn, self.source.key(link.order)).await.map_err(broken)?;
        Ok(None)
    }

    async fn bring(&self, present: Option<(Link, Document)>, target: &Target) -> Result<Done, ApiError> {
        if let Some((link, order)) = present {
            return self.update(link.order, order, target, "updated", link.written.is_none()).await;
        }
        let mut body = target.header.create(sync_id(self.source.child_account, self.source.document));
        let first: Vec<Value> = target.lines.iter().take(PAGE).map(Wanted::create).collect();
        body.insert("positions".to_owned(), first.into());
        let created = self.main.create(CREATE, "/entity/customerorder", &body.clone().into()).await?;
        let order = id_of_entity(&created)?;
        let (key, document) = (self.source.key(order), self.source.document);
        let mut conn = self.cx.conn().await?;
        // Not before the write, as elsewhere: until now it had no id.
        loops::wrote(&mut conn, self.source.main_account, ORDER, &[order]).await?;
        let new = mappings::insert(&mut conn, key, document, None).await.map_err(broken)?;
        drop(conn);
        if !new {
            return Err(HandlerError::Retry("another run has just linked this document".to_owned()).into());
        }
        let Some(present) = read::document(&self.main, ORDER, order).await? else {
            let text = "main's order is in the bin: restore it there, or empty the bin, then retry";
            return Err(HandlerError::GiveUp(text.to_owned()).into());
        };
        let mut done = self.update(order, present, target, "created", true).await?;
        let mut applied: BTreeSet<String> = body.into_iter().map(|(name, _)| name).collect();
        applied.extend(done.applied);
        done.applied = applied.into_iter().collect();
        done.is_new = true;
        Ok(done)
    }

    /// Makes main's order so; `unfinished`: an earlier write may have been cut off.
    async fn update(
        &self,
        id: Uuid,
        order: Document,
        target: &Target,
        did: &'static str,
        unfinished: bool,
    ) -> Result<Done, ApiError> {
        let known = store::positions(&mut *self.cx.conn().await?, self.source).await.map_err(broken)?;
        let plan = diff::plan(&target.lines, &order.lines, &known, unfinished);
        let header = target.header.update(&order.fields);
        let path = read::path(ORDER, id);
        let mut present = order.fields;
        let quiet = header.is_none() && plan.is_done();
        if !quiet {
            // Should this run be cut off, the next one must not believe the old fingerprint.
            let mut conn = self.cx.conn().await?;
            loops::before_write(&mut conn, self.source.main_account, ORDER, id).await?;
            let sent = json!(target.header.cleared());
            mappings::note(&mut conn, self.source.key(id), None, Some(&sent)).await.map_err(broken)?;
        }
        let mut applied: Vec<String> =
            header.iter().filter_map(Value::as_object).flatten().map(|(name, _)| name.clone()).collect();
        if !plan.is_done() {
            applied.push("positions".to_owned());
        }
        if let Some(header) = header {
            self.main.update(UPDATE, &path, &header).await?;
        }
        let lines = Lines { main: &self.main, source: self.source, cx: self.cx, path: &path };
        lines.write(&target.lines, &plan).await?;
        if !quiet {
            present = self.main.get("GET /entity/customerorder/{id}", &path, &[]).await?;
        }
        let sums = sums::check(target.sum, &present, &plan.foreign);
        let summary = match (plan.foreign.len(), quiet && did == "updated") {
            (0, true) => "no change".to_owned(),
            (0, false) => did.to_owned(),
            (1, _) => format!("{did}; main's order has 1 line of its own"),
            (n, _) => format!("{did}; main's order has {n} lines of its own"),
        };
        Ok(Done { order: id, summary, is_new: false, applied, sums })
    }

    /// The document is gone in the child: main's order says so and does not count any more.
    async fn gone(&self, link: Option<Link>, log: &Log<'_>) -> Result<String, ApiError> {
        let Some(link) = link else {
            return Ok("the document no longer exists in the child, and main does not know it".to_owned());
        };
        let path = read::path(ORDER, link.order);
        let order = match self.main.get("GET /entity/customerorder/{id}", &path, &[]).await {
            Err(ApiError::NotFound(_)) => {
                let mut conn = self.cx.conn().await?;
                mappings::remove(&mut conn, self.source.key(link.order)).await.map_err(broken)?;
                return Ok("the document no longer exists on either side".to_owned());
            }
            order => order?,
        };
        let Some(body) = header::gone(&order) else { return Ok("no change".to_owned()) };
        let mut conn = self.cx.conn().await?;
        loops::before_write(&mut conn, self.source.main_account, ORDER, link.order).await?;
        mappings::note(&mut conn, self.source.key(link.order), None, None).await.map_err(broken)?;
        drop(conn);
        self.main.update(UPDATE, &path, &body).await?;
        let operation = "deleted in the child: main's order is not applicable any more";
        let applied = ["applicable", "description"].map(str::to_owned);
        let entry = Entry {
            order: link.order,
            operation,
            is_new: false,
            applied: &applied,
            skipped: &[],
            error: None,
        };
        log.write(entry).await?;
        Ok(operation.to_owned())
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
