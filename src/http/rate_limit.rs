//! Optional limits of the receiver: for each provider and for each client address.

use super::problem::Problem;
use crate::config::Receiver;
use governor::clock::{Clock as _, DefaultClock, QuantaInstant};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};

/// The limits of one process, off where the settings say nothing.
pub(super) struct RateLimits {
    provider: Option<DefaultKeyedRateLimiter<String>>,
    address: Option<DefaultKeyedRateLimiter<IpAddr>>,
    /// Limits of providers that have one of their own, with the rate that they were made for.
    own: RwLock<HashMap<String, (NonZeroU32, Arc<DefaultDirectRateLimiter>)>>,
}

/// Addresses that are remembered before idle ones are forgotten.
const MANY: usize = 10_000;

impl RateLimits {
    pub(super) fn new(settings: &Receiver) -> Self {
        Self {
            provider: keyed(settings.rate_per_provider),
            address: keyed(settings.rate_per_ip),
            own: RwLock::default(),
        }
    }

    /// Whether one more request may pass: of this address, and to this provider, by its own rate or that of all.
    pub(super) fn check(
        &self,
        provider: &str,
        own: Option<NonZeroU32>,
        address: Option<IpAddr>,
    ) -> Result<(), Problem> {
        if let (Some(limiter), Some(address)) = (&self.address, address) {
            if limiter.len() > MANY {
                limiter.retain_recent();
            }
            check(limiter, &address)?;
        }
        if let Some(rate) = own {
            return self.of(provider, rate).check().map_err(|not_until| too_many(&not_until));
        }
        if let Some(limiter) = &self.provider {
            check(limiter, &provider.to_owned())?;
        }
        Ok(())
    }

    fn of(&self, provider: &str, rate: NonZeroU32) -> Arc<DefaultDirectRateLimiter> {
        if let Some((made_for, limiter)) =
            self.own.read().unwrap_or_else(PoisonError::into_inner).get(provider)
            && *made_for == rate
        {
            return limiter.clone();
        }
        let limiter = Arc::new(RateLimiter::direct(Quota::per_second(rate)));
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        own.insert(provider.to_owned(), (rate, limiter.clone()));
        limiter
    }
}

fn keyed<K: Hash + Eq + Clone>(rate: Option<u32>) -> Option<DefaultKeyedRateLimiter<K>> {
    rate.and_then(NonZeroU32::new).map(|rate| RateLimiter::keyed(Quota::per_second(rate)))
}

fn check<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Problem> {
    limiter.check_key(key).map_err(|not_until| too_many(&not_until))
}

fn too_many(not_until: &NotUntil<QuantaInstant>) -> Problem {
    Problem::TooManyRequests { after: not_until.wait_time_from(DefaultClock::default().now()).as_secs() + 1 }
}
