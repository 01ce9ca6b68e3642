//! Any request against the built-in schemes: the one it names, or all of them. Nobody proves a request without the
//! secret, no answer and no step shows it, and nothing panics.

#![no_main]

use bytes::Bytes;
use hookgate::providers::{Answer, Check, Handshook, Provider as _, RawRequest, Trace};
use hookgate_fuzz::holds;
use hookgate_fuzz::known::evidence;
use hookgate_fuzz::schemes::{self, Trial};
use hookgate_fuzz::wire::Wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|wire: Wire| {
    match schemes::all().get(wire.who.as_str()) {
        Some(trials) => trials.iter().for_each(|trial| one(trial, &wire)),
        None => schemes::all().values().for_each(|trials| one(&trials[0], &wire)),
    }
});

fn one(trial: &Trial, wire: &Wire) {
    let raw = wire.raw();
    let trace = Trace::default();
    let check = Check { now: wire.now, evidence: Some(evidence()), trace: Some(&trace) };
    if let Ok(proof) = trial.provider.verify(&raw, &check) {
        let known = trial.shown && holds::shows(wire, &trial.secret);
        assert!(known, "{} believes whoever does not know its secret", trial.name);
        if let Ok(parsed) = trial.provider.parse(&proof) {
            holds::readable(&parsed, wire, holds::MAX_EVENTS);
        }
    }
    // Without anything from outside it is never proven, only asked for.
    assert!(trial.shown || trial.provider.verify(&raw, &Check::plain(wire.now)).is_err());
    if let Handshook::Answer(answer) = trial.provider.handshake(&raw, &check) {
        holds::answer(&answer, wire, &trial.secret);
        let answer = answer.guarded();
        holds::answer(&answer, wire, &trial.secret);
        forge(trial, wire, &answer);
    }
    holds::steps(&trace.into_steps(), wire, &trial.secret);
}

/// Whoever puts what a handshake told him beside what he asked proves nothing.
fn forge(trial: &Trial, wire: &Wire, answer: &Answer) {
    if trial.told.is_empty() || holds::shows(wire, &trial.secret) {
        return;
    }
    let told = String::from_utf8_lossy(&answer.body);
    let words: Vec<&str> =
        told.split(['"', ',', ':', '{', '}']).filter(|word| word.len() >= 28).take(4).collect();
    let asked =
        url::form_urlencoded::parse(wire.query.as_bytes()).map(|pair| pair.1.into_owned().into_bytes());
    for text in asked.take(8).chain([wire.body.to_vec(), wire.query.clone().into_bytes()]) {
        let body = Bytes::from(text);
        for (header, prefix) in &trial.told {
            for word in &words {
                let signature =
                    if word.starts_with(prefix) { (*word).to_owned() } else { format!("{prefix}{word}") };
                let mut forged = RawRequest { method: "POST", body: &body, ..wire.raw() };
                forged.headers.retain(|line| line.0 != header);
                forged.headers.push((header, signature.as_bytes()));
                let proven = trial.provider.verify(&forged, &Check::plain(wire.now));
                assert!(proven.is_err(), "{} signs a forged delivery: {:?}", trial.name, forged.body);
            }
        }
    }
}
