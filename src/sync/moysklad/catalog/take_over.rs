//! A counterpart whose entity main has deleted, for one that main made anew under the old name.

use super::drain::Drain;
use super::routes::{path_of, routes};
use crate::sync::moysklad::api::ApiError;
use crate::sync::moysklad::mappings::{self, Key, Mapping};
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;

impl Drain<'_> {
    /// Makes it the counterpart of this entity, if the one that has it is gone from main: its deletion may have been told,
    /// or not yet. What was written for that one is what is to be cleared now. False: that one is still there.
    pub(super) async fn take_over(&self, key: Key, mapping: &mut Mapping) -> Result<bool, ApiError> {
        let Some(kind) = EntityKind::parse(key.entity_type) else { return Ok(false) };
        let mut conn = self.cx.conn().await?;
        let (main, child) = (key.main_account, key.child_account);
        let holder = mappings::main_of(&mut conn, child, main, key.entity_type, mapping.child_id);
        let holder = holder.await.map_err(broken)?;
        drop(conn);
        let Some(holder) = holder else { return Ok(false) };
        match self.main.get(routes(kind).read, &path_of(kind, holder), &[]).await {
            Err(ApiError::NotFound(_)) => {
                let mut conn = self.cx.conn().await?;
                let holders = [holder];
                let old = mappings::find_many(&mut conn, main, child, key.entity_type, &holders);
                let old = old.await.map_err(broken)?.remove(&holder);
                mapping.written_fields = old.and_then(|old| old.written_fields);
                mappings::remove(&mut conn, self.key(kind, holder)).await.map_err(broken)?;
                mappings::insert(&mut conn, key, mapping.child_id).await.map_err(broken)
            }
            there => there.map(|_| false),
        }
    }
}
