//! Which certificate authorities are trusted.

use super::certificate::CertificateError;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use std::fmt;

/// The certificate authorities that are trusted, and intermediates that senders forget.
#[derive(Default, Clone)]
pub struct Anchors {
    roots: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
}

impl Anchors {
    /// Trusts a root certificate in DER.
    pub fn add_root(&mut self, der: &[u8]) -> Result<(), CertificateError> {
        let der = CertificateDer::from(der);
        let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|_| CertificateError::Malformed)?;
        self.roots.push(anchor.to_owned());
        Ok(())
    }

    /// Trusts the root certificates of a PEM text and gives their number. One that cannot be read makes the whole
    /// text an error: whoever wrote it meant that root too.
    pub fn add_roots_pem(&mut self, text: &[u8]) -> Result<usize, CertificateError> {
        let certificates = certificates(text)?;
        certificates.iter().try_for_each(|der| self.add_root(der))?;
        Ok(certificates.len())
    }

    /// Adds intermediates for senders who give their leaf alone, and gives their number. They are trusted for
    /// nothing; a chain may lead through them.
    pub fn add_intermediates_pem(&mut self, text: &[u8]) -> Result<usize, CertificateError> {
        let certificates = certificates(text)?;
        let count = certificates.len();
        self.intermediates.extend(certificates);
        Ok(count)
    }

    /// The trusted roots.
    pub fn roots(&self) -> &[TrustAnchor<'static>] {
        &self.roots
    }

    /// The further intermediates.
    pub fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Anchors({} roots, {} intermediates)", self.roots.len(), self.intermediates.len())
    }
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    found.ok().filter(|list| !list.is_empty()).ok_or(CertificateError::NotPem)
}
