//! Optional limits of the receiver: for each provider and for each client address.

use super::problem::Problem;
use crate::config::Receiver;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;

/// The limits of one process, off where the settings say nothing.
pub(super) struct RateLimits {
    provider: Option<DefaultKeyedRateLimiter<String>>,
    address: Option<DefaultKeyedRateLimiter<IpAddr>>,
}

/// Addresses that are remembered before idle ones are forgotten.
const MANY: usize = 10_000;

impl RateLimits {
    pub(super) fn new(settings: &Receiver) -> Self {
        Self { provider: keyed(settings.rate_per_provider), address: keyed(settings.rate_per_ip) }
    }

    pub(super) fn check(&self, provider: &str, address: Option<IpAddr>) -> Result<(), Problem> {
        if let (Some(limiter), Some(address)) = (&self.address, address) {
            if limiter.len() > MANY {
                limiter.retain_recent();
            }
            check(limiter, &address)?;
        }
        if let Some(limiter) = &self.provider {
            check(limiter, &provider.to_owned())?;
        }
        Ok(())
    }
}

fn keyed<K: Hash + Eq + Clone>(rate: Option<u32>) -> Option<DefaultKeyedRateLimiter<K>> {
    rate.and_then(NonZeroU32::new).map(|rate| RateLimiter::keyed(Quota::per_second(rate)))
}

fn check<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Problem> {
    limiter.check_key(key).map_err(|not_until| Problem::TooManyRequests {
        after: not_until.wait_time_from(DefaultClock::default().now()).as_secs() + 1,
    })
}
