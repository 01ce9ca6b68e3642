//! Certificates behind a URL of the request: chain, validity and name.

pub use super::anchors::Anchors;

use super::{PublicKey, pem};
use chrono::{DateTime, Utc};
use rustls::pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::Certificate;
use x509_cert::attr::AttributeValue;
use x509_cert::der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
/// Most certificates in one text: a leaf and any sane chain.
const MAX_CERTIFICATES: usize = 8;

/// What a certificate must fulfil.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateRules {
    /// Names of which it must have one, in any case; a leading `*.` stands for one label. Empty: any name will do.
    pub names: Vec<String>,
    /// Whether a chain to a trusted root is demanded, of certificates that are made for servers (`serverAuth`).
    pub chain: bool,
}

/// Why a certificate is not accepted. The text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No PEM, or more certificates in it than anybody sends.
    #[error("what came is no certificate in PEM")]
    NotPem,
    /// No X.509.
    #[error("the certificate cannot be read")]
    Malformed,
    /// Its time has not begun.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// It is for somebody else.
    #[error("the certificate bears none of the accepted names")]
    Name,
    /// It is not for servers.
    #[error("the certificate is not for servers (serverAuth)")]
    Usage,
    /// There are no roots to chain to.
    #[error("no root certificates are known: install ca-certificates or name a file of roots")]
    NoRoots,
    /// No trusted root has issued it, directly or through an intermediate that is there.
    #[error(
        "the certificate's issuer is not trusted, or an intermediate is missing: name it in the settings' file of \
         extra intermediates"
    )]
    UnknownIssuer,
    /// Its chain breaks a rule.
    #[error("the certificate's chain does not hold: {0}")]
    Chain(String),
    /// Its key is of a kind or size that is not accepted.
    #[error("the certificate's key is of a kind or size that is not accepted")]
    Key,
}

/// The key of the first certificate in `text`, if it fulfils the rules at `now`; further certificates are
/// intermediates.
pub fn public_key(
    text: &[u8],
    rules: &CertificateRules,
    anchors: &Anchors,
    now: DateTime<Utc>,
) -> Result<PublicKey, CertificateError> {
    let ders = certificates(text)?;
    let (leaf_der, sent) = ders.split_first().ok_or(CertificateError::NotPem)?;
    let leaf = read(leaf_der)?;
    let (start, end) = validity(&leaf);
    if now.timestamp() < start {
        return Err(CertificateError::NotYetValid);
    }
    if now.timestamp() > end {
        return Err(CertificateError::Expired);
    }
    if rules.chain {
        check_usage(&leaf)?;
        check_chain(leaf_der, sent, anchors, now)?;
    }
    let names = names(&leaf)?;
    if !rules.names.is_empty() && !names.iter().any(|name| rules.names.iter().any(|rule| matches(rule, name)))
    {
        return Err(CertificateError::Name);
    }
    key(&leaf)
}

/// When the first certificate in `text` ends.
pub fn valid_until(text: &[u8]) -> Result<DateTime<Utc>, CertificateError> {
    let ders = certificates(text)?;
    let leaf = read(ders.first().ok_or(CertificateError::NotPem)?)?;
    DateTime::from_timestamp(validity(&leaf).1, 0).ok_or(CertificateError::Malformed)
}

/// The key of a certificate in DER, of which nothing else is checked.
pub(super) fn key_of(der: &[u8]) -> Result<PublicKey, CertificateError> {
    key(&read(der)?)
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let blocks = pem::blocks(text).ok_or(CertificateError::NotPem)?;
    let all_certificates = blocks.iter().all(|block| block.0 == "CERTIFICATE");
    if !all_certificates || blocks.len() > MAX_CERTIFICATES {
        return Err(CertificateError::NotPem);
    }
    Ok(blocks.into_iter().map(|block| CertificateDer::from(block.1)).collect())
}

fn read(der: &[u8]) -> Result<Certificate, CertificateError> {
    Certificate::from_der(der).map_err(|_| CertificateError::Malformed)
}

fn key(certificate: &Certificate) -> Result<PublicKey, CertificateError> {
    let spki = certificate.tbs_certificate.subject_public_key_info.to_der();
    PublicKey::from_spki_der(&spki.map_err(|_| CertificateError::Malformed)?)
        .map_err(|_| CertificateError::Key)
}

/// Its first and its last second, as Unix time.
fn validity(certificate: &Certificate) -> (i64, i64) {
    let seconds =
        |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    let validity = &certificate.tbs_certificate.validity;
    (seconds(validity.not_before), seconds(validity.not_after))
}

/// `webpki` lets a certificate pass that says nothing about its usage; here it has to be for servers.
fn check_usage(certificate: &Certificate) -> Result<(), CertificateError> {
    let usage = certificate.tbs_certificate.get::<ExtendedKeyUsage>();
    match usage.map_err(|_| CertificateError::Malformed)? {
        Some((_, usages)) if usages.0.contains(&SERVER_AUTH) => Ok(()),
        _ => Err(CertificateError::Usage),
    }
}

fn check_chain(
    leaf: &CertificateDer<'_>,
    sent: &[CertificateDer<'_>],
    anchors: &Anchors,
    now: DateTime<Utc>,
) -> Result<(), CertificateError> {
    use webpki::Error;
    if anchors.roots().is_empty() {
        return Err(CertificateError::NoRoots);
    }
    let reason = |error: Error| match error {
        Error::UnknownIssuer => CertificateError::UnknownIssuer,
        error => CertificateError::Chain(error.to_string()),
    };
    let intermediates: Vec<_> = sent.iter().chain(anchors.intermediates()).cloned().collect();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.timestamp().max(0).unsigned_abs()));
    EndEntityCert::try_from(leaf)
        .map_err(reason)?
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            anchors.roots(),
            &intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map(|_| ())
        .map_err(reason)
}

/// The DNS names of the extension for them; only where it has none the common name, if there is just one (RFC 6125,
/// 6.4.4). `PayPal`'s certificates have the same name in both.
fn names(certificate: &Certificate) -> Result<Vec<String>, CertificateError> {
    let extension = certificate.tbs_certificate.get::<SubjectAltName>();
    if let Some((_, SubjectAltName(alternatives))) = extension.map_err(|_| CertificateError::Malformed)? {
        let names = alternatives.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            _ => None,
        });
        let names: Vec<_> = names.collect();
        if !names.is_empty() {
            return Ok(names);
        }
    }
    let subject = &certificate.tbs_certificate.subject.0;
    let parts = subject.iter().flat_map(|part| part.0.iter()).filter(|part| part.oid == COMMON_NAME);
    let names: Vec<_> = parts.map(|part| text(&part.value)).collect();
    match names.as_slice() {
        [Some(name)] => Ok(vec![name.clone()]),
        _ => Ok(Vec::new()),
    }
}

fn text(value: &AttributeValue) -> Option<String> {
    value
        .decode_as::<Utf8StringRef<'_>>()
        .map(|text| text.to_string())
        .or_else(|_| value.decode_as::<PrintableStringRef<'_>>().map(|text| text.to_string()))
        .or_else(|_| value.decode_as::<Ia5StringRef<'_>>().map(|text| text.to_string()))
        .ok()
}

/// Whether a certificate's name is the accepted one. A `*` in the certificate's own name matches nothing: a
/// certificate for all of a provider's servers is not the one that it signs messages with.
fn matches(rule: &str, name: &str) -> bool {
    if name.contains('*') {
        return false;
    }
    match rule.strip_prefix("*.") {
        Some(domain) => name
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain)),
        None => name.eq_ignore_ascii_case(rule),
    }
}

#[cfg(test)]
mod tests;
