//! How fast MoySklad may be called: its limits as a policy, and what of them one process may use.

use super::TIMEOUT;
use super::error::told;
use crate::config::{Moysklad, MoyskladBans};
use crate::nodes::Standing;
use crate::upstream::{Policy, Thresholds};
use std::time::Duration;

/// A thousand entities with many prices and attributes.
const MOST_BYTES: usize = 32 << 20;
/// The bucket refills over this time (`X-Lognex-Retry-TimeInterval`).
pub(super) const WINDOW: Duration = Duration::from_secs(3);

/// Where there are more processes than can have a share, the first ones have one.
pub(super) fn share(whole: &Moysklad, standing: Standing) -> Option<Moysklad> {
    (standing.rank < whole.shares()).then(|| whole.clone().share(standing.of))
}

/// Whatever the bucket's form, no window of three seconds sees more than its units: the burst and what refills in
/// that time add up to them.
pub(super) fn policy(settings: &Moysklad) -> Policy {
    let burst = (settings.units_per_3s / 5).max(settings.request_weight);
    let units = settings.units_per_3s.saturating_sub(burst).max(1);
    Policy {
        timeout: TIMEOUT,
        units,
        per: WINDOW,
        burst,
        parallel: settings.parallel,
        urgent_slots: 1,
        lenient_reads: true,
        max_reply: MOST_BYTES,
        thresholds: thresholds(settings.bans),
        told,
        ..Policy::default()
    }
}

/// Half of what brings a ban: other programs that use the token count, too, and so does what was counted before a process
/// died or the shares changed.
fn thresholds(bans: MoyskladBans) -> Thresholds {
    let half = |most: u32| (most / 2).max(1);
    Thresholds {
        equal_failures: half(bans.equal_errors),
        refusals: half(bans.refusals),
        writes_of_one: half(bans.puts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    #[test]
    fn no_window_sees_more_units_than_the_bucket_holds() {
        for (units_per_3s, request_weight) in [(45, 1), (45, 3), (45, 4), (22, 1), (11, 4)] {
            let base_url = Url::parse("https://api.moysklad.ru/api/remap/1.2").unwrap();
            let policy = policy(&Moysklad {
                webhook_tokens: vec![],
                base_url,
                units_per_3s,
                request_weight,
                parallel: 5,
                bans: MoyskladBans { equal_errors: 200, refusals: 200, puts: 100 },
            });
            assert_eq!(
                policy.thresholds,
                Thresholds { equal_failures: 100, refusals: 100, writes_of_one: 50 }
            );
            assert!(policy.burst >= request_weight);
            assert!(policy.units + policy.burst <= units_per_3s);
        }
    }

    #[test]
    fn processes_together_take_no_more_than_the_whole_and_those_without_a_share_nothing() {
        let base_url = Url::parse("https://api.moysklad.ru/api/remap/1.2").unwrap();
        let bans = MoyskladBans { equal_errors: 200, refusals: 200, puts: 100 };
        for (units_per_3s, request_weight, parallel) in [(45, 1, 5), (45, 4, 5), (45, 4, 20), (11, 4, 5)] {
            let webhook_tokens = vec![];
            let base_url = base_url.clone();
            let whole = Moysklad { webhook_tokens, base_url, units_per_3s, request_weight, parallel, bans };
            for of in 1..30 {
                let shares: Vec<Policy> =
                    (0..of).filter_map(|rank| Some(policy(&share(&whole, Standing { of, rank })?))).collect();
                assert!(!shares.is_empty());
                let sum = |of_one: fn(&Policy) -> u32| shares.iter().map(of_one).sum::<u32>();
                assert!(sum(|policy| policy.units + policy.burst) <= units_per_3s, "{of} {shares:?}");
                assert!(shares.iter().map(|policy| policy.parallel).sum::<usize>() <= parallel);
                assert!(sum(|policy| policy.thresholds.equal_failures) <= 100);
                assert!(sum(|policy| policy.thresholds.writes_of_one) <= 50);
            }
        }
    }
}
