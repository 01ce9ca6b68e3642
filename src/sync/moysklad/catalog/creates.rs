//! The table `moysklad_creates`: what was about to be made in a child. After a create whose end was never known, main may
//! delete or rename its entity before the next run comes to it; then this is all that tells of what the child may hold.

use super::drain::Drain;
use super::matching::field_name;
use super::routes::escaped;
use super::writes::{Write, sync_id};
use crate::db::schema::moysklad_creates::dsl;
use crate::sync::moysklad::api::{ApiError, id_of_entity};
use crate::sync::moysklad::mappings::{self, Mapping};
use crate::sync::moysklad::product::{fields_of, no_barcodes};
use crate::sync::moysklad::settings::{EntityKind, MatchField};
use crate::sync::moysklad::work::broken;
use diesel::prelude::*;
use diesel::sql_types::{Array, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// A counterpart that was made.
#[derive(QueryableByName)]
struct Made {
    #[diesel(sql_type = SqlUuid)]
    main_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    child_id: Uuid,
    #[diesel(sql_type = Nullable<Jsonb>)]
    written_fields: Option<Value>,
}

impl Drain<'_> {
    /// Notes, before the requests, what they are to make; whether there is anything.
    pub(super) async fn note_creates(&self, kind: EntityKind, writes: &[Write]) -> Result<bool, ApiError> {
        let row = |write: &Write| {
            let code = write.item.entity["externalCode"].as_str()?.to_owned();
            Some((
                dsl::main_account.eq(self.pair.main_id()),
                dsl::child_account.eq(self.pair.child_id()),
                dsl::entity_type.eq(kind.keyword()),
                dsl::main_id.eq(write.item.change.main_id),
                dsl::external_code.eq(code),
                dsl::fields.eq(fields_of(&write.body)),
            ))
        };
        let rows: Vec<_> = writes.iter().filter(|write| write.target.is_none()).filter_map(row).collect();
        if rows.is_empty() {
            return Ok(false);
        }
        diesel::insert_into(dsl::moysklad_creates)
            .values(rows)
            .on_conflict((dsl::child_account, dsl::main_account, dsl::entity_type, dsl::main_id))
            .do_update()
            .set((
                dsl::external_code.eq(excluded(dsl::external_code)),
                dsl::fields.eq(dsl::fields.concat(excluded(dsl::fields))),
            ))
            .execute(&mut *self.cx.conn().await?)
            .await
            .map_err(broken)?;
        Ok(true)
    }

    /// Remembers the counterparts that were made, id in main and id in the child, with the fields that were written to them.
    /// Left out are those that have another one, or whose child's entity follows another of main.
    pub(super) async fn map_created(
        &self,
        kind: EntityKind,
        created: &[(Uuid, Uuid)],
    ) -> Result<HashMap<Uuid, Mapping>, ApiError> {
        if created.is_empty() {
            return Ok(HashMap::new());
        }
        // An insert from a list and a table: diesel cannot say it.
        let rows: Vec<Made> = diesel::sql_query(
            "INSERT INTO moysklad_mappings (main_account, child_account, entity_type, main_id, child_id, written_fields)
             SELECT $1, $2, $3, n.main_id, n.child_id, $6 || c.fields
             FROM unnest($4, $5) AS n (main_id, child_id)
             LEFT JOIN moysklad_creates AS c ON c.child_account = $2 AND c.main_account = $1 AND c.entity_type = $3
                 AND c.main_id = n.main_id
             ON CONFLICT DO NOTHING
             RETURNING main_id, child_id, written_fields",
        )
        .bind::<SqlUuid, _>(self.pair.main_id())
        .bind::<SqlUuid, _>(self.pair.child_id())
        .bind::<Text, _>(kind.keyword())
        .bind::<Array<SqlUuid>, _>(created.iter().map(|one| one.0).collect::<Vec<_>>())
        .bind::<Array<SqlUuid>, _>(created.iter().map(|one| one.1).collect::<Vec<_>>())
        // Unless one was sent, of which the row tells.
        .bind::<Jsonb, _>(if kind == EntityKind::Productfolder { json!({}) } else { no_barcodes() })
        .load(&mut *self.cx.conn().await?)
        .await
        .map_err(broken)?;
        let mapping = |made: Made| {
            let Made { main_id, child_id, written_fields } = made;
            (main_id, Mapping { child_id, written_hash: None, written_fields })
        };
        Ok(rows.into_iter().map(mapping).collect())
    }

    /// Forgets what is known to have been made: it is mapped.
    pub(super) async fn forget_creates(&self, kind: EntityKind) -> Result<(), ApiError> {
        // A delete that joins: diesel cannot say it.
        diesel::sql_query(
            "DELETE FROM moysklad_creates AS c USING moysklad_mappings AS m
             WHERE c.child_account = $1 AND c.main_account = $2 AND c.entity_type = $3
                 AND m.main_account = c.main_account AND m.child_account = c.child_account
                 AND m.entity_type = c.entity_type AND m.main_id = c.main_id",
        )
        .bind::<SqlUuid, _>(self.pair.child_id())
        .bind::<SqlUuid, _>(self.pair.main_id())
        .bind::<Text, _>(kind.keyword())
        .execute(&mut *self.cx.conn().await?)
        .await
        .map_err(broken)?;
        Ok(())
    }

    /// The counterparts of these entities, which no mapping knows, as far as an earlier run made them without ever knowing.
    /// They are mapped from now on.
    pub(super) async fn made_unknown(
        &self,
        kind: EntityKind,
        ids: Vec<Uuid>,
    ) -> Result<HashMap<Uuid, Mapping>, ApiError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let (main, child) = (self.pair.main_id(), self.pair.child_id());
        let noted = dsl::moysklad_creates
            .filter(dsl::child_account.eq(child).and(dsl::main_account.eq(main)))
            .filter(dsl::entity_type.eq(kind.keyword()).and(dsl::main_id.eq_any(ids)));
        let mut conn = self.cx.conn().await?;
        let begun: Vec<(Uuid, String)> =
            noted.select((dsl::main_id, dsl::external_code)).load(&mut conn).await.map_err(broken)?;
        drop(conn);
        let mut found = HashMap::new();
        for (main_id, code) in begun {
            if let Some(child_id) = self.made_as(kind, main_id, &code).await? {
                found.extend(self.map_created(kind, &[(main_id, child_id)]).await?);
            }
            let row = dsl::moysklad_creates.find((child, main, kind.keyword(), main_id));
            diesel::delete(row).execute(&mut *self.cx.conn().await?).await.map_err(broken)?;
        }
        Ok(found)
    }

    /// The child's entity that was made for this one of main: by its `syncId`, which lists show but may not filter by.
    /// Variants and folders have none: it is the one of this external code that has no counterpart.
    async fn made_as(&self, kind: EntityKind, main_id: Uuid, code: &str) -> Result<Option<Uuid>, ApiError> {
        let name = field_name(MatchField::ExternalCode);
        let mut filter = format!("{name}={}", escaped(code));
        if kind != EntityKind::Productfolder {
            filter.push_str(";archived=true;archived=false");
        }
        let query = [("filter", filter), ("limit", "1000".to_owned())];
        let ours = sync_id(self.key(kind, main_id)).to_string();
        for row in self.rows(&self.child, kind, &query).await? {
            if row["externalCode"] != code {
                continue;
            }
            let id = id_of_entity(&row)?;
            let is_it = if matches!(kind, EntityKind::Variant | EntityKind::Productfolder) {
                let (main, child) = (self.pair.main_id(), self.pair.child_id());
                let mut conn = self.cx.conn().await?;
                mappings::main_of(&mut conn, child, main, kind.keyword(), id).await.map_err(broken)?.is_none()
            } else {
                row["syncId"] == ours
            };
            if is_it {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}
