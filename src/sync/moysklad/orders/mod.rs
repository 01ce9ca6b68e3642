//! Child to main: customer orders, retail sales and purchase orders of a child become customer orders of main.
//!
//! What a child sells or orders is for main something to deliver, so all three become a `customerorder`: main has
//! neither the child's point of sale (which a retail sale needs) nor a supplier for what it delivers itself.
//!
//! A task starts from what the child says now, so it does not matter which event caused it, in which order events come,
//! or how often. A document that is deleted in the child stays in main: it is made not applicable and says so in its
//! description, since somebody may be at work on it. A copy that was deleted in main is made anew when the document
//! changes in the child. Lines that somebody adds in main are left alone.

mod amounts;
mod copy;
mod currency;
mod diff;
mod goods;
mod header;
mod held;
mod lines;
mod log;
mod number;
mod outage;
mod party;
mod read;
mod refusals;
mod states;
mod status_back;
mod step;
mod store;
mod sums;
mod transfer;
mod write;

use super::accounts::{Account, Role};
use super::api::ApiError;
use super::notice::{Action, Notice};
use super::settings::{ChildSettings, DocumentKind};
use super::work::{Pair, Work};
use crate::queue::{HandlerError, Outcome};
use crate::sync::Context;
use crate::sync::tasks::{self, NewTask, Task};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
pub(super) use outage::wait_out;
use serde_json::json;
pub(super) use states::{State, States};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use store::Source;
pub(super) use store::{GONE, copied_from};
use transfer::Transfer;
use uuid::Uuid;

/// Every type of documents that may flow.
const KINDS: [DocumentKind; 3] =
    [DocumentKind::Customerorder, DocumentKind::Retaildemand, DocumentKind::Purchaseorder];
/// What all of them become in main.
const ORDER: &str = "customerorder";
/// Bring a child's document to main, as it is now.
const TRANSFER: &str = "transfer";
/// Key of a payload: names of the fields that a webhook told to be changed.
const RECEIVED: &str = "received";
/// Most names of changed fields that a task keeps.
const MOST_FIELDS: usize = 100;
/// Bring the state of main's order to the child's document.
const STATUS_BACK: &str = "status_back";

/// Whether something may come of an event of this type (`customerorder.CREATE`).
pub(super) fn wants(event_type: &str) -> bool {
    event_type
        .split_once('.')
        .is_some_and(|(kind, action)| kind_of(kind).is_some() && Action::parse(action).is_some())
}

/// Whether these are documents that may flow.
pub(super) fn are(keyword: &str) -> bool {
    kind_of(keyword).is_some()
}

fn kind_of(keyword: &str) -> Option<DocumentKind> {
    KINDS.into_iter().find(|kind| kind.keyword() == keyword)
}

/// Makes tasks of a document that changed in an account.
pub(super) async fn tasks(notice: &Notice<'_>, cx: &Context) -> Result<Outcome, HandlerError> {
    let tasks = match (notice.account.role, kind_of(notice.entity_type)) {
        (_, None) => return Ok(Outcome::ignored("events of this type are not handled")),
        (Role::Child, Some(kind)) => {
            let settings = settings(&notice.account)?.orders;
            if settings.organization.is_none() {
                return Ok(Outcome::ignored("orders do not flow: orders.organization is not set"));
            }
            if !settings.documents.contains(&kind) {
                return Ok(Outcome::ignored("documents of this type do not flow from this account"));
            }
            let cause = Cause {
                event: Some(notice.event.id),
                name: notice.event.id.to_string(),
                received: notice.updated_fields.as_deref(),
                max_attempts: notice.max_attempts,
            };
            transfer_task(&notice.account, kind, notice.entity_id, &cause).into_iter().collect()
        }
        (Role::Main, Some(kind)) => {
            // A sweep may find the copy of an order newly made, and its state changed since.
            if kind.keyword() != ORDER || notice.action == Action::Delete {
                return Ok(Outcome::ignored("documents flow from child to main"));
            }
            if notice.updated_fields.as_ref().is_some_and(|fields| !fields.iter().any(|f| f == "state")) {
                return Ok(Outcome::ignored("only the state of an order goes back to a child"));
            }
            status_back::tasks(notice, cx).await?
        }
    };
    if tasks.is_empty() {
        return Ok(Outcome::ignored("no child follows the state of this order"));
    }
    tasks::enqueue(&mut *cx.pool.get().await?, &tasks).await?;
    cx.sync_tasks.wake();
    Ok(Outcome::completed(match tasks.len() {
        1 => "1 sync task".to_owned(),
        n => format!("{n} sync tasks"),
    }))
}

/// What has set a task in motion.
struct Cause<'a> {
    /// Row id of the event.
    event: Option<Uuid>,
    /// Told apart from every other cause: the task is stored once for each.
    name: String,
    /// Names of the fields that were changed, if that was told.
    received: Option<&'a [String]>,
    max_attempts: i32,
}

/// The task that brings a child's document to main as it is now; `None` for an account that follows no other.
fn transfer_task(child: &Account, kind: DocumentKind, document: Uuid, cause: &Cause<'_>) -> Option<NewTask> {
    let received = cause.received.map(|names| &names[..names.len().min(MOST_FIELDS)]);
    Some(NewTask {
        event_id: cause.event,
        account_id: child.parent_account_id?,
        entity_type: kind.keyword(),
        entity_id: document.to_string(),
        operation: TRANSFER,
        payload: json!({tasks::CHILD_ACCOUNT: child.account_id, RECEIVED: received}),
        dedupe_key: format!("{}/{}/{document}/{TRANSFER}", cause.name, child.account_id),
        max_attempts: cause.max_attempts,
        priority: tasks::ORDERS,
        delay: Duration::ZERO,
    })
}

/// The task of a child that follows another main account by now: what it has sold goes there. `None`: this is another task,
/// or there is nobody to follow.
pub(super) async fn follow(
    task: &Task,
    child: &Account,
    conn: &mut AsyncPgConnection,
) -> Result<Option<Outcome>, HandlerError> {
    let (Some(kind), true, Ok(document)) =
        (kind_of(&task.entity_type), carries(task), task.entity_id.parse::<Uuid>())
    else {
        return Ok(None);
    };
    let received = log::received(task);
    let cause = Cause {
        event: task.event_id,
        name: format!("task/{}", task.id),
        received: received.as_deref(),
        max_attempts: task.max_attempts,
    };
    let Some(next) = transfer_task(child, kind, document, &cause) else { return Ok(None) };
    let parent = next.account_id;
    tasks::enqueue(conn, &[next]).await?;
    Ok(Some(Outcome::completed(format!("the account follows {parent} by now: another task brings it there"))))
}

/// Those of these documents of a child of which main hears without more being told: a task is about to look at them, or the
/// last one that was told of their end has failed, and waits for a person.
pub(super) async fn at_work(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    kind: &str,
    ids: &[Uuid],
) -> QueryResult<BTreeSet<Uuid>> {
    use crate::db::schema::{sync_queue, webhook_events};
    let documents: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    let rows: Vec<(String, String, Option<String>)> = sync_queue::table
        .left_join(webhook_events::table)
        .filter(sync_queue::account_id.eq(main).and(sync_queue::entity_type.eq(kind)))
        .filter(sync_queue::operation.eq(TRANSFER).and(sync_queue::entity_id.eq_any(documents)))
        .order(sync_queue::id)
        .select((sync_queue::entity_id, sync_queue::status, webhook_events::event_type.nullable()))
        .load(conn)
        .await?;
    // The newest comes last.
    let mut at_work = BTreeMap::new();
    for (document, status, event_type) in rows {
        let is_told = || event_type.is_some_and(|event_type| event_type.ends_with(".DELETE"));
        let waits = matches!(&*status, "received" | "processing") || status == "failed" && is_told();
        if let Ok(document) = document.parse::<Uuid>() {
            at_work.insert(document, waits);
        }
    }
    Ok(at_work.into_iter().filter_map(|(document, waits)| waits.then_some(document)).collect())
}

/// Whether it brings a document to main: what a child has sold waits where other work would be dropped.
pub(super) fn carries(task: &Task) -> bool {
    kind_of(&task.entity_type).is_some() && task.operation == TRANSFER
}

/// Whether [`run`] runs this task.
pub(super) fn takes(task: &Task) -> bool {
    kind_of(&task.entity_type).is_some() && matches!(&*task.operation, TRANSFER | STATUS_BACK)
}

/// Brings a document to main, or its state back.
pub(super) async fn run(task: &Task, pair: &Pair, cx: &Work) -> Result<Outcome, ApiError> {
    let id = task
        .entity_id
        .parse()
        .map_err(|_| HandlerError::GiveUp("the task's entity id is not a UUID".to_owned()))?;
    let settings = settings(&pair.child.account)?.orders;
    let kind = kind_of(&task.entity_type)
        .ok_or_else(|| HandlerError::GiveUp(format!("nothing can transfer a {}", task.entity_type)))?;
    let (main, child) = (cx.api(&pair.main)?.urgent(), cx.api(&pair.child)?.urgent());
    if task.operation == STATUS_BACK {
        return status_back::run(task, id, &settings, pair, (&main, &child), cx).await;
    }
    let Some(organization) = settings.organization else {
        return Ok(Outcome::ignored("orders do not flow: orders.organization is not set"));
    };
    let source = Source {
        main_account: pair.main_id(),
        child_account: pair.child_id(),
        kind: kind.keyword(),
        document: id,
    };
    let transfer = Transfer { main, child, source, kind, organization, settings: &settings, cx };
    // Boxed: it is large, and part of the future of every task.
    Box::pin(transfer.run(task)).await
}

fn settings(child: &Account) -> Result<ChildSettings, HandlerError> {
    ChildSettings::read(&child.settings)
        .map_err(|error| HandlerError::GiveUp(format!("the account's settings are not acceptable: {error}")))
}

/// Namespace of the `syncId`s of documents and counterparties that come from children.
const NAMESPACE: Uuid = Uuid::from_u128(0x2b9e_61f4_08d3_4c7a_9d15_c6f0_73ae_58b2);

/// The same for every run of the same entity of a child: MoySklad answers a repeated create with what the first created.
fn sync_id(child_account: Uuid, id: Uuid) -> Uuid {
    Uuid::new_v5(&NAMESPACE, &[child_account, id].map(Uuid::into_bytes).concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_id_belongs_to_one_document_of_one_child_for_ever() {
        let id = |account: u128, document: u128| sync_id(Uuid::from_u128(account), Uuid::from_u128(document));
        assert_eq!(id(1, 2), id(1, 2));
        assert_ne!(id(1, 2), id(2, 1));
        assert_ne!(id(1, 2), id(1, 3));
    }

    #[test]
    fn documents_are_wanted_and_other_things_are_not() {
        for event_type in ["customerorder.CREATE", "retaildemand.UPDATE", "purchaseorder.DELETE"] {
            assert!(wants(event_type), "{event_type}");
        }
        for event_type in ["product.CREATE", "customerorder.PROCESSED", "customerorder", "demand.CREATE"] {
            assert!(!wants(event_type), "{event_type}");
        }
    }
}
