use super::*;
use proptest::prelude::*;

const ALL: [Status; 13] = [
    Status::Scheduled,
    Status::Accepted,
    Status::Queued,
    Status::Receiving,
    Status::Sending,
    Status::Sent,
    Status::PartiallyDelivered,
    Status::Canceled,
    Status::Failed,
    Status::Undelivered,
    Status::Received,
    Status::Delivered,
    Status::Read,
];

fn nothing() -> Known {
    Known { seen: Vec::new(), error_code: None, last_event_id: String::new() }
}

fn after(statuses: &[Status]) -> Known {
    let mut known = nothing();
    for status in statuses {
        known.observe(*status, None, status.name());
    }
    known
}

#[test]
fn the_steps_are_in_the_order_that_a_message_takes_them() {
    assert!(ALL.is_sorted());
    let steps = [Status::Queued, Status::Sending, Status::Sent, Status::Delivered, Status::Read];
    assert!(steps.is_sorted());
    assert!(ALL.iter().all(|status| Status::from_name(status.name()) == Some(*status)));
}

#[test]
fn an_end_is_final() {
    let ends = [Status::Canceled, Status::Failed, Status::Undelivered, Status::Received, Status::Delivered];
    for end in ends {
        assert!(end.is_end());
        for late in [Status::Queued, Status::Sending, Status::Sent, Status::PartiallyDelivered] {
            assert!(!late.is_end());
            assert_eq!(after(&[end, late]).seen.last(), Some(&end), "{late:?} after {end:?}");
        }
    }
    assert_eq!(after(&[Status::Delivered, Status::Read]).seen.last(), Some(&Status::Read));
    assert_eq!(after(&[Status::Read, Status::Delivered]).seen.last(), Some(&Status::Read));
    assert_eq!(after(&[Status::Delivered, Status::Failed]).seen.last(), Some(&Status::Delivered));
}

#[test]
fn the_code_is_that_of_the_status_and_not_of_a_step_before() {
    let code = ErrorCode::new("30003");
    let mut known = nothing();
    assert!(known.observe(Status::Undelivered, code.as_ref(), "b"));
    assert!(known.observe(Status::Sent, ErrorCode::new("1").as_ref(), "a"));
    assert!(!known.observe(Status::Undelivered, None, "c"));
    assert_eq!((known.error_code.as_deref(), &*known.last_event_id), (Some("30003"), "b"));
    assert_eq!(known.seen, [Status::Sent, Status::Undelivered]);
}

#[test]
fn ids_and_codes_show_nothing_else() {
    assert!(MessageId::new("SM0123456789abcdef0123456789abcdef").is_some());
    assert!(MessageId::new("projects/p/messages/0:1500415314455276%31bd1c96").is_some());
    for bad in ["", "a b", "a\n", "é", &"x".repeat(256)] {
        assert_eq!(MessageId::new(bad), None, "{bad}");
    }
    assert!(ErrorCode::new("messaging/registration-token-not-registered").is_some());
    for bad in ["", "no such number +5581999990000", "a@b", &"x".repeat(65)] {
        assert_eq!(ErrorCode::new(bad), None, "{bad}");
    }
}

fn told() -> impl Strategy<Value = Vec<(Status, Option<u8>, u8)>> {
    let one = (prop::sample::select(ALL.to_vec()), prop::option::of(0..3_u8), 0..4_u8);
    prop::collection::vec(one, 1..12)
}

fn gather(told: &[(Status, Option<u8>, u8)]) -> Known {
    let mut known = nothing();
    for (status, code, event) in told {
        let code = code.and_then(|code| ErrorCode::new(&code.to_string()));
        known.observe(*status, code.as_ref(), &event.to_string());
    }
    known
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_of_what_is_told_ends_in_the_same_state(
        (given, shuffled) in told().prop_flat_map(|given| {
            let twice = [given.clone(), given.clone()].concat();
            (Just(given), Just(twice).prop_shuffle())
        })
    ) {
        prop_assert_eq!(gather(&given), gather(&shuffled));
    }

    #[test]
    fn no_step_goes_back_and_each_is_new_once(given in told()) {
        let mut known = nothing();
        let mut new = 0;
        for (status, _, event) in &given {
            let before = known.seen.last().copied();
            new += usize::from(known.observe(*status, None, &event.to_string()));
            prop_assert!(known.seen.last().copied() >= before);
        }
        prop_assert_eq!(new, known.seen.len());
        prop_assert!(known.seen.is_sorted());
    }
}
