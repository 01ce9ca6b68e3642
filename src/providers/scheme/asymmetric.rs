//! Proofs that need something from outside: certificates, tokens of a key set, the provider's own verdict.

use super::keys::Key;
use super::reference::Reference;
use super::scene::{Moment, Scene};
use super::table::{Certificate, ClaimEntry, Jwt, Verify};
use crate::providers::evidence::{Evidence, KeyLocation, Needed, Postback};
use crate::providers::proof::PublicKey;
use crate::providers::proof::certificate::{self, CertificateRules};
use crate::providers::proof::jwt::{self, Expected, JwtError, JwtKeys, JwtRules};
use crate::providers::{Check, Unproven};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use url::Url;

fn needs(needed: Needed) -> Unproven {
    Unproven::Needs(Box::new(needed))
}

fn evidence<'c>(check: &Check<'c>, needed: impl FnOnce() -> Needed) -> Result<&'c dyn Evidence, Unproven> {
    check.evidence.ok_or_else(|| needs(needed()))
}

/// The key of the certificate that the request points to; `None` if the rule has no certificate.
pub(super) fn certificate_key(
    rule: &Verify,
    scene: &Scene<'_>,
    moment: Moment<'_>,
    check: &Check<'_>,
) -> Result<Option<PublicKey>, Unproven> {
    let Some(table) = &rule.certificate else { return Ok(None) };
    let text = scene.text(&table.url, moment).ok_or_else(|| {
        check.step("certificate", false, || format!("{} is missing or repeated", table.url));
        Unproven::Missing
    })?;
    let url = allowed(table, &text).ok_or_else(|| {
        check.step("certificate", false, || "its URL is not one of this provider's".to_owned());
        Unproven::Malformed
    })?;
    let known = evidence(check, || Needed::Certificate(url.clone()))?;
    let pem = known.certificate(&url).ok_or_else(|| needs(Needed::Certificate(url.clone())))?;
    let rules = CertificateRules { names: table.names.clone(), chain: table.chain };
    match certificate::public_key(&pem, &rules, known.anchors(), check.now) {
        Ok(key) => {
            check.step("certificate", true, || "it is trusted and valid now".to_owned());
            Ok(Some(key))
        }
        Err(error) => {
            check.step("certificate", false, || error.to_string());
            Err(Unproven::Mismatch)
        }
    }
}

/// The URL, if it is one that the rules allow to be fetched: the request is not proven yet, and must not choose what this
/// machine connects to.
fn allowed(table: &Certificate, text: &str) -> Option<Url> {
    // What a parser would mend (tabs, backslashes, spaces) is refused instead.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let plain = url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none()
        && url.fragment().is_none()
        && url.query().is_none();
    let fits = table.hosts.iter().any(|pattern| host_fits(pattern, host))
        && url.path().starts_with(&table.path_prefix)
        && url.path().ends_with(&table.path_suffix);
    (plain && fits).then_some(url)
}

/// An exact name, or one where `*` stands for one label of letters, digits and hyphens.
fn host_fits(pattern: &str, host: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), host.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(label)) => {
                let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                if label.len() < 3 || !label.bytes().all(good) {
                    return false;
                }
            }
            (Some(wanted), Some(given)) if wanted.eq_ignore_ascii_case(given) => {}
            _ => return false,
        }
    }
}

/// Proves the request by a JSON Web Token.
pub(super) fn token(
    rule: &Verify,
    key: &Key,
    scene: &Scene<'_>,
    moment: Moment<'_>,
    check: &Check<'_>,
) -> Result<(), Unproven> {
    let Some(table) = &rule.jwt else { return Err(Unproven::Malformed) };
    let text = scene.text(&table.from, moment).ok_or_else(|| {
        check.step("token", false, || format!("{} is missing or repeated", table.from));
        Unproven::Missing
    })?;
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => &text,
    };
    let rules = rules(table, scene, moment).ok_or_else(|| {
        check.step("token", false, || "a parameter that it is checked against is not configured".to_owned());
        Unproven::Missing
    })?;
    let failed = |error: &JwtError| {
        check.step("token", false, || error.to_string());
        if matches!(error, JwtError::Expired) { Unproven::Expired } else { Unproven::Mismatch }
    };
    let claims = if table.has_keys() {
        let kid = jwt::key_id(token).map_err(|error| failed(&error))?.ok_or_else(|| {
            check.step("token", false, || "it names no key".to_owned());
            Unproven::Malformed
        })?;
        let location = location(table, scene, Moment { kid: Some(&kid), ..moment }).ok_or_else(|| {
            check.step("token", false, || "where its key is found is not configured".to_owned());
            Unproven::Missing
        })?;
        let needed = || Needed::Key(location.clone(), kid.clone());
        let known = evidence(check, needed)?;
        let keys = known.keys(&location, &kid).ok_or_else(|| needs(needed()))?;
        jwt::check(token, &rules, JwtKeys::Set(&keys), scene.request.body, check.now)
    } else {
        let keys = match key {
            Key::Bytes(bytes) => JwtKeys::Secret(bytes.expose_secret()),
            Key::Public(key) => JwtKeys::Key(key),
            Key::Text => return Err(Unproven::Missing),
        };
        jwt::check(token, &rules, keys, scene.request.body, check.now)
    };
    claims.map_err(|error| failed(&error))?;
    check.step("token", true, || "its signature and claims are as they have to be".to_owned());
    Ok(())
}

fn rules(table: &Jwt, scene: &Scene<'_>, moment: Moment<'_>) -> Option<JwtRules> {
    let text = |template| String::from_utf8(scene.render(template, moment)?).ok();
    let mut claims = Vec::new();
    for (name, entry) in &table.claims {
        claims.push((
            name.clone(),
            match entry {
                ClaimEntry::Flag(flag) => Expected::Bool(*flag),
                ClaimEntry::Text(template) => Expected::Text(text(template)?),
            },
        ));
    }
    Some(JwtRules {
        algorithms: table.algorithms.iter().filter_map(|name| name.parse().ok()).collect(),
        issuers: table.issuers.clone(),
        audience: match &table.audience {
            Some(choice) => Some(scene.first(choice, moment)?),
            None => None,
        },
        claims,
        body_sha256_claim: table.body_sha256_claim.clone(),
        max_age: table.max_age.map(i64::from),
        exp_optional: !table.expires,
        leeway: table.leeway.into(),
    })
}

fn location(table: &Jwt, scene: &Scene<'_>, moment: Moment<'_>) -> Option<KeyLocation> {
    let text = |template| String::from_utf8(scene.render(template, moment)?).ok();
    Some(match (&table.keys_url, &table.key_request) {
        (Some(url), _) => {
            KeyLocation { url: Url::parse(&text(url)?).ok()?, body: None, pointer: String::new() }
        }
        (None, Some(request)) => KeyLocation {
            url: Url::parse(&text(&request.url)?).ok()?,
            body: Some(text(&request.body)?.into()),
            pointer: request.pointer.clone(),
        },
        (None, None) => return None,
    })
}

/// Proves the request by asking its sender. `signed` is the JSON to ask with, the body spliced in byte for byte.
pub(super) fn postback(
    rule: &Verify,
    scene: &Scene<'_>,
    moment: Moment<'_>,
    check: &Check<'_>,
) -> Result<(), Unproven> {
    // Spliced into JSON, a body that is more or less than one JSON value could change the question.
    if !scene.is_json() {
        check.step("question", false, || "the body is not JSON".to_owned());
        return Err(Unproven::Malformed);
    }
    let question = rule.signed.as_ref().and_then(|template| scene.render(template, moment));
    let question = question.ok_or_else(|| {
        check.step("question", false, || "a header that the sender is asked about is missing".to_owned());
        Unproven::Missing
    })?;
    let postback = Arc::new(Postback { body: question.into() });
    let known = evidence(check, || Needed::Verdict(postback.clone()))?;
    match known.verdict(&postback) {
        None => Err(needs(Needed::Verdict(postback))),
        Some(genuine) => {
            let words = if genuine { "the sender says that it is genuine" } else { "the sender disowns it" };
            check.step("question", genuine, || words.to_owned());
            if genuine { Ok(()) } else { Err(Unproven::Mismatch) }
        }
    }
}

impl Jwt {
    /// Whether its keys are fetched, not configured.
    pub(super) fn has_keys(&self) -> bool {
        self.keys_url.is_some() || self.key_request.is_some()
    }

    /// The references that its templates hold.
    pub(super) fn references(&self) -> impl Iterator<Item = &Reference> {
        let request = self.key_request.iter().flat_map(|request| [&request.url, &request.body]);
        let claims = self.claims.values().filter_map(|entry| match entry {
            ClaimEntry::Text(template) => Some(template),
            ClaimEntry::Flag(_) => None,
        });
        let audience = self.audience.iter().flat_map(|choice| &choice.0);
        let templates = self.keys_url.iter().chain(request).chain(claims).chain(audience);
        std::iter::once(&self.from).chain(templates.flat_map(super::template::Template::references))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(hosts: &[&str]) -> Certificate {
        Certificate {
            url: Reference::Header("x".to_owned()),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            path_prefix: "/v1/certs/".to_owned(),
            path_suffix: ".pem".to_owned(),
            names: Vec::new(),
            chain: true,
        }
    }

    #[test]
    fn only_the_providers_own_certificates_are_fetched() {
        let sns = table(&["sns.*.amazonaws.com"]);
        assert!(allowed(&sns, "https://sns.us-east-1.amazonaws.com/v1/certs/a.pem").is_some());
        for url in [
            "http://sns.us-east-1.amazonaws.com/v1/certs/a.pem",
            "https://sns.us-east-1.amazonaws.com:444/v1/certs/a.pem",
            "https://user@sns.us-east-1.amazonaws.com/v1/certs/a.pem",
            "https://sns.us-east-1.amazonaws.com/v1/certs/a.pem?x",
            "https://sns.us-east-1.amazonaws.com/v1/certs/a.pem#x",
            "https://sns.us-east-1.amazonaws.com/v2/certs/a.pem",
            "https://sns.us-east-1.amazonaws.com/v1/certs/../../a.pem",
            "https://sns.us-east-1.amazonaws.com/v1/certs/a.txt",
            "https://sns.us.east.amazonaws.com/v1/certs/a.pem",
            "https://sns.a.amazonaws.com/v1/certs/a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/v1/certs/a.pem",
            "https://evil.example/v1/certs/a.pem",
            "https:\\\\sns.us-east-1.amazonaws.com/v1/certs/a.pem",
            "https://sns.us-east-1.amazonaws.com/v1/certs/ a.pem",
            "sns.us-east-1.amazonaws.com",
        ] {
            assert!(allowed(&sns, url).is_none(), "{url}");
        }
    }
}
