//! The state of main's order goes back to the child's document, where the child's settings say so.

use super::super::api::{AccountApi, ApiError};
use super::super::notice::Notice;
use super::super::settings::OrderSettings;
use super::super::work::{Pair, Work, broken};
use super::super::{accounts, loops, mappings};
use super::log::{Entry, Log};
use super::states::{self, States};
use super::step::is_later;
use super::store::{self, InStep, OTHERWISE, Source};
use super::{ORDER, STATUS_BACK, read};
use crate::queue::{HandlerError, Outcome};
use crate::sync::Context;
use crate::sync::tasks::{self, NewTask, Task};
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Key of a payload: the task waits for the breaker of the child's order, in a lane of its own, and only then takes its turn
/// with what brings the child's order to main.
const WAITS: &str = "waits_for_breaker";

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
        let way = Way { main, child, document, order: notice.entity_id };
        let key = match account.status {
            // It waits until the child is switched on again, however often main's order changes until then.
            accounts::Status::Inactive => {
                format!("{child}/{document}/{}/{STATUS_BACK}/switched_off", notice.entity_id)
            }
            _ => format!("{}/{child}/{document}/{STATUS_BACK}", notice.event.id),
        };
        tasks.push(way.task(Some(notice.event.id), key, notice.max_attempts));
    }
    Ok(tasks)
}

/// From main's order to the child's document.
#[derive(Debug, Clone, Copy)]
struct Way {
    main: Uuid,
    child: Uuid,
    document: Uuid,
    order: Uuid,
}

impl Way {
    fn task(self, event_id: Option<Uuid>, dedupe_key: String, max_attempts: i32) -> NewTask {
        let Self { main, child, document, order } = self;
        NewTask {
            event_id,
            account_id: child,
            entity_type: ORDER,
            entity_id: document.to_string(),
            operation: STATUS_BACK,
            // After this the two states are in step: what brings the child's over must not look in between.
            payload: json!({"main_account": main, "order": order, tasks::LANE_ACCOUNT: main}),
            dedupe_key,
            max_attempts,
            priority: tasks::ORDERS,
            delay: Duration::ZERO,
        }
    }

    /// The task that waits for the breaker of the child's order, out of the way of everything else.
    fn waiting(self, max_attempts: i32) -> NewTask {
        let Self { main, child, document, order } = self;
        let key = format!("{child}/{document}/{order}/{STATUS_BACK}/waits");
        let payload = json!({"main_account": main, "order": order, WAITS: true});
        NewTask { payload, ..self.task(None, key, max_attempts) }
    }

    /// Takes its turn again, now that the breaker lets it.
    fn turn(self, max_attempts: i32) -> NewTask {
        let Self { child, document, order, .. } = self;
        self.task(None, format!("{child}/{document}/{order}/{STATUS_BACK}/waited"), max_attempts)
    }
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
    let way = Way { main: source.main_account, child: source.child_account, document, order: order_id };
    let max_attempts = cx.settings.worker.max_attempts;
    if task.payload[WAITS] == true {
        let mut conn = cx.conn().await?;
        loops::is_free(&mut conn, source.child_account, ORDER, document).await?;
        tasks::enqueue(&mut conn, &[way.turn(max_attempts)]).await.map_err(broken)?;
        return Ok(Outcome::completed("it may be written again: another task does it"));
    }
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
    let path = read::path(ORDER, document);
    let current = match child.get("GET /entity/customerorder/{id}", &path, &[]).await {
        Err(ApiError::NotFound(_)) => {
            return Ok(Outcome::completed("the order no longer exists in the child"));
        }
        current => current?,
    };
    let theirs = child_states.of(&current);
    // Several states of the child may be one of main's: it is in one of these already.
    let agreed = theirs.filter(|state| states::in_main(settings, &state.name) == main_state.name);
    let Some(target) = agreed.or(target) else {
        return Ok(Outcome::completed("skipped: the child has no state for that of main's order"));
    };
    let changed = theirs != Some(target);
    // Both were changed since they were in step: the later one is followed, here as there.
    let childs = before.and_then(|states| states.child);
    if changed
        && childs.is_some()
        && theirs.map(|state| &state.name) != childs.as_ref()
        && is_later(&current, &order)
    {
        return Ok(Outcome::completed("the child's state was changed later, and goes to main"));
    }
    if changed {
        let mut conn = cx.conn().await?;
        match loops::is_free(&mut conn, source.child_account, ORDER, document).await {
            // What brings the child's order to main has the same lane, and must not wait for it.
            Err(HandlerError::Defer { reason, .. }) => {
                tasks::enqueue(&mut conn, &[way.waiting(max_attempts)]).await.map_err(broken)?;
                return Ok(Outcome::completed(format!("another task waits: {reason}")));
            }
            free => free?,
        }
        // Its webhook may be here before the reply.
        loops::before_write(&mut conn, source.child_account, ORDER, document).await?;
        // Or the child's return to the state before would look like what was last brought over.
        if store::link(&mut conn, source).await.map_err(broken)?.is_some_and(|link| link.written.is_some()) {
            mappings::note(&mut conn, source.key(order_id), Some(OTHERWISE), None).await.map_err(broken)?;
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
