//! A request as text: seeds can be read by people, and a mutation of one is still a request.
//!
//! ```text
//! github                                   whom it is for
//! 1760000000                               the gateway's clock, Unix seconds
//! POST https://hooks.example.com/in?a=b    method and URL
//! content-type: application/json           headers
//!
//! {}                                       body
//! ```

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use hookgate::providers::RawRequest;

/// The clock of a request that says nothing about it.
pub const NOON: i64 = 1_760_000_000;

/// A request that owns its parts.
#[derive(Debug)]
pub struct Wire {
    /// Whom it is for: a target reads a provider's name or whatever it likes.
    pub who: String,
    /// The gateway's clock.
    pub now: DateTime<Utc>,
    pub method: String,
    /// What may stand before the path.
    pub bases: Vec<String>,
    pub path: String,
    pub query: String,
    /// Names in lower case, values as an HTTP server lets them through.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Bytes,
}

impl Wire {
    /// Reads any bytes.
    pub fn read(input: &[u8]) -> Self {
        let mut rest = input;
        let who = text(line(&mut rest));
        let seconds = text(line(&mut rest)).trim().parse::<u32>().map_or(NOON, i64::from);
        let request = text(line(&mut rest));
        let (method, url) = request.split_once(' ').unwrap_or(("POST", &request));
        let after = url.find("://").map_or(0, |at| at + 3);
        let end = url[after..].find(['/', '?']).map_or(url.len(), |at| after + at);
        let (base, tail) = url.split_at(end);
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        let mut headers = Vec::new();
        while !rest.is_empty() {
            let line = line(&mut rest);
            if line.is_empty() {
                break;
            }
            let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let value = line.get(at + 1..).unwrap_or_default().trim_ascii();
            // A server refuses control characters before anybody sees the request.
            let value = value.iter().copied().filter(|byte| *byte == b'\t' || !byte.is_ascii_control());
            headers.push((text(&line[..at]).to_lowercase(), value.collect()));
        }
        Self {
            who,
            now: DateTime::from_timestamp(seconds, 0).unwrap_or_default(),
            method: method.to_owned(),
            bases: vec![base.to_owned(), "https://hooks.example.com".to_owned()],
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: Bytes::copy_from_slice(rest),
        }
    }

    /// As a verifier wants it; the last segment of its path may be a token.
    pub fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            method: &self.method,
            bases: &self.bases,
            path: &self.path,
            path_token: self.path.rsplit('/').next().filter(|segment| !segment.is_empty()),
            query: &self.query,
            headers: self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect(),
            body: &self.body,
        }
    }

    /// The value of a header that stands there, however often.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|line| line.0 == name).map(|line| text(&line.1))
    }

    /// Leaves exactly one line of this header.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Leaves no line of this header.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|line| line.0 != name);
    }

    /// The URL that most senders sign.
    pub fn url(&self) -> String {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        format!("{}{}{query}", self.bases[0], self.path)
    }
}

impl<'a> Arbitrary<'a> for Wire {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self::read(u.bytes(u.len())?))
    }

    fn arbitrary_take_rest(u: Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self::read(u.take_rest()))
    }
}

fn line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let line = &rest[..end];
    *rest = rest.get(end + 1..).unwrap_or_default();
    line
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
