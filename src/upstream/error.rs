//! Why a call to an upstream did not give a usable reply.

use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// Why a call to an upstream did not give a usable reply. Its texts hold the method and the route's template, never
/// a URL, a query, a body or a token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UpstreamError {
    /// It answered with a status that is no success. The body is for the handler's eyes only.
    #[error("{upstream}: {route} answered {status}")]
    Status {
        /// Name of the upstream.
        upstream: &'static str,
        /// Method and path template.
        route: &'static str,
        /// HTTP status.
        status: u16,
        /// Body, up to the size limit. May hold personal data.
        body: Redacted,
    },
    /// It wants fewer requests; nothing more is sent for this principal before then.
    #[error("{upstream}: rate limited, next call in {} ms", after.as_millis())]
    RateLimited {
        /// Name of the upstream.
        upstream: &'static str,
        /// How long to wait.
        after: Duration,
    },
    /// It failed too often lately; calls are refused for a while.
    #[error("{upstream}: circuit open after repeated failures, next try in {} ms", after.as_millis())]
    CircuitOpen {
        /// Name of the upstream.
        upstream: &'static str,
        /// How long to wait.
        after: Duration,
    },
    /// So many calls of this kind lately that the upstream might ban the principal; nothing was sent.
    #[error("{upstream}: held back ({reason}), next call in {} ms", after.as_millis())]
    Held {
        /// Name of the upstream.
        upstream: &'static str,
        /// What there was too much of.
        reason: &'static str,
        /// How long to wait.
        after: Duration,
    },
    /// No reply: connection, TLS, timeout, broken body.
    #[error("{upstream}: {route}: {reason}")]
    Transport {
        /// Name of the upstream.
        upstream: &'static str,
        /// Method and path template.
        route: &'static str,
        /// `timeout`, `cannot connect`, `connection lost`, `broken reply` or `body too long`.
        reason: &'static str,
    },
    /// Nothing was sent: an id in the path would lead the call elsewhere (`..`).
    #[error("{upstream}: {route}: the id in its path cannot be part of a path")]
    BadPath {
        /// Name of the upstream.
        upstream: &'static str,
        /// Method and path template.
        route: &'static str,
    },
    /// A reply of a success status that does not have the expected form.
    #[error("{upstream}: {route} gave an unreadable reply")]
    Unreadable {
        /// Name of the upstream.
        upstream: &'static str,
        /// Method and path template.
        route: &'static str,
    },
}

impl UpstreamError {
    /// How long to wait before any further call, where the error says so.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { after, .. } | Self::CircuitOpen { after, .. } | Self::Held { after, .. } => {
                Some(*after)
            }
            _ => None,
        }
    }

    /// Whether a later attempt may succeed: no reply, an unreadable one, 408, 425, 429 and all 5xx.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::BadPath { .. } => false,
            Self::Unreadable { .. }
            | Self::Transport { .. }
            | Self::RateLimited { .. }
            | Self::CircuitOpen { .. }
            | Self::Held { .. } => true,
        }
    }

    /// Whether the reply was longer than the policy allows: less has to be asked for.
    pub fn is_too_long(&self) -> bool {
        matches!(self, Self::Transport { reason: "body too long", .. })
    }

    /// The HTTP status, if there was a reply that was no success.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The body of a reply that was no success, for a handler that reads error codes in it. May hold personal data.
    pub fn body(&self) -> Option<&Bytes> {
        match self {
            Self::Status { body, .. } => Some(&body.0),
            _ => None,
        }
    }
}

/// Bytes that do not show in `Debug`.
#[derive(Clone, Default)]
pub struct Redacted(pub Bytes);

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}
