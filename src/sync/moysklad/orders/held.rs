//! Documents that wait for the counterparts of what they sell: visible in the queue, looked at again soon, and cheap.

use super::super::work::{Work, broken};
use super::lines::{Item, Missing};
use super::store::{self, Source};
use crate::queue::HandlerError;
use crate::sync::moysklad::api::ApiError;
use crate::sync::tasks::{self, Task};
use chrono::{DateTime, Duration as Span, Utc};
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

/// Lets the task wait for what is missing.
pub(super) async fn hold(cx: &Work, task: &Task, missing: &Missing) -> Result<HandlerError, ApiError> {
    let reason = missing.reason();
    let held = Held {
        since: cx.clock.now(),
        items: missing.items.iter().take(WATCHED).cloned().collect(),
        reason: reason.clone(),
    };
    let after = if held.items.is_empty() { LOOK_AT_ALL } else { LOOK };
    let note = json!({ "held": held });
    tasks::note(&mut *cx.conn().await?, task.id, &note).await.map_err(broken)?;
    Ok(HandlerError::Defer { after, reason })
}

/// The same wait, if a run before has found out that it is needed and nothing has changed since.
pub(super) async fn still(cx: &Work, task: &Task, source: Source) -> Result<Option<HandlerError>, ApiError> {
    let Ok(held) = serde_json::from_value::<Held>(task.payload["held"].clone()) else { return Ok(None) };
    let age = cx.clock.now() - held.since;
    // Packages, say, are nothing that a mapping tells of.
    if held.items.is_empty() || age < Span::zero() || age > READ_AGAIN {
        return Ok(None);
    }
    let mut conn = cx.conn().await?;
    let appeared = store::counterparts(&mut conn, source, &held.items).await.map_err(broken)?;
    if !appeared.is_empty() || tasks::has_successor(&mut conn, task).await.map_err(broken)? {
        return Ok(None);
    }
    Ok(Some(HandlerError::Defer { after: LOOK, reason: held.reason }))
}
