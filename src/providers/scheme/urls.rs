//! The public URL of a request, which some senders sign, in the forms that they may have signed.

use super::table::UrlForm;
use crate::providers::RawRequest;

/// Every form of the request's URL that is to be tried, most likely first, none twice.
pub(super) fn candidates(
    request: &RawRequest<'_>,
    registered: Option<&str>,
    forms: &[UrlForm],
) -> Vec<String> {
    let mut plain: Vec<String> = Vec::new();
    if let Some(registered) = registered {
        // The registered URL is the truth; only a query that came with the request is added.
        plain.push(match request.query {
            "" => registered.to_owned(),
            _ if registered.contains('?') => registered.to_owned(),
            query => format!("{registered}?{query}"),
        });
    } else {
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        plain.extend(request.bases.iter().map(|base| format!("{base}{}{query}", request.path)));
    }
    let mut all: Vec<String> = Vec::new();
    let forms = if forms.is_empty() { &[UrlForm::AsIs][..] } else { forms };
    for form in forms {
        for url in &plain {
            let url = match form {
                UrlForm::AsIs => Some(url.clone()),
                UrlForm::WithoutPort => with_port(url, None),
                UrlForm::DefaultPort => {
                    with_port(url, Some(if url.starts_with("https:") { "443" } else { "80" }))
                }
                UrlForm::EscapedQuotes => url.contains('\'').then(|| url.replace('\'', "%27")),
            };
            if let Some(url) = url
                && !all.contains(&url)
            {
                all.push(url);
            }
        }
    }
    all
}

/// The URL with this port, or without one. By text: a URL library would write other parts anew.
fn with_port(url: &str, port: Option<&str>) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let at = if authority.contains('@') { "@" } else { "" };
    let bare = match host.rsplit_once(':') {
        Some((bare, digits)) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            bare
        }
        _ => host,
    };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{user}{at}{bare}{port}{tail}"))
}

/// Decodes the escapes that `HubSpot` decodes before it signs, and no others
/// (<https://developers.hubspot.com/docs/api/webhooks/validating-requests>).
pub(super) fn decode_some(url: &str) -> String {
    const ESCAPES: [(&str, &str); 12] = [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
    ];
    let mut decoded = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let escape = ESCAPES
            .iter()
            .find(|(escape, _)| rest.get(..3).is_some_and(|head| head.eq_ignore_ascii_case(escape)));
        let (plain, length) = escape.map_or(("%", 1), |(_, plain)| (*plain, 3));
        decoded.push_str(plain);
        rest = &rest[length..];
    }
    decoded.push_str(rest);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn forms(base: &str, query: &str) -> Vec<String> {
        let bases = [base.to_owned()];
        let body = Bytes::new();
        let request = RawRequest { bases: &bases, path: "/in", ..RawRequest::post(query, Vec::new(), &body) };
        candidates(&request, None, &[UrlForm::AsIs, UrlForm::WithoutPort, UrlForm::DefaultPort])
    }

    #[test]
    fn ports_are_tried_and_nothing_twice() {
        assert_eq!(forms("https://a.b", "x=%41"), ["https://a.b/in?x=%41", "https://a.b:443/in?x=%41"]);
        assert_eq!(
            forms("http://u:p@a.b:1234", ""),
            ["http://u:p@a.b:1234/in", "http://u:p@a.b/in", "http://u:p@a.b:80/in"]
        );
        assert_eq!(forms("https://[::1]:8443", "").len(), 3);
    }

    #[test]
    fn only_the_listed_escapes_are_decoded() {
        assert_eq!(decode_some("https://a/?q=%3A%3b%20%2f%"), "https://a/?q=:;%20/%");
        assert_eq!(decode_some("%€%3A"), "%€:");
    }
}
