//! Child to main: customer orders, retail sales and purchase orders.

use super::api::ApiError;
use super::notice::Notice;
use super::work::{Pair, Work};
use crate::queue::{HandlerError, Outcome};
use crate::sync::Context;
use crate::sync::tasks::Task;

/// Whether something may come of an event of this type (`customerorder.CREATE`).
pub(super) fn wants(_event_type: &str) -> bool {
    false
}

/// Makes tasks of a document that changed in an account.
pub(super) async fn tasks(_notice: &Notice<'_>, _cx: &Context) -> Result<Outcome, HandlerError> {
    Ok(Outcome::ignored("not built yet"))
}

/// Whether [`run`] runs this task.
pub(super) fn takes(_task: &Task) -> bool {
    false
}

/// Brings a document to main.
pub(super) async fn run(_task: &Task, _pair: &Pair, _cx: &Work) -> Result<Outcome, ApiError> {
    Ok(Outcome::ignored("not built yet"))
}
