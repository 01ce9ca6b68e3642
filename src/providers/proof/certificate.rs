//! Certificates behind a URL of the request: chain, validity and name.

/// The certificate authorities that are trusted, and intermediates that senders forget.
#[derive(Debug, Default)]
pub struct Anchors;
