//! One entity that spoils it for those that it is brought with: found out, and taken up by itself.

use super::changes::Change;
use super::drain::{ARRAYS, AT_ONCE, Drain};
use crate::sync::moysklad::api::ApiError;
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::suspects::Standing;
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

/// Which of these are read together: those that failed before behind the others.
pub(super) fn together(changes: Vec<Change>) -> Vec<Vec<Change>> {
    let (first, again): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.tries == 0);
    first.chunks(AT_ONCE).chain(again.chunks(AT_ONCE)).map(<[Change]>::to_vec).collect()
}

impl Drain<'_> {
    /// Those that may be read with others, and the suspects of all types, which come after everything else: what is known to
    /// fail opens the circuit, and holds up whatever stands behind it.
    pub(super) fn apart(&self, changes: Vec<Change>) -> (Vec<Change>, Vec<Change>) {
        let standing = |change: &Change| self.standing(change.kind, change.main_id);
        let (free, mut suspects): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| standing(change) == Standing::Free);
        suspects.sort_by_cached_key(|change| (standing(change), change.kind));
        (free, suspects)
    }

    pub(super) fn standing(&self, kind: EntityKind, id: Uuid) -> Standing {
        self.cx.suspects.standing(self.pair.main_id(), kind, id)
    }

    /// What all of these need could not be had, perhaps because of one of them: the others must not stand behind it.
    pub(super) async fn one_by_one(
        &mut self,
        kind: EntityKind,
        some: &[Change],
        error: ApiError,
    ) -> Result<(), ApiError> {
        if let [change] = some {
            return self.fail(change.clone(), error).await;
        }
        for change in some {
            if let Standing::Bad(why, rest) = self.standing(kind, change.main_id) {
                self.rest(change, &why, rest).await?;
                continue;
            }
            match self.process(kind, vec![change.clone()]).await {
                Err(error) if error.is_final() || matches!(error, ApiError::Unanswered { .. }) => {
                    self.fail(change.clone(), error).await?;
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// Whether what went wrong with these may be the fault of one of them. That nothing answers may be, where main could not be
    /// read, or when it stays so: what cannot be read must not hold what can. In an outage, the open circuit ends the run.
    pub(super) fn may_be_of_one(&self, error: &ApiError, some: &[Change]) -> bool {
        let is_suspect = |change: &Change| {
            change.tries > 0 || self.standing(change.kind, change.main_id) != Standing::Free
        };
        let lasts = || self.task.attempts > ARRAYS || some.iter().all(is_suspect);
        error.is_final() || matches!(error, ApiError::Unanswered { .. }) && lasts()
    }

    /// These entities of main, as far as it shows them; what is read in vain is told to the runs of all children.
    pub(super) async fn read_or_suspect(
        &self,
        kind: EntityKind,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Value>, ApiError> {
        let (main, suspects) = (self.pair.main_id(), &self.cx.suspects);
        let entities = self.read(kind, ids).await;
        match &entities {
            Ok(_) => suspects.cleared(main, kind, ids),
            Err(ApiError::Unanswered { text, .. }) => {
                suspects.failed(main, kind, ids, text, self.main.closed_for());
            }
            Err(_) => {}
        }
        entities
    }
}
