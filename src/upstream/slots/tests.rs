use super::*;
use futures_util::FutureExt as _;

/// Takes what is free.
fn all(slots: &Slots) -> Vec<Slot<'_>> {
    std::iter::from_fn(|| slots.take(true).now_or_never()).map(Result::unwrap).collect()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_halves_them_down_to_one() {
    let slots = Slots::new(5, 0);
    for expected in [Some(2), Some(1), None] {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(slots.halve(Instant::now()), expected);
    }
    assert_eq!(all(&slots).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_refused_together_count_once() {
    let slots = Slots::new(8, 0);
    let sent = Instant::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(slots.halve(sent), Some(4));
    assert_eq!(slots.halve(sent), None, "sent before the number changed");
    assert_eq!(all(&slots).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn taken_slots_go_when_they_get_free() {
    let slots = Slots::new(4, 0);
    let mut taken = all(&slots);
    slots.halve(Instant::now());
    taken.truncate(2);
    assert!(slots.take(true).now_or_never().is_none(), "two are in flight, and no more may be");
    taken.clear();
    assert_eq!(all(&slots).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_quiet_time_they_come_back_one_by_one() {
    let slots = Slots::new(4, 0);
    slots.halve(Instant::now());
    for expected in [2, 3, 4, 4] {
        assert_eq!(all(&slots).len(), expected);
        tokio::time::sleep(QUIET).await;
    }
    let taken = all(&slots);
    slots.halve(Instant::now());
    tokio::time::sleep(QUIET).await;
    drop(taken);
    assert_eq!(all(&slots).len(), 3, "one of those that were to go has stayed");
}

#[tokio::test(start_paused = true)]
async fn a_further_refusal_starts_the_quiet_time_again() {
    let slots = Slots::new(8, 0);
    slots.halve(Instant::now());
    tokio::time::sleep(QUIET / 2).await;
    assert_eq!(slots.halve(Instant::now()), Some(2));
    tokio::time::sleep(QUIET * 3 / 4).await;
    assert_eq!(all(&slots).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_number_holds_at_once_and_is_settled_when_the_surplus_is_back() {
    let slots = Slots::new(5, 0);
    let mut taken = all(&slots);
    slots.resize(2);
    assert!(!slots.have_settled());
    taken.truncate(2);
    assert!(slots.have_settled() && slots.take(true).now_or_never().is_none());
    slots.resize(5);
    assert_eq!(all(&slots).len(), 3);
    taken.clear();
    assert_eq!(all(&slots).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn another_number_does_not_undo_a_refusal() {
    let slots = Slots::new(8, 0);
    slots.halve(Instant::now());
    slots.resize(6);
    assert_eq!(all(&slots).len(), 4);
    tokio::time::sleep(QUIET * 2).await;
    assert_eq!(all(&slots).len(), 6);
    slots.resize(2);
    assert_eq!(all(&slots).len(), 2);
    slots.resize(8);
    assert_eq!(all(&slots).len(), 6);
    tokio::time::sleep(QUIET * 2).await;
    assert_eq!(all(&slots).len(), 8);
}

#[tokio::test(start_paused = true)]
async fn urgent_calls_have_a_slot_of_their_own_where_there_are_three() {
    for (most, others) in [(1, 1), (2, 2), (3, 2), (5, 4)] {
        let slots = Slots::new(most, 1);
        let ordinary: Vec<Slot<'_>> =
            std::iter::from_fn(|| slots.take(false).now_or_never()).map(Result::unwrap).collect();
        assert_eq!((ordinary.len(), all(&slots).len()), (others, most - others), "{most}");
        drop(ordinary);
        assert_eq!(all(&slots).len(), most, "urgent calls may take all");
    }
}

#[tokio::test(start_paused = true)]
async fn an_urgent_call_passes_those_at_the_door_and_nobody_behind_it() {
    let slots = Slots::new(1, 1);
    let held = slots.take(false).await.unwrap();
    let order = Mutex::new(Vec::new());
    let call = async |name: &'static str, urgent: bool| {
        let _slot = slots.take(urgent).await.unwrap();
        order.lock().unwrap().push(name);
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let release = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(held);
    };
    tokio::join!(
        call("a", false),
        call("b", false),
        call("first", true),
        call("second", true),
        call("third", true),
        release
    );
    assert_eq!(*order.lock().unwrap(), ["first", "second", "third", "a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn fewer_slots_are_fewer_for_both() {
    let slots = Slots::new(6, 1);
    let count = async || {
        let ordinary: Vec<Slot<'_>> =
            std::iter::from_fn(|| slots.take(false).now_or_never()).map(Result::unwrap).collect();
        (ordinary.len(), all(&slots).len())
    };
    let taken: Vec<Slot<'_>> =
        std::iter::from_fn(|| slots.take(false).now_or_never()).map(Result::unwrap).collect();
    assert_eq!(taken.len(), 5);
    slots.halve(Instant::now());
    drop(taken);
    assert_eq!(count().await, (2, 1));
    slots.resize(2);
    assert_eq!(count().await, (2, 0));
    slots.resize(6);
    assert_eq!(count().await, (2, 1), "a refusal still counts");
    tokio::time::sleep(QUIET * 3).await;
    assert_eq!(count().await, (5, 1));
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_between_door_and_slot_leaves_its_place() {
    let slots = Slots::new(1, 0);
    let held = slots.take(true).await.unwrap();
    assert!(slots.take(false).now_or_never().is_none());
    drop(held);
    assert!(slots.take(false).now_or_never().is_some());
}
