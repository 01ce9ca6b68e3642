//! Requests that only set things up: challenges, verify tokens, offered secrets.

use super::scene::{Moment, Scene};
use super::table::{Handshake, HandshakeProof, HandshakeWord, Require};
use crate::providers::{Answer, Check, Unproven};
use secrecy::SecretString;
use subtle::ConstantTimeEq as _;

/// Longest reply to a challenge: an echo must not become an amplifier.
const MAX_REPLY: usize = 4096;
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
    match reply(handshake, scene, moment) {
        Some(answer) => Verdict::Answer(Answer { learned, ..answer }),
        None => Verdict::NotOne,
    }
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
        headers.push((name.clone(), String::from_utf8(scene.render(template, moment)?).ok()?));
    }
    let body = table.body.as_ref().map_or(Some(Vec::new()), |template| scene.render(template, moment))?;
    (body.len() <= MAX_REPLY).then_some(Answer {
        status: table.status.unwrap_or(200),
        headers,
        body,
        learned: None,
    })
}
