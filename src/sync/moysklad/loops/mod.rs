//! Keeps writes from coming back as events without end.

use super::notice::Notice;
use crate::queue::HandlerError;
use crate::sync::Context;
use diesel_async::AsyncPgConnection;
use uuid::Uuid;

/// Why nothing shall come of this notice: it is the echo of an own write, or its entity's breaker has tripped.
pub(super) async fn refusal(_notice: &Notice<'_>, _cx: &Context) -> Result<Option<String>, HandlerError> {
    Ok(None)
}

/// Says which entities of `account` were written because of webhooks.
pub(super) async fn wrote(
    _conn: &mut AsyncPgConnection,
    _account: Uuid,
    _entity_type: &str,
    _ids: &[Uuid],
) -> Result<(), HandlerError> {
    Ok(())
}
