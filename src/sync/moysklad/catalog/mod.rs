//! Main to child: what changes in main's catalogue is brought to the accounts that follow it.
//!
//! Events only add to the changes that wait for a child ([`changes`]); one task of each child takes what has gathered
//! ([`drain`]), so that a burst of events becomes a few reads and writes.

mod apart;
mod archive;
pub mod audit;
pub mod backlog;
mod below;
mod changes;
mod components;
mod creates;
mod decide;
mod dependencies;
mod drain;
mod filters;
mod finish;
mod followers;
mod held;
mod matching;
mod reads;
mod refusals;
mod report;
mod required;
mod routes;
mod settle;
mod strategy;
mod take_over;
mod writes;

pub(super) use changes::{News, try_refused};

use super::accounts::{self, Role, Status};
use super::api::ApiError;
use super::images;
use super::mappings::{self, Key};
use super::notice::{Action, Notice};
use super::settings::EntityKind;
use super::work::{Pair, Work};
use crate::queue::{HandlerError, Outcome};
use crate::sync::Context;
use crate::sync::tasks::{self, NewTask, Task};
use diesel::QueryResult;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// Entity type of the task that brings a child what has gathered.
const CATALOG: &str = "catalog";
/// What it does.
const SYNC: &str = "sync";
/// A notification's events are handled one by one; this long they gather.
const GATHER: Duration = Duration::from_millis(250);

/// Whether something may come of an event of this type.
pub(super) fn wants(event_type: &str) -> bool {
    event_type.split_once('.').is_some_and(|(entity, action)| {
        EntityKind::parse(entity).is_some() && Action::parse(action).is_some()
    })
}

/// Notes the change for each child of the account where it happened.
pub(super) async fn tasks(notice: &Notice<'_>, cx: &Context) -> Result<Outcome, HandlerError> {
    let Some(kind) = EntityKind::parse(notice.entity_type) else {
        return Ok(Outcome::ignored("no part of the catalogue"));
    };
    if notice.account.role == Role::Child {
        return in_child(kind, notice, cx).await;
    }
    let mut conn = cx.pool.get().await?;
    let main = notice.account.account_id;
    // A suspended child gets its tasks too: they wait for its new token, or it would never hear of this.
    let (taking_part, others): (Vec<_>, Vec<_>) = accounts::children(&mut conn, main)
        .await?
        .into_iter()
        .partition(|child| child.status != Status::Inactive);
    let children: Vec<Uuid> = taking_part.iter().map(|child| child.account_id).collect();
    let news = News {
        main,
        children: &children,
        kind,
        main_ids: &[notice.entity_id],
        operation: notice.action.as_str(),
        updated_fields: notice.updated_fields.as_deref(),
        event: Some(notice.event.id),
        delay: Duration::ZERO,
    };
    enqueue(&mut conn, &news, notice.max_attempts).await?;
    wake_soon(cx);
    Ok(Outcome::completed(summary(children.len(), others.len())))
}

/// A child has deleted what main has: it comes back. Other edits in a child stay there, or they would come back to it
/// and to its siblings.
async fn in_child(kind: EntityKind, notice: &Notice<'_>, cx: &Context) -> Result<Outcome, HandlerError> {
    let child = notice.account.account_id;
    let Some(main) = notice.account.parent_account_id.filter(|_| notice.action == Action::Delete) else {
        return Ok(Outcome::ignored("products flow from main to child"));
    };
    let mut conn = cx.pool.get().await?;
    let entity_type = kind.keyword();
    let Some(main_id) = mappings::main_of(&mut conn, child, main, entity_type, notice.entity_id).await?
    else {
        return Ok(Outcome::ignored("the deleted entity follows none of main"));
    };
    let news = News {
        main,
        children: &[child],
        kind,
        main_ids: &[main_id],
        operation: "restore",
        updated_fields: None,
        event: Some(notice.event.id),
        delay: cx.restore,
    };
    let key = Key { main_account: main, child_account: child, entity_type, main_id };
    // Together: who saw the one without the other would find nothing to do. In the order in which a run locks them.
    conn.transaction(async |conn| {
        mappings::remove(conn, key).await?;
        note(conn, &news).await
    })
    .await?;
    assign(&mut conn, &news, notice.max_attempts).await?;
    cx.sync_tasks.wake();
    let pause = cx.restore.as_secs();
    Ok(Outcome::completed(format!("1 sync task: what the child deleted comes back in {pause} s")))
}

/// Notes what is new and sees to it that each child's task will look at it. Not in a transaction: see [`assign`]. Cut off
/// between the two, the change waits for whoever tells of it again, or for the next sweep.
pub(super) async fn enqueue(
    conn: &mut AsyncPgConnection,
    news: &News<'_>,
    max_attempts: i32,
) -> QueryResult<()> {
    note(conn, news).await?;
    assign(conn, news, max_attempts).await
}

/// Notes what is new; nobody looks at it before [`assign`] is called.
pub(super) async fn note(conn: &mut AsyncPgConnection, news: &News<'_>) -> QueryResult<()> {
    changes::note(conn, news).await.map(drop)
}

/// Sees to it that each child's task will look at what was noted. To be called after that is committed: a task that waits
/// already is left alone, and must see it when it begins.
pub(super) async fn assign(
    conn: &mut AsyncPgConnection,
    news: &News<'_>,
    max_attempts: i32,
) -> QueryResult<()> {
    let task = |child: &Uuid| task(news.main, *child, news.event, news.delay.max(GATHER), max_attempts);
    let tasks: Vec<NewTask> = news.children.iter().map(task).collect();
    tasks::enqueue_gathering(conn, &tasks).await
}

/// Sees to it that what is due for children of this main is looked at: the task that should have done so may have failed
/// for good. What is noted for one that takes no part now, or follows another main account, stays as it is.
pub(super) async fn rouse(conn: &mut AsyncPgConnection, main: Uuid, max_attempts: i32) -> QueryResult<()> {
    let children = accounts::children(conn, main).await?;
    let children = children.iter().filter(|child| child.status != Status::Inactive);
    let children: Vec<Uuid> = children.map(|child| child.account_id).collect();
    let due = changes::children_with_due(conn, main, &children).await?;
    let tasks: Vec<NewTask> =
        due.into_iter().map(|child| task(main, child, None, GATHER, max_attempts)).collect();
    tasks::enqueue_gathering(conn, &tasks).await?;
    images::rouse(conn, main, &children, max_attempts).await
}

fn task(main: Uuid, child: Uuid, event: Option<Uuid>, delay: Duration, max_attempts: i32) -> NewTask {
    NewTask {
        event_id: event,
        account_id: child,
        entity_type: CATALOG,
        entity_id: main.to_string(),
        operation: SYNC,
        payload: json!({"main_account": main}),
        dedupe_key: format!("catalog/{main}/{child}"),
        max_attempts,
        priority: tasks::CATALOG,
        delay,
    }
}

/// Nothing is due before the gathering ends; polling alone would add half a second.
fn wake_soon(cx: &Context) {
    let waker = cx.sync_tasks.clone();
    tokio::spawn(async move {
        tokio::time::sleep(GATHER).await;
        waker.wake();
    });
}

/// Brings a child what has gathered.
pub(super) async fn run(task: &Task, pair: &Pair, cx: &Work) -> Result<Outcome, ApiError> {
    match &*task.entity_type {
        // Boxed: it is large, and part of the future of every task.
        CATALOG => Box::pin(drain::run(task, pair, cx)).await,
        other => {
            Err(HandlerError::GiveUp(format!("nothing can {} entities of type {other}", task.operation))
                .into())
        }
    }
}

fn summary(tasks: usize, left_out: usize) -> String {
    let tasks = match tasks {
        1 => "1 sync task".to_owned(),
        n => format!("{n} sync tasks"),
    };
    match left_out {
        0 => tasks,
        1 => format!("{tasks}; 1 child is inactive"),
        n => format!("{tasks}; {n} children are inactive"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_who_was_left_out() {
        assert_eq!(summary(3, 0), "3 sync tasks");
        assert_eq!(summary(1, 1), "1 sync task; 1 child is inactive");
        assert_eq!(summary(0, 2), "0 sync tasks; 2 children are inactive");
    }

    #[test]
    fn the_catalogue_is_five_types() {
        for wanted in
            ["product.CREATE", "variant.UPDATE", "bundle.DELETE", "service.CREATE", "productfolder.UPDATE"]
        {
            assert!(wants(wanted), "{wanted}");
        }
        for other in ["customerorder.CREATE", "product.PROCESSED", "product", "stock.UPDATE"] {
            assert!(!wants(other), "{other}");
        }
    }
}
