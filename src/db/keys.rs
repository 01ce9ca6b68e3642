//! Keys that the private cluster's owner never had to make.

use super::embedded::EmbeddedError;
use crate::crypto::MasterKey;
use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// Stub.
pub fn admin_token(data_dir: &Path) -> Result<(SecretString, PathBuf), EmbeddedError> {
    Err(EmbeddedError::Failed(data_dir.display().to_string()))
}
/// Stub.
pub fn master_key(data_dir: &Path) -> Result<MasterKey, EmbeddedError> {
    Err(EmbeddedError::Failed(data_dir.display().to_string()))
}
