//! A user's own scheme, any that can be written, and any request. Reading the table, proving, reading the events and
//! answering handshakes never panics; and if the table is accepted and its proofs need a key, no request without a
//! signature of that key is believed.

#![no_main]

use hookgate::providers::scheme::read_tables;
use hookgate::providers::{Check, Handshook, Provider as _, Trace};
use hookgate_fuzz::holds;
use hookgate_fuzz::known::evidence;
use hookgate_fuzz::own::Own;
use hookgate_fuzz::schemes::secrets;
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use std::collections::BTreeMap;

fuzz_target!(|own: Own| {
    let text = own.toml();
    let Ok(tables) = read_tables("hookgate.toml", &text) else { return };
    let all = secrets();
    let secret = &all[usize::from(own.secret) % all.len()];
    let params = ["a", "verify_token"].map(|name| (name.to_owned(), SecretString::from("1")));
    let Ok(provider) = tables.trial("mine", &SecretString::from(secret.as_str()), BTreeMap::from(params))
    else {
        return;
    };
    let wire = &own.request;
    let raw = wire.raw();
    let trace = Trace::default();
    let check = Check { now: wire.now, evidence: Some(evidence()), trace: Some(&trace) };
    if let Ok(proof) = provider.verify(&raw, &check) {
        assert!(!own.keyed(), "nobody signed this, and it is believed:\n{text}");
        if let Ok(parsed) = provider.parse(&proof) {
            // Its events may be in any value, of which some are made longer.
            holds::storable(&parsed, holds::MAX_EVENTS);
        }
    }
    let _ = provider.verify(&raw, &Check::plain(wire.now));
    if let Handshook::Answer(answer) = provider.handshake(&raw, &check) {
        holds::answer(&answer, wire, secret);
        let _ = answer.guarded();
    }
    holds::steps(&trace.into_steps(), wire, secret);
    for event_type in provider.sample_types() {
        let _ = provider.sample(event_type, "https://hooks.example.com", None, wire.now);
    }
});
