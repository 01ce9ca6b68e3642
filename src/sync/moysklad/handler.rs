//! A product changed in a main account: one task for each of its children.

use super::accounts::{self, Account, Role, Status};
use crate::config::Settings;
use crate::queue::{HandlerError, Outcome};
use crate::sync::tasks::{self, NewTask};
use crate::sync::{Context, Event, Handler};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Fans events of main accounts out to their children.
#[derive(Debug, Clone)]
pub struct MoyskladHandler {
    max_attempts: i32,
}

impl MoyskladHandler {
    /// For these settings.
    pub fn new(settings: &Settings) -> Self {
        Self { max_attempts: settings.worker.max_attempts }
    }

    fn task(&self, event: &Event, product: Uuid, main: Uuid, child: &Account) -> NewTask {
        NewTask {
            event_id: Some(event.id),
            account_id: child.account_id,
            entity_type: super::PRODUCT,
            entity_id: product.to_string(),
            operation: super::UPSERT,
            payload: json!({"main_account": main}),
            dedupe_key: format!("{}/{}", event.id, child.account_id),
            max_attempts: self.max_attempts,
        }
    }
}

/// One element of a notification's `events`. It tells that something happened, not what: that is read anew.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notice {
    account_id: Uuid,
}

#[async_trait::async_trait]
impl Handler for MoyskladHandler {
    fn provider(&self) -> &'static str {
        "moysklad"
    }

    fn wants(&self, event_type: &str) -> bool {
        matches!(event_type, "product.CREATE" | "product.UPDATE")
    }

    async fn handle(&self, event: &Event, cx: &Context) -> Result<Outcome, HandlerError> {
        let unreadable = |what: &str| HandlerError::GiveUp(format!("the event has no readable {what}"));
        let Notice { account_id } =
            serde_json::from_slice(&event.body).map_err(|_| unreadable("accountId"))?;
        let product: Uuid =
            event.subject.as_deref().and_then(|id| id.parse().ok()).ok_or_else(|| unreadable("entity id"))?;
        let mut conn = cx.pool.get().await?;
        let Some(account) = accounts::find(&mut conn, account_id).await? else {
            return Ok(Outcome::ignored("unknown account"));
        };
        if account.status != Status::Active {
            return Ok(Outcome::ignored(format!("the account is {}", account.status.as_str())));
        }
        if account.role == Role::Child {
            // Or an edit in a child would come back to it, and to its siblings.
            return Ok(Outcome::ignored("products flow from main to child"));
        }
        let (active, others): (Vec<_>, Vec<_>) = accounts::children(&mut conn, account_id)
            .await?
            .into_iter()
            .partition(|child| child.status == Status::Active);
        let tasks: Vec<NewTask> =
            active.iter().map(|child| self.task(event, product, account_id, child)).collect();
        tasks::enqueue(&mut conn, &tasks).await?;
        cx.sync_tasks.wake();
        Ok(Outcome::completed(summary(tasks.len(), others.len())))
    }
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
