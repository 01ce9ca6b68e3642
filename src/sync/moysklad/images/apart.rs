//! One list of images that cannot be read with others: each is then asked for by itself.

use super::list;
use super::pending::Pending;
use super::plan::Image;
use super::run::Run;
use crate::sync::moysklad::api::ApiError;
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::suspects::Standing;
use std::collections::HashMap;
use uuid::Uuid;

impl Run<'_> {
    pub(super) fn standing(&self, pending: &Pending) -> Standing {
        self.cx.image_suspects.standing(self.pair.main_id(), pending.kind, pending.main_id)
    }

    /// Main's lists of these, `None` of those that are gone; none of all where one of them may be the reason why they cannot be
    /// read together.
    pub(super) async fn lists(
        &self,
        kind: EntityKind,
        some: &[Pending],
    ) -> Result<HashMap<Uuid, Option<Vec<Image>>>, ApiError> {
        let ids: Vec<Uuid> = some.iter().map(|pending| pending.main_id).collect();
        match list::read(&self.main, kind, &ids).await {
            Ok(mut lists) => Ok(ids.into_iter().map(|id| (id, lists.remove(&id))).collect()),
            Err(ApiError::Unanswered { text, .. }) => {
                let closed = self.main.closed_for();
                self.cx.image_suspects.failed(self.pair.main_id(), kind, &ids, &text, closed);
                Ok(HashMap::new())
            }
            Err(error) if error.is_final() => Ok(HashMap::new()),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn list_alone(&self, pending: &Pending) -> Result<Option<Vec<Image>>, ApiError> {
        let (main, suspects) = (self.pair.main_id(), &self.cx.image_suspects);
        let (kind, ids) = (pending.kind, [pending.main_id]);
        match list::read(&self.main, kind, &ids).await {
            Ok(mut lists) => {
                suspects.cleared(main, kind, &ids);
                Ok(lists.remove(&pending.main_id))
            }
            Err(error) => {
                if let ApiError::Unanswered { text, .. } = &error {
                    suspects.failed(main, kind, &ids, text, self.main.closed_for());
                }
                Err(error)
            }
        }
    }
}
