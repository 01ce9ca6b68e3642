//! Main to child: what changes in main's catalogue is brought to the accounts that follow it.

mod upsert;

use super::accounts::{self, Account, Role, Status};
use super::api::ApiError;
use super::mappings::Key;
use super::notice::Notice;
use super::work::{Pair, Work};
use crate::queue::{HandlerError, Outcome};
use crate::sync::Context;
use crate::sync::tasks::{self, NewTask, Task};
use serde_json::json;
use upsert::Upsert;

/// Entity type of products, in hrefs, mappings and tasks.
const PRODUCT: &str = "product";
/// Make the child's entity as main's is, whether it is there already or not.
const UPSERT: &str = "upsert";

/// Whether something may come of an event of this type.
pub(super) fn wants(event_type: &str) -> bool {
    matches!(event_type, "product.CREATE" | "product.UPDATE")
}

/// Makes a task for each child of the account where it happened.
pub(super) async fn tasks(notice: &Notice<'_>, cx: &Context) -> Result<Outcome, HandlerError> {
    if notice.account.role == Role::Child {
        // Or an edit in a child would come back to it, and to its siblings.
        return Ok(Outcome::ignored("products flow from main to child"));
    }
    let mut conn = cx.pool.get().await?;
    let (active, others): (Vec<_>, Vec<_>) = accounts::children(&mut conn, notice.account.account_id)
        .await?
        .into_iter()
        .partition(|child| child.status == Status::Active);
    let tasks: Vec<NewTask> = active.iter().map(|child| task(notice, child)).collect();
    tasks::enqueue(&mut conn, &tasks).await?;
    cx.sync_tasks.wake();
    Ok(Outcome::completed(summary(tasks.len(), others.len())))
}

fn task(notice: &Notice<'_>, child: &Account) -> NewTask {
    NewTask {
        event_id: Some(notice.event.id),
        account_id: child.account_id,
        entity_type: PRODUCT,
        entity_id: notice.entity_id.to_string(),
        operation: UPSERT,
        payload: json!({"main_account": notice.account.account_id}),
        dedupe_key: format!("{}/{}", notice.event.id, child.account_id),
        max_attempts: notice.max_attempts,
        priority: tasks::CATALOG,
        delay: std::time::Duration::ZERO,
    }
}

/// Brings main's product to the child.
pub(super) async fn run(task: &Task, pair: &Pair, cx: &Work) -> Result<Outcome, ApiError> {
    if (&*task.entity_type, &*task.operation) != (PRODUCT, UPSERT) {
        let text = format!("nothing can {} a {}", task.operation, task.entity_type);
        return Err(HandlerError::GiveUp(text).into());
    }
    let main_id = task
        .entity_id
        .parse()
        .map_err(|_| HandlerError::GiveUp("the task's entity id is not a UUID".to_owned()))?;
    let upsert = Upsert {
        main: cx.api(&pair.main)?,
        child: cx.api(&pair.child)?,
        key: Key {
            main_account: pair.main_id(),
            child_account: pair.child_id(),
            entity_type: PRODUCT,
            main_id,
        },
        pool: &cx.pool,
        metadata: &cx.metadata,
    };
    upsert.run().await
}

fn summary(tasks: usize, left_out: usize) -> String {
    let tasks = match tasks {
        1 => "1 sync task".to_owned(),
        n => format!("{n} sync tasks"),
    };
    match left_out {
        0 => tasks,
        1 => format!("{tasks}; 1 child is not active"),
        n => format!("{tasks}; {n} children are not active"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_who_was_left_out() {
        assert_eq!(summary(3, 0), "3 sync tasks");
        assert_eq!(summary(1, 1), "1 sync task; 1 child is not active");
        assert_eq!(summary(0, 2), "0 sync tasks; 2 children are not active");
    }
}
