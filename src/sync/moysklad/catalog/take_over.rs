//! A counterpart whose entity main has deleted, for one that main made anew under the old name.

use super::drain::Drain;
use super::routes::{path_of, routes};
use crate::sync::moysklad::api::ApiError;
use crate::sync::moysklad::mappings::{self, Key};
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use uuid::Uuid;

impl Drain<'_> {
    /// Makes it the counterpart of this entity, if the one that has it is gone from main: its deletion may have been told,
    /// or not yet. False: that one is still there.
    pub(super) async fn take_over(&self, key: Key, child_id: Uuid) -> Result<bool, ApiError> {
        let Some(kind) = EntityKind::parse(key.entity_type) else { return Ok(false) };
        let mut conn = self.cx.conn().await?;
        let holder =
            mappings::main_of(&mut conn, key.child_account, key.main_account, key.entity_type, child_id)
                .await
                .map_err(broken)?;
        drop(conn);
        let Some(holder) = holder else { return Ok(false) };
        match self.main.get(routes(kind).read, &path_of(kind, holder), &[]).await {
            Err(ApiError::NotFound(_)) => {
                let mut conn = self.cx.conn().await?;
                mappings::remove(&mut conn, self.key(kind, holder)).await.map_err(broken)?;
                mappings::insert(&mut conn, key, child_id).await.map_err(broken)
            }
            there => there.map(|_| false),
        }
    }
}
