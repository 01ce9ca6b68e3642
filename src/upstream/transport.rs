//! One request over the wire: where to, how it is sent, how its body is read, how it can be lost.

use super::{Call, Policy};
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Request, Response, redirect};
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// `MoySklad` answers 500 on connections that were idle for more than 30 s.
const IDLE_CONNECTION: Duration = Duration::from_secs(25);
const USER_AGENT: &str = concat!("Hookgate/", env!("CARGO_PKG_VERSION"));

/// How a request got no usable reply. Made from `reqwest` errors, whose own texts show the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// No connection, so nothing was sent.
    Connect,
    Timeout,
    Connection,
    Broken,
    TooLong,
}

impl Lost {
    /// What the error says.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Connect => "cannot connect",
            Self::Timeout => "timeout",
            Self::Connection => "connection lost",
            Self::Broken => "broken reply",
            Self::TooLong => "body too long",
        }
    }

    /// Value of the metrics label `status`.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Connection | Self::Broken | Self::TooLong => "error",
        }
    }
}

impl From<reqwest::Error> for Lost {
    fn from(error: reqwest::Error) -> Self {
        if error.is_connect() {
            Self::Connect
        } else if error.is_timeout() {
            Self::Timeout
        } else if error.is_decode() && !cut_off(&error) {
            Self::Broken
        } else {
            Self::Connection
        }
    }
}

/// Whether a body ended too early, as against one that arrived but is no gzip or no proper chunks.
fn cut_off(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| matches!(cause.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

/// A client for one upstream. `None` where no TLS could be set up at all; then no call can connect.
pub(super) fn client(name: &str, policy: &Policy) -> Option<Client> {
    // Whoever comes first installs it, once for the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT.min(policy.timeout))
            .timeout(policy.timeout)
            .pool_idle_timeout(IDLE_CONNECTION)
    };
    builder()
        .build()
        .or_else(|_| {
            // A machine without root certificates can still reach upstreams that speak plain HTTP.
            tracing::error!(
                upstream = name,
                "no root certificates: https will fail; install ca-certificates"
            );
            builder().tls_certs_only([]).build()
        })
        .ok()
}

/// The request of a call; `None` if its path cannot be part of a URL.
pub(super) fn request(base: &Url, call: &Call) -> Option<Request> {
    let mut url = address(base, &call.path)?;
    if !call.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&call.query);
    }
    let mut request = Request::new(call.method.clone(), url);
    *request.timeout_mut() = call.timeout;
    request.headers_mut().clone_from(&call.headers);
    if let Some((content_type, bytes)) = &call.body {
        request.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
        *request.body_mut() = Some(bytes.clone().into());
    }
    Some(request)
}

/// `base` with `path` appended, by text, so that a path prefix of `base` stays. Empty segments vanish; `.` and `..`
/// make it `None`.
fn address(base: &Url, path: &str) -> Option<Url> {
    let mut text = base.path().trim_end_matches('/').to_owned();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        text.push('/');
        let start = text.len();
        segment.bytes().for_each(|byte| push_encoded(&mut text, byte));
        // The URL standard reads an encoded dot as a dot.
        if matches!(&*text[start..].to_ascii_lowercase().replace("%2e", "."), "." | "..") {
            return None;
        }
    }
    if path.ends_with('/') && !text.ends_with('/') {
        text.push('/');
    }
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.set_path(&text);
    Some(url)
}

/// RFC 3986, 3.3: what may stand in a path segment as it is, and `%` of what is encoded already.
fn push_encoded(text: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&byte) {
        text.push(char::from(byte));
    } else {
        // Writing to a string cannot fail.
        let _ = write!(text, "%{byte:02X}");
    }
}

/// Reads the body, decompressed. Of one that is longer than `most` bytes, `cut` keeps the beginning.
pub(super) async fn body(mut response: Response, most: usize, cut: bool) -> Result<Bytes, Lost> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = most - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return if cut { Ok(body.freeze()) } else { Err(Lost::TooLong) };
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joined(base: &str, path: &str) -> Option<String> {
        address(&Url::parse(base).unwrap(), path).map(String::from)
    }

    #[test]
    fn the_prefix_of_the_base_stays_and_slashes_never_double() {
        for base in ["http://h/api/remap/1.2", "http://h/api/remap/1.2/", "http://h/api/remap/1.2//"] {
            for path in ["/entity/product", "entity/product", "//entity///product"] {
                let url = joined(base, path);
                assert_eq!(url.as_deref(), Some("http://h/api/remap/1.2/entity/product"), "{base} {path}");
            }
        }
        assert_eq!(joined("http://h", "/a/").as_deref(), Some("http://h/a/"), "a slash at the end stays");
        assert_eq!(joined("http://h", "").as_deref(), Some("http://h/"));
        assert_eq!(joined("http://h/x?key=1#y", "a").as_deref(), Some("http://h/x/a"));
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_the_path() {
        for path in ["/v1/../admin", "/v1/..", "/v1/.", "/v1/%2e%2E/x", "/v1/.%2e"] {
            assert_eq!(joined("http://h", path), None, "{path}");
        }
        let odd = joined("http://h", "/v1/a?b#c\\..\\d\te\u{e9}");
        assert_eq!(odd.as_deref(), Some("http://h/v1/a%3Fb%23c%5C..%5Cd%09e%C3%A9"));
        assert_eq!(joined("http://h", "/a%20b").as_deref(), Some("http://h/a%20b"), "not encoded twice");
        assert_eq!(joined("http://h", "/...").as_deref(), Some("http://h/..."));
    }

    #[test]
    fn query_values_are_encoded() {
        let call = Call::new(reqwest::Method::GET, "GET /x", "/x").query("filter", "id=a;b&c=#1 +");
        let request = request(&Url::parse("http://h/").unwrap(), &call).unwrap();
        assert_eq!(request.url().as_str(), "http://h/x?filter=id%3Da%3Bb%26c%3D%231+%2B");
    }

    proptest! {
        #[test]
        fn any_path_stays_below_the_base(path in "(/|\\.|%2e|%|\\?|#|\\\\|\\PC|\t|[a-z]){0,20}") {
            let base = Url::parse("https://api.example/a/b").unwrap();
            if let Some(url) = address(&base, &path) {
                prop_assert_eq!(url.host_str(), Some("api.example"));
                prop_assert!(url.path().starts_with("/a/b"));
                prop_assert!(!url.path().contains("//"));
                prop_assert!(url.query().is_none() && url.fragment().is_none());
            }
        }
    }
}
