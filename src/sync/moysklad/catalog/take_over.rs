//! A counterpart whose entity main has deleted, for one that main made anew under the old name.

use super::drain::Drain;
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
        if self.has(&self.main, kind, holder).await? {
            return Ok(false);
        }
        let mut conn = self.cx.conn().await?;
        let old = self.key(kind, holder);
        let handed = mappings::hand_over(&mut conn, old, key.main_id).await.map_err(broken)?;
        Ok(handed.map(|written| mapping.written_fields = written).is_some())
    }
}
