//! Why something could not be fetched.

use std::fmt;
use std::path::PathBuf;

/// What is fetched: the label `kind` of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A certificate.
    Certificate,
    /// A JWK set.
    KeySet,
    /// One key, asked for by its id.
    Key,
    /// An access token for `PayPal`.
    Token,
    /// `PayPal`'s verdict on a webhook.
    Verdict,
}

impl Kind {
    /// Label for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::KeySet => "key_set",
            Self::Key => "key",
            Self::Token => "token",
            Self::Verdict => "verdict",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Certificate => "the certificate",
            Self::KeySet => "the key set",
            Self::Key => "the key",
            Self::Token => "the access token",
            Self::Verdict => "the verdict",
        })
    }
}

/// How a fetch failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Neither https nor this machine.
    #[error("it is not behind https; only loopback addresses may do without")]
    Insecure,
    /// No connection.
    #[error("cannot connect; check that this machine may reach it and trusts its certificate")]
    Connect,
    /// Too slow, or too many fetches were waiting.
    #[error("no answer in time; it is tried again soon")]
    Timeout,
    /// The connection broke, or what came is no HTTP.
    #[error("the answer broke off; it is tried again soon")]
    Broken,
    /// More bytes than such a thing can have.
    #[error("the answer is too long to be that; check the address")]
    TooLong,
    /// Another status than 200. Redirects are not followed.
    #[error("the answer was HTTP {0}; check the address and the credentials, if it has any")]
    Status(u16),
    /// 200, and something else than what was asked for.
    #[error("what came is something else; check the address")]
    Content,
}

impl Reason {
    /// Label `outcome` of the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Insecure => "insecure",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::TooLong => "too_long",
            Self::Status(_) => "status",
            Self::Content => "content",
        }
    }
}

/// Why a need could not be supplied. The sender is asked to come again; the text is for the operator and holds no
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// It could not be fetched, now or a moment ago.
    #[error("{kind} could not be had from {host}: {reason}")]
    Fetch {
        /// What was to be fetched.
        kind: Kind,
        /// From where.
        host: String,
        /// Why not.
        reason: Reason,
    },
    /// More things that nobody knew were asked for than one minute allows.
    #[error(
        "{kind} is not fetched from {host} now: requests named too many new ones within a minute; if they are not \
         genuine, limit who may call (allow_ips, requests_per_second)"
    )]
    Flood {
        /// What was to be fetched.
        kind: Kind,
        /// From where.
        host: String,
    },
    /// The postback is chosen and has no credentials.
    #[error("PayPal's verdict is needed: set PAYPAL_CLIENT_ID and PAYPAL_CLIENT_SECRET")]
    NoPayPal,
    /// `PayPal` gives no token for these credentials.
    #[error(
        "PayPal refuses the credentials: check PAYPAL_CLIENT_ID, PAYPAL_CLIENT_SECRET and PAYPAL_BASE_URL"
    )]
    PayPalCredentials,
    /// A file of the settings holds no certificates.
    #[error("{path} holds no certificates in PEM that can be read")]
    File {
        /// The file.
        path: PathBuf,
    },
    /// The setting for other hosts is of the wrong form.
    #[error(
        "HOOKGATE_KEY_HOSTS must be HOST=URL, several with commas, as in \
         api.paypal.com=http://127.0.0.1:9000; without https only loopback addresses"
    )]
    Hosts,
}
