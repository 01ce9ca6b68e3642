//! The content of one image, by a link that MoySklad gives for a minute: from another host, and without our token.

use super::place::{self, Guarded, Lookup};
use super::recent::Recent;
use bytes::{Bytes, BytesMut};
use reqwest::{Client, redirect};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

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
        Self::with(base, place::system())
    }

    fn with(base: &Url, lookup: Lookup) -> Self {
        // Whoever comes first installs it, once for the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let resolver = Arc::new(Guarded::new(lookup, base));
        let builder = || {
            Client::builder()
                .user_agent(USER_AGENT)
                .redirect(redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .dns_resolver(resolver.clone())
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
        if !place::is_allowed(link, &self.base) {
            return Err(Lost::Place);
        }
        let client = self.client.as_ref().ok_or(Lost::Broken)?;
        let mut response = client
            .get(link.clone())
            .send()
            .await
            .map_err(|error| if place::led_nowhere(&error) { Lost::Place } else { Lost::Broken })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A server on this machine that answers every request so, and counts those who connect.
    async fn server(answer: String) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = count.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (address, count)
    }

    #[tokio::test]
    async fn a_public_name_that_leads_to_this_machine_is_not_connected_to() {
        let (address, connected) = server(String::new()).await;
        let lookup: Lookup = Arc::new(move |_| async move { Ok(vec![address]) }.boxed());
        for base in ["https://api.moysklad.ru/api/remap/1.2", "http://127.0.0.1:9090/api/remap/1.2"] {
            let downloads = Downloads::with(&Url::parse(base).unwrap(), lookup.clone());
            let link = Url::parse(&format!("https://storage.example:{}/x", address.port())).unwrap();
            assert_eq!(downloads.fetch(&link).await, Err(Lost::Place));
        }
        assert_eq!(connected.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (hidden, connected) =
            server("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret".to_owned()).await;
        let redirect =
            format!("HTTP/1.1 302 Found\r\nLocation: http://{hidden}/\r\nContent-Length: 0\r\n\r\n");
        let (address, _) = server(redirect).await;
        let link = Url::parse(&format!("http://{address}/x")).unwrap();
        assert_eq!(Downloads::new(&link).fetch(&link).await, Err(Lost::Broken));
        assert_eq!(connected.load(Ordering::Relaxed), 0);
    }
}
