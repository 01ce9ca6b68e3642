//! What a child has of main and main has no more. A child that was inactive heard of no deletion, and no sweep tells it
//! again.

use super::Import;
use crate::db::schema::moysklad_mappings::dsl;
use crate::queue::HandlerError;
use crate::sync::moysklad::api::{AccountApi, ApiError};
use crate::sync::moysklad::catalog::{self, News};
use crate::sync::moysklad::mappings::ARCHIVED;
use crate::sync::moysklad::reconcile::listing::{self, IDS};
use crate::sync::moysklad::reconcile::sweep;
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

impl Import {
    /// Notes for each child what it has of main and main has no more. To be called after all was read.
    pub(super) async fn find_gone(&mut self, api: &AccountApi) -> Result<(), ApiError> {
        for kind in self.state.scope.kinds.clone() {
            self.gone(api, kind).await?;
        }
        Ok(())
    }

    async fn gone(&mut self, api: &AccountApi, kind: EntityKind) -> Result<(), ApiError> {
        let pairs = self.mapped(kind).await?;
        let mapped: BTreeSet<Uuid> = pairs.iter().map(|(_, main_id)| *main_id).collect();
        // A list that others change meanwhile may skip a row, and the first pages may be an earlier run's: each is asked for
        // by its id.
        let doubtful: Vec<Uuid> = mapped.iter().copied().filter(|id| !self.seen.contains(id)).collect();
        let mut missing: BTreeSet<Uuid> = doubtful.iter().copied().collect();
        for ids in doubtful.chunks(IDS) {
            for entry in listing::among(api, kind.keyword(), ids).await? {
                missing.remove(&entry.id);
            }
            let held = self.hold.extend(&mut *self.work.conn().await?).await;
            held.map_err(|error| HandlerError::Retry(error.to_string()))?;
        }
        if sweep::is_odd(missing.len(), mapped.len()) {
            self.refused.push(sweep::gone_from_main(missing.len(), mapped.len(), kind.keyword()));
            return Ok(());
        }
        let mut conn = self.work.conn().await?;
        for child in &self.state.scope.targets {
            let of_child = pairs.iter().filter(|(account, id)| account == child && missing.contains(id));
            let ids: Vec<Uuid> = of_child.map(|(_, main_id)| *main_id).collect();
            if ids.is_empty() {
                continue;
            }
            let news = News {
                main: self.main.account.account_id,
                children: &[*child],
                kind,
                main_ids: &ids,
                operation: "delete",
                updated_fields: None,
                event: None,
                delay: Duration::ZERO,
            };
            catalog::enqueue(&mut conn, &news, self.max_attempts()).await.map_err(broken)?;
        }
        Ok(())
    }

    /// Child and id in main of what the children have, without what is archived because main deleted it.
    async fn mapped(&self, kind: EntityKind) -> Result<Vec<(Uuid, Uuid)>, ApiError> {
        let mut conn = self.work.conn().await?;
        dsl::moysklad_mappings
            .filter(dsl::main_account.eq(self.main.account.account_id))
            .filter(dsl::child_account.eq_any(&self.state.scope.targets))
            .filter(dsl::entity_type.eq(kind.keyword()).and(dsl::written_hash.is_distinct_from(ARCHIVED)))
            .select((dsl::child_account, dsl::main_id))
            .load(&mut conn)
            .await
            .map_err(broken)
    }
}
