//! Entities of main that were read together when nothing answered: one of them may be the reason, for as long as it lasts. All
//! children read the same ones, and failures in a row stop all that main's token does, so what one run finds out is told here to
//! the others.

use super::settings::EntityKind;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Who was not asked for in so long is asked for together with others again.
const LONGEST: Duration = Duration::from_secs(2 * 60);
/// What could not be read by itself is left alone for this time, by all, counted from when main may be called again: the one
/// call that shows whether main works must not be spent on what is known to fail.
const REST: Duration = Duration::from_secs(5);
/// More are forgotten: then it is no single entity's fault.
const MOST: usize = 10_000;

/// What is known of entities of main. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Suspects(Arc<Mutex<HashMap<Place, Suspicion>>>);

/// Main account, type, id.
type Place = (Uuid, EntityKind, Uuid);

struct Suspicion {
    since: Instant,
    /// It could not be read by itself.
    alone: Option<Alone>,
}

struct Alone {
    rests_until: Instant,
    why: String,
}

/// How one is to be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Together with others.
    Free,
    /// By itself.
    Suspect,
    /// By itself, after all others: it has failed so.
    Culprit,
    /// Not now: it has just failed so, and rests for this time.
    Bad(String, Duration),
}

impl Suspects {
    pub(super) fn standing(&self, main: Uuid, kind: EntityKind, id: Uuid) -> Standing {
        match self.all().get(&(main, kind, id)) {
            Some(Suspicion { alone: Some(alone), .. }) if Instant::now() < alone.rests_until => {
                Standing::Bad(alone.why.clone(), alone.rests_until.duration_since(Instant::now()))
            }
            Some(Suspicion { since, alone }) if since.elapsed() < LONGEST => match alone {
                Some(_) => Standing::Culprit,
                None => Standing::Suspect,
            },
            _ => Standing::Free,
        }
    }

    /// Nothing answered when these were read, and main may not be called for so long now.
    pub(super) fn failed(&self, main: Uuid, kind: EntityKind, ids: &[Uuid], why: &str, closed: Duration) {
        let now = Instant::now();
        let mut all = self.all();
        all.retain(|_, suspicion| suspicion.since.elapsed() < LONGEST);
        if all.len() + ids.len() > MOST {
            all.clear();
        }
        if !closed.is_zero() {
            // None of these is to be the call that shows whether main works again.
            let of_main = all.iter_mut().filter(|((account, ..), _)| *account == main);
            for alone in of_main.filter_map(|(_, suspicion)| suspicion.alone.as_mut()) {
                alone.rests_until = alone.rests_until.max(now + closed + REST);
            }
        }
        for id in ids {
            let suspicion = all.entry((main, kind, *id)).or_insert(Suspicion { since: now, alone: None });
            if ids.len() == 1 {
                let alone = Alone { rests_until: now + closed + REST, why: why.to_owned() };
                *suspicion = Suspicion { since: now, alone: Some(alone) };
            }
        }
    }

    /// These were read.
    pub(super) fn cleared(&self, main: Uuid, kind: EntityKind, ids: &[Uuid]) {
        let mut all = self.all();
        if !all.is_empty() {
            all.retain(|(account, of, id), _| !(*account == main && *of == kind && ids.contains(id)));
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Place, Suspicion>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_together_is_read_apart_and_what_fails_alone_rests() {
        let suspects = Suspects::default();
        let (main, ids) = (Uuid::from_u128(1), [2, 3, 4].map(Uuid::from_u128));
        let standing = |id: Uuid| suspects.standing(main, EntityKind::Product, id);
        assert_eq!(standing(ids[0]), Standing::Free);
        suspects.failed(main, EntityKind::Product, &ids, "together", Duration::ZERO);
        assert_eq!(ids.map(standing), [Standing::Suspect, Standing::Suspect, Standing::Suspect]);
        assert_eq!(suspects.standing(main, EntityKind::Service, ids[0]), Standing::Free);
        suspects.cleared(main, EntityKind::Product, &ids[..1]);
        suspects.failed(main, EntityKind::Product, &ids[1..2], "alone", Duration::ZERO);
        assert_eq!((standing(ids[0]), standing(ids[2])), (Standing::Free, Standing::Suspect));
        assert!(matches!(standing(ids[1]), Standing::Bad(why, rest) if why == "alone" && rest <= REST));
    }

    #[test]
    fn what_failed_alone_rests_until_main_may_be_called_and_is_then_the_last() {
        let suspects = Suspects::default();
        let (main, ids) = (Uuid::from_u128(1), [2, 3].map(Uuid::from_u128));
        let standing = |id: Uuid| suspects.standing(main, EntityKind::Product, id);
        let earlier = |by: Duration| {
            for suspicion in suspects.all().values_mut() {
                suspicion.since -= by;
                if let Some(alone) = &mut suspicion.alone {
                    alone.rests_until -= by;
                }
            }
        };
        let closed = Duration::from_secs(30);
        suspects.failed(main, EntityKind::Product, &ids[..1], "alone", Duration::ZERO);
        suspects.failed(main, EntityKind::Product, &ids, "together", closed);
        earlier(closed + Duration::from_secs(1));
        assert!(matches!(standing(ids[0]), Standing::Bad(..)));
        assert_eq!(standing(ids[1]), Standing::Suspect);
        earlier(REST);
        assert_eq!(ids.map(standing), [Standing::Culprit, Standing::Suspect]);
        assert!(Standing::Suspect < Standing::Culprit, "they are taken in this order");
    }

    #[test]
    fn so_many_at_once_are_no_single_ones_fault() {
        let suspects = Suspects::default();
        let ids: Vec<Uuid> = (0..=MOST as u128).map(Uuid::from_u128).collect();
        for some in ids.chunks(100) {
            suspects.failed(Uuid::nil(), EntityKind::Product, some, "outage", Duration::ZERO);
        }
        assert!(suspects.all().len() <= MOST);
    }
}
