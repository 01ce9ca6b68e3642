//! Stub until the keyring's branch is merged.
use crate::providers::evidence::{Evidence, KeyLocation, Needed, Postback};
use crate::providers::proof::certificate::Anchors;
use crate::providers::proof::jwt::KeySet;
use std::sync::Arc;
/// x
#[derive(Clone, Default)]
pub struct Keyring(Arc<Anchors>);
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct KeyringError;
/// x
#[derive(Clone, Debug, Default)]
pub struct KeyringSettings;
impl Keyring {
    /// x
    pub fn new(_: &KeyringSettings) -> Self {
        Self::default()
    }
    /// x
    pub async fn supply(&self, _: &Needed) -> Result<(), KeyringError> {
        Err(KeyringError)
    }
}
impl Evidence for Keyring {
    fn certificate(&self, _: &url::Url) -> Option<bytes::Bytes> {
        None
    }
    fn keys(&self, _: &KeyLocation, _: &str) -> Option<Arc<KeySet>> {
        None
    }
    fn verdict(&self, _: &Postback) -> Option<bool> {
        None
    }
    fn anchors(&self) -> &Anchors {
        &self.0
    }
}
