//! What a child demands of everything that is created in it and main does not have.

use super::drain::{Drain, Item, RECENT};
use crate::queue::HandlerError;
use crate::sync::moysklad::api::{ApiError, id_of};
use crate::sync::moysklad::product::elements;

impl Drain<'_> {
    /// Says which attributes a create lacks that was refused for want of something. Their names are settings of the
    /// account, not content.
    pub(super) async fn with_what_is_required(
        &self,
        item: &Item,
        error: ApiError,
    ) -> Result<ApiError, ApiError> {
        let child = self.cx.metadata.younger_than(RECENT, &self.child).await?;
        child.load_attributes(&self.child).await?;
        let given: Vec<_> = elements(item.projection.field("attributes")).map(id_of).collect();
        let missing: Vec<String> = child
            .required_attributes()
            .filter(|attribute| !given.contains(&Some(attribute.id)))
            .map(|attribute| format!("“{}” ({})", attribute.name, attribute.kind))
            .collect();
        if missing.is_empty() {
            return Ok(error);
        }
        Ok(HandlerError::GiveUp(format!(
            "{error}: the child requires the attribute {}, and main's {} has none of that name and type: give it one \
             in main, or make it optional in the child, then retry",
            missing.join(", "),
            item.change.kind.keyword(),
        ))
        .into())
    }
}
