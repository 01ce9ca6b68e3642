//! What a table must be beyond its form: checked once, when it is read, so that no request finds out.

use super::keys::Kind;
use super::reference::Reference;
use super::table::{Event, Handshake, Jwt, SignaturePlace, Table, Verify};
use super::template::{Part, Presence, Template};
use std::ops::Range;

type Fault = (Option<Range<usize>>, String);

/// Refuses a table that could never prove a request, or would prove too many.
pub(super) fn check(table: &Table) -> Result<(), Fault> {
    for rule in &table.verify {
        verify(rule.get_ref(), table.secretless).map_err(|message| (Some(rule.span()), message))?;
    }
    if let Some((_, earlier)) = table.verify.split_last()
        && let Some(rule) = earlier.iter().find(|rule| rule.get_ref().when.always())
    {
        return Err((
            Some(rule.span()),
            "only the last `verify` may be without `when`: this one hides those behind it".to_owned(),
        ));
    }
    if let Some(found) = &table.event {
        let read = &found.get_ref().each.0;
        // A proof made item by item says nothing of what stands beside those items.
        if let Some(proven) = table.verify.iter().find_map(|rule| rule.get_ref().each.as_ref())
            && (read.len() != 1 || read[0] != *proven)
        {
            let message =
                format!("`each` must be \"{proven}\": only the items that `verify.each` proves may be read");
            return Err((Some(found.span()), message));
        }
        event(found.get_ref()).map_err(|message| (Some(found.span()), message))?;
    }
    for found in &table.handshake {
        handshake(found.get_ref()).map_err(|message| (Some(found.span()), message))?;
    }
    if let Some(status) = table.reply.as_ref().and_then(|reply| reply.status)
        && !(200..300).contains(&status)
    {
        return Err((None, "`reply.status` must be 2xx".to_owned()));
    }
    Ok(())
}

fn verify(rule: &Verify, secretless: bool) -> Result<(), String> {
    let kind = rule.algorithm.kind();
    let signs = |test: &dyn Fn(&Reference) -> bool| {
        rule.signed_templates().flat_map(Template::references).any(|reference| reference.involves(test))
    };
    match kind {
        Kind::Hmac(_) | Kind::Digest(_) | Kind::Signature(_) => {
            if rule.signature.is_none() {
                return Err("`signature` is missing: where does the proof stand?".to_owned());
            }
            if rule.signed.is_some() == rule.signed_parts.is_some() {
                return Err("one of `signed` and `signed_parts` must say what is signed".to_owned());
            }
        }
        Kind::Token => {
            if rule.signature.is_none() {
                return Err("`signature` is missing: where does the token stand?".to_owned());
            }
        }
        Kind::Jwt if rule.jwt.is_none() => return Err("`jwt` is missing".to_owned()),
        Kind::Postback if rule.signed.is_none() => {
            return Err("`signed` is missing: what is the sender asked?".to_owned());
        }
        Kind::Basic | Kind::Jwt | Kind::Postback => {}
    }
    if matches!(kind, Kind::Digest(_)) && !rule.signed.as_ref().is_some_and(writes_secret) {
        return Err("a plain hash proves nothing unless `signed` holds {secret}".to_owned());
    }
    let keyed = match kind {
        Kind::Signature(_) => rule.certificate.is_some(),
        Kind::Jwt => rule.jwt.as_ref().is_some_and(Jwt::has_keys),
        Kind::Postback => true,
        Kind::Hmac(_) | Kind::Digest(_) | Kind::Token | Kind::Basic => false,
    };
    if secretless && !keyed {
        return Err("a scheme without secrets needs `certificate`, or `jwt` with its keys".to_owned());
    }
    if let Some(jwt) = &rule.jwt {
        in_request(&jwt.from)?;
        let keys = jwt.has_keys();
        for algorithm in &jwt.algorithms {
            match (algorithm.as_str(), keys) {
                // Without a key set the configured secret is the public key, or the HMAC key.
                ("RS256" | "ES256", _) | ("HS256", false) => {}
                ("HS256", true) => return Err("HS256 has no key set: its key is the secret".to_owned()),
                _ => return Err(format!("`{algorithm}` is none of RS256, ES256, HS256")),
            }
        }
        if jwt.algorithms.is_empty() {
            return Err("`algorithms` is empty".to_owned());
        }
        // Or a public key could be taken for an HMAC key.
        if jwt.algorithms.len() > 1 && jwt.algorithms.iter().any(|algorithm| algorithm == "HS256") {
            return Err("HS256 must stand alone in `algorithms`".to_owned());
        }
        let items = jwt
            .references()
            .any(|reference| reference.involves(&|inner| matches!(inner, Reference::Item(_))));
        if items {
            return Err("`item:` has no meaning in a token".to_owned());
        }
    }
    if let Some(certificate) = &rule.certificate
        && (certificate.hosts.is_empty() || certificate.chain && certificate.names.is_empty())
    {
        return Err("`certificate` needs `hosts`, and `names` unless `chain = false`".to_owned());
    }
    if let Some(place) = &rule.signature {
        signature(place)?;
    }
    let in_item = |reference: &Reference| matches!(reference, Reference::Item(_) | Reference::Index);
    if rule.each.is_none() && signs(&in_item) {
        return Err("`item:` has a meaning only with `each`".to_owned());
    }
    if signs(&|reference| *reference == Reference::Time) && rule.time.is_none() {
        return Err("{time} is signed, but `time` does not say where it stands".to_owned());
    }
    if signs(&|reference| matches!(reference, Reference::Hmac(..) | Reference::HeaderPrefix(_))) {
        return Err("`signed` cannot hold this reference".to_owned());
    }
    if rule.require.iter().any(|require| {
        [require.right.is_some(), require.equals.is_some(), require.one_of.is_some()]
            .iter()
            .filter(|set| **set)
            .count()
            != 1
    }) {
        return Err("each of `require` needs exactly one of `right`, `equals` and `one_of`".to_owned());
    }
    Ok(())
}

/// Whether it stands in the signed bytes, not only beside them as a condition. Of `signed_parts` nobody knows: a part
/// that lacks a value is left out.
fn writes_secret(signed: &Template) -> bool {
    signed.parts.iter().any(|part| match part {
        Part::Value { reference, presence } => {
            *presence != Presence::Guard && reference.involves(&|inner| *inner == Reference::Secret)
        }
        Part::Text(_) => false,
    })
}

/// A proof that the gateway finds in its own settings would prove every request.
fn in_request(from: &Reference) -> Result<(), String> {
    let ours =
        |inner: &Reference| matches!(inner, Reference::Secret | Reference::Param(_) | Reference::Hmac(..));
    if from.involves(&ours) {
        return Err(format!("the proof stands in the request, so `from` cannot be `{from}`"));
    }
    Ok(())
}

fn signature(place: &SignaturePlace) -> Result<(), String> {
    in_request(&place.from)?;
    if place.pair.is_some() != place.key.is_some() {
        return Err("`pair` and `key` go together".to_owned());
    }
    if [&place.separator, &place.pair, &place.key, &place.prefix]
        .iter()
        .any(|text| text.as_deref() == Some(""))
    {
        return Err("`separator`, `pair`, `key` and `prefix` must not be empty".to_owned());
    }
    Ok(())
}

fn event(event: &Event) -> Result<(), String> {
    if event.r#type.0.is_empty() {
        return Err("`type` is missing".to_owned());
    }
    let secret = |reference: &Reference| matches!(reference, Reference::Secret | Reference::Hmac(..));
    let all = [&event.id, &event.r#type, &event.subject];
    let mut references = all.iter().flat_map(|choice| &choice.0).flat_map(Template::references);
    if references.any(|reference| reference.involves(&secret))
        || event.envelope.values().any(|reference| reference.involves(&secret))
    {
        return Err("a secret must not become part of an event".to_owned());
    }
    let mut references = all.iter().flat_map(|choice| &choice.0).flat_map(Template::references);
    let in_item = |reference: &Reference| {
        matches!(reference, Reference::Item(_) | Reference::Around(_) | Reference::Index)
    };
    if event.each.0.is_empty() && references.any(|reference| reference.involves(&in_item)) {
        return Err("`item:` and `index` have a meaning only with `each`".to_owned());
    }
    if event.each.0.iter().any(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
        return Err("`each` must be a JSON pointer such as `/events`".to_owned());
    }
    Ok(())
}

fn handshake(handshake: &Handshake) -> Result<(), String> {
    let secret = |reference: &Reference| *reference == Reference::Secret;
    let reply = &handshake.reply;
    let mut templates = reply.headers.values().chain(&reply.body);
    if templates.any(|template| template.references().any(|reference| reference.involves(&secret))) {
        return Err("a secret must not stand in a reply; its HMAC may".to_owned());
    }
    let page = reply.headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("content-type")
            && !matches!(&value.parts[..], [Part::Text(text)]
                if ["text/plain", "application/json"].iter().any(|good| text.to_lowercase().starts_with(good)))
    });
    if page {
        return Err("a reply is text/plain or application/json, never a page".to_owned());
    }
    if handshake.when.always() {
        return Err("`when` is missing: every request would be this handshake".to_owned());
    }
    Ok(())
}

/// Headers that hold a secret and must not be stored: those whose value is the proof itself.
pub(super) fn secret_headers(table: &Table) -> Vec<String> {
    let mut names: Vec<String> = secret_places(table)
        .filter_map(|place| match place {
            Reference::Header(name) | Reference::Headers(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if table.verify.iter().any(|rule| rule.get_ref().algorithm.kind() == Kind::Basic) {
        names.push("authorization".to_owned());
    }
    names
}

/// The values that are the proof itself, or hold what proves.
fn secret_places(table: &Table) -> impl Iterator<Item = &Reference> {
    let proofs =
        table.verify.iter().map(toml::Spanned::get_ref).filter_map(|rule| match rule.algorithm.kind() {
            Kind::Token | Kind::Basic => rule.signature.as_ref().map(|place| &place.from),
            Kind::Jwt => rule.jwt.as_ref().map(|jwt| &jwt.from),
            _ => None,
        });
    let handshakes = table.handshake.iter().map(toml::Spanned::get_ref);
    let offered = handshakes.clone().filter_map(|handshake| handshake.learn.as_ref());
    let equal = handshakes.filter_map(|handshake| match &handshake.proof {
        super::table::HandshakeProof::Equal(require) => Some(&require.left),
        _ => None,
    });
    let compared = table
        .verify
        .iter()
        .flat_map(|rule| &rule.get_ref().require)
        .filter(|require| matches!(require.right, Some(Reference::Secret | Reference::Param(_))));
    proofs.chain(offered).chain(equal).chain(compared.map(|require| &require.left))
}

/// Names of query parameters that hold a secret.
pub(super) fn secret_parameters(table: &Table) -> Vec<String> {
    let names = secret_places(table).filter_map(|place| match place {
        Reference::Query(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

/// Whether the route has a place for a token in its path.
pub(super) fn has_path_token(table: &Table) -> bool {
    secret_places(table).any(|place| *place == Reference::PathToken)
}
