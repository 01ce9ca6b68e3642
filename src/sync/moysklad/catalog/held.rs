//! Writes that a loop breaker or a threshold holds back, and the note of those that it lets pass.

use super::changes;
use super::drain::Drain;
use super::routes::path_of;
use super::writes::Write;
use crate::sync::moysklad::api::ApiError;
use crate::sync::moysklad::loops;
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use uuid::Uuid;

const LOOP: &str = "by its loop breaker";
/// MoySklad bans who writes one entity more than a hundred times in a minute.
const OFTEN: &str = "because it was written too often within a minute,";

impl Drain<'_> {
    /// The writes that may go out now, noted as such before they do; the others wait until their breaker is reset.
    pub(super) async fn let_pass(
        &mut self,
        kind: EntityKind,
        writes: Vec<Write>,
    ) -> Result<Vec<Write>, ApiError> {
        // What is new has no id yet: who deletes it again and again is known by main's.
        let key = |write: &Write| write.target.unwrap_or(write.item.change.main_id);
        let targets: Vec<Uuid> = writes.iter().map(key).collect();
        if targets.is_empty() {
            return Ok(writes);
        }
        let (child, keyword) = (self.pair.child_id(), kind.keyword());
        let mut conn = self.cx.conn().await?;
        let mut held: BTreeMap<Uuid, (DateTime<Utc>, &str)> = targets
            .iter()
            .filter_map(|id| {
                Some((*id, (self.cx.clock.now() + self.child.holds(&path_of(kind, *id))?, OFTEN)))
            })
            .collect();
        let tripped = loops::may_write(&mut conn, child, keyword, &targets).await?;
        held.extend(tripped.into_iter().map(|(id, until)| (id, (until, LOOP))));
        let free: Vec<Uuid> = targets.into_iter().filter(|id| !held.contains_key(id)).collect();
        loops::wrote(&mut conn, child, keyword, &free).await?;
        let mut pass = Vec::new();
        for write in writes {
            let Some((until, why)) = held.get(&key(&write)) else {
                pass.push(write);
                continue;
            };
            let change = &write.item.change;
            let text = format!("held {why} until {}", until.to_rfc3339());
            let place = (child, self.pair.main_id(), keyword, change.main_id);
            if let Some(version) = change.version {
                changes::postpone(&mut conn, place, version, *until, &text).await.map_err(broken)?;
            } else {
                let new = changes::hold_new(&mut conn, place, "waiting", &text, None, *until);
                new.await.map_err(broken)?;
            }
            self.report_held(change, &text);
        }
        Ok(pass)
    }
}
