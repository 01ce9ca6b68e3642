//! Proves a request by a table's rules.

use super::handshake::is_challenge;
use super::keys::{Key, Kind, decode};
use super::reference::Reference;
use super::scene::{Moment, Scene};
use super::signature::{basic_place, candidates, describe, find, pairs};
use super::table::{Require, SignaturePlace, TimeRule, Verify};
use super::{asymmetric, time, urls};
use crate::crypto::same_secret;
use crate::providers::proof::{self, Hash, digest};
use crate::providers::{Check, Unproven};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::borrow::Cow;
use subtle::ConstantTimeEq as _;

/// Most items of one request that are proven one by one.
const MAX_ITEMS: usize = 1000;

/// One try: a way to prove, and the secret it is tried with.
pub(super) struct Attempt<'a> {
    pub(super) rule: &'a Verify,
    pub(super) key: &'a Key,
    pub(super) secret: Option<&'a SecretString>,
    /// The URL as registered with the provider, if it was configured.
    pub(super) registered_url: Option<&'a str>,
    pub(super) tolerance: Option<u32>,
    /// Whether anybody is told HMACs of challenges under this secret.
    pub(super) tells_hmacs: bool,
}

impl Attempt<'_> {
    /// Proves the request with this secret.
    pub(super) fn prove(&self, scene: &Scene<'_>, check: &Check<'_>) -> Result<(), Unproven> {
        let moment = Moment { secret: self.secret, ..Moment::default() };
        for requirement in &self.rule.require {
            required(requirement, scene, moment, check)?;
        }
        let Some(pointer) = &self.rule.each else { return self.prove_one(scene, moment, check) };
        let items = scene.json().and_then(|json| json.pointer(pointer)).and_then(Value::as_array);
        let items = items.filter(|items| !items.is_empty()).ok_or_else(|| {
            check.step("items", false, || format!("there is no item at {pointer}"));
            Unproven::Missing
        })?;
        if items.len() > MAX_ITEMS {
            check.step("items", false, || format!("more than {MAX_ITEMS} items"));
            return Err(Unproven::Malformed);
        }
        for (index, item) in items.iter().enumerate() {
            self.prove_one(scene, Moment { item: Some((index, item)), ..moment }, check)?;
        }
        Ok(())
    }

    fn prove_one<'s>(
        &self,
        scene: &'s Scene<'s>,
        moment: Moment<'s>,
        check: &Check<'_>,
    ) -> Result<(), Unproven> {
        if matches!(self.rule.algorithm.kind(), Kind::Jwt | Kind::Postback) {
            let stamp =
                self.rule.time.as_ref().map(|rule| self.timed(rule, scene, moment, check)).transpose()?;
            let urls = urls::candidates(scene.request, self.registered_url, &self.rule.urls);
            let url = urls.first().map(String::as_str);
            let moment = Moment { time: stamp.as_deref(), url, ..moment };
            return match self.rule.algorithm.kind() {
                Kind::Jwt => asymmetric::token(self.rule, self.key, scene, moment, check),
                _ => asymmetric::postback(self.rule, scene, moment, check),
            };
        }
        let basic = basic_place();
        let place = match &self.rule.signature {
            Some(place) => place,
            None if self.rule.algorithm.kind() == Kind::Basic => &basic,
            None => return Err(Unproven::Malformed),
        };
        let found = find(place, scene, moment).ok_or_else(|| {
            check.step("signature", false, || format!("{} is missing or repeated", describe(place)));
            Unproven::Missing
        })?;
        let pairs = place.pair.as_deref().map(|pair| pairs(place, &found, pair)).unwrap_or_default();
        let moment = Moment { pairs: &pairs, ..moment };
        let stamp = self.rule.time.as_ref().map(|rule| self.timed(rule, scene, moment, check)).transpose()?;
        let moment = Moment { time: stamp.as_deref(), ..moment };
        let given = candidates(place, &found, &pairs);
        if given.is_empty() {
            check.step("signature", false, || {
                format!("{} holds no signature of the expected form", describe(place))
            });
            return Err(Unproven::Malformed);
        }
        check.step("signature", true, || format!("{} holds {} to try", describe(place), given.len()));
        self.matches(&given, place, scene, moment, check)
    }

    /// Whether one of the signatures is the one that this secret gives.
    fn matches<'s>(
        &self,
        given: &[Cow<'_, str>],
        place: &SignaturePlace,
        scene: &'s Scene<'s>,
        moment: Moment<'s>,
        check: &Check<'_>,
    ) -> Result<(), Unproven> {
        let secret = self.secret.map_or("", |secret| secret.expose_secret());
        match self.rule.algorithm.kind() {
            Kind::Token => {
                let expected = SecretString::from(secret.to_owned());
                let found = given.iter().any(|given| same_secret(given.as_bytes(), &expected));
                return verdict(found, check);
            }
            Kind::Basic => {
                let expected = SecretString::from(secret.to_owned());
                let found =
                    given.iter().any(|given| basic(given).is_some_and(|pair| same_secret(&pair, &expected)));
                return verdict(found, check);
            }
            _ => {}
        }
        let given: Vec<Vec<u8>> = given.iter().filter_map(|given| decode(place.encoding, given)).collect();
        if given.is_empty() {
            check.step("signature", false, || format!("none is {:?}", place.encoding));
            return Err(Unproven::Malformed);
        }
        let needs_url = self.signs_url();
        let urls = if needs_url {
            urls::candidates(scene.request, self.registered_url, &self.rule.urls)
        } else {
            vec![String::new()]
        };
        let key = asymmetric::certificate_key(self.rule, scene, moment, check)?;
        for url in &urls {
            let all = signed(self.rule, scene, Moment { url: Some(url), ..moment });
            if all.is_empty() {
                check.step("signed bytes", false, || "a value that is signed is missing".to_owned());
                return Err(Unproven::Missing);
            }
            for signed in all {
                if self.tells_hmacs && is_challenge(&signed) {
                    check.step("signed bytes", false, || {
                        "they could be a challenge, whose signature anybody is told".to_owned()
                    });
                    continue;
                }
                check.step("signed bytes", true, || {
                    let url = if needs_url { format!(", with the URL {url}") } else { String::new() };
                    let digest = hex::encode(digest(Hash::Sha256, &signed));
                    format!("{} bytes, SHA-256 {digest}{url}", signed.len())
                });
                let matched = match (self.rule.algorithm.kind(), key.as_ref(), self.key) {
                    (Kind::Hmac(hash), _, Key::Bytes(bytes)) => {
                        equal(&given, &proof::hmac(hash, bytes.expose_secret(), &signed))
                    }
                    (Kind::Digest(hash), _, _) => equal(&given, &digest(hash, &signed)),
                    (Kind::Signature(scheme), Some(key), _)
                    | (Kind::Signature(scheme), None, Key::Public(key)) => {
                        given.iter().any(|given| key.verify(scheme, &signed, given))
                    }
                    _ => false,
                };
                if matched {
                    return verdict(true, check);
                }
            }
        }
        verdict(false, check)
    }

    fn signs_url(&self) -> bool {
        self.rule.signed_templates().flat_map(super::template::Template::references).any(|reference| {
            reference.involves(&|inner| matches!(inner, Reference::Url | Reference::UrlDecoded))
        })
    }

    /// The text of the proof's time, if it is near enough to now.
    fn timed<'s>(
        &self,
        rule: &TimeRule,
        scene: &'s Scene<'s>,
        moment: Moment<'s>,
        check: &Check<'_>,
    ) -> Result<Cow<'s, str>, Unproven> {
        let text = scene.text(&rule.from, moment).ok_or_else(|| {
            check.step("time", false, || "the time of the proof is missing or repeated".to_owned());
            Unproven::Missing
        })?;
        let at = time::instant(&text, rule.format).ok_or_else(|| {
            check.step("time", false, || format!("the time of the proof is not {:?}", rule.format));
            Unproven::Malformed
        })?;
        let (past, future) = self.tolerance.map_or((rule.past, rule.future), |seconds| (seconds, seconds));
        if let Some(off) = time::outside(at, check.now, past, future) {
            check.step("time", false, || {
                let (seconds, side) = (off.unsigned_abs(), if off < 0 { "before" } else { "after" });
                format!("{at} is {seconds} s {side} now; allowed are {past} s before and {future} s after")
            });
            return Err(Unproven::Expired);
        }
        check.step("time", true, || {
            format!("{at} is {} s from now", (at - check.now).num_seconds().unsigned_abs())
        });
        Ok(text)
    }
}

/// What the sender may have signed, most likely first; empty if a value of it is missing.
fn signed<'s>(rule: &Verify, scene: &'s Scene<'s>, moment: Moment<'s>) -> Vec<Vec<u8>> {
    match (&rule.signed, &rule.signed_parts) {
        (Some(template), _) => scene.render(template, moment).into_iter().collect(),
        (None, Some(parts)) => {
            let list = |parts: &Vec<super::template::Template>| {
                parts.iter().filter_map(|part| scene.render(part, moment)).flatten().collect()
            };
            parts.lists().iter().map(list).collect()
        }
        (None, None) => Vec::new(),
    }
}

/// The bytes that a sender would sign in this request, whose signature is still empty.
pub(super) fn to_sign(
    rule: &Verify,
    place: &SignaturePlace,
    scene: &Scene<'_>,
    secret: Option<&SecretString>,
    url: Option<&str>,
) -> Option<Vec<u8>> {
    let item = match &rule.each {
        Some(pointer) => Some((0, scene.json()?.pointer(pointer)?.get(0)?)),
        None => None,
    };
    let moment = Moment { item, secret, url, ..Moment::default() };
    let found = find(place, scene, moment).unwrap_or_default();
    let pairs = place.pair.as_deref().map(|pair| pairs(place, &found, pair)).unwrap_or_default();
    let moment = Moment { pairs: &pairs, ..moment };
    let time = match &rule.time {
        Some(rule) => Some(scene.text(&rule.from, moment)?),
        None => None,
    };
    signed(rule, scene, Moment { time: time.as_deref(), ..moment }).into_iter().next()
}

fn verdict(matched: bool, check: &Check<'_>) -> Result<(), Unproven> {
    check.step("match", matched, || {
        if matched {
            "the proof is the one that this secret gives"
        } else {
            "this secret gives another proof"
        }
        .to_owned()
    });
    if matched { Ok(()) } else { Err(Unproven::Mismatch) }
}

fn equal(given: &[Vec<u8>], expected: &[u8]) -> bool {
    // All are compared, so that the time tells nothing of which came close.
    given.iter().fold(false, |found, given| found | bool::from(given.as_slice().ct_eq(expected)))
}

fn basic(given: &str) -> Option<Vec<u8>> {
    let (scheme, pair) = given.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("basic") { STANDARD.decode(pair.trim()).ok() } else { None }
}

fn required(
    requirement: &Require,
    scene: &Scene<'_>,
    moment: Moment<'_>,
    check: &Check<'_>,
) -> Result<(), Unproven> {
    let wanted = match (&requirement.right, &requirement.equals, &requirement.one_of) {
        (Some(reference), _, _) | (None, None, Some(reference)) => match scene.value(reference, moment) {
            Some(value) => value.into_owned(),
            // An optional parameter that nobody configured makes no demand; a missing part of the request does.
            None if matches!(reference, Reference::Param(_)) => return Ok(()),
            None => {
                check.step("equality", false, || format!("{reference} is missing or repeated"));
                return Err(Unproven::Missing);
            }
        },
        (None, Some(text), _) => text.as_bytes().to_vec(),
        (None, None, None) => return Ok(()),
    };
    let Some(left) = scene.value(&requirement.left, moment) else {
        check.step("equality", false, || format!("{} is missing or repeated", requirement.left));
        return Err(Unproven::Missing);
    };
    let same = if requirement.one_of.is_some() {
        let allowed = wanted.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        allowed.filter(|allowed| !allowed.is_empty()).any(|allowed| bool::from(allowed.ct_eq(&left)))
    } else {
        bool::from(wanted.as_slice().ct_eq(&left))
    };
    check.step("equality", same, || {
        let verb = if same { "is" } else { "is not" };
        format!("{} {verb} what it has to be", requirement.left)
    });
    if same { Ok(()) } else { Err(Unproven::Mismatch) }
}
