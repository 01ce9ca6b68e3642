//! Requests that only set things up: challenges, verify tokens, offered secrets.

use super::reference::Reference;
use super::scene::{Moment, Scene};
use super::table::{Handshake, HandshakeProof, HandshakeWord, Require};
use super::template::Template;
use crate::providers::{Answer, Check, Unproven};
use secrecy::SecretString;
use subtle::ConstantTimeEq as _;

/// Longest reply to a challenge: an echo must not become an amplifier.
const MAX_REPLY: usize = 4096;
/// Longest challenge whose HMAC is shown.
const MAX_CHALLENGE: usize = 256;
/// Longest offered secret.
const MAX_SECRET: usize = 512;

/// What becomes of a handshake whose conditions hold.
pub(super) enum Verdict {
    Answer(Answer),
    /// It needs the proof of an ordinary request first.
    Unproven(Unproven),
    /// It is not answered, and goes on as an ordinary request.
    NotOne,
}

/// Answers the first handshake of the table whose conditions hold; `prove` proves the request itself.
pub(super) fn answer(
    table: &[toml::Spanned<Handshake>],
    scene: &Scene<'_>,
    secret: Option<&SecretString>,
    learning: bool,
    check: &Check<'_>,
    prove: impl FnOnce() -> Result<(), Unproven>,
) -> Verdict {
    let found = table.iter().map(toml::Spanned::get_ref).find(|handshake| handshake.when.holds(scene, None));
    let Some(handshake) = found else { return Verdict::NotOne };
    let moment = Moment { secret, ..Moment::default() };
    let learned = match &handshake.learn {
        None => None,
        // Whoever comes first could set the secret; an operator has to ask for it, and to approve what was offered.
        Some(_) if !learning => return Verdict::NotOne,
        Some(reference) => match scene.text(reference, moment) {
            Some(text) if !text.is_empty() && text.len() <= MAX_SECRET => {
                Some(SecretString::from(text.into_owned()))
            }
            _ => return Verdict::NotOne,
        },
    };
    match &handshake.proof {
        HandshakeProof::Unsaid | HandshakeProof::Word(HandshakeWord::None) => {}
        HandshakeProof::Word(HandshakeWord::Signature) => {
            if let Err(unproven) = prove() {
                return Verdict::Unproven(unproven);
            }
        }
        HandshakeProof::Equal(require) => {
            if !equal(require, scene, moment) {
                check.step("handshake", false, || format!("{} is not what it has to be", require.left));
                return match handshake.refuse {
                    Some(status) => Verdict::Answer(Answer { status, ..Answer::default() }),
                    None => Verdict::Unproven(Unproven::Mismatch),
                };
            }
        }
    }
    if shows_hmac(handshake) && !hmacs(handshake).all(|inner| asked(inner, scene, moment)) {
        check.step("handshake", false, || "what it asks the HMAC of is no challenge".to_owned());
        return Verdict::NotOne;
    }
    match reply(handshake, scene, moment) {
        Some(answer) => Verdict::Answer(Answer { learned, ..answer }),
        None => Verdict::NotOne,
    }
}

/// Whether a handshake tells the HMAC of what is asked to somebody who has not proven to know the secret.
pub(super) fn tells_hmacs(table: &[toml::Spanned<Handshake>]) -> bool {
    table.iter().map(toml::Spanned::get_ref).any(shows_hmac)
}

/// Whether bytes look like a challenge. Where HMACs of challenges are told to anybody, nothing that looks like one is a
/// delivery, and nothing that does not is answered: else an answer would be the signature of a forged body.
pub(super) fn is_challenge(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" -_.~+/=".contains(byte);
    bytes.len() <= MAX_CHALLENGE && bytes.iter().all(plain)
}

fn shows_hmac(handshake: &Handshake) -> bool {
    let signed = matches!(handshake.proof, HandshakeProof::Word(HandshakeWord::Signature));
    !signed && hmacs(handshake).next().is_some()
}

/// What the HMACs of the reply are made of.
fn hmacs(handshake: &Handshake) -> impl Iterator<Item = &Reference> {
    let reply = &handshake.reply;
    reply.headers.values().chain(&reply.body).flat_map(Template::references).filter_map(hmac_of)
}

fn hmac_of(reference: &Reference) -> Option<&Reference> {
    match reference {
        Reference::Hmac(_, inner) => Some(inner),
        Reference::Sha256(inner) | Reference::Base64Decoded(inner) | Reference::JsonString(inner) => {
            hmac_of(inner)
        }
        _ => None,
    }
}

fn asked(inner: &Reference, scene: &Scene<'_>, moment: Moment<'_>) -> bool {
    scene.value(inner, moment).is_some_and(|value| is_challenge(&value))
}

fn equal(require: &Require, scene: &Scene<'_>, moment: Moment<'_>) -> bool {
    let right = match (&require.right, &require.equals) {
        (Some(reference), _) => scene.value(reference, moment).map(std::borrow::Cow::into_owned),
        (None, text) => text.as_ref().map(|text| text.as_bytes().to_vec()),
    };
    // Unlike beside a signature, an absent right side is no match: it is all that there is.
    match (scene.value(&require.left, moment), right) {
        (Some(left), Some(right)) if !right.is_empty() => left.ct_eq(&right).into(),
        _ => false,
    }
}

fn reply(handshake: &Handshake, scene: &Scene<'_>, moment: Moment<'_>) -> Option<Answer> {
    let table = &handshake.reply;
    let mut headers = Vec::new();
    for (name, template) in &table.headers {
        let value = String::from_utf8(scene.render(template, moment)?).ok()?;
        // What cannot stand in a header is no challenge that a sender could want back.
        if value.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        headers.push((name.clone(), value));
    }
    let body = table.body.as_ref().map_or(Some(Vec::new()), |template| scene.render(template, moment))?;
    (body.len() <= MAX_REPLY).then_some(Answer {
        status: table.status.unwrap_or(200),
        headers,
        body,
        learned: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{SchemeProvider, read_tables};
    use super::*;
    use crate::providers::{Handshook, Provider as _, RawRequest};
    use bytes::Bytes;
    use chrono::Utc;
    use std::collections::BTreeMap;

    fn x() -> SchemeProvider {
        read_tables("", "").unwrap().trial("x", &"consumer-secret".into(), BTreeMap::new()).unwrap()
    }

    /// What the gateway answers to anybody who asks for the HMAC of `text`.
    fn told(text: &str) -> Option<String> {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("crc_token", text).finish();
        let body = Bytes::new();
        let request = RawRequest { method: "GET", ..RawRequest::post(&query, Vec::new(), &body) };
        match x().handshake(&request, &Check::plain(Utc::now())) {
            Handshook::Answer(answer) => {
                let reply: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
                Some(reply["response_token"].as_str().unwrap().to_owned())
            }
            _ => None,
        }
    }

    fn proven(body: &str, signature: &str) -> bool {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let headers = vec![("x-twitter-webhooks-signature", signature.as_bytes())];
        x().verify(&RawRequest::post("", headers, &body), &Check::plain(Utc::now())).is_ok()
    }

    #[test]
    fn the_answer_to_a_challenge_signs_no_delivery() {
        let forged = r#"{"for_user_id":"1","follow_events":[{}]}"#;
        assert_eq!(told(forged), None);
        assert_eq!(told(&"a".repeat(MAX_CHALLENGE + 1)), None);
        for challenge in ["MjI5NmE1YjMtZmUzMS00ZTQw_-=", "123", "true", ""] {
            if let Some(signature) = told(challenge) {
                assert!(!proven(challenge, &signature), "{challenge}");
            }
        }
        assert!(told("MjI5NmE1YjMtZmUzMS00ZTQw").is_some());
        let genuine = proof(forged);
        assert!(proven(forged, &genuine));
    }

    fn proof(body: &str) -> String {
        use crate::providers::proof::{Hash, hmac};
        let tag = hmac(Hash::Sha256, b"consumer-secret", body.as_bytes());
        format!(
            "sha256={}",
            crate::providers::scheme::keys::encode(super::super::table::Encoding::Base64, &tag)
        )
    }
}
