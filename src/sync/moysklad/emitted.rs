//! Events of provider `hookgate` that changes in MoySklad cause.

use super::notice::Notice;
use crate::queue::HandlerError;
use crate::sync::Context;

/// Emits what this notice means to others, once for each event.
pub(super) async fn emit(_notice: &Notice<'_>, _cx: &Context) -> Result<(), HandlerError> {
    Ok(())
}
