//! What main's order shall be: header, lines, states and sum.

use super::super::api::ApiError;
use super::super::metadata::FRESH;
use super::super::work::broken;
use super::amounts::{self, Vat};
use super::header::{Header, Parties};
use super::lines::Wanted;
use super::read::Document;
use super::states::{self, States};
use super::store::{self, InStep};
use super::transfer::Transfer;
use super::{ORDER, party};
use crate::queue::HandlerError;
use rust_decimal::Decimal;
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// What main's order shall be.
pub(super) struct Target {
    pub(super) header: Header,
    pub(super) lines: Vec<Wanted>,
    pub(super) agent: Uuid,
    pub(super) states: InStep,
    /// Whether main lacks the state.
    pub(super) stateless: bool,
    /// What MoySklad adds the child's document up to.
    pub(super) sum: Option<Decimal>,
}

impl Transfer<'_> {
    /// Works it out; `sent`: fields of the header that the document had when it was last brought over.
    pub(super) async fn target(
        &self,
        document: &Document,
        lines: Vec<Wanted>,
        sent: &[String],
    ) -> Result<Target, ApiError> {
        let fields = &document.fields;
        let policy = self.settings.counterparty;
        let agent = party::find(self.cx, self.source, policy, &self.main, &self.child, fields).await?;
        let (currency, is_own_currency) = self.currency(fields).await?;
        let (states, state, stateless) = self.state(fields).await?;
        let parties = Parties {
            organization: self.organization,
            agent: ("counterparty", agent),
            currency,
            is_own_currency,
            state,
        };
        let header = Header::of(fields, self.settings, &parties, self.main.base(), sent);
        let sum = match fields.get("sum") {
            Some(sum) => amounts::decimal(sum),
            None => amounts::total(&document.lines, Vat::of(fields)),
        };
        Ok(Target { header, lines, agent, states, stateless, sum })
    }

    /// Main's currency of the same ISO code: in another one the order would be another order.
    async fn currency(&self, document: &Value) -> Result<(Option<Uuid>, bool), ApiError> {
        match self.known_currency(document, FRESH).await {
            // It may be new.
            Err(ApiError::Work(HandlerError::GiveUp(_))) => {
                self.known_currency(document, Duration::ZERO).await
            }
            known => known,
        }
    }

    async fn known_currency(
        &self,
        document: &Value,
        age: Duration,
    ) -> Result<(Option<Uuid>, bool), ApiError> {
        let (theirs, ours) = tokio::try_join!(
            self.cx.metadata.younger_than(age, &self.child),
            self.cx.metadata.younger_than(age, &self.main)
        )?;
        let currency = document["rate"].get("currency");
        let Some(iso_code) = theirs.iso_code(currency) else {
            // Neither says in what it counts, so each counts in its own.
            if currency.is_none() && ours.own_currency().is_none() {
                return Ok((None, true));
            }
            return Err(
                HandlerError::GiveUp("the child does not tell the document's currency".to_owned()).into()
            );
        };
        let found = ours.currency(iso_code).ok_or_else(|| {
            HandlerError::GiveUp(format!("main has no currency {iso_code}: add it there, then retry"))
        })?;
        Ok((Some(found), ours.own_currency() == Some(found)))
    }

    /// The states that the two will be in, the one to set in main, if the child's has changed since they were in step, and
    /// whether main lacks it.
    async fn state(&self, document: &Value) -> Result<(InStep, Option<Uuid>, bool), ApiError> {
        let before = store::in_step(&mut *self.cx.conn().await?, self.source).await.map_err(broken)?;
        let before = before.unwrap_or_default();
        if document.get("state").is_none() {
            return Ok((before, None, false));
        }
        let theirs = States::read(&self.child, self.source.kind).await?;
        let Some(state) = theirs.of(document) else { return Ok((before, None, false)) };
        let child = Some(state.name.clone());
        if before.child == child {
            return Ok((before, None, false));
        }
        let ours = States::read(&self.main, ORDER).await?;
        let target = ours.named(states::in_main(self.settings, &state.name));
        let main = target.map(|target| target.name.clone()).or(before.main);
        Ok((InStep { child, main }, target.map(|target| target.id), target.is_none()))
    }
}
