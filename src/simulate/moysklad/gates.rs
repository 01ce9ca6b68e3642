//! What a request must get past before anything is done: encoding, authentication, media types, size, rate.

use super::refused::Refused;
use reqwest::Method;
use reqwest::header::HeaderMap;
use std::time::{Duration, Instant};

/// Units in one window.
const UNITS: u32 = 45;
const WINDOW: Duration = Duration::from_secs(3);
/// Requests in flight of one user or solution, and of an account.
pub(super) const PARALLEL: usize = 5;
pub(super) const PARALLEL_OF_ACCOUNT: usize = 20;
/// All headers and the URL.
const MOST_HEADER_BYTES: usize = 8 * 1024;
const DISABLE_BY_PREFIX: &str = "x-lognex-webhook-disablebyprefix";

/// Who a token speaks for, with limits of its own.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    pub(super) token: String,
    pub(super) is_dead: bool,
    /// Login and password of a user, for `POST /security/token`.
    pub(super) login: Option<(String, String)>,
    pub(super) bucket: Bucket,
    pub(super) in_flight: usize,
    pub(super) peak_in_flight: usize,
}

impl Principal {
    pub(super) fn new(token: &str, weight: u32) -> Self {
        let bucket = Bucket { weight, started: None, spent: 0 };
        Self { token: token.to_owned(), is_dead: false, login: None, bucket, in_flight: 0, peak_in_flight: 0 }
    }
}

/// The units that a principal may spend in one window.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) weight: u32,
    started: Option<Instant>,
    spent: u32,
}

impl Bucket {
    /// Spends the units of one request, or says how long until it could.
    pub(super) fn spend(&mut self, weight: u32) -> Result<(), Duration> {
        let elapsed = self.started.map_or(WINDOW, |started| started.elapsed());
        if elapsed >= WINDOW {
            (self.started, self.spent) = (Some(Instant::now()), 0);
        }
        if self.spent + weight > UNITS {
            return Err(WINDOW.saturating_sub(elapsed));
        }
        self.spent += weight;
        Ok(())
    }

    /// The headers of every reply, refused for `wait` or not.
    pub(super) fn headers(&self, wait: Duration) -> Vec<(&'static str, String)> {
        vec![
            ("X-RateLimit-Limit", UNITS.to_string()),
            ("X-RateLimit-Remaining", UNITS.saturating_sub(self.spent).to_string()),
            ("X-Lognex-Retry-TimeInterval", WINDOW.as_millis().to_string()),
            ("X-Lognex-Reset", wait.as_millis().to_string()),
            ("X-Lognex-Retry-After", wait.as_millis().to_string()),
        ]
    }
}

/// Units of a request; the old stock reports always cost 5.
pub(super) fn weight(path: &str, weight: u32) -> u32 {
    match path.trim_matches('/') {
        "report/stock/all" | "report/stock/bystore" => 5,
        _ => weight,
    }
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Answers are gzip, and so is what a client must accept; the refusal has an empty body.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let listed = header(headers, "accept-encoding").unwrap_or_default();
    listed.split(',').any(|coding| coding.split(';').next().is_some_and(|coding| coding.trim() == "gzip"))
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    header(headers, "authorization")?.strip_prefix("Bearer ")
}

/// Login and password.
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    use base64::Engine as _;
    let encoded = header(headers, "authorization")?.strip_prefix("Basic ")?;
    let text = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(text).ok()?;
    text.split_once(':').map(|(login, password)| (login.to_owned(), password.to_owned()))
}

/// Media types, in the exact spellings that are accepted.
pub(super) fn check_media_types(method: &Method, headers: &HeaderMap, has_body: bool) -> Result<(), Refused> {
    let accept = header(headers, "accept");
    if !matches!(accept, None | Some("*/*" | "application/json" | "application/json;charset=utf-8")) {
        return Err(Refused::new(400, 1062));
    }
    let content_type = header(headers, "content-type");
    let good = match *method {
        Method::GET => content_type.is_none(),
        Method::DELETE => true,
        Method::POST if !has_body => true,
        _ => matches!(content_type, Some("application/json" | "application/json;charset=utf-8")),
    };
    if good { Ok(()) } else { Err(Refused::new(415, 1037)) }
}

/// All headers with the URL must fit (414).
pub(super) fn check_size(url: &str, headers: &HeaderMap) -> Result<(), Refused> {
    let headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if url.len() + headers > MOST_HEADER_BYTES { Err(Refused::empty(414)) } else { Ok(()) }
}

/// The URL prefixes whose webhooks this write does not raise. Each must have a scheme and a complete host.
pub(super) fn muted_prefixes(headers: &HeaderMap) -> Result<Vec<String>, Refused> {
    let values = headers.get_all(DISABLE_BY_PREFIX).iter();
    values
        .map(|value| {
            let value = value.to_str().unwrap_or_default();
            let host = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
            let host = host.and_then(|rest| rest.split(['/', ':', '?']).next());
            match host {
                Some(host) if host.contains('.') => Ok(value.to_owned()),
                _ => Err(Refused::field(400, 3030, "X-Lognex-WebHook-DisableByPrefix")),
            }
        })
        .collect()
}
