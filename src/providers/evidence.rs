//! What a proof needs from outside the request: certificates, key sets, a provider's own verdict.
//!
//! Verifying stays pure: it asks [`Evidence`] for what is known already and, where it is not, ends with
//! [`super::Unproven::Needs`]. The caller fetches that (room `keyring`), bounded and cached, and verifies again.

use super::proof::certificate::Anchors;
use super::proof::jwt::KeySet;
use bytes::Bytes;
use secrecy::SecretString;
use std::sync::Arc;
use url::Url;

/// Something that has to be fetched before a request can be judged. Made only of URLs that passed the scheme's rules for
/// hosts and paths.
#[derive(Debug, Clone)]
pub enum Needed {
    /// A PEM certificate, with intermediates perhaps.
    Certificate(Url),
    /// The key of this id.
    Key(KeyLocation, String),
    /// The provider's own word on a request.
    Verdict(Arc<Postback>),
}

/// Where a key of a JWT is found.
#[derive(Debug, Clone)]
pub struct KeyLocation {
    /// A JWK set to GET, or an endpoint to POST `body` to.
    pub url: Url,
    /// JSON to post, holding the key's id and the credentials; `None`: the URL is a JWK set.
    pub body: Option<SecretString>,
    /// JSON pointer to the JWK in the answer to a POST.
    pub pointer: String,
}

/// `PayPal`'s verify-webhook-signature call: everything but the credentials.
#[derive(Debug, Clone)]
pub struct Postback {
    /// The JSON to post, with the webhook's raw bytes spliced in.
    pub body: Bytes,
}

/// What is known already. A lookup is quick and never waits.
pub trait Evidence: Send + Sync {
    /// The PEM text behind a URL.
    fn certificate(&self, url: &Url) -> Option<Bytes>;

    /// The keys of a location, as far as they are known; for a location with a body those of this key id only. `None`:
    /// fetch them first. A set without this key: it was fetched a moment ago, and there is no such key.
    fn keys(&self, location: &KeyLocation, kid: &str) -> Option<Arc<KeySet>>;

    /// The provider's verdict on exactly this request.
    fn verdict(&self, postback: &Postback) -> Option<bool>;

    /// The certificate authorities that are trusted, and intermediates that senders forget.
    fn anchors(&self) -> &Anchors;
}
