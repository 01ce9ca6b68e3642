//! Any request against the built-in schemes: the one it names, or all of them. Nobody proves a request without the
//! secret, no answer and no step shows it, and nothing panics.

#![no_main]

use hookgate::providers::{Check, Handshook, Provider as _, Trace};
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
        holds::answer(&answer.guarded(), wire, &trial.secret);
    }
    holds::steps(&trace.into_steps(), wire, &trial.secret);
}
