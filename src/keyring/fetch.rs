//! One fetch over the wire: https, no redirects, no proxies, short, small, few at a time.

use super::{Kind, Reason};
use bytes::{Bytes, BytesMut};
use chrono::Duration;
use reqwest::header::{AGE, CACHE_CONTROL, HeaderMap};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// Fetches at one time; others wait for a place until their time is over.
const AT_ONCE: usize = 16;
const USER_AGENT: &str = concat!("Hookgate/", env!("CARGO_PKG_VERSION"));

/// Fetches.
pub(super) struct Fetcher {
    /// `None` where no TLS could be set up at all.
    client: Option<Client>,
    overrides: Vec<(String, Url)>,
    places: Semaphore,
}

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// How long it may be kept, by its own word.
    pub(super) max_age: Option<Duration>,
}

impl Answer {
    /// The body, if the status is 200.
    pub(super) fn ok(self) -> Result<Self, Reason> {
        if self.status == StatusCode::OK { Ok(self) } else { Err(Reason::Status(self.status.as_u16())) }
    }
}

impl Fetcher {
    pub(super) fn new(overrides: Vec<(String, Url)>) -> Self {
        // Whoever comes first installs it, once for the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(USER_AGENT)
                .redirect(redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .no_gzip()
                .timeout(TIMEOUT)
                // Fetches are rare, and a connection must not outlive the runtime of the request that opened it.
                .pool_max_idle_per_host(0)
        };
        let client = builder()
            .build()
            .or_else(|_| {
                tracing::error!("no root certificates: keys cannot be fetched; install ca-certificates");
                builder().tls_certs_only([]).build()
            })
            .ok();
        Self { client, overrides, places: Semaphore::new(AT_ONCE) }
    }

    /// Sends what `request` makes for `url`, and reads at most `most` bytes of what comes back with `read`.
    pub(super) async fn fetch<T>(
        &self,
        kind: Kind,
        url: &Url,
        most: usize,
        request: impl FnOnce(&Client, Url) -> RequestBuilder,
        read: impl FnOnce(Answer) -> Result<T, Reason>,
    ) -> Result<T, Reason> {
        let deadline = Instant::now() + TIMEOUT;
        let exchange = async {
            let url = self.destination(url).ok_or(Reason::Insecure)?;
            let client = self.client.as_ref().ok_or(Reason::Connect)?;
            let _place = self.places.acquire().await.map_err(|_| Reason::Timeout)?;
            let response = request(client, url).send().await.map_err(lost)?;
            read(answer(response, most).await?)
        };
        let result = timeout_at(deadline, exchange).await.unwrap_or(Err(Reason::Timeout));
        let outcome = result.as_ref().map_or_else(|reason| reason.label(), |_| "ok");
        metrics::counter!("webhook_key_fetches_total", "kind" => kind.label(), "outcome" => outcome)
            .increment(1);
        if let Err(reason) = &result {
            tracing::warn!(kind = kind.label(), host = host(url), %reason, "a fetch failed");
        }
        result
    }

    /// Where to go for `url`; `None` if neither it nor what stands in for it is safe.
    fn destination(&self, url: &Url) -> Option<Url> {
        let stand_in = self.overrides.iter().find(|entry| entry.0.eq_ignore_ascii_case(host(url)));
        let url = match stand_in {
            None => url.clone(),
            Some((_, base)) => {
                let mut other = base.clone();
                other.set_path(&format!("{}{}", base.path().trim_end_matches('/'), url.path()));
                other.set_query(url.query());
                other
            }
        };
        is_safe(&url).then_some(url)
    }
}

/// The host of a URL, for logs and errors.
pub(super) fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// Whether nobody on the way can read or change what comes from there.
pub(super) fn is_safe(url: &Url) -> bool {
    let this_machine = match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && this_machine)
}

async fn answer(mut response: Response, most: usize) -> Result<Answer, Reason> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if chunk.len() > most - body.len() {
            return Err(Reason::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    let (status, max_age) = (response.status(), max_age(response.headers()));
    Ok(Answer { status, body: body.freeze(), max_age })
}

/// From errors whose own texts show the URL.
#[allow(clippy::needless_pass_by_value, reason = "it stands where map_err wants it")]
fn lost(error: reqwest::Error) -> Reason {
    if error.is_timeout() {
        Reason::Timeout
    } else if error.is_connect() {
        Reason::Connect
    } else {
        Reason::Broken
    }
}

/// `Cache-Control: max-age`, less the time that the answer has spent in other caches (RFC 9111).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let directives = text(CACHE_CONTROL)?.to_ascii_lowercase();
    let mut directives = directives.split(',').map(str::trim);
    let seconds = |text: &str| Some(i64::from(text.trim_matches('"').parse::<u32>().ok()?));
    let most = directives.find_map(|directive| seconds(directive.strip_prefix("max-age=")?))?;
    let age = text(AGE).and_then(|age| seconds(age.trim())).unwrap_or_default();
    Some(Duration::seconds((most - age).max(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_https_and_this_machine_are_safe() {
        for good in
            ["https://a.b/c", "http://127.0.0.1:1/x", "http://[::1]/", "http://localhost:9", "http://127.1"]
        {
            assert!(is_safe(&url(good)), "{good}");
        }
        for bad in [
            "http://a.b",
            "http://10.0.0.1",
            "http://localhost.evil.net",
            "ftp://127.0.0.1",
            "file:///etc",
            "data:,x",
        ] {
            assert!(!is_safe(&url(bad)), "{bad}");
        }
    }

    #[test]
    fn a_stand_in_keeps_path_and_query() {
        let overrides = vec![
            ("api.paypal.com".to_owned(), url("http://127.0.0.1:99/base/")),
            ("bad.example".to_owned(), url("http://10.0.0.1/")),
        ];
        let fetcher = Fetcher::new(overrides);
        let to = |text: &str| fetcher.destination(&url(text)).map(String::from);
        assert_eq!(
            to("https://API.paypal.com/v1/c%2F?d=e").as_deref(),
            Some("http://127.0.0.1:99/base/v1/c%2F?d=e")
        );
        assert_eq!(
            to("https://api.paypal.com.evil.net/x").as_deref(),
            Some("https://api.paypal.com.evil.net/x")
        );
        assert_eq!(to("https://bad.example/x"), None);
        assert_eq!(to("http://other.example/x"), None);
    }

    #[test]
    fn the_age_is_taken_from_the_time_that_an_answer_may_be_kept() {
        let seconds = |control: &str, age: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, control.parse().unwrap());
            headers.insert(AGE, age.parse().unwrap());
            max_age(&headers).map(|age| age.num_seconds())
        };
        assert_eq!(seconds("public, Max-Age=21233, must-revalidate", "33"), Some(21200));
        assert_eq!(seconds("max-age=\"60\"", "x"), Some(60));
        assert_eq!(seconds("max-age=60", "3600"), Some(0));
        for none in ["no-store", "max-age=", "max-age=-1", "s-maxage=5", "max-age=99999999999999999999"] {
            assert_eq!(seconds(none, "0"), None, "{none}");
        }
        assert_eq!(max_age(&HeaderMap::new()), None);
    }
}
