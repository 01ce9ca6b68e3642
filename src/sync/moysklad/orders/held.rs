//! Documents that wait for the counterparts of what they sell: visible in the queue, looked at again soon, and cheap.

use super::super::work::{Work, broken};
use super::lines::{Item, Missing};
use super::store::{self, Source};
use crate::queue::{HandlerError, Outcome};
use crate::sync::moysklad::api::ApiError;
use crate::sync::tasks::{self, Task};
use chrono::{DateTime, Duration as Span, Utc};
use diesel_async::AsyncPgConnection;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// How soon it is seen that a counterpart has appeared.
const LOOK: Duration = Duration::from_secs(5);
/// How soon a document is read again that waits for something that no mapping tells of.
const LOOK_AT_ALL: Duration = Duration::from_secs(60);
/// Without one, the document is read again after this time all the same.
const READ_AGAIN: Span = Span::minutes(10);
/// Most of the missing that are watched.
const WATCHED: usize = 200;

/// What a run has found missing, kept with its task: while that is so, nobody is asked.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    since: DateTime<Utc>,
    items: BTreeSet<Item>,
    reason: String,
}

/// Lets the task wait for what is missing; where a newer task of the document waits behind it, that one does, and this one
/// ends.
pub(super) async fn hold(cx: &Work, task: &Task, missing: &Missing) -> Result<Outcome, ApiError> {
    let mut conn = cx.conn().await?;
    if let Some(ended) = superseded(&mut conn, task).await? {
        return Ok(ended);
    }
    let reason = missing.reason();
    let held = Held {
        since: cx.clock.now(),
        items: missing.items.iter().take(WATCHED).cloned().collect(),
        reason: reason.clone(),
    };
    let after = if held.items.is_empty() { LOOK_AT_ALL } else { LOOK };
    let note = json!({ "held": held });
    tasks::note(&mut conn, task.id, &note).await.map_err(broken)?;
    Err(HandlerError::Defer { after, reason }.into())
}

/// The same wait, if a run before has found out that it is needed and nothing has changed since; its end, once a newer task
/// of the document waits. `None`: the document is to be read.
pub(super) async fn still(cx: &Work, task: &Task, source: Source) -> Result<Option<Outcome>, ApiError> {
    let Ok(held) = serde_json::from_value::<Held>(task.payload["held"].clone()) else { return Ok(None) };
    let mut conn = cx.conn().await?;
    if let Some(ended) = superseded(&mut conn, task).await? {
        return Ok(Some(ended));
    }
    let age = cx.clock.now() - held.since;
    // Packages, say, are nothing that a mapping tells of.
    if held.items.is_empty() || age < Span::zero() || age > READ_AGAIN {
        return Ok(None);
    }
    let appeared = store::counterparts(&mut conn, source, &held.items).await.map_err(broken)?;
    if !appeared.is_empty() {
        return Ok(None);
    }
    Err(HandlerError::Defer { after: LOOK, reason: held.reason }.into())
}

/// The end of a task that has found nothing to do yet while a newer one of the same document waits for it to end: that one
/// reads the document as it is then, so nothing is lost, and two would ask twice.
async fn superseded(conn: &mut AsyncPgConnection, task: &Task) -> Result<Option<Outcome>, ApiError> {
    let has_successor = tasks::has_successor(conn, task).await.map_err(broken)?;
    Ok(has_successor.then(|| Outcome::completed("a newer task of this document goes on")))
}
