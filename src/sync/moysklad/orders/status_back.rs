//! The state of main's order goes back to the child's document, where the child's settings say so.

use super::super::api::{AccountApi, ApiError};
use super::super::notice::Notice;
use super::super::settings::OrderSettings;
use super::super::work::{Pair, Work, broken};
use super::super::{accounts, loops, mappings};
use super::log::{Entry, Log};
use super::states::{self, States};
use super::store::{self, InStep, Source};
use super::{ORDER, STATUS_BACK, read};
use crate::queue::{HandlerError, Outcome};
use crate::sync::Context;
use crate::sync::tasks::{self, NewTask, Task};
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// In the place of a fingerprint: the child's document is not as it was last brought over.
const OTHER: &[u8] = b"state brought back";

/// A task for each child that follows the state of this order of main.
pub(super) async fn tasks(notice: &Notice<'_>, cx: &Context) -> Result<Vec<NewTask>, HandlerError> {
    let main = notice.account.account_id;
    let mut conn = cx.pool.get().await?;
    let mut tasks = Vec::new();
    for (child, kind, document) in store::copied_from(&mut conn, main, notice.entity_id).await? {
        let Some(account) = accounts::find(&mut conn, child).await? else { continue };
        if kind != ORDER || !super::settings(&account)?.orders.status_back {
            continue;
        }
        tasks.push(NewTask {
            event_id: Some(notice.event.id),
            account_id: child,
            entity_type: ORDER,
            entity_id: document.to_string(),
            operation: STATUS_BACK,
            // After this the two states are in step: what brings the child's over must not look in between.
            payload: json!({"main_account": main, "order": notice.entity_id, tasks::LANE_ACCOUNT: main}),
            dedupe_key: format!("{}/{child}/{document}/{STATUS_BACK}", notice.event.id),
            max_attempts: notice.max_attempts,
            priority: tasks::ORDERS,
            delay: Duration::ZERO,
        });
    }
    Ok(tasks)
}

/// Brings the state of main's order to the child's, if it has changed since they were in step.
pub(super) async fn run(
    task: &Task,
    document: Uuid,
    settings: &OrderSettings,
    pair: &Pair,
    (main, child): (&AccountApi, &AccountApi),
    cx: &Work,
) -> Result<Outcome, ApiError> {
    let started = Instant::now();
    let order_id: Uuid = task.payload["order"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| HandlerError::GiveUp("the task does not name main's order".to_owned()))?;
    if !settings.status_back {
        return Ok(Outcome::ignored("orders.status_back is not set"));
    }
    let source =
        Source { main_account: pair.main_id(), child_account: pair.child_id(), kind: ORDER, document };
    let path = read::path(ORDER, order_id);
    let order = match main.get("GET /entity/customerorder/{id}", &path, &[]).await {
        Err(ApiError::NotFound(_)) => return Ok(Outcome::completed("the order no longer exists in main")),
        order => order?,
    };
    let main_states = States::read(main, ORDER).await?;
    let Some(main_state) = main_states.of(&order) else {
        return Ok(Outcome::completed("main's order has no state"));
    };
    let before = store::in_step(&mut *cx.conn().await?, source).await.map_err(broken)?;
    if before.as_ref().and_then(|states| states.main.as_deref()) == Some(&*main_state.name) {
        return Ok(Outcome::completed("no change"));
    }
    let child_states = States::read(child, ORDER).await?;
    let target = states::in_child(settings, &main_state.name).and_then(|name| child_states.named(name));
    let Some(target) = target else {
        return Ok(Outcome::completed("skipped: the child has no state for that of main's order"));
    };
    let path = read::path(ORDER, document);
    let current = match child.get("GET /entity/customerorder/{id}", &path, &[]).await {
        Err(ApiError::NotFound(_)) => {
            return Ok(Outcome::completed("the order no longer exists in the child"));
        }
        current => current?,
    };
    let changed = child_states.of(&current) != Some(target);
    if changed {
        // Its webhook may be here before the reply.
        let mut conn = cx.conn().await?;
        loops::before_write(&mut conn, source.child_account, ORDER, document).await?;
        // Or the child's return to the state before would look like what was last brought over.
        if store::link(&mut conn, source).await.map_err(broken)?.is_some_and(|link| link.written.is_some()) {
            mappings::note(&mut conn, source.key(order_id), Some(OTHER), None).await.map_err(broken)?;
        }
        drop(conn);
        let state = format!("{}/entity/customerorder/metadata/states/{}", child.base(), target.id);
        let state = json!({"meta": {"href": state, "type": "state", "mediaType": "application/json"}});
        child.update("PUT /entity/customerorder/{id}", &path, &json!({ "state": state })).await?;
    }
    let in_step = InStep { child: Some(target.name.clone()), main: Some(main_state.name.clone()) };
    let mut conn = cx.conn().await?;
    store::keep_in_step(&mut conn, source, &in_step).await.map_err(broken)?;
    drop(conn);
    if changed {
        let entry = Entry {
            order: order_id,
            operation: "state brought back",
            is_new: false,
            applied: &["state".to_owned()],
            skipped: &[],
            error: None,
        };
        Log { cx, task, source, apis: [main, child], started }.write(entry).await?;
    }
    Ok(Outcome::completed(if changed { "state brought back" } else { "no change" }))
}
