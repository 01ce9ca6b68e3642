//! The certificate authorities that are trusted: the machine's, and those of the settings.

use super::{KeyringError, KeyringSettings};
use crate::providers::proof::certificate::{Anchors, CertificateError};
use std::path::Path;

/// Reads them. Takes some milliseconds of disk and computing.
pub(super) fn load(settings: &KeyringSettings) -> Result<Anchors, KeyringError> {
    let mut anchors = Anchors::default();
    let native = rustls_native_certs::load_native_certs();
    // A machine has a few hundred; one that cannot be read is none that a provider's chain ends at.
    let unreadable = native.certs.iter().filter(|der| anchors.add_root(der).is_err()).count();
    if unreadable + native.errors.len() > 0 {
        tracing::warn!(unreadable, errors = native.errors.len(), "some root certificates cannot be read");
    }
    add(settings.extra_roots.as_deref(), |text| anchors.add_roots_pem(text))?;
    add(settings.extra_intermediates.as_deref(), |text| anchors.add_intermediates_pem(text))?;
    Ok(anchors)
}

fn add(
    path: Option<&Path>,
    read: impl FnOnce(&[u8]) -> Result<usize, CertificateError>,
) -> Result<(), KeyringError> {
    let Some(path) = path else { return Ok(()) };
    let bad = || KeyringError::File { path: path.to_owned() };
    let text = std::fs::read(path).map_err(|_| bad())?;
    read(&text).map(|_| ()).map_err(|_| bad())
}
