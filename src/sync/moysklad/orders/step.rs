//! Which state main's order is brought into, and what is noted as the states that the two had in step.
//!
//! A state crosses over when it was changed since the two were in step. Where both were changed since then, the later change
//! wins as far as it is known: MoySklad tells when a document was last changed, not when its state was.

use super::super::api::ApiError;
use super::super::work::broken;
use super::ORDER;
use super::states::{self, State, States};
use super::store::{self, InStep};
use super::transfer::Transfer;
use serde_json::Value;
use uuid::Uuid;

/// What becomes of the state of main's order.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// The state to set in main.
    set: Option<State>,
    /// Whether main lacks the child's state.
    pub(super) is_stateless: bool,
    /// What is to be noted, if anything is: the child's state, and main's unless main's is as it is.
    noted: Option<InStep>,
    ours: States,
}

impl Step {
    /// Of a document of the child and main's order, if there is one.
    pub(super) async fn read(
        transfer: &Transfer<'_>,
        document: &Value,
        order: Option<&Value>,
    ) -> Result<Self, ApiError> {
        let source = transfer.source;
        let before = match order {
            Some(_) => store::in_step(&mut *transfer.cx.conn().await?, source).await.map_err(broken)?,
            None => None,
        };
        let before = before.unwrap_or_default();
        let theirs = match document.get("state") {
            Some(_) => States::read(&transfer.child, source.kind).await?,
            None => States::default(),
        };
        let child = theirs.of(document).map(|state| state.name.clone());
        let is_changed = child.is_some() && child != before.child;
        if !is_changed && order.is_some() {
            return Ok(Self::default());
        }
        let ours = States::read(&transfer.main, ORDER).await?;
        let wanted = child.as_deref().filter(|_| is_changed);
        let wanted = wanted.map(|name| ours.named(states::in_main(transfer.settings, name)));
        let is_stateless = matches!(wanted, Some(None));
        let mut set = wanted.flatten().cloned();
        let mut main = None;
        if let Some(order) = order {
            let own = ours.of(order).map(|state| &*state.name);
            let is_mains_changed = before.main.is_some() && own != before.main.as_deref();
            let is_agreed = own == set.as_ref().map(|state| &*state.name);
            if is_mains_changed && !is_agreed && is_later(order, document) {
                set = None;
            }
            // Main keeps its state, and what it has changed since then is still to be followed.
            if set.is_none() {
                main = before.main;
            }
        }
        Ok(Self { set, is_stateless, noted: Some(InStep { child, main }), ours })
    }

    /// The state to set.
    pub(super) fn target(&self) -> Option<Uuid> {
        self.set.as_ref().map(|state| state.id)
    }

    /// What the two have in step, now that main's order is this one: what was asked for is not always what it has.
    pub(super) fn noted(&self, order: &Value) -> Option<InStep> {
        let mut noted = self.noted.clone()?;
        if noted.main.is_none() {
            noted.main = self.ours.of(order).or(self.set.as_ref()).map(|state| state.name.clone());
        }
        Some(noted)
    }
}

/// Whether the one was changed after the other, if both say when: one clock and one form for all accounts.
pub(super) fn is_later(one: &Value, other: &Value) -> bool {
    let moments = one["updated"].as_str().zip(other["updated"].as_str());
    moments.is_some_and(|(one, other)| one > other)
}
