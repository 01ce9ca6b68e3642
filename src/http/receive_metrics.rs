//! Counters of the receiver, made once for each configured provider: a label that a sender chose would grow without end,
//! and looking a counter up by its labels costs more than counting.

use crate::providers::Registry;
use metrics::{Counter, Histogram, counter, histogram};
use std::collections::HashMap;

/// Counters of one provider.
pub(super) struct ProviderMetrics {
    pub(super) new: Counter,
    pub(super) duplicate: Counter,
    pub(super) rejected: Counter,
    pub(super) unproven: Counter,
    pub(super) unavailable: Counter,
    pub(super) refused: Counter,
    pub(super) ack: Histogram,
}

/// Counters by provider.
pub(super) struct ReceiveMetrics(HashMap<String, ProviderMetrics>);

impl ReceiveMetrics {
    pub(super) fn new(providers: &Registry) -> Self {
        Self(providers.names().map(|name| (name.to_owned(), ProviderMetrics::new(name))).collect())
    }

    pub(super) fn of(&self, provider: &str) -> Option<&ProviderMetrics> {
        self.0.get(provider)
    }
}

impl ProviderMetrics {
    fn new(provider: &str) -> Self {
        let count = |outcome: &'static str| counter!("webhook_events_received_total", "provider" => provider.to_owned(), "outcome" => outcome);
        Self {
            new: count("new"),
            duplicate: count("duplicate"),
            rejected: count("rejected"),
            unproven: count("unproven"),
            unavailable: count("unavailable"),
            refused: count("refused"),
            ack: histogram!("webhook_ack_duration_seconds", "provider" => provider.to_owned()),
        }
    }
}
