//! Whose request it is: the peer, or what trusted proxies say of it.

use actix_web::HttpRequest;
use ipnet::IpNet;
use std::net::IpAddr;

/// The client's address. `X-Forwarded-For` counts only as far as it was written by trusted proxies: read from the right,
/// the first address that is not one of them is the client; anything further left it may have made up.
pub(super) fn client_address(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    Some(resolve(peer, forwarded, trusted))
}

fn resolve<'a>(peer: IpAddr, forwarded: impl Iterator<Item = &'a str>, trusted: &[IpNet]) -> IpAddr {
    let is_trusted =
        |address: &IpAddr| trusted.iter().any(|network| network.contains(&address.to_canonical()));
    let hops: Vec<&str> = forwarded.flat_map(|line| line.split(',')).map(str::trim).collect();
    let mut client = peer;
    for hop in hops.iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        let Ok(address) = hop.parse() else { break };
        client = address;
    }
    client.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        resolve(peer.parse().unwrap(), forwarded.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(who("203.0.113.5", &["1.1.1.1"]), "203.0.113.5");
        assert_eq!(who("10.0.0.1", &["6.6.6.6, 203.0.113.5"]), "203.0.113.5");
        assert_eq!(who("10.0.0.1", &["6.6.6.6", "203.0.113.5, 10.0.0.2"]), "203.0.113.5");
        assert_eq!(who("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(who("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(who("::ffff:10.0.0.1", &["::ffff:1.2.3.4"]), "1.2.3.4");
    }
}
