//! Counters of the receiver, made once for each provider that is configured: a label that a sender chose would grow without end,
//! and looking a counter up by its labels costs more than counting.

use crate::providers::Registry;
use metrics::{Counter, Histogram, counter, histogram};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

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

/// Counters by provider; asked for configured ones only, so their number is bounded.
#[derive(Default)]
pub(super) struct ReceiveMetrics(RwLock<HashMap<String, Arc<ProviderMetrics>>>);

impl ReceiveMetrics {
    /// Counters of every provider that is configured now, so that they are seen before the first request.
    pub(super) fn new(providers: &Registry) -> Self {
        let metrics = Self::default();
        for name in providers.names() {
            metrics.of(name);
        }
        metrics
    }

    pub(super) fn of(&self, provider: &str) -> Arc<ProviderMetrics> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(provider) {
            return known.clone();
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(provider.to_owned()).or_insert_with(|| Arc::new(ProviderMetrics::new(provider))).clone()
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
