//! What main has deleted: the child keeps it in its archive, since documents may refer to it.

use super::changes::{self, Change};
use super::drain::{ARRAYS, AT_ONCE, Drain};
use super::routes::{path, path_of, routes};
use crate::queue::HandlerError;
use crate::sync::moysklad::api::ApiError;
use crate::sync::moysklad::loops;
use crate::sync::moysklad::mappings::{self, ARCHIVED, Mapping};
use crate::sync::moysklad::product::reference;
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use serde_json::{Value, json};
use uuid::Uuid;

/// More than this many that are missing at once are odd.
const MANY: usize = 20;

/// One entity that is to be archived.
struct Gone {
    change: Change,
    child_id: Uuid,
    /// Who takes its counterpart over has to know what was written.
    written: Value,
}

impl Drain<'_> {
    /// Of those that main does not show the ones that may be archived, beside so many that it shows. When many are missing
    /// of which nobody told that they were deleted, main's token is more likely not to see them. News of them may come a few
    /// at a time, so others that the child has are looked at as well.
    pub(super) async fn certainly_gone(
        &mut self,
        kind: EntityKind,
        missing: Vec<(Change, Option<Mapping>)>,
        there: usize,
    ) -> Result<Vec<(Change, Option<Mapping>)>, ApiError> {
        let is_archived = |mapping: &Mapping| mapping.written_hash.as_deref() == Some(ARCHIVED);
        let is_odd = |(change, mapping): &(Change, Option<Mapping>)| {
            !change.deleted && mapping.as_ref().is_some_and(|mapping| !is_archived(mapping))
        };
        let odd = missing.iter().filter(|one| is_odd(one)).count();
        if odd <= there {
            return Ok(missing);
        }
        let (mut unseen, mut seen) = (odd, there);
        if odd <= MANY {
            let others = self.others(kind, &missing).await?;
            let shown = if others.is_empty() { 0 } else { self.read(kind, &others).await?.len() };
            (unseen, seen) = (odd + others.len().saturating_sub(shown), there + shown);
        }
        if unseen <= MANY || unseen <= seen {
            return Ok(missing);
        }
        let text = format!(
            "main does not show {unseen} of {} {}s that were looked at, and nobody told that they were deleted: they stay \
             as they are; check whose token main has and what it may see, then retry",
            unseen + seen,
            kind.keyword(),
        );
        let (odd, gone): (Vec<_>, Vec<_>) = missing.into_iter().partition(is_odd);
        for (change, _) in odd {
            self.fail(change, HandlerError::GiveUp(text.clone()).into()).await?;
        }
        Ok(gone)
    }

    /// Ids in main of some other entities of this type that the child has and nobody said that main has deleted; at random,
    /// because a token may see some folders or departments and not others.
    async fn others(
        &self,
        kind: EntityKind,
        missing: &[(Change, Option<Mapping>)],
    ) -> Result<Vec<Uuid>, ApiError> {
        let (main, child) = (self.pair.main_id(), self.pair.child_id());
        let known: Vec<Uuid> = missing.iter().map(|(change, _)| change.main_id).collect();
        let mut conn = self.cx.conn().await?;
        mappings::some_others(&mut conn, (main, child, kind.keyword()), &known, AT_ONCE).await.map_err(broken)
    }

    /// Main has deleted these: one write for all, those that it refuses alone.
    pub(super) async fn gone(
        &mut self,
        kind: EntityKind,
        changes: Vec<(Change, Option<Mapping>)>,
    ) -> Result<(), ApiError> {
        let mut gone = Vec::new();
        if changes.iter().any(|(_, mapping)| mapping.is_some()) {
            let (main, child) = (self.pair.main_id(), self.pair.child_id());
            changes::reconsider(&mut *self.cx.conn().await?, main, child, kind).await.map_err(broken)?;
        }
        for (change, mapping) in changes {
            match mapping {
                None => {
                    let text = format!("the {} no longer exists in main", kind.keyword());
                    self.skip(change, &text).await?;
                }
                Some(_) if kind == EntityKind::Productfolder => {
                    // Folders have no archive. The next one of its name and place may have this one.
                    let key = self.key(kind, change.main_id);
                    mappings::remove(&mut *self.cx.conn().await?, key).await.map_err(broken)?;
                    self.skip(change, "the folder no longer exists in main: left as it is").await?;
                }
                Some(mapping) if mapping.written_hash.as_deref() == Some(ARCHIVED) => {
                    self.skip(change, "no change").await?;
                }
                Some(Mapping { child_id, written_fields, .. }) => {
                    let mut written = written_fields.unwrap_or_else(|| json!({}));
                    written["archived"] = Value::Null;
                    gone.push(Gone { change, child_id, written });
                }
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        // Should it be there again one day, the child's is taken out of the archive.
        let archived = json!({"archived": null});
        let about_to: Vec<(Uuid, Value)> =
            gone.iter().map(|one| (one.change.main_id, archived.clone())).collect();
        let child_ids: Vec<Uuid> = gone.iter().map(|one| one.child_id).collect();
        let (main, child) = (self.pair.main_id(), self.pair.child_id());
        let mut conn = self.cx.conn().await?;
        let accounts = (main, child, kind.keyword());
        mappings::forget_written(&mut conn, accounts, &about_to).await.map_err(broken)?;
        loops::wrote(&mut conn, child, kind.keyword(), &child_ids).await?;
        drop(conn);
        let mut gone = gone.into_iter().peekable();
        while gone.peek().is_some() {
            let some: Vec<Gone> = gone.by_ref().take(AT_ONCE).collect();
            let alone = if some.len() == 1 || self.task.attempts > ARRAYS {
                some
            } else {
                self.archive_together(kind, some).await?
            };
            for one in alone {
                let path = path_of(kind, one.child_id);
                let result = self.child.update(routes(kind).update, &path, &json!({"archived": true})).await;
                self.archived(one, result).await?;
            }
        }
        Ok(())
    }

    /// Gives those that were refused: alone they may pass, and if not, their error says why.
    async fn archive_together(&mut self, kind: EntityKind, some: Vec<Gone>) -> Result<Vec<Gone>, ApiError> {
        let base = format!("entity/{}", kind.keyword());
        let body = |one: &Gone| {
            let mut body = reference(self.child.base(), &base, kind.keyword(), one.child_id);
            body["archived"] = true.into();
            body
        };
        let bodies = some.iter().map(body).collect();
        let results = match self.child.write_many(routes(kind).create, &path(kind), bodies).await {
            Ok(results) => results,
            Err(ApiError::Work(HandlerError::GiveUp(_)) | ApiError::NotFound(_)) => return Ok(some),
            Err(error) => return Err(error),
        };
        let mut refused = Vec::new();
        for (one, result) in some.into_iter().zip(results) {
            match result {
                Ok(_) | Err(ApiError::NotFound(_)) => self.archived(one, result).await?,
                Err(error @ ApiError::TokenRefused { .. }) => return Err(error),
                Err(_) => refused.push(one),
            }
        }
        Ok(refused)
    }

    /// What became of one.
    async fn archived(&mut self, one: Gone, result: Result<Value, ApiError>) -> Result<(), ApiError> {
        let Gone { change, child_id, written } = one;
        let key = self.key(change.kind, change.main_id);
        match result {
            Ok(_) => {
                self.allowed.insert(change.kind);
                self.note_written(key, ARCHIVED.to_vec(), written).await?;
                self.archived_in_child(change, child_id).await
            }
            Err(ApiError::NotFound(_)) => {
                mappings::remove(&mut *self.cx.conn().await?, key).await.map_err(broken)?;
                self.skip(change, "deleted in main and in the child").await
            }
            Err(error) => self.fail(change, error).await,
        }
    }
}
