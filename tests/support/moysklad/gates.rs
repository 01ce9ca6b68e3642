//! What a request must get past before anything is done: encoding, authentication, media types, rate.

use super::entity::Refused;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};
use std::time::{Duration, Instant};

/// Units in one window.
const UNITS: u32 = 45;
const WINDOW: Duration = Duration::from_secs(3);
/// Requests of one user or solution in flight.
pub(super) const PARALLEL: usize = 5;
pub(super) const DISABLE_BY_PREFIX: &str = "x-lognex-webhook-disablebyprefix";

/// The units that an account may spend in one window.
pub(super) struct Bucket {
    pub(super) weight: u32,
    started: Option<Instant>,
    spent: u32,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { weight: 1, started: None, spent: 0 }
    }
}

impl Bucket {
    /// Spends the units of one request, or says how long until it could.
    pub(super) fn spend(&mut self) -> Result<(), Duration> {
        let elapsed = self.started.map_or(WINDOW, |started| started.elapsed());
        if elapsed >= WINDOW {
            (self.started, self.spent) = (Some(Instant::now()), 0);
        }
        if self.spent + self.weight > UNITS {
            return Err(WINDOW.saturating_sub(elapsed));
        }
        self.spent += self.weight;
        Ok(())
    }

    /// The headers of every reply, refused for `wait` or not.
    pub(super) fn headers(&self, wait: Duration) -> Vec<(&'static str, String)> {
        vec![
            ("X-RateLimit-Limit", UNITS.to_string()),
            ("X-RateLimit-Remaining", (UNITS - self.spent).to_string()),
            ("X-Lognex-Retry-TimeInterval", WINDOW.as_millis().to_string()),
            ("X-Lognex-Reset", wait.as_millis().to_string()),
            ("X-Lognex-Retry-After", wait.as_millis().to_string()),
        ]
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name.parse::<HeaderName>().unwrap())?.to_str().ok()
}

/// Answers are gzip, and so is what a client must accept; the refusal has an empty body.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    header(headers, "accept-encoding")
        .is_some_and(|value| value.split(',').any(|coding| coding.trim() == "gzip"))
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    header(headers, "authorization")?.strip_prefix("Bearer ")
}

/// Media types, in the exact spellings that are accepted.
pub(super) fn check_media_types(method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
    let accept = header(headers, "accept");
    if !matches!(accept, None | Some("*/*" | "application/json" | "application/json;charset=utf-8")) {
        return Err(Refused::new(400, 1062));
    }
    let content_type = header(headers, "content-type");
    let good = match *method {
        Method::GET => content_type.is_none(),
        Method::DELETE => true,
        _ => matches!(content_type, Some("application/json" | "application/json;charset=utf-8")),
    };
    if good { Ok(()) } else { Err(Refused::new(415, 1037)) }
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
