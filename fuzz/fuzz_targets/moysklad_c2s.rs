//! The two providers that are code: any request, and one with their token and hostile content.

#![no_main]

use hookgate::providers::c2s::C2s;
use hookgate::providers::moysklad::Moysklad;
use hookgate::providers::{Check, Handshook, KnownSecret, Provider};
use hookgate_fuzz::holds;
use hookgate_fuzz::schemes::SECRET;
use hookgate_fuzz::wire::Wire;
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static PROVIDERS: OnceLock<(C2s, Moysklad)> = OnceLock::new();

fuzz_target!(|wire: Wire| {
    let (c2s, moysklad) = PROVIDERS.get_or_init(|| {
        let secrets = || vec![KnownSecret { id: "one".to_owned(), value: SECRET.into() }];
        let base = "https://api.moysklad.ru/api/remap/1.2".parse().expect("a URL");
        (C2s::new(secrets()), Moysklad::new(secrets(), base))
    });
    let mut wire = wire;
    one(c2s, &wire, false);
    one(moysklad, &wire, false);
    wire.set("x-webhook-token", SECRET);
    one(c2s, &wire, true);
    wire.path = format!("/{SECRET}");
    one(moysklad, &wire, true);
});

fn one(provider: &dyn Provider, wire: &Wire, genuine: bool) {
    let raw = wire.raw();
    let check = Check::plain(wire.now);
    assert!(matches!(provider.handshake(&raw, &check), Handshook::NotOne));
    let proof = provider.verify(&raw, &check);
    assert!(proof.is_ok() || !genuine, "{} refuses its token", provider.name());
    let Ok(proof) = proof else { return };
    assert!(holds::shows(wire, SECRET), "{} believes whoever does not know its token", provider.name());
    if let Ok(parsed) = provider.parse(&proof) {
        // Each event is an element of a list in the body.
        holds::readable(&parsed, wire, wire.body.len() / 2 + 1);
    }
}
