//! Types of which nothing may be done in the child, or be read from main, for want of a right or in the tariff: they wait, and
//! the others do not wait for them. Nobody tells when that ends, so one of each is tried from time to time.

use super::changes::{self, Change, PARTLY, Which};
use super::drain::Drain;
use crate::sync::moysklad::api::{ApiError, NOT_ALLOWED};
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use crate::sync::tasks::BLOCKED;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Refusals of one run, of a type of which others are written, after which it is not taken to be those entities' own.
const FEW: usize = 5;

impl Drain<'_> {
    /// What an earlier run was refused is not tried again before its time, also where somebody tells of more of it.
    pub(super) async fn recall_refusals(&mut self) -> Result<(), ApiError> {
        let (main, child) = (self.pair.main_id(), self.pair.child_id());
        let mut conn = self.cx.conn().await?;
        for refused in changes::refused(&mut conn, main, child).await.map_err(broken)? {
            let Some(kind) = EntityKind::parse(&refused.entity_type) else { continue };
            let which = match (refused.new, refused.mapped) {
                (true, true) => Which::All,
                (true, false) => Which::New,
                (false, _) => Which::Mapped,
            };
            let (place, until, why) = ((child, main, kind), refused.until, refused.why);
            changes::postpone_all(&mut conn, place, until, &why, which).await.map_err(broken)?;
            // New ones may be made: what the child has is left alone by what is due.
            if which == Which::Mapped {
                continue;
            }
            if which == Which::New {
                self.no_new.insert(kind);
            }
            self.refused_until.insert(kind, until);
            self.report.refused.insert(kind, why);
        }
        Ok(())
    }

    /// Whether it is the entity's own: others of its type are written.
    pub(super) fn is_refused_alone(&mut self, change: &Change) -> bool {
        self.refusals += 1;
        self.allowed.contains(&change.kind) && self.refusals <= FEW
    }

    /// Lets all changes of this type wait; if it was a new one that was refused, only those that the child does not have.
    pub(super) async fn refuse(&mut self, kind: EntityKind, error: &ApiError) -> Result<(), ApiError> {
        if std::mem::take(&mut self.refused_new) {
            return self.refuse_new(kind, error).await;
        }
        self.no_new.remove(&kind);
        self.postpone_all(kind, error, Which::All).await
    }

    /// To change one is another right than to make one, and a tariff may limit their number.
    pub(super) async fn refuse_new(&mut self, kind: EntityKind, error: &ApiError) -> Result<(), ApiError> {
        self.no_new.insert(kind);
        self.postpone_all(kind, error, Which::New).await
    }

    async fn postpone_all(
        &mut self,
        kind: EntityKind,
        error: &ApiError,
        which: Which,
    ) -> Result<(), ApiError> {
        let mut why = format!("{BLOCKED}: {error}");
        if self.allowed.contains(&kind) {
            why.push_str(PARTLY);
        }
        let place = (self.pair.child_id(), self.pair.main_id(), kind);
        let mut conn = self.cx.conn().await?;
        changes::postpone_all(&mut conn, place, self.next_try(kind), &why, which).await.map_err(broken)?;
        self.report.refused.insert(kind, why);
        Ok(())
    }

    /// Whether nothing more of this type is to be tried in this run.
    pub(super) fn is_refused(&self, kind: EntityKind) -> bool {
        self.report.refused.contains_key(&kind) && !self.no_new.contains(&kind)
    }

    /// The same for those of which nobody told, and which others need.
    pub(super) async fn refuse_needed(&self, kind: EntityKind, ids: &[Uuid]) -> Result<(), ApiError> {
        let Some(why) = self.report.refused.get(&kind) else { return Ok(()) };
        let mut conn = self.cx.conn().await?;
        for id in ids {
            let place = (self.pair.child_id(), self.pair.main_id(), kind.keyword(), *id);
            let new = changes::hold_new(&mut conn, place, "waiting", why, None, self.next_try(kind));
            new.await.map_err(broken)?;
        }
        Ok(())
    }

    fn next_try(&self, kind: EntityKind) -> DateTime<Utc> {
        let now = self.cx.clock.now();
        self.refused_until.get(&kind).copied().filter(|until| *until > now).unwrap_or(now + NOT_ALLOWED)
    }
}
