//! A request that owns its parts: kept for later, or read from a file.

use super::RawRequest;
use bytes::Bytes;

/// A request that owns what a [`RawRequest`] borrows.
#[derive(Debug, Clone, Default)]
pub struct OwnedRequest {
    /// The method, in capitals.
    pub method: String,
    /// What may stand before the path in the public URL, most likely first.
    pub bases: Vec<String>,
    /// Path as it came.
    pub path: String,
    /// Token in its last segment, where the provider's route has one.
    pub path_token: Option<String>,
    /// Query without `?`.
    pub query: String,
    /// Header lines in their order; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Exact body.
    pub body: Bytes,
}

impl OwnedRequest {
    /// As a verifier wants it.
    pub fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            method: &self.method,
            bases: &self.bases,
            path: &self.path,
            path_token: self.path_token.as_deref(),
            query: &self.query,
            headers: self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect(),
            body: &self.body,
        }
    }
}
