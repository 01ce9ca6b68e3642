//! Events of provider `hookgate` that changes in MoySklad cause, once for each event that told of the change.
//!
//! | emitted | from | of |
//! | --- | --- | --- |
//! | `product.created`, `.updated`, `.deleted` | hooks of product, variant, bundle, service | main: a child's are copies |
//! | `sales_order.created` | customerorder CREATE | main and children, but not main's copies of children's |
//! | `sales_order.confirmed`, `.cancelled` | customerorder UPDATE and DELETE | main and children |
//! | `customer.created`, `.updated` | counterparty CREATE, UPDATE | main and children, but not main's copies |
//! | `purchase_order.created` | purchaseorder CREATE | main and children |
//! | `inventory.updated`, `.low` | stock hooks | main and children |
//!
//! An order is confirmed once it has left the first state of its account for one that is not unsuccessful, and cancelled
//! in an unsuccessful state, not applicable, or deleted. Either is told when it becomes so, and not again while it stays;
//! an order that is created in such a state is told as created alone, since nothing of it is read for that.
//!
//! `data` holds ids, the account, an order's state and the names of the fields that were changed: nothing of what stands
//! in them. Where main's copy of a child's order is confirmed or cancelled, `copy_of` names that order. Stock
//! events hold quantities beside.
//!
//! Each is told once: that something was made or deleted, for it is that once; else by the change in the account's audit
//! where several webhooks tell of it, and what a sweep finds is told only if no webhook did before.

mod orders;
mod stock;

use super::accounts::{Credentials, Role};
use super::api::ApiError;
use super::notice::{self, Action, Notice};
use super::work::Work;
use crate::inbox::{Emission, emit as store};
use crate::queue::{HandlerError, Outcome};
use crate::sync::Context;
use crate::sync::tasks::{self, NewTask, Task};
use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use orders::Standing;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// Look how an order stands now, and tell it.
const OBSERVE: &str = "observe";
/// Entity type of stock hooks.
const STOCK: &str = "stock";
/// Most names of changed fields in an event.
const MOST_FIELDS: usize = 100;

/// Whether an event of this type may mean something to others.
pub(super) fn wants(event_type: &str) -> bool {
    let Some((entity_type, action)) = event_type.split_once('.') else { return false };
    let Some(action) = Action::parse(action) else { return false };
    match entity_type {
        "product" | "variant" | "bundle" | "service" | "customerorder" => true,
        "counterparty" => action != Action::Delete,
        "purchaseorder" => action == Action::Create,
        STOCK => action == Action::Update,
        _ => false,
    }
}

/// What is to be done about a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// Nothing.
    Nothing,
    /// Emit this.
    Tell(&'static str),
    /// Emit this, unless the entity is main's copy of a child's.
    TellIfOwn(&'static str),
    /// Emit that the order is cancelled, unless that was told.
    TellDeleted,
    /// Make a task that reads first.
    Look,
}

fn plan(entity_type: &str, action: Action, role: Role, updated_fields: Option<&[String]>) -> Plan {
    match (entity_type, action, role) {
        ("product" | "variant" | "bundle" | "service", action, Role::Main) => Plan::Tell(match action {
            Action::Create => "product.created",
            Action::Update => "product.updated",
            Action::Delete => "product.deleted",
        }),
        ("customerorder", Action::Create, _) => Plan::TellIfOwn("sales_order.created"),
        ("customerorder", Action::Delete, _) => Plan::TellDeleted,
        ("customerorder", Action::Update, _) => {
            // Only these decide how it stands; to read at every other edit would be for nothing.
            let decisive = |field: &String| matches!(&**field, "state" | "applicable" | "deleted");
            match updated_fields {
                Some(fields) if !fields.iter().any(decisive) => Plan::Nothing,
                _ => Plan::Look,
            }
        }
        ("counterparty", Action::Create, _) => Plan::TellIfOwn("customer.created"),
        ("counterparty", Action::Update, _) => Plan::Tell("customer.updated"),
        ("purchaseorder", Action::Create, _) => Plan::Tell("purchase_order.created"),
        (STOCK, Action::Update, _) => Plan::Look,
        _ => Plan::Nothing,
    }
}

/// Emits what this notice means to others, or makes a task that looks first; says what it did, unless there was
/// nothing.
pub(super) async fn emit(notice: &Notice<'_>, cx: &Context) -> Result<Option<String>, HandlerError> {
    let plan = plan(notice.entity_type, notice.action, notice.account.role, notice.updated_fields.as_deref());
    if notice.told && plan != Plan::Look {
        return Ok(None);
    }
    let event_type = match plan {
        Plan::Nothing => return Ok(None),
        Plan::Look => {
            let task = task(notice)?;
            tasks::enqueue(&mut *cx.pool.get().await?, &[task]).await?;
            cx.sync_tasks.wake();
            return Ok(Some("1 sync task".to_owned()));
        }
        Plan::TellDeleted => "sales_order.cancelled",
        Plan::Tell(event_type) | Plan::TellIfOwn(event_type) => event_type,
    };
    let account = notice.account.account_id;
    let mut conn = cx.pool.get().await?;
    if matches!(plan, Plan::TellIfOwn(_))
        && notice.account.role == Role::Main
        && orders::is_copy(&mut conn, account, notice.entity_type, notice.entity_id).await?
    {
        return Ok(None);
    }
    let source = Source::of(notice);
    let fields = notice.updated_fields.as_deref().map(|fields| &fields[..fields.len().min(MOST_FIELDS)]);
    let data = json!({
        "id": notice.entity_id, "account_id": account, "entity_type": notice.entity_type,
        "updated_fields": fields,
    });
    let subject = notice.entity_id.to_string();
    let new = if plan == Plan::TellDeleted {
        orders::tell(&mut conn, &source, account, notice.entity_id, Standing::Cancelled, data).await?
    } else {
        source.emit(&mut conn, event_type, &subject, data).await?
    };
    Ok(Some(crate::sync::told(new.then_some(event_type).as_slice())))
}

fn task(notice: &Notice<'_>) -> Result<NewTask, HandlerError> {
    let source = Source::of(notice);
    let mut payload = json!({"source_event": source.event_id, "occurred_at": source.occurred_at});
    if notice.entity_type == STOCK {
        payload["report"] = stock::report_url(&notice.event.body)?.into();
    }
    Ok(NewTask {
        event_id: Some(notice.event.id),
        account_id: notice.account.account_id,
        entity_type: if notice.entity_type == STOCK { STOCK } else { "customerorder" },
        entity_id: notice.entity_id.to_string(),
        operation: OBSERVE,
        payload,
        dedupe_key: format!("{}/{}/{OBSERVE}", notice.event.id, notice.account.account_id),
        max_attempts: notice.max_attempts,
        priority: tasks::CATALOG,
        delay: Duration::ZERO,
    })
}

/// The event of MoySklad that something is told about.
struct Source {
    event_id: String,
    /// The change in the account's audit: what is told of it once, whichever webhook comes first.
    change: Option<Uuid>,
    occurred_at: Option<DateTime<Utc>>,
}

impl Source {
    fn of(notice: &Notice<'_>) -> Self {
        Self {
            event_id: notice.event.event_id.clone(),
            change: notice::audit(notice.event.envelope.as_deref()),
            occurred_at: notice.event.occurred_at,
        }
    }

    fn of_task(task: &Task) -> Option<Self> {
        let occurred_at = task.payload["occurred_at"].as_str().and_then(|at| at.parse().ok());
        Some(Self { event_id: task.payload["source_event"].as_str()?.to_owned(), change: None, occurred_at })
    }

    /// Emits in the caller's transaction; false if it was there already.
    async fn emit(
        &self,
        conn: &mut AsyncPgConnection,
        event_type: &str,
        subject: &str,
        data: Value,
    ) -> QueryResult<bool> {
        let once_for = match event_type.rsplit_once('.') {
            // A sweep may be earlier than the webhook, and its event is another one.
            Some((_, "created" | "deleted")) => Some(subject.to_owned()),
            _ => self.change.map(|change| format!("{change}/{subject}")),
        };
        let emission = Emission {
            event_type,
            subject,
            source_provider: "moysklad",
            source_event_id: &self.event_id,
            once_for: once_for.as_deref(),
            occurred_at: self.occurred_at,
            data,
        };
        store(conn, &emission).await
    }
}

/// Whether [`run`] runs this task.
pub(super) fn takes(task: &Task) -> bool {
    task.operation == OBSERVE
}

/// Looks, and tells what there is to tell.
pub(super) async fn run(task: &Task, account: &Credentials, cx: &Work) -> Result<Outcome, ApiError> {
    let unreadable = || HandlerError::GiveUp("the task does not name its event and entity".to_owned());
    let source = Source::of_task(task).ok_or_else(unreadable)?;
    let api = cx.api(account)?;
    if task.entity_type == STOCK {
        let report = task.payload["report"].as_str().ok_or_else(unreadable)?;
        return stock::run(&source, &account.account, report, &api, cx).await;
    }
    let order: Uuid = task.entity_id.parse().map_err(|_| unreadable())?;
    orders::run(&source, account.account.account_id, order, &api, cx).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_a_copy_is_not_told_twice() {
        let told = |role| plan("product", Action::Update, role, None);
        assert_eq!(told(Role::Main), Plan::Tell("product.updated"));
        assert_eq!(told(Role::Child), Plan::Nothing);
        let created = plan("customerorder", Action::Create, Role::Main, None);
        assert_eq!(created, Plan::TellIfOwn("sales_order.created"));
    }

    #[test]
    fn an_order_is_read_only_if_it_may_stand_otherwise() {
        let told = |names: Option<&[&str]>| {
            let names = names.map(fields);
            plan("customerorder", Action::Update, Role::Child, names.as_deref())
        };
        assert_eq!(told(Some(&["positions", "sum"])), Plan::Nothing);
        assert_eq!(told(Some(&["positions", "state"])), Plan::Look);
        assert_eq!(told(Some(&["applicable"])), Plan::Look);
        assert_eq!(told(None), Plan::Look);
    }

    #[test]
    fn every_wanted_type_leads_to_something_in_main() {
        for entity in [
            "product",
            "variant",
            "bundle",
            "service",
            "customerorder",
            "counterparty",
            "purchaseorder",
            STOCK,
        ] {
            for (word, action) in
                [("CREATE", Action::Create), ("UPDATE", Action::Update), ("DELETE", Action::Delete)]
            {
                let wanted = wants(&format!("{entity}.{word}"));
                assert_eq!(
                    wanted,
                    plan(entity, action, Role::Main, None) != Plan::Nothing,
                    "{entity}.{word}"
                );
            }
        }
        for other in ["demand.CREATE", "product", "product.PROCESSED", ""] {
            assert!(!wants(other), "{other}");
        }
    }
}
