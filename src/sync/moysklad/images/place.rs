//! From where a content may be fetched: a public name over https that leads to public addresses, never a neighbour of this
//! machine. A simulator on this machine may name this machine.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use url::{Host, Url};

/// Whether something may be fetched from there, as far as its text tells: a public name over https, never an address, so
/// that no answer can send us to a neighbour of this machine.
pub(super) fn is_allowed(url: &Url, base: &Url) -> bool {
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

/// A name that leads to no public address.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to no public address")]
pub(super) struct NotPublic;

/// Whether a request failed because its name leads to no public address.
pub(super) fn led_nowhere(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.into_iter().any(<dyn Error>::is::<NotPublic>)
}

/// Finds the addresses of a name.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// As the machine does it.
pub(super) fn system() -> Lookup {
    Arc::new(|name| async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) }.boxed())
}

/// Resolves names to public addresses alone. What is connected to is what was judged: nobody asks a second time.
pub(super) struct Guarded {
    lookup: Lookup,
    may_be_here: bool,
}

impl Guarded {
    /// `base`: `MOYSKLAD_BASE_URL`.
    pub(super) fn new(lookup: Lookup, base: &Url) -> Self {
        Self { lookup, may_be_here: is_this_machine(base) }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        // The text of the link was judged before: this name stands for this machine only if it may.
        let here = self.may_be_here && name.as_str() == "localhost";
        let found = (self.lookup)(name.as_str().to_owned());
        async move {
            let mut found = found.await?;
            found.retain(|address| is_public_address(address.ip()) || here && address.ip().is_loopback());
            if found.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        }
        .boxed()
    }
}

/// Whether the address is of the public internet (IANA's registries of special-purpose addresses, RFC 6890).
fn is_public_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || matches!((a, b, c), (0 | 240..=255, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _));
    !special
}

/// Of all addresses the internet's are those below `2000::/3`; of these, some hold an address of IPv4, or lead nowhere.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let parts = address.segments();
    let inner =
        |at: usize| is_public_v4(Ipv4Addr::from((u32::from(parts[at]) << 16) | u32::from(parts[at + 1])));
    match (parts[0], parts[1]) {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056).
        (0x64, 0xff9b) if parts[2..6] == [0; 4] => inner(6),
        (0x2002, _) => inner(1),
        // Teredo, benchmarks, ORCHID; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        (first, _) => (0x2000..=0x3fff).contains(&first),
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

    #[test]
    fn public_addresses_are_told_from_others() {
        for public in [
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "198.20.0.1",
            "2a02:6b8::1",
            "2606:4700::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public_address(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "::7f00:1",
        ] {
            assert!(!is_public_address(special.parse().unwrap()), "{special}");
        }
    }

    async fn resolved(name: &str, addresses: &'static [&str], base: &str) -> Result<Vec<IpAddr>, String> {
        let lookup: Lookup = Arc::new(move |_| {
            let found = addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect();
            async move { Ok(found) }.boxed()
        });
        let guarded = Guarded::new(lookup, &Url::parse(base).unwrap());
        let found = guarded.resolve(name.parse().unwrap()).await;
        found.map(|found| found.map(|address| address.ip()).collect()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn of_the_addresses_of_a_name_only_public_ones_are_connected_to() {
        let public: IpAddr = "8.8.8.8".parse().unwrap();
        for base in [REAL, SIMULATED] {
            let mixed = resolved("storage.example", &["127.0.0.1", "8.8.8.8", "::1"], base).await;
            assert_eq!(mixed, Ok(vec![public]));
            for private in [&["10.0.0.1"], &["127.0.0.1"], &["169.254.169.254"], &["::1"]] {
                assert_eq!(resolved("storage.example", private, base).await, Err(NotPublic.to_string()));
            }
        }
        assert!(resolved("localhost", &["127.0.0.1"], SIMULATED).await.is_ok());
        assert!(resolved("localhost", &["127.0.0.1"], REAL).await.is_err());
        assert!(resolved("localhost", &["10.0.0.1"], SIMULATED).await.is_err());
    }
}
