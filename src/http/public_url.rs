//! What may stand before the path in the URL that the sender called: some senders sign it.

use crate::config::Receiver;
use actix_web::HttpRequest;

/// Public base URLs without a trailing slash, most likely first: `APP_URL`, then what a trusted proxy says. Never the
/// `Host` of an untrusted peer: whoever writes it could choose the URL that a captured signature is checked against.
pub(super) fn public_bases(request: &HttpRequest, receiver: &Receiver) -> Vec<String> {
    let mut bases = vec![receiver.app_url.as_str().trim_end_matches('/').to_owned()];
    let trusted = request.peer_addr().is_some_and(|peer| {
        receiver.trusted_proxies.iter().any(|network| network.contains(&peer.ip().to_canonical()))
    });
    if trusted
        && let Some(base) = forwarded(request)
        && !bases.contains(&base)
    {
        bases.push(base);
    }
    bases
}

fn forwarded(request: &HttpRequest) -> Option<String> {
    // The last proxy, the trusted one, wrote the last value.
    let last = |name: &str| {
        let line = request.headers().get_all(name).last()?.to_str().ok()?;
        line.rsplit(',').next().map(str::trim).filter(|value| !value.is_empty())
    };
    let scheme = last("x-forwarded-proto").filter(|scheme| ["http", "https"].contains(scheme))?;
    let host = last("x-forwarded-host").or_else(|| last("host"))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    host.bytes().all(plain).then(|| format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn bases(peer: &str, headers: &[(&str, &str)]) -> Vec<String> {
        let mut receiver = crate::config::Settings::from_source(crate::config::Source::from_env(
            std::sync::Arc::new(|_: &str| None),
        ))
        .unwrap()
        .receiver;
        receiver.app_url = "https://hooks.example.com/".parse().unwrap();
        receiver.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let mut request = TestRequest::default().peer_addr(format!("{peer}:1").parse().unwrap());
        for header in headers {
            request = request.append_header(*header);
        }
        public_bases(&request.to_http_request(), &receiver)
    }

    #[test]
    fn only_a_trusted_proxy_adds_a_base() {
        let forwarded =
            [("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.example, b.example:8443")];
        assert_eq!(bases("203.0.113.5", &forwarded), ["https://hooks.example.com"]);
        assert_eq!(bases("10.0.0.1", &forwarded), ["https://hooks.example.com", "https://b.example:8443"]);
        assert_eq!(
            bases("10.0.0.1", &[("x-forwarded-proto", "https"), ("x-forwarded-host", "a b/@c")]).len(),
            1
        );
        assert_eq!(bases("10.0.0.1", &[]).len(), 1);
    }
}
