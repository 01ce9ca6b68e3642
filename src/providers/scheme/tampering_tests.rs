//! One flipped bit anywhere in what a scheme signs never verifies, for every built-in scheme that can be signed here.

use super::reference::Reference;
use super::sample_tests::trial;
use super::table::Verify;
use super::{BUILTIN, Scheme, SchemeProvider, load_builtin, read_tables};
use crate::providers::{Check, Provider as _, RawRequest, SignedSample};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

const BASE: &str = "https://hooks.example.com";

fn verifies(
    provider: &SchemeProvider,
    sample: &SignedSample,
    headers: &[(String, Vec<u8>)],
    body: &[u8],
    now: DateTime<Utc>,
) -> bool {
    let body = Bytes::copy_from_slice(body);
    let names: Vec<String> = headers.iter().map(|header| header.0.to_lowercase()).collect();
    let lines = names.iter().zip(headers).map(|(name, header)| (name.as_str(), &header.1[..]));
    let bases = [BASE.to_owned()];
    let path = format!("/api/v1/webhooks/{}", provider.name());
    let request = RawRequest {
        method: &sample.method,
        bases: &bases,
        path: &path,
        ..RawRequest::post(&sample.query, lines.collect(), &body)
    };
    provider.verify(&request, &Check::plain(now)).is_ok()
}

fn signs_body(rule: &Verify) -> bool {
    let whole = |reference: &Reference| {
        matches!(reference, Reference::Body | Reference::BodyHash(..) | Reference::BodyCrc32)
    };
    rule.signed_templates()
        .flat_map(super::template::Template::references)
        .any(|reference| reference.involves(&whole))
}

/// Headers that hold the signature, or something that is signed.
fn proof_headers(rule: &Verify) -> BTreeSet<String> {
    let signed = rule.signed_templates().flat_map(super::template::Template::references);
    let places =
        rule.signature.iter().map(|place| &place.from).chain(rule.time.iter().map(|time| &time.from));
    let names = signed.chain(places).filter_map(|reference| match reference {
        Reference::Header(name) | Reference::Headers(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

/// The way to prove that counts for this sample.
fn used<'p>(provider: &'p SchemeProvider, sample: &SignedSample) -> Option<&'p Verify> {
    let body = Bytes::from(sample.body.clone());
    let names: Vec<String> = sample.headers.iter().map(|header| header.0.to_lowercase()).collect();
    let lines = names.iter().zip(&sample.headers).map(|(name, header)| (name.as_str(), header.1.as_bytes()));
    let request =
        RawRequest { method: &sample.method, ..RawRequest::post(&sample.query, lines.collect(), &body) };
    let scene = provider.scene(&request);
    provider.rule(&scene, provider.secrets.first().map(|secret| &secret.value)).map(|(rule, _)| rule)
}

/// Where the pairs of a signature header stand that nobody reads: another scheme's, or another mode's.
fn unused_pairs(rule: &Verify, name: &str, value: &[u8]) -> Vec<std::ops::Range<usize>> {
    let Some(place) = &rule.signature else { return Vec::new() };
    let (Some(pair), Some(key)) = (&place.pair, &place.key) else { return Vec::new() };
    if place.from != Reference::Header(name.to_lowercase()) {
        return Vec::new();
    }
    let text = std::str::from_utf8(value).unwrap();
    let mut at = 0;
    let mut unused = Vec::new();
    for piece in text.split(place.separator.as_deref().unwrap_or("\0")) {
        let found = piece.split_once(pair.as_str()).map_or("", |(found, _)| found);
        let read = Reference::Signature(found.to_owned());
        let timed = rule.time.as_ref().is_some_and(|time| time.from == read);
        let signed =
            rule.signed_templates().flat_map(super::template::Template::references).any(|one| *one == read);
        if found != key && !timed && !signed {
            unused.push(at..at + piece.len());
        }
        at += piece.len() + place.separator.as_ref().map_or(0, String::len);
    }
    unused
}

fn fields(body: &[u8]) -> Vec<(String, String)> {
    let mut fields: Vec<_> = url::form_urlencoded::parse(body).into_owned().collect();
    fields.sort();
    fields.dedup();
    fields
}

/// How many flips were tried; the first that still verified is the error.
fn tamper(scheme: &Scheme, provider: &SchemeProvider) -> Result<usize, String> {
    let now = Utc::now();
    let mut flips = 0;
    for event_type in provider.sample_types() {
        let sample = provider.sample(event_type, BASE, None, now).ok_or("no sample")??;
        let headers: Vec<(String, Vec<u8>)> =
            sample.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        let body = sample.body.clone().into_bytes();
        if !verifies(provider, &sample, &headers, &body, now) {
            return Err(format!("{event_type} is not proven untouched"));
        }
        let rules = scheme.table.verify.iter().map(toml::Spanned::get_ref);
        let sorted = |rule: &Verify| {
            rule.signed_templates()
                .flat_map(super::template::Template::references)
                .any(|reference| *reference == Reference::FormSorted)
        };
        // Every way to prove has to be covered: a flip could lead to another.
        let (whole, form) = (rules.clone().all(signs_body), rules.clone().any(sorted));
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1 << (at % 8);
            let same_fields = form && fields(&changed) == fields(&body);
            if (whole || form) && !same_fields {
                flips += 1;
                if verifies(provider, &sample, &headers, &changed, now) {
                    return Err(format!("{event_type}: byte {at} of the body"));
                }
            }
        }
        let Some(used) = used(provider, &sample) else { return Err("no rule fits".to_owned()) };
        let names = proof_headers(used);
        for (index, (name, value)) in headers.iter().enumerate() {
            if !names.contains(&name.to_lowercase()) {
                continue;
            }
            let unused = unused_pairs(used, name, value);
            for at in 0..value.len() * 8 {
                let mut changed = headers.clone();
                changed[index].1[at / 8] ^= 1 << (at % 8);
                // The name of an authentication scheme may be written in any case.
                let word = value.iter().position(|byte| *byte == b' ').unwrap_or(0);
                if at / 8 < word && changed[index].1.eq_ignore_ascii_case(value) {
                    continue;
                }
                if unused.iter().any(|range| range.contains(&(at / 8))) {
                    continue;
                }
                flips += 1;
                if verifies(provider, &sample, &changed, &body, now) {
                    return Err(format!("{event_type}: bit {at} of {name}"));
                }
            }
        }
    }
    Ok(flips)
}

#[test]
fn one_flipped_bit_of_what_is_signed_never_verifies() {
    let tables = read_tables("", "").unwrap();
    let (mut failed, mut covered) = (Vec::new(), 0);
    for (name, _) in BUILTIN {
        let scheme = load_builtin(name).unwrap().unwrap();
        let Some(provider) = trial(&tables, name, &scheme) else { continue };
        match tamper(&scheme, &provider.unwrap()) {
            Ok(flips) => covered += usize::from(flips > 0),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    println!("{covered} schemes tampered with");
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    assert!(covered > 60, "only {covered} schemes were tampered with");
}

#[test]
fn the_order_of_form_fields_does_not_matter_where_they_are_sorted() {
    let tables = read_tables("", "").unwrap();
    let scheme = load_builtin("twilio").unwrap().unwrap();
    let provider = trial(&tables, "twilio", &scheme).unwrap().unwrap();
    let now = Utc::now();
    let sample = provider.sample("message.delivered", BASE, None, now).unwrap().unwrap();
    let headers: Vec<(String, Vec<u8>)> =
        sample.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let mut pieces: Vec<&str> = sample.body.split('&').collect();
    for _ in 0..pieces.len() {
        pieces.rotate_left(1);
        assert!(verifies(&provider, &sample, &headers, pieces.join("&").as_bytes(), now));
    }
    pieces.pop();
    assert!(!verifies(&provider, &sample, &headers, pieces.join("&").as_bytes(), now));
}
