//! One upstream: its base URL, its policy and the state of each principal.

use super::UpstreamError;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;

/// How an upstream wants to be called.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Of one try, from connecting to the last byte.
    pub timeout: Duration,
    /// Tries of one call, the first included, where no reply came or a 5xx; only of calls marked repeatable.
    pub tries: u32,
    /// Rate units that refill over `per`, for each principal.
    pub units: u32,
    /// Refill time of `units`.
    pub per: Duration,
    /// Units that may be spent at once; at most `units`.
    pub burst: u32,
    /// Calls in flight for each principal.
    pub parallel: usize,
    /// How long a call may wait for its turn before it gives up with [`UpstreamError::RateLimited`].
    pub max_wait: Duration,
    /// Failures in a row that open the circuit of a principal.
    pub breaker_failures: u32,
    /// How long an open circuit refuses calls.
    pub breaker_pause: Duration,
    /// Longest reply body in bytes.
    pub max_reply: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            tries: 3,
            units: 20,
            per: Duration::from_secs(1),
            burst: 20,
            parallel: 8,
            max_wait: Duration::from_secs(5),
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(30),
            max_reply: 8 << 20,
        }
    }
}

/// One request to an upstream.
#[derive(Debug, Clone)]
pub struct Call {
    pub(super) method: Method,
    pub(super) route: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: HeaderMap,
    pub(super) json: Option<Bytes>,
    pub(super) weight: u32,
    pub(super) repeatable: bool,
}

impl Call {
    /// A request to `base_url + path`. `route` is what logs and errors show: method and path template, such as
    /// `GET /v1/charges/{id}`. GET, PUT and DELETE count as repeatable, POST does not.
    pub fn new(method: Method, route: &'static str, path: impl Into<String>) -> Self {
        let repeatable = method != Method::POST && method != Method::PATCH;
        Self {
            method,
            route,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            json: None,
            weight: 1,
            repeatable,
        }
    }

    /// Adds a query parameter; it is percent-encoded here.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a header line. A value that holds a secret should be marked `set_sensitive`.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets a JSON body and its content type.
    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.json = Some(body.to_string().into());
        self
    }

    /// How many rate units it costs, 1 unless told.
    #[must_use]
    pub fn weight(mut self, units: u32) -> Self {
        self.weight = units;
        self
    }

    /// Marks a POST that may be sent twice without harm (it carries an idempotency key, say).
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// A reply of a success status.
#[derive(Clone)]
pub struct Reply {
    /// HTTP status, 200 to 299.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, decompressed.
    pub body: Bytes,
    pub(super) upstream: &'static str,
    pub(super) route: &'static str,
}

impl Reply {
    /// Reads the body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, UpstreamError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| UpstreamError::Unreadable { upstream: self.upstream, route: self.route })
    }
}

/// An API that Hookgate calls. Cheap to clone; clones share limits, circuit and connections.
#[derive(Clone)]
pub struct Upstream {}

impl Upstream {
    /// An upstream named `name` (metrics label) under `base_url`.
    pub fn new(name: &'static str, base_url: &Url, policy: Policy) -> Self {
        unimplemented!()
    }

    /// Makes one call for `principal` (an account or token id: rate, parallelism and circuit are kept for each).
    /// The name of the principal must not be a secret. Any status but 2xx is an error.
    pub async fn call(&self, principal: &str, call: Call) -> Result<Reply, UpstreamError> {
        unimplemented!()
    }
}
