//! What is asked of an upstream, and what it answers.

use super::UpstreamError;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// One request to an upstream.
#[derive(Clone)]
pub struct Call {
    pub(super) method: Method,
    pub(super) route: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<(&'static str, Bytes)>,
    pub(super) weight: u32,
    pub(super) repeatable: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) takes_redirect: bool,
    pub(super) urgent: bool,
    pub(super) part_of: Option<String>,
}

impl Call {
    /// A request to `base_url + path`. `route` is what logs and errors show: method and path template, such as
    /// `GET /v1/charges/{id}`. GET, PUT and DELETE count as repeatable, POST does not.
    ///
    /// What may not stand in a path is percent-encoded (`%` itself is not), so an id cannot add a query; one that
    /// would lead out of the path with `..` makes the call fail.
    pub fn new(method: Method, route: &'static str, path: impl Into<String>) -> Self {
        let repeatable = method != Method::POST && method != Method::PATCH;
        Self {
            method,
            route,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            weight: 1,
            repeatable,
            timeout: None,
            takes_redirect: false,
            urgent: false,
            part_of: None,
        }
    }

    /// Somebody waits for what comes of it: it waits for its turn ahead of calls that are not urgent. Not of all: while many
    /// are urgent, the others still get one of as many turns as calls may be in flight.
    #[must_use]
    pub fn urgent(mut self, urgent: bool) -> Self {
        self.urgent = urgent;
        self
    }

    /// What it writes is a part of the thing at this path, and counts as a write of that ([`super::Thresholds`]).
    #[must_use]
    pub fn part_of(mut self, path: impl Into<String>) -> Self {
        self.part_of = Some(path.into());
        self
    }

    /// The path that its writes are counted under.
    pub(super) fn counted_path(&self) -> &str {
        self.part_of.as_deref().unwrap_or(&self.path)
    }

    /// How long one try may take, from connecting to the last byte, instead of the policy's time.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Whether it only reads.
    pub fn is_get(&self) -> bool {
        self.method == Method::GET
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
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sets a form as the body, and its content type.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        self.body("application/x-www-form-urlencoded", form.extend_pairs(fields).finish())
    }

    /// Sets exact bytes as the body, and their content type.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        self.body = Some((content_type, bytes.into()));
        self
    }

    /// How many rate units it costs, 1 unless told. More than the policy's burst count as the burst.
    #[must_use]
    pub fn weight(mut self, units: u32) -> Self {
        self.weight = units;
        self
    }

    /// Takes a redirect (3xx) for an answer, for a call that asks where something is. It is never followed.
    #[must_use]
    pub fn takes_redirect(mut self) -> Self {
        self.takes_redirect = true;
        self
    }

    /// Marks a POST that may be sent twice without harm (it carries an idempotency key, say).
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// Shows the route only: path, query, headers and body may hold tokens and personal data.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("route", &self.route)
            .field("weight", &self.weight)
            .field("repeatable", &self.repeatable)
            .finish_non_exhaustive()
    }
}

/// A reply of a success status, or a redirect to a call that takes one.
#[derive(Clone)]
pub struct Reply {
    /// HTTP status, 200 to 299; 300 to 399 where [`Call::takes_redirect`] was said.
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

/// Shows no header and no byte of the body: they may hold personal data.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("upstream", &self.upstream)
            .field("route", &self.route)
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
