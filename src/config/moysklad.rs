//! MoySklad's API: where it is, and what it allows one account and token (facts/moysklad.md 4.1).

use super::values::{positive, secrets, url};
use super::{ConfigError, Source};
use secrecy::SecretString;
use url::Url;

/// Requests in flight that an account is allowed, whoever makes them.
const PARALLEL_OF_ACCOUNT: u32 = 20;

/// MoySklad. The limits are those of one account and token, for all processes together.
#[derive(Clone, Debug)]
pub struct Moysklad {
    /// `MOYSKLAD_WEBHOOK_TOKEN`, comma-separated while one is rotated.
    pub webhook_tokens: Vec<SecretString>,
    /// `MOYSKLAD_BASE_URL`, the whole prefix of the JSON API.
    pub base_url: Url,
    /// `MOYSKLAD_UNITS_PER_3S`: rate units of one account in three seconds.
    pub units_per_3s: u32,
    /// `MOYSKLAD_REQUEST_WEIGHT`: units of one request: 1 for a published solution, 4 for a user's token (from
    /// 2026-12-01, 3 before).
    pub request_weight: u32,
    /// `MOYSKLAD_PARALLEL`: requests in flight for one account, which is known by one token: 5 are allowed for a token, 20
    /// for an account.
    pub parallel: usize,
    /// What MoySklad bans a token for.
    pub bans: MoyskladBans,
}

/// More than these in one minute, and MoySklad bans the token until its support lifts that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoyskladBans {
    /// `MOYSKLAD_BAN_EQUAL_ERRORS`: identical failing requests.
    pub equal_errors: u32,
    /// `MOYSKLAD_BAN_REFUSALS`: answers 429.
    pub refusals: u32,
    /// `MOYSKLAD_BAN_PUTS`: PUTs of one and the same entity.
    pub puts: u32,
}

impl Moysklad {
    pub(super) fn read(source: &Source) -> Result<Self, ConfigError> {
        let parallel = positive(source, "MOYSKLAD_PARALLEL", 5)?;
        if parallel > PARALLEL_OF_ACCOUNT {
            return Err(ConfigError::Invalid {
                name: "MOYSKLAD_PARALLEL",
                expected: "a whole number from 1 to 20: MoySklad allows 5 requests in flight for one token, and 20 for \
                           one account",
            });
        }
        Ok(Self {
            webhook_tokens: secrets(source, &["MOYSKLAD_WEBHOOK_TOKEN"]),
            base_url: url(source, "MOYSKLAD_BASE_URL", "https://api.moysklad.ru/api/remap/1.2")?,
            units_per_3s: positive(source, "MOYSKLAD_UNITS_PER_3S", 45)?,
            request_weight: positive(source, "MOYSKLAD_REQUEST_WEIGHT", 4)?,
            parallel: parallel as usize,
            bans: MoyskladBans {
                equal_errors: positive(source, "MOYSKLAD_BAN_EQUAL_ERRORS", 200)?,
                refusals: positive(source, "MOYSKLAD_BAN_REFUSALS", 200)?,
                puts: positive(source, "MOYSKLAD_BAN_PUTS", 100)?,
            },
        })
    }

    /// How many processes can have a share: each needs a place for one request, the units for it, and one that refills.
    pub fn shares(&self) -> u32 {
        let in_flight = u32::try_from(self.parallel).unwrap_or(u32::MAX);
        (self.units_per_3s / self.request_weight.saturating_add(1)).min(in_flight).max(1)
    }

    /// The limits of one of so many processes (1 or more) that use the same tokens. There are no more than
    /// [`Self::shares`].
    #[must_use]
    pub fn share(self, processes: u32) -> Self {
        let processes = processes.min(self.shares());
        let share = |whole: u32| (whole / processes).max(1);
        Self {
            units_per_3s: share(self.units_per_3s),
            parallel: (self.parallel / processes as usize).max(1),
            bans: MoyskladBans {
                equal_errors: share(self.bans.equal_errors),
                refusals: share(self.bans.refusals),
                puts: share(self.bans.puts),
            },
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn with(pairs: &'static [(&str, &str)]) -> Result<Moysklad, ConfigError> {
        let env = move |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned());
        Moysklad::read(&Source::from_env(Arc::new(env)))
    }

    #[test]
    fn the_published_figures_are_the_defaults() {
        let settings = with(&[]).unwrap();
        assert_eq!((settings.units_per_3s, settings.request_weight, settings.parallel), (45, 4, 5));
        assert_eq!(settings.bans, MoyskladBans { equal_errors: 200, refusals: 200, puts: 100 });
    }

    #[test]
    fn more_in_flight_than_an_account_is_allowed_is_refused_with_the_figure() {
        assert_eq!(with(&[("MOYSKLAD_PARALLEL", "20")]).unwrap().parallel, 20);
        let error = with(&[("MOYSKLAD_PARALLEL", "21")]).unwrap_err().to_string();
        assert!(error.contains("MOYSKLAD_PARALLEL") && error.contains("from 1 to 20"), "{error}");
    }

    #[test]
    fn processes_share_the_limits_and_the_shares_never_exceed_the_whole() {
        let whole = with(&[("MOYSKLAD_REQUEST_WEIGHT", "1")]).unwrap();
        let third = whole.clone().share(3);
        assert_eq!((third.units_per_3s, third.parallel), (15, 1));
        assert_eq!(third.bans, MoyskladBans { equal_errors: 66, refusals: 66, puts: 33 });
        for (units_per_3s, request_weight, parallel) in
            [(45, 1, 5), (45, 4, 20), (11, 4, 5), (22, 3, 20), (1, 4, 1)]
        {
            let whole = Moysklad { units_per_3s, request_weight, parallel, ..whole.clone() };
            for processes in [1, 2, 3, 5, 8, 1000] {
                let (share, shares) = (whole.clone().share(processes), processes.min(whole.shares()));
                assert!(share.units_per_3s * shares <= units_per_3s && share.units_per_3s > 0);
                assert!(share.parallel * shares as usize <= parallel && share.parallel > 0);
                assert!(shares == 1 || share.units_per_3s > request_weight, "{share:?}");
            }
        }
    }
}
