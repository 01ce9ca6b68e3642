//! One id for each request: in its reply, in its problem document and in its log lines.

tokio::task_local! {
    /// Set by the outermost middleware around everything that answers one request.
    pub(super) static CURRENT: String;
}

/// The id of the request that is being answered; empty outside one.
pub(super) fn current_request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}
