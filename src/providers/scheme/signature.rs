//! Finds the signatures of a request where a table says that they stand.

use super::reference::Reference;
use super::scene::{Moment, Scene};
use super::table::SignaturePlace;
use std::borrow::Cow;

/// Most signatures of one request that are tried: each costs a computation.
const MAX_SIGNATURES: usize = 16;

/// Where HTTP Basic stands unless a table says otherwise.
pub(super) fn basic_place() -> SignaturePlace {
    SignaturePlace {
        from: Reference::Header("authorization".to_owned()),
        encoding: super::table::Encoding::Text,
        prefix: None,
        separator: None,
        trim: false,
        pair: None,
        key: None,
    }
}

/// The texts that hold the signature.
pub(super) fn find<'s>(
    place: &SignaturePlace,
    scene: &'s Scene<'s>,
    moment: Moment<'s>,
) -> Option<Vec<Cow<'s, str>>> {
    if let Reference::HeaderPrefix(prefix) = &place.from {
        let lines = scene.request.headers.iter().filter(|line| line.0.starts_with(prefix.as_str()));
        let texts: Vec<_> =
            lines.filter_map(|line| std::str::from_utf8(line.1).ok()).map(Cow::Borrowed).collect();
        return (!texts.is_empty()).then_some(texts);
    }
    Some(vec![scene.text(&place.from, moment)?])
}

/// The pairs of a signature header, in their order; a piece that is none is left out.
pub(super) fn pairs<'t>(
    place: &SignaturePlace,
    found: &'t [Cow<'_, str>],
    pair: &str,
) -> Vec<(&'t str, &'t str)> {
    let pieces = found.iter().flat_map(|text| split(text, place));
    pieces.filter_map(|piece| piece.split_once(pair)).collect()
}

fn split<'t>(text: &'t str, place: &SignaturePlace) -> Vec<&'t str> {
    // A proxy that joins repeated lines into one puts a space behind the comma.
    let trim = place.trim || matches!(place.from, Reference::Headers(_));
    let pieces: Vec<&str> = match &place.separator {
        Some(separator) => text.split(separator.as_str()).collect(),
        None => vec![text],
    };
    pieces.into_iter().map(|piece| if trim { piece.trim() } else { piece }).collect()
}

/// The signatures that count, without their prefix.
pub(super) fn candidates<'t>(
    place: &SignaturePlace,
    found: &'t [Cow<'_, str>],
    pairs: &[(&'t str, &'t str)],
) -> Vec<Cow<'t, str>> {
    let all: Vec<&str> = match (&place.pair, &place.key) {
        (Some(_), Some(key)) => pairs.iter().filter(|pair| pair.0 == key).map(|pair| pair.1).collect(),
        _ => found.iter().flat_map(|text| split(text, place)).collect(),
    };
    all.into_iter()
        .filter_map(|text| match &place.prefix {
            Some(prefix) => text.strip_prefix(prefix.as_str()),
            None => Some(text),
        })
        .filter(|text| !text.is_empty())
        .take(MAX_SIGNATURES)
        .map(Cow::Borrowed)
        .collect()
}

pub(super) fn describe(place: &SignaturePlace) -> String {
    place.from.to_string()
}
