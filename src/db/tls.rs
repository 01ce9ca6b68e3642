//! TLS towards Postgres, where the URL asks for it: `sslmode=require`, `verify-ca` or `verify-full`.
//!
//! All three verify the server's certificate and its name, because encryption to an unknown peer protects nothing; the
//! roots are the system's, or those of `sslrootcert=FILE`. Without one of them nothing is encrypted: a mode that tries
//! and falls back would only look like protection.

use diesel::{ConnectionError, ConnectionResult};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;

/// What an operator may do when the handshake fails.
pub(super) const REMEDY: &str = "if the server's certificate is not signed by a root that this machine trusts, put \
                                 sslrootcert=FILE into DATABASE_URL";

/// What a URL says about TLS.
pub(super) struct Wish {
    /// The URL in the words that tokio-postgres knows.
    pub(super) url: SecretString,
    root_file: Option<String>,
}

impl Wish {
    /// Reads both forms of a URL: `postgres://…?a=b&c=d` and `a=b c=d`.
    pub(super) fn of(url: &SecretString) -> Self {
        let text = url.expose_secret();
        let (head, options, separator) = match text.split_once('?') {
            Some((head, options)) => (format!("{head}?"), options, '&'),
            None if text.contains("://") => (text.to_owned(), "", '&'),
            None => (String::new(), text, ' '),
        };
        let mut root_file = None;
        let kept: Vec<&str> = options
            .split(separator)
            .filter_map(|option| match option.split_once('=') {
                Some(("sslrootcert", file)) => {
                    root_file = Some(percent_decoded(file));
                    None
                }
                // tokio-postgres knows no stricter word than `require`; ours verifies in every mode that encrypts.
                Some(("sslmode", "verify-ca" | "verify-full")) => Some("sslmode=require"),
                _ => Some(option),
            })
            .collect();
        Self { url: format!("{head}{}", kept.join(&separator.to_string())).into(), root_file }
    }

    /// How to shake hands.
    pub(super) fn client_config(&self) -> ConnectionResult<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error.to_string()))?;
        let Some(file) = &self.root_file else {
            let verified = builder.with_platform_verifier().map_err(|error| unusable(&error.to_string()))?;
            return Ok(verified.with_no_client_auth());
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|_| unreadable(file))? {
            roots.add(certificate.map_err(|_| unreadable(file))?).map_err(|_| unreadable(file))?;
        }
        if roots.is_empty() {
            return Err(unreadable(file));
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

fn percent_decoded(value: &str) -> String {
    let pairs = format!("v={}", value.replace('+', "%2B"));
    url::form_urlencoded::parse(pairs.as_bytes()).next().map(|pair| pair.1.into_owned()).unwrap_or_default()
}

fn unusable(reason: &str) -> ConnectionError {
    ConnectionError::BadConnection(format!("TLS is not available: {reason}"))
}

fn unreadable(file: &str) -> ConnectionError {
    ConnectionError::BadConnection(format!(
        "sslrootcert: {file} holds no certificates in PEM that can be read"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(url: &str) -> (String, Option<String>) {
        let wish = Wish::of(&url.to_owned().into());
        (wish.url.expose_secret().to_owned(), wish.root_file)
    }

    #[test]
    fn both_forms_of_a_url_are_read() {
        let (url, file) = wish("postgres://u:p@h/d?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&a=b");
        assert_eq!(
            (url.as_str(), file.as_deref()),
            ("postgres://u:p@h/d?sslmode=require&a=b", Some("/etc/ca.pem"))
        );
        let (url, file) = wish("host=h sslmode=verify-ca sslrootcert=/ca.pem user=u");
        assert_eq!((url.as_str(), file.as_deref()), ("host=h sslmode=require user=u", Some("/ca.pem")));
        for same in ["postgres://u:p@h/d", "host=h user=u", "postgres:///d?host=/run"] {
            assert_eq!(wish(same), (same.to_owned(), None));
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        for file in [empty.path().to_str().unwrap(), "/does/not/exist"] {
            let url = format!("postgres://h/d?sslmode=require&sslrootcert={file}");
            let error = Wish::of(&url.into()).client_config().unwrap_err().to_string();
            assert!(error.contains(file), "{error}");
        }
    }
}
