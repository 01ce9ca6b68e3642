//! The content of one image, by a link that MoySklad gives for a minute: from another host, and without our token.

use super::recent::Recent;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, redirect};
use std::time::Duration;
use url::{Host, Url};

/// Larger ones are not brought: with base64's third more, and twice in memory, they still are far below the 20 MB of a
/// request. MoySklad itself takes no more than 3 MB (error 51004) of those that come through its API.
pub(super) const MOST_BYTES: usize = 10 << 20;

const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_CONNECTION: Duration = Duration::from_secs(25);
const USER_AGENT: &str = concat!("Hookgate/", env!("CARGO_PKG_VERSION"));

/// Why a link gave nothing. Its texts show neither the link nor what is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Lost {
    /// It leads somewhere where nothing is fetched from.
    #[error("its link leads to no public https address")]
    Place,
    /// Its minute was over, or the storage has nothing there: both are told alike.
    #[error("its link had expired, or there is nothing behind it")]
    Expired,
    /// More than [`MOST_BYTES`].
    #[error("it is larger than 10 MB")]
    TooLong,
    /// No connection, a time-out, a broken answer or an error of the storage.
    #[error("its content could not be fetched")]
    Broken,
}

impl Lost {
    /// Value of the metrics label `status`.
    fn label(self) -> &'static str {
        match self {
            Self::Place => "refused",
            Self::Expired => "expired",
            Self::TooLong => "too_long",
            Self::Broken => "error",
        }
    }
}

/// Fetches contents.
#[derive(Clone)]
pub(in crate::sync::moysklad) struct Downloads {
    /// `None` where no TLS could be set up at all.
    client: Option<Client>,
    base: Url,
    /// What was fetched lately.
    pub(super) recent: Recent,
}

impl Downloads {
    /// `base`: `MOYSKLAD_BASE_URL`. Only if it is a simulator on this machine may contents come from there, too.
    pub(in crate::sync::moysklad) fn new(base: &Url) -> Self {
        // Whoever comes first installs it, once for the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(USER_AGENT)
                .redirect(redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .no_gzip()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(TIMEOUT)
                .pool_idle_timeout(IDLE_CONNECTION)
        };
        let client = builder().build().or_else(|_| builder().tls_certs_only([]).build()).ok();
        Self { client, base: base.clone(), recent: Recent::default() }
    }

    /// What is behind the link. Nothing but its own text is sent: it alone is the right to it.
    pub(super) async fn fetch(&self, link: &Url) -> Result<Bytes, Lost> {
        let result = self.get(link).await;
        let status = result.as_ref().map_or_else(|lost| lost.label(), |_| "200");
        metrics::counter!("upstream_requests_total", "upstream" => "moysklad_files", "status" => status)
            .increment(1);
        result
    }

    async fn get(&self, link: &Url) -> Result<Bytes, Lost> {
        if !is_allowed(link, &self.base) {
            return Err(Lost::Place);
        }
        let client = self.client.as_ref().ok_or(Lost::Broken)?;
        let mut response = client.get(link.clone()).send().await.map_err(|_| Lost::Broken)?;
        match response.status().as_u16() {
            200 => {}
            // Storages answer either when a signature's time is over.
            400 | 401 | 403 | 404 | 410 => return Err(Lost::Expired),
            _ => return Err(Lost::Broken),
        }
        if response.content_length().is_some_and(|length| length > MOST_BYTES as u64) {
            return Err(Lost::TooLong);
        }
        let mut content = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| Lost::Broken)? {
            if chunk.len() > MOST_BYTES - content.len() {
                return Err(Lost::TooLong);
            }
            content.extend_from_slice(&chunk);
        }
        Ok(content.freeze())
    }
}

/// Whether something may be fetched from there: a public name over https, never an address, so that no answer can send us
/// to a neighbour of this machine. A simulator on this machine may name this machine.
fn is_allowed(url: &Url, base: &Url) -> bool {
    if !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    match url.host() {
        Some(Host::Domain(name)) if url.scheme() == "https" && is_public(name) => true,
        _ => matches!(url.scheme(), "http" | "https") && is_this_machine(url) && is_this_machine(base),
    }
}

/// Names below these are never public (RFC 6761, RFC 6762, ICANN's `internal`).
fn is_public(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let last = name.rsplit('.').next().unwrap_or_default();
    name.contains('.') && !["localhost", "local", "internal", "test", "invalid"].contains(&last)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(link: &str, base: &str) -> bool {
        is_allowed(&Url::parse(link).unwrap(), &Url::parse(base).unwrap())
    }

    const REAL: &str = "https://api.moysklad.ru/api/remap/1.2";
    const SIMULATED: &str = "http://127.0.0.1:9090/api/remap/1.2";

    #[test]
    fn contents_come_from_public_names_over_https() {
        assert!(allowed("https://storage.moysklad.ru/x?signature=1", REAL));
        assert!(allowed("https://minio.example:9000/x", REAL));
        for link in [
            "http://storage.moysklad.ru/x",
            "https://10.0.0.1/x",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/x",
            "https://localhost/x",
            "https://db.internal/x",
            "https://metadata.google.internal./x",
            "https://printer.local/x",
            "https://storage/x",
            "https://user:word@storage.moysklad.ru/x",
            "http://127.0.0.1:9090/x",
            "ftp://storage.moysklad.ru/x",
            "file:///etc/passwd",
        ] {
            assert!(!allowed(link, REAL), "{link}");
        }
    }

    #[test]
    fn a_simulator_may_name_this_machine_and_no_other() {
        for link in ["http://127.0.0.1:1234/x", "http://localhost:1234/x", "http://[::1]:1/x"] {
            assert!(allowed(link, SIMULATED), "{link}");
        }
        for link in ["http://10.0.0.1/x", "http://0.0.0.0/x", "http://localhost.example/x"] {
            assert!(!allowed(link, SIMULATED), "{link}");
        }
    }
}
