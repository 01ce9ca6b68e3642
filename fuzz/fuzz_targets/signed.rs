//! Requests that are signed as they should be, with hostile content. The signature is made here, from the sender's
//! documentation and not by the engine; what it signs must be proven, and reading it must not panic or give a key that
//! cannot be stored. A name without a signer is that of a built-in scheme whose proof is replaced by a token.

#![no_main]

use hookgate::providers::scheme::{SchemeProvider, read_tables};
use hookgate::providers::{Check, Handshook, Provider as _};
use hookgate_fuzz::holds;
use hookgate_fuzz::schemes::{self, SECRET};
use hookgate_fuzz::sign::{SIGNERS, Signer};
use hookgate_fuzz::wire::Wire;
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::OnceLock;

static GENUINE: OnceLock<Vec<(&'static Signer, SchemeProvider)>> = OnceLock::new();

fuzz_target!(|wire: Wire| {
    let mut wire = wire;
    let genuine = GENUINE.get_or_init(|| {
        let tables = read_tables("", "").expect("an empty file");
        let with = |signer: &'static Signer| {
            let secret = SecretString::from(signer.secret());
            (signer, tables.trial(signer.scheme, &secret, BTreeMap::new()).expect("its secret"))
        };
        SIGNERS.iter().map(with).collect()
    });
    let who = wire.who.clone();
    if let Some((signer, provider)) = genuine.iter().find(|(signer, _)| signer.name == who) {
        if (signer.sign)(&mut wire, &signer.key()) {
            read(provider, &wire, &signer.secret());
        }
        return;
    }
    wire.set("x-fuzz", SECRET);
    match schemes::readers().get(who.trim_start_matches("read:")) {
        Some(provider) => read(provider, &wire, SECRET),
        None => schemes::readers().values().for_each(|provider| read(provider, &wire, SECRET)),
    }
});

fn read(provider: &SchemeProvider, wire: &Wire, secret: &str) {
    let raw = wire.raw();
    let check = Check::plain(wire.now);
    if let Handshook::Answer(answer) = provider.handshake(&raw, &check) {
        holds::answer(&answer, wire, secret);
    }
    let proof = match provider.verify(&raw, &check) {
        Ok(proof) => proof,
        Err(unproven) => panic!("{} refuses what is genuine: {unproven}", provider.name()),
    };
    if let Ok(parsed) = provider.parse(&proof) {
        holds::readable(&parsed, wire, holds::MAX_EVENTS);
    }
}
