//! Keeps writes from coming back as events without end.
//!
//! The header that mutes own webhooks is the first line of defence. The second is here: what an account's own login did is
//! not followed where nobody else uses that login, and an entity whose writes are answered by webhooks again and again is
//! left alone for a while: a webhook that follows an own write within ten minutes counts, one for each write, and more
//! than `MOYSKLAD_LOOP_WRITES` of them in any ten minutes trip the entity's breaker. What is to be written meanwhile waits.

mod breaker;

pub use breaker::{Tripped, reset, tripped};
pub(super) use breaker::{may_write, tidy, wrote};

use super::accounts::{Account, Role};
use super::notice::{Action, Notice};
use super::settings::{ChildSettings, MainSettings};
use super::{mappings, reconcile};
use crate::queue::HandlerError;
use crate::sync::Context;
use crate::sync::tasks::BLOCKED;
use chrono::Utc;
use diesel_async::AsyncPgConnection;
use std::time::Duration;
use uuid::Uuid;

/// Why nothing shall come of this notice: it is the echo of an own write. Counts it against its entity's breaker.
pub(super) async fn refusal(notice: &Notice<'_>, cx: &Context) -> Result<Option<String>, HandlerError> {
    let account = &notice.account;
    if reconcile::is_found(&notice.event.event_id) {
        // Nobody sent it, so it is nobody's echo.
        return Ok(None);
    }
    let mut conn = cx.pool.get().await?;
    for id in entities(notice, &mut conn).await? {
        let entity = (account.account_id, notice.entity_type, id);
        let Some(tripped) = breaker::hooked(&mut conn, entity, cx.loop_writes).await? else { continue };
        metrics::counter!("moysklad_loops_total").increment(1);
        tracing::warn!(
            alert = "loop", account = %account.account_id, entity_type = notice.entity_type, entity = %id,
            until = %tripped.until,
            "own writes to this entity come back as webhooks: it is not written until then; `hookgate webhook reset-loop` \
             ends that"
        );
    }
    Ok(is_own(account, notice.uid.as_deref())
        .then(|| "the gateway's own login did it: the echo of a write".to_owned()))
}

/// The entity itself; and where a child has deleted it also that of main which it followed, as whose counterpart it would
/// be made again under a new id each time.
async fn entities(notice: &Notice<'_>, conn: &mut AsyncPgConnection) -> Result<Vec<Uuid>, HandlerError> {
    let account = &notice.account;
    let mut ids = vec![notice.entity_id];
    if let (Action::Delete, Some(main)) = (notice.action, account.parent_account_id) {
        ids.extend(
            mappings::main_of(conn, account.account_id, main, notice.entity_type, notice.entity_id).await?,
        );
    }
    Ok(ids)
}

/// To be asked before the write of one entity: notes it, or lets the work wait until the entity's breaker is reset.
pub(super) async fn before_write(
    conn: &mut AsyncPgConnection,
    account: Uuid,
    entity_type: &str,
    id: Uuid,
) -> Result<(), HandlerError> {
    is_free(conn, account, entity_type, id).await?;
    wrote(conn, account, entity_type, &[id]).await
}

/// Whether one entity may be written, or how long and why the work has to wait.
pub(super) async fn is_free(
    conn: &mut AsyncPgConnection,
    account: Uuid,
    entity_type: &str,
    id: Uuid,
) -> Result<(), HandlerError> {
    let Some(until) = may_write(conn, account, entity_type, &[id]).await?.remove(&id) else { return Ok(()) };
    Err(HandlerError::Defer {
        after: (until - Utc::now()).to_std().unwrap_or(Duration::ZERO),
        reason: format!(
            "{BLOCKED}: own writes to {entity_type} {id} of account {account} come back as webhooks; it is not written \
             until {}; `hookgate webhook reset-loop` ends that",
            until.to_rfc3339()
        ),
    })
}

/// Whether this was done with the account's own token. A person's login counts only where the settings say that no person
/// uses it; a solution is never a person.
fn is_own(account: &Account, uid: Option<&str>) -> bool {
    let (Some(own), Some(uid)) = (account.own_uid.as_deref(), uid) else { return false };
    let Some((name, _)) = uid.split_once('@') else { return false };
    if own.contains('@') { own == uid && is_dedicated(account) } else { own == name }
}

fn is_dedicated(account: &Account) -> bool {
    match account.role {
        Role::Main => MainSettings::read(&account.settings).is_ok_and(|settings| settings.dedicated_login),
        Role::Child => ChildSettings::read(&account.settings).is_ok_and(|settings| settings.dedicated_login),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::moysklad::accounts::Status;
    use serde_json::{Value, json};
    use uuid::Uuid;

    fn account(own_uid: Option<&str>, settings: Value) -> Account {
        let now = chrono::Utc::now();
        Account {
            account_id: Uuid::nil(),
            name: "Main".to_owned(),
            role: Role::Main,
            parent_account_id: None,
            status: Status::Active,
            settings,
            has_token: true,
            own_uid: own_uid.map(str::to_owned),
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn a_login_is_own_only_where_no_person_uses_it() {
        let dedicated = json!({"dedicated_login": true});
        assert!(is_own(&account(Some("gate@shop"), dedicated.clone()), Some("gate@shop")));
        assert!(!is_own(&account(Some("gate@shop"), dedicated.clone()), Some("anna@shop")));
        assert!(!is_own(&account(Some("gate@shop"), dedicated.clone()), None));
        assert!(!is_own(&account(None, dedicated), Some("gate@shop")));
        assert!(!is_own(&account(Some("gate@shop"), json!({})), Some("gate@shop")));
    }

    #[test]
    fn a_solution_is_never_a_person() {
        let account = account(Some("sync.vendor"), json!({}));
        assert!(is_own(&account, Some("sync.vendor@shop")));
        assert!(!is_own(&account, Some("sync.vendor2@shop")));
    }
}
