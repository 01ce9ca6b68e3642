//! The steps of a verification, for the operator who has to find out why a request was not proven.

use super::evidence::Evidence;
use super::{Answer, Check, Handshook, Parsed, Provider, RawRequest};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// One step of a verification. Its text names fields, lengths, digests and times, never a secret or a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Step {
    /// What was looked at: `header`, `time`, `signature`, …
    pub check: String,
    /// Whether it was as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

impl Step {
    /// A line for people: the verdict, what was looked at, what was found.
    pub fn line(&self) -> String {
        format!("{:<6} {:<12} {}", if self.ok { "ok" } else { "FAILED" }, self.check, self.detail)
    }
}

/// What was wrong, in one line: what the steps found that was not as it should be, each said once.
pub fn summary(steps: &[Step]) -> String {
    let mut found: Vec<&str> = Vec::new();
    for step in steps.iter().filter(|step| !step.ok && step.check != VERDICT) {
        if !found.contains(&step.detail.as_str()) {
            found.push(&step.detail);
        }
    }
    if found.is_empty() {
        found.extend(steps.last().map(|step| step.detail.as_str()));
    }
    found.join("; ")
}

/// The step that says what it came to.
const VERDICT: &str = "verdict";

/// Collects steps.
#[derive(Debug, Default)]
pub struct Trace(RefCell<Vec<Step>>);

impl Trace {
    /// Adds a step.
    pub fn add(&self, check: &str, ok: bool, detail: String) {
        self.0.borrow_mut().push(Step { check: check.to_owned(), ok, detail });
    }

    /// The steps so far.
    pub fn into_steps(self) -> Vec<Step> {
        self.0.into_inner()
    }
}

/// A verification that was told, and the reading where it was proven.
#[derive(Debug)]
pub struct Explanation {
    /// What was looked at, in order.
    pub steps: Vec<Step>,
    /// The events, if it is proven and can be read.
    pub events: Option<Parsed>,
    /// The answer, if it only sets things up.
    pub answer: Option<Answer>,
}

/// Goes through a verification step by step.
pub fn explain(
    provider: &dyn Provider,
    request: &RawRequest<'_>,
    now: DateTime<Utc>,
    evidence: Option<&dyn Evidence>,
) -> Explanation {
    let trace = Trace::default();
    let check = Check { now, evidence, trace: Some(&trace) };
    let (mut events, mut answer) = (None, None);
    match provider.handshake(request, &check) {
        Handshook::Answer(given) => {
            check.step("handshake", given.status < 400, || {
                format!("it only sets things up, and is answered with {}", given.status)
            });
            answer = Some(given);
        }
        Handshook::Unproven(unproven) => check.step(VERDICT, false, || unproven.to_string()),
        Handshook::NotOne => match provider.verify(request, &check) {
            Ok(proof) => match provider.parse(&proof) {
                Ok(parsed) => {
                    check.step("events", true, || "the request can be read".to_owned());
                    events = Some(parsed);
                }
                Err(reason) => check.step("events", false, || reason.to_string()),
            },
            Err(unproven) => check.step(VERDICT, false, || unproven.to_string()),
        },
    }
    Explanation { steps: trace.into_steps(), events, answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(check: &str, ok: bool, detail: &str) -> Step {
        Step { check: check.to_owned(), ok, detail: detail.to_owned() }
    }

    #[test]
    fn a_summary_says_each_fault_once_and_leaves_the_verdict_out() {
        let steps = [
            step("secret", true, "trying a"),
            step("match", false, "other"),
            step("match", false, "other"),
            step("verdict", false, "the proof does not match"),
        ];
        assert_eq!(summary(&steps), "other");
        assert_eq!(summary(&steps[3..]), "the proof does not match");
        assert_eq!(summary(&[]), "");
    }
}
