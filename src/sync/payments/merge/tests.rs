use super::*;
use proptest::prelude::*;

const INTENT: Role = Role::Intent;
const CHARGE: Role = Role::Charge;
const REFUND: Role = Role::Refund;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn seen(second: i64, standing: Standing, amount: i64, refunded: i64) -> Observation {
    let (amount, currency) = (Some(amount), Some("usd".to_owned()));
    Observation { as_of: at(second), standing, refunded, amount, currency, customer: None }
}

/// (object, role, second, standing, amount, refunded)
type Step = (&'static str, Role, i64, Standing, i64, i64);

fn run(steps: &[Step]) -> Summary {
    let mut parts = Parts::default();
    for (object, role, second, standing, amount, refunded) in steps {
        let seen = seen(*second, *standing, *amount, *refunded);
        parts.observe(object, &Part { role: *role, seen });
    }
    parts.summarize().unwrap()
}

/// Asserts status and refunded amount after the steps in every order.
fn expect(steps: &[Step], status: Status, amount_refunded: i64) {
    let mut order: Vec<usize> = (0..steps.len()).collect();
    permute(&mut order, 0, &mut |order| {
        let steps: Vec<Step> = order.iter().map(|index| steps[*index]).collect();
        let summary = run(&steps);
        assert_eq!((summary.status, summary.amount_refunded), (status, amount_refunded), "{steps:?}");
    });
}

fn permute(order: &mut [usize], from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == order.len() {
        return visit(order);
    }
    for other in from..order.len() {
        order.swap(from, other);
        permute(order, from + 1, visit);
        order.swap(from, other);
    }
}

#[test]
fn an_intent_that_failed_and_later_succeeded_is_succeeded() {
    let steps = [
        ("pi", INTENT, 1, Standing::New, 900, 0),
        ("pi", INTENT, 2, Standing::Failed, 900, 0),
        ("pi", INTENT, 3, Standing::Pending, 900, 0),
        ("pi", INTENT, 4, Standing::Succeeded, 900, 0),
    ];
    expect(&steps, Status::Succeeded, 0);
}

#[test]
fn a_second_failure_is_a_failure_again() {
    let steps = [
        ("pi", INTENT, 2, Standing::Failed, 900, 0),
        ("pi", INTENT, 3, Standing::Pending, 900, 0),
        ("pi", INTENT, 4, Standing::Failed, 900, 0),
    ];
    expect(&steps, Status::Failed, 0);
}

#[test]
fn within_one_second_the_further_state_wins() {
    for (less, more, status) in [
        (Standing::New, Standing::Failed, Status::Failed),
        (Standing::Failed, Standing::Pending, Status::Pending),
        (Standing::Pending, Standing::Canceled, Status::Canceled),
        (Standing::Failed, Standing::Succeeded, Status::Succeeded),
        (Standing::Canceled, Standing::Succeeded, Status::Succeeded),
    ] {
        expect(&[("pi", INTENT, 5, less, 900, 0), ("pi", INTENT, 5, more, 900, 0)], status, 0);
    }
}

#[test]
fn the_greater_refund_of_one_second_wins() {
    let steps = [
        ("ch", CHARGE, 5, Standing::Succeeded, 900, 0),
        ("ch", CHARGE, 5, Standing::Succeeded, 900, 300),
        ("ch", CHARGE, 5, Standing::Succeeded, 900, 900),
        ("pi", INTENT, 5, Standing::Succeeded, 900, 0),
    ];
    expect(&steps, Status::Refunded, 900);
    expect(&steps[..2], Status::PartiallyRefunded, 300);
}

#[test]
fn an_old_failed_charge_seen_late_does_not_speak_over_its_intent() {
    let steps = [("pi", INTENT, 5, Standing::Pending, 900, 0), ("ch_1", CHARGE, 9, Standing::Failed, 900, 0)];
    expect(&steps, Status::Pending, 0);
    let succeeded = [steps[0], steps[1], ("ch_2", CHARGE, 6, Standing::Succeeded, 900, 0)];
    expect(&succeeded, Status::Succeeded, 0);
}

#[test]
fn a_failed_charge_speaks_for_an_intent_that_knows_of_no_try() {
    let steps = [("pi", INTENT, 5, Standing::New, 900, 0), ("ch_1", CHARGE, 4, Standing::Failed, 900, 0)];
    expect(&steps, Status::Failed, 0);
}

#[test]
fn charges_of_one_payment_add_up_where_no_intent_speaks_for_them() {
    let steps = [
        ("order", INTENT, 1, Standing::New, 900, 0),
        ("ch_1", CHARGE, 2, Standing::Succeeded, 400, 0),
        ("ch_2", CHARGE, 3, Standing::Succeeded, 300, 0),
        ("ch_3", CHARGE, 4, Standing::Failed, 200, 0),
        ("re_1", REFUND, 5, Standing::Succeeded, 400, 0),
    ];
    expect(&steps, Status::PartiallyRefunded, 400);
    assert_eq!(run(&steps).amount, Some(700));
    let all = [&steps[..], &[("re_2", REFUND, 6, Standing::Succeeded, 300, 0)]].concat();
    assert_eq!((run(&all).status, run(&all).amount_refunded), (Status::Refunded, 700));
    let spoken_for = [steps[1], steps[2], ("order", INTENT, 1, Standing::Succeeded, 900, 0)];
    assert_eq!(run(&spoken_for).amount, Some(900));
}

#[test]
fn refunds_alone_add_up() {
    let steps = [
        ("pi", INTENT, 1, Standing::Succeeded, 900, 0),
        ("re_1", REFUND, 2, Standing::Succeeded, 300, 0),
        ("re_2", REFUND, 3, Standing::Pending, 600, 0),
    ];
    expect(&steps, Status::PartiallyRefunded, 300);
    let all = [steps[0], steps[1], steps[2], ("re_2", REFUND, 4, Standing::Succeeded, 600, 0)];
    expect(&all, Status::Refunded, 900);
    let summary = run(&steps[1..]);
    assert_eq!((summary.status, summary.amount), (Status::PartiallyRefunded, None));
}

#[test]
fn a_charge_and_its_refund_count_once() {
    let steps =
        [("ch", CHARGE, 2, Standing::Succeeded, 900, 300), ("re_1", REFUND, 2, Standing::Succeeded, 300, 0)];
    expect(&steps, Status::PartiallyRefunded, 300);
}

#[test]
fn a_refund_that_came_to_nothing_is_subtracted() {
    let steps = [
        ("ch", CHARGE, 2, Standing::Succeeded, 900, 800),
        ("re_1", REFUND, 2, Standing::Succeeded, 300, 0),
        ("re_2", REFUND, 2, Standing::Succeeded, 500, 0),
        ("re_2", REFUND, 8, Standing::Undone, 500, 0),
    ];
    expect(&steps, Status::PartiallyRefunded, 300);
    // The charge itself says so later: it is not subtracted twice.
    let told = [steps[0], steps[3], ("ch", CHARGE, 9, Standing::Succeeded, 900, 300)];
    expect(&told, Status::PartiallyRefunded, 300);
}

#[test]
fn a_released_reservation_is_canceled_and_not_refunded() {
    let steps = [
        ("pi", INTENT, 5, Standing::Canceled, 900, 0),
        ("ch", CHARGE, 6, Standing::Canceled, 900, 0),
        ("re", REFUND, 6, Standing::Succeeded, 900, 0),
    ];
    expect(&steps, Status::Canceled, 0);
}

#[test]
fn refunds_beyond_every_amount_are_refused() {
    let part = Part { role: REFUND, seen: seen(1, Standing::Succeeded, i64::MAX, 0) };
    let mut parts = Parts::default();
    for refund in ["re_1", "re_2"] {
        parts.observe(refund, &part);
    }
    assert_eq!(parts.summarize(), Err(Overflow));
}

#[test]
fn of_two_events_of_one_second_the_one_that_saw_more_is_the_last() {
    let mark = |role, seen: &Observation, id: &str| Mark {
        at: at(1),
        rank: Mark::rank(role, seen),
        event_id: id.to_owned(),
    };
    let failed = mark(INTENT, &seen(1, Standing::Failed, 900, 0), "evt_9");
    let paid = mark(CHARGE, &seen(1, Standing::Succeeded, 900, 0), "evt_8");
    let part = mark(CHARGE, &seen(1, Standing::Succeeded, 900, 1), "evt_7");
    let whole = mark(CHARGE, &seen(1, Standing::Succeeded, 900, 900), "evt_6");
    let undone = mark(REFUND, &seen(1, Standing::Undone, 900, 0), "evt_5");
    assert!(failed < paid && paid < part && part < whole && whole < undone);
}

fn standings() -> impl Strategy<Value = Standing> {
    prop::sample::select(vec![
        Standing::New,
        Standing::Failed,
        Standing::Pending,
        Standing::Canceled,
        Standing::Succeeded,
        Standing::Undone,
    ])
}

fn observations() -> impl Strategy<Value = Vec<(String, Part)>> {
    let objects = prop::sample::select(vec![
        ("pi_1", INTENT),
        ("ch_1", CHARGE),
        ("ch_2", CHARGE),
        ("re_1", REFUND),
        ("re_2", REFUND),
    ]);
    let texts = || prop::option::of(prop::sample::select(vec!["a".to_owned(), "b".to_owned()]));
    let one = (objects, 0..4_i64, standings(), 0..3_i64, prop::option::of(0..3_i64), texts(), texts())
        .prop_map(|((id, role), second, standing, refunded, amount, currency, customer)| {
            let seen = Observation { as_of: at(second), standing, refunded, amount, currency, customer };
            (id.to_owned(), Part { role, seen })
        });
    prop::collection::vec(one, 1..12)
}

fn gather(observations: &[(String, Part)]) -> Parts {
    let mut parts = Parts::default();
    for (id, part) in observations {
        parts.observe(id, part);
    }
    parts
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_give_the_same_payment(
        (given, shuffled) in observations().prop_flat_map(|given| {
            let twice = [given.clone(), given.clone()].concat();
            (Just(given), Just(twice).prop_shuffle())
        })
    ) {
        let (one, other) = (gather(&given), gather(&shuffled));
        prop_assert_eq!(one.summarize(), other.summarize());
        prop_assert_eq!(one, other);
    }

    #[test]
    fn an_older_observation_changes_nothing(given in observations(), standing in standings()) {
        let mut parts = gather(&given);
        let before = parts.clone();
        for (id, part) in &given {
            let older = Part { role: part.role, seen: seen(-1, standing, 7, 7) };
            prop_assert!(!parts.observe(id, &older));
        }
        prop_assert_eq!(parts, before);
    }

    #[test]
    fn nothing_is_given_back_of_what_was_not_taken(given in observations()) {
        let summary = gather(&given).summarize().unwrap();
        let refunded = matches!(summary.status, Status::Refunded | Status::PartiallyRefunded);
        prop_assert_eq!(refunded, summary.amount_refunded > 0);
        prop_assert!(summary.amount_refunded >= 0);
    }
}
