//! The steps of a verification, for the operator who has to find out why a request was not proven.

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
