//! A batch comes to what its changes come to one after another.

use super::*;
use chrono::DateTime;
use proptest::prelude::*;

/// What the tables hold.
#[derive(Debug, Clone, Default, PartialEq)]
struct Tables {
    payments: BTreeMap<Key, (Summary, Mark)>,
    parts: BTreeMap<Key, (String, Part)>,
}

impl Tables {
    /// As the statements do it: reads what the changes name, applies them all, stores what has changed.
    fn apply(&mut self, changes: &[PaymentChange]) -> Result<Vec<Applied>, Overflow> {
        let mut book = Book::default();
        for change in changes {
            let key = (change.provider.clone(), change.payment_id.clone());
            if let Some((summary, last)) = self.payments.get(&key)
                && !book.payments.contains_key(&key)
            {
                book.enter(key.clone(), summary.clone(), last.clone());
                for (object, (_, part)) in self.parts.iter().filter(|(_, part)| part.0 == key.1) {
                    book.enter_part(&key, object.1.clone(), part);
                }
            }
        }
        let applied = changes.iter().map(|change| book.apply(change)).collect::<Result<Vec<_>, _>>()?;
        for (key, entry) in book.changed(false) {
            assert!(self.payments.insert(key.clone(), (entry.summary.clone(), entry.last.clone())).is_none());
        }
        for (key, entry) in book.changed(true) {
            assert!(self.payments.insert(key.clone(), (entry.summary.clone(), entry.last.clone())).is_some());
        }
        for (key, payment_id, part) in book.changed_parts() {
            self.parts.insert(key.clone(), (payment_id.to_owned(), part.clone()));
        }
        Ok(applied)
    }
}

fn change() -> impl Strategy<Value = PaymentChange> {
    let standing = prop::sample::select(vec![
        Standing::New,
        Standing::Failed,
        Standing::Pending,
        Standing::Canceled,
        Standing::Succeeded,
        Standing::Undone,
    ]);
    let role = prop::sample::select(vec![Role::Intent, Role::Charge, Role::Refund]);
    let amount = prop_oneof![8 => 0..1000_i64, 1 => Just(i64::MAX)];
    // Few payments and few parts, so that parts move between payments too.
    (0..3_u8, 0..4_u8, role, standing, 0..4_i64, amount, 0..500_i64, 0..9_u8).prop_map(
        |(payment, object, role, standing, second, amount, refunded, event)| {
            let at = DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
            let seen = Observation {
                as_of: at,
                standing,
                refunded: if role == Role::Charge { refunded } else { 0 },
                amount: Some(amount),
                currency: (object > 1).then(|| "eur".to_owned()),
                customer: None,
            };
            let rank = Mark::rank(role, &seen);
            PaymentChange {
                provider: "stripe".to_owned(),
                payment_id: format!("pi_{payment}"),
                object_id: format!("o_{object}"),
                role,
                seen,
                event: Mark { at, rank, event_id: format!("evt_{event}") },
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_batch_comes_to_the_same_as_its_changes_alone(
        changes in prop::collection::vec(change(), 0..20),
        cuts in prop::collection::vec(1..8_usize, 20),
    ) {
        let mut alone = Tables::default();
        let one_by_one: Result<Vec<_>, _> = changes
            .iter()
            .map(|change| alone.apply(std::slice::from_ref(change)).map(|mut applied| applied.remove(0)))
            .collect();
        // What a batch with an overflow does is tested with the ledger: its entries are tried one by one.
        let Ok(one_by_one) = one_by_one else { return Ok(()) };
        let mut batched = Tables::default();
        let (mut rest, mut together) = (changes.as_slice(), Vec::new());
        for cut in cuts {
            let (batch, behind) = rest.split_at(cut.min(rest.len()));
            together.extend(batched.apply(batch).unwrap());
            rest = behind;
        }
        prop_assert_eq!(together, one_by_one);
        prop_assert_eq!(batched, alone);
    }
}

#[test]
fn an_overflow_is_told() {
    let event = Mark { at: DateTime::UNIX_EPOCH, rank: 0, event_id: "evt_1".to_owned() };
    let seen = Observation {
        as_of: DateTime::UNIX_EPOCH,
        standing: Standing::Succeeded,
        refunded: 0,
        amount: Some(i64::MAX),
        currency: None,
        customer: None,
    };
    let (provider, payment_id, object_id) = ("stripe".to_owned(), "pi".to_owned(), "one".to_owned());
    let one = PaymentChange { provider, payment_id, object_id, role: Role::Charge, seen, event };
    let two = PaymentChange { object_id: "other".to_owned(), ..one.clone() };
    assert!(Tables::default().apply(&[one, two]).is_err());
}
