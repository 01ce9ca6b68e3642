//! Finds and brings over what no webhook told of.

use super::api::ApiError;
use super::work::{Pair, Work};
use crate::queue::Outcome;
use crate::sync::tasks::Task;

/// Whether [`run`] runs this task.
pub(super) fn takes(_task: &Task) -> bool {
    false
}

/// Compares a child with main, or one step of it.
pub(super) async fn run(_task: &Task, _pair: &Pair, _cx: &Work) -> Result<Outcome, ApiError> {
    Ok(Outcome::ignored("not built yet"))
}
