//! What can be switched: how an account is set, where the documentation is silent, and how badly things go.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::time::Duration;

/// How an account is set, and what nobody has written down about the real one.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Rules {
    /// Codes of products, variants, bundles and services must be unique (3006). Default false.
    pub check_unique_code: bool,
    /// A missing code is filled in. Default false.
    pub fill_unique_code: bool,
    /// A missing barcode is filled in. Default false; bundles always get one.
    pub fill_ean13: bool,
    /// Numbers of documents must be unique (3006). Default false.
    pub check_unique_numbers: bool,
    /// Deleted documents go to the bin. Default false.
    pub use_recycle_bin: bool,
    /// There is a bin for those who ask for it. Default true.
    pub has_recycle_bin: bool,
    /// Status of a bulk write of which something failed: 400 (default), or 200 as some have seen.
    pub partial_failure_status: u16,
    /// A write that changes nothing raises a webhook and moves `updated`. Default true.
    pub no_op_updates_fire: bool,
    /// A change of a variant raises a webhook of its product. Default false.
    pub variants_update_their_product: bool,
    /// A variant's characteristic with an unknown name makes a new one instead of an error. Default false.
    pub unknown_characteristics_are_created: bool,
    /// A characteristic goes with the last variant that has it. Default false.
    pub unused_characteristics_vanish: bool,
    /// A bundle's components are replaced as a whole instead of merged. Default false.
    pub components_are_replaced: bool,
    /// Prices of lines are kept in whole kopecks: fractions are rounded away, as was once switched off by a header.
    /// Default false.
    pub rounds_prices: bool,
    /// The account pays nothing: no webhooks (30006). Default false.
    pub free_tariff: bool,
    /// The principal may manage webhooks (30004). Default true.
    pub is_administrator: bool,
    /// The largest image in bytes (51004). Default 3 MB, as the list of errors says.
    pub most_image_bytes: usize,
    /// What has a tax shows the one that is in force, its folder's perhaps (`effectiveVat`). Default false.
    pub shows_effective_vat: bool,
    /// Lists of currencies and units hold a row without the codes that name them. Default false.
    pub has_odd_rows: bool,
    /// Different URLs that one pair of type and action may have: 5, or 1 for a solution.
    pub hooks_per_pair: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            check_unique_code: false,
            fill_unique_code: false,
            fill_ean13: false,
            check_unique_numbers: false,
            use_recycle_bin: false,
            has_recycle_bin: true,
            partial_failure_status: 400,
            no_op_updates_fire: true,
            variants_update_their_product: false,
            unknown_characteristics_are_created: false,
            unused_characteristics_vanish: false,
            components_are_replaced: false,
            rounds_prices: false,
            free_tariff: false,
            is_administrator: true,
            most_image_bytes: 3 << 20,
            shows_effective_vat: false,
            has_odd_rows: false,
            hooks_per_pair: 5,
        }
    }
}

/// How badly things go. Probabilities are between 0 and 1; all are 0 at first.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// A notification is never sent.
    pub lose: f64,
    /// A notification is sent again with the same `requestId`.
    pub repeat: f64,
    /// A notification is sent again with another `requestId`, as happens where two webhooks lead to one place.
    pub repeat_anew: f64,
    /// A notification is held back so that later ones overtake it.
    pub reorder: f64,
    /// Every notification waits this long.
    pub delay: Duration,
    /// A request is answered 500, 502 or 504 and nothing is done.
    pub fail: f64,
    /// A request is done, and then the connection breaks.
    pub drop_after_commit: f64,
    /// Every request takes up to this much longer.
    pub jitter: Duration,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            lose: 0.0,
            repeat: 0.0,
            repeat_anew: 0.0,
            reorder: 0.0,
            delay: Duration::ZERO,
            fail: 0.0,
            drop_after_commit: 0.0,
            jitter: Duration::ZERO,
        }
    }
}

/// How a request fails.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Nothing is done; this status comes back, with an error code.
    Status(u16, u32),
    /// It is done, and then the connection breaks before the answer.
    DropAfterCommit,
    /// The connection breaks and nothing was done.
    DropBefore,
    /// The connection breaks, and only after this time it is done: the real one may be at work for 300 seconds.
    DoneLate(Duration),
}

/// Chance that can be replayed from its seed.
#[derive(Debug)]
pub(super) struct Dice(StdRng);

/// How long a notification is held back at most.
const LONGEST_HOLD_MILLIS: u64 = 300;

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn chance(&mut self, probability: f64) -> bool {
        // One draw in any case: what one knob does must not shift what the others see.
        self.0.random::<f64>() < probability
    }

    /// When copies of one notification go out: none if it is lost. `true` for one with a `requestId` of its own.
    pub(super) fn sendings(&mut self, weather: &Weather) -> Vec<(Duration, bool)> {
        let (lose, repeat, anew, hold) = (
            self.chance(weather.lose),
            self.chance(weather.repeat),
            self.chance(weather.repeat_anew),
            self.chance(weather.reorder),
        );
        let overtaken = Duration::from_millis(self.0.random_range(1..=LONGEST_HOLD_MILLIS));
        let late = Duration::from_millis(self.0.random_range(1..=LONGEST_HOLD_MILLIS));
        if lose {
            return Vec::new();
        }
        let start = weather.delay + if hold { overtaken } else { Duration::ZERO };
        let mut sendings = vec![(start, false)];
        if repeat {
            sendings.push((start + late, false));
        }
        if anew {
            sendings.push((start + late, true));
        }
        sendings
    }

    /// What befalls a request.
    pub(super) fn fault(&mut self, weather: &Weather) -> Option<Fault> {
        let (fail, drop) = (self.chance(weather.fail), self.chance(weather.drop_after_commit));
        let which = self.0.random_range(0..3_usize);
        if fail {
            return Some([Fault::Status(500, 1), Fault::Status(502, 0), Fault::Status(504, 1088)][which]);
        }
        drop.then_some(Fault::DropAfterCommit)
    }

    pub(super) fn jitter(&mut self, weather: &Weather) -> Duration {
        weather.jitter.mul_f64(self.0.random::<f64>())
    }
}
