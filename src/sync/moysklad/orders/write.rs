//! Writes the lines of main's order, and remembers at once which is which.

use super::super::api::{AccountApi, ApiError, LONGEST};
use super::super::work::{Work, broken};
use super::diff::{self, Plan};
use super::lines::{self, Wanted};
use super::read::{self, Document, PAGE};
use super::store::{self, Source};
use super::{ORDER, header};
use crate::queue::HandlerError;
use crate::sync::tasks::HELD;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

const ADD: &str = "POST /entity/customerorder/{id}/positions";
const REMOVE: &str = "POST /entity/customerorder/{id}/positions/delete";
const CHANGE: &str = "PUT /entity/customerorder/{id}/positions/{position}";
const REPLACE: &str = "PUT /entity/customerorder/{id}";

/// More changed lines than these are written together with all others, in one request.
const ONE_BY_ONE: usize = 20;
/// One part in so many of the writes that an order has left in this minute is not spent on single lines: a hundred writes of
/// one entity in one get an account banned (facts/moysklad.md 4.1), lines may count as their order, and its other fields and
/// all its lines together are to be written still.
const LEFT_OVER: usize = 5;
/// Another document uses the line (facts/moysklad.md 6).
const IN_USE: u64 = 1023;
/// MoySklad's clock is not ours.
const MARGIN: Duration = Duration::from_secs(10);

/// Fields of a line that somebody added in main, which a request for all lines has to repeat.
const OTHERS: [&str; 7] = ["assortment", "quantity", "price", "discount", "vat", "vatEnabled", "reserve"];

/// The lines of one order of main.
pub(super) struct Lines<'a> {
    pub(super) main: &'a AccountApi,
    pub(super) source: Source,
    pub(super) cx: &'a Work,
    pub(super) order: Uuid,
    /// Path of the order.
    pub(super) path: &'a str,
}

impl Lines<'_> {
    /// Does what the plan says.
    pub(super) async fn write(&self, wanted: &[Wanted], plan: &Plan<'_>) -> Result<(), ApiError> {
        // A line that is forgotten before it is gone would be main's own to the next run.
        self.keep(&[plan.pairs.as_slice(), plan.leaving.as_slice()].concat()).await?;
        let left = self.main.updates_left(self.path) as usize;
        let left = left - left / LEFT_OVER;
        if plan.change.len() > left.min(ONE_BY_ONE) && wanted.len() + plan.foreign.len() <= PAGE {
            return self.replace(wanted, plan).await;
        }
        for (id, line) in plan.change.iter().take(left) {
            let path = format!("{}/positions/{id}", self.path);
            self.main.update_part(CHANGE, (self.path, &path), &line.update()).await?;
        }
        if plan.change.len() > left {
            let reason = format!("{} more lines are to be changed", plan.change.len() - left);
            return Err(HandlerError::Defer { after: Duration::from_secs(60), reason }.into());
        }
        for ids in plan.remove.chunks(PAGE) {
            self.remove(ids).await?;
        }
        if !plan.leaving.is_empty() {
            self.keep(&plan.pairs).await?;
        }
        self.add(plan).await
    }

    async fn remove(&self, ids: &[Uuid]) -> Result<(), ApiError> {
        let list = ids.iter().map(|id| self.reference(*id)).collect();
        let path = format!("{}/positions/delete", self.path);
        for error in self.main.delete_lines(REMOVE, &path, list).await.map_err(advised)? {
            // What is gone already needs nothing.
            if !matches!(error, ApiError::NotFound(_)) {
                return Err(advised(error));
            }
        }
        Ok(())
    }

    async fn add(&self, plan: &Plan<'_>) -> Result<(), ApiError> {
        let mut pairs = plan.pairs.clone();
        for lines in plan.add.chunks(PAGE) {
            let bodies: Vec<Value> = lines.iter().map(|line| line.create()).collect();
            let path = format!("{}/positions", self.path);
            let bodies = bodies.into();
            let reply = self.adding(self.main.post_once(ADD, &path, &bodies)).await?;
            let added = reply.as_array().filter(|added| added.len() == lines.len());
            let ids: Option<Vec<Uuid>> = added.and_then(|added| added.iter().map(lines::id).collect());
            let ids = ids.ok_or_else(|| again("not every new line was answered"))?;
            pairs.extend(lines.iter().map(|line| line.child).zip(ids));
            self.keep(&pairs).await?;
        }
        Ok(())
    }

    /// All lines in one request: those with an id are kept, those without are new, the others go.
    async fn replace(&self, wanted: &[Wanted], plan: &Plan<'_>) -> Result<(), ApiError> {
        // Once more, as late as can be: what somebody adds after it was read is lost.
        let present = self.present().await?;
        let is_ours = |line: &Value| {
            let pairs = || plan.pairs.iter().chain(&plan.leaving);
            lines::id(line).is_some_and(|id| pairs().any(|(_, known)| *known == id))
        };
        let foreign: Vec<Value> = present.lines.iter().filter(|line| !is_ours(line)).map(other).collect();
        if wanted.len() + foreign.len() > PAGE {
            return Err(again("lines were added while an order was written").into());
        }
        let known: HashMap<Uuid, Uuid> = plan.pairs.iter().copied().collect();
        let ours = wanted.iter().map(|line| match known.get(&line.child) {
            Some(id) => {
                let mut fields = line.fields.clone();
                fields.insert("id".to_owned(), id.to_string().into());
                Value::Object(fields)
            }
            None => line.create(),
        });
        let all: Vec<Value> = ours.chain(foreign).collect();
        let all = json!({ "positions": all });
        self.adding(self.main.update(REPLACE, self.path, &all)).await.map_err(advised)?;
        let present = self.present().await?;
        let known = known.into_iter().chain(plan.leaving.iter().copied()).collect();
        let after = diff::plan(wanted, &present.lines, &known, true);
        self.keep(&[after.pairs.as_slice(), after.leaving.as_slice()].concat()).await?;
        if after.is_done() { Ok(()) } else { Err(again("lines are otherwise than they were written").into()) }
    }

    async fn present(&self) -> Result<Document, ApiError> {
        let present = read::document(self.main, ORDER, self.order).await?;
        Ok(present.ok_or_else(|| again("an order vanished while it was written"))?)
    }

    /// Sends lines, and remembers that until it is known what came of it, whatever becomes of this process. Those that were
    /// sent without an answer may be there minutes later: who looks before that would add them again.
    async fn adding(
        &self,
        request: impl Future<Output = Result<Value, ApiError>>,
    ) -> Result<Value, ApiError> {
        let since = self.cx.clock.now();
        self.note_adding(Some(since)).await?;
        let reply = request.await;
        if let Err(ApiError::Unanswered { still: true, .. }) = &reply {
            may_land(since, self.cx.clock.now())?;
        }
        self.note_adding(None).await?;
        reply
    }

    async fn note_adding(&self, since: Option<DateTime<Utc>>) -> Result<(), ApiError> {
        let mut conn = self.cx.conn().await?;
        store::note_adding(&mut conn, self.source, self.order, since).await.map_err(broken)
    }

    fn reference(&self, id: Uuid) -> Value {
        let href = format!("{}{}/positions/{id}", self.main.base(), self.path);
        header::at(&href, "customerorderposition")
    }

    async fn keep(&self, pairs: &[(Uuid, Uuid)]) -> Result<(), ApiError> {
        store::keep_positions(&mut *self.cx.conn().await?, self.source, pairs).await.map_err(broken)
    }
}

fn other(line: &Value) -> Value {
    let mut fields: Map<String, Value> =
        OTHERS.iter().filter_map(|name| Some(((*name).to_owned(), line.get(*name)?.clone()))).collect();
    fields.insert("id".to_owned(), line["id"].clone());
    if let Some(pack) = line["pack"].get("id") {
        fields.insert("pack".to_owned(), json!({ "id": pack }));
    }
    Value::Object(fields)
}

/// Lets the task wait while lines that were sent then may still land.
pub(super) fn may_land(since: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), HandlerError> {
    // A clock that was set back says nothing: then it is waited for the whole time.
    let age = (now - since).to_std().unwrap_or_default();
    let after = (LONGEST + MARGIN).saturating_sub(age);
    if after.is_zero() {
        return Ok(());
    }
    let reason = format!("{HELD}: lines may still be added by a request that was not answered");
    Err(HandlerError::Defer { after, reason })
}

/// The same error, with what to do about it.
fn advised(error: ApiError) -> ApiError {
    if !error.has_code(IN_USE) {
        return error;
    }
    let text = "another document of main (a shipment, say) uses a line that was removed in the child: change one of the \
                two, then retry";
    HandlerError::GiveUp(format!("{text} (code {IN_USE})")).into()
}

fn again(text: &str) -> HandlerError {
    HandlerError::Retry(format!("moysklad: {text}"))
}
