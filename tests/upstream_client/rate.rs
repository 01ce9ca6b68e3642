//! Rates, parallel calls and refusals, for each principal.

use super::{after, first, get, ok, pair, policy, post};
use crate::support::faulty_server::{Act, Answer, FaultyServer};
use crate::support::gate::Gate;
use crate::support::wait;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use hookgate::upstream::{Call, Policy, Thresholds, Told, UpstreamError};
use reqwest::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Milliseconds from `start` to each arrival.
fn arrivals(server: &FaultyServer, start: Instant) -> Vec<u128> {
    server.seen().iter().map(|seen| (seen.at - start).as_millis()).collect()
}

/// Waits until so many are being answered.
async fn in_flight(server: &FaultyServer, count: usize) {
    wait::until("calls to be in flight", Duration::from_secs(60), || async {
        (server.most_in_flight() >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn many_calls_at_once_keep_to_the_rate() {
    let rate = Policy { units: 20, per: Duration::from_secs(1), burst: 5, ..policy() };
    let (server, upstream) = pair(rate, |_| ok()).await;
    let start = Instant::now();
    let results = join_all((0..25).map(|_| upstream.call("a", get()))).await;
    assert!(results.iter().all(Result::is_ok));
    for (index, arrival) in (0_u128..).zip(arrivals(&server, start)) {
        let earliest = index.saturating_sub(4) * 50;
        assert!(arrival >= earliest, "call {index} came after {arrival} ms, not before {earliest}");
    }
}

#[tokio::test]
async fn heavy_calls_use_up_the_rate_sooner() {
    let rate = Policy { units: 20, per: Duration::from_secs(1), burst: 10, ..policy() };
    let (server, upstream) = pair(rate, |_| ok()).await;
    let start = Instant::now();
    let results = join_all((0..6).map(|_| upstream.call("a", get().weight(5)))).await;
    assert!(results.iter().all(Result::is_ok));
    let arrivals = arrivals(&server, start);
    assert!(arrivals[2] >= 250 && arrivals[5] >= 1_000, "{arrivals:?}");
}

#[tokio::test]
async fn a_call_whose_turn_is_too_far_off_is_refused_at_once() {
    let slow = Policy { units: 1, per: Duration::from_secs(60), burst: 1, ..policy() };
    let (server, upstream) = pair(slow, |_| ok()).await;
    upstream.call("a", get()).await.unwrap();
    let wait = after(upstream.call("a", get()).now_or_never().unwrap());
    assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60), "{wait:?}");
    assert_eq!(server.requests(), 1);
    upstream.call("b", get()).await.expect("another principal has its own rate");
}

#[tokio::test]
async fn no_more_calls_than_allowed_are_in_flight_for_a_principal() {
    let (server, upstream) = pair(Policy { parallel: 3, ..policy() }, |_| {
        Answer::status(200).after(Duration::from_millis(30)).into()
    })
    .await;
    let results = join_all((0..20).map(|_| upstream.call("a", get()))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.most_in_flight(), 3);
}

#[tokio::test]
async fn principals_do_not_share_their_slots() {
    let narrow = Policy { parallel: 1, max_wait: Duration::from_millis(50), ..policy() };
    let gate = Gate::default();
    let answer = Answer::status(200).behind(&gate);
    let (server, upstream) = pair(narrow, move |_| answer.clone().into()).await;
    let one_each = join_all(["a", "b", "c"].map(|principal| upstream.call(principal, get())));
    let one_more = async {
        in_flight(&server, 3).await;
        let refused = upstream.call("a", get()).await;
        gate.open();
        refused
    };
    let (results, refused) = tokio::join!(one_each, one_more);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(matches!(refused.unwrap_err().wait(), Some(wait) if wait >= Duration::from_secs(1)));
    assert_eq!((server.requests(), server.most_in_flight()), (3, 3));
}

/// Refused once with these headers, the call must be made again, no sooner than after `wait` (and not much later,
/// or it would not fit into the 5 s that a call may wait).
async fn sent_again_after(wait: Duration, headers: &[(&str, &str)]) {
    let refusal =
        headers.iter().fold(Answer::status(429), |answer, (name, value)| answer.header(name, value));
    let (server, upstream) = pair(policy(), first(vec![refusal.into()])).await;
    // Not repeatable, and yet sent again: a refusal says that it was not acted on.
    upstream.call("a", post()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2, "{headers:?}");
    let waited = seen[1].at - seen[0].at;
    assert!(waited >= wait, "{headers:?}: {waited:?}");
}

#[tokio::test]
async fn a_429_is_waited_out_as_its_headers_say() {
    let (short, second) = (Duration::from_millis(300), Duration::from_millis(990));
    tokio::join!(
        sent_again_after(short, &[("X-Lognex-Retry-After", "300")]),
        sent_again_after(short, &[("X-Lognex-Reset", "300")]),
        sent_again_after(2 * second, &[("Retry-After", "2")]),
        sent_again_after(second, &[("Retry-After", "0")]),
        sent_again_after(second, &[("X-Lognex-Retry-After", "0"), ("X-Lognex-Reset", "0")]),
        sent_again_after(second, &[]),
    );
}

#[tokio::test]
async fn a_429_may_name_a_date() {
    let date = chrono::DateTime::<chrono::Utc>::from(SystemTime::now() + Duration::from_secs(100));
    let text = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let (server, upstream) =
        pair(policy(), move |_| Answer::status(429).header("Retry-After", &text).into()).await;
    let wait = after(upstream.call("a", get()).await);
    assert!(wait > Duration::from_secs(90) && wait <= Duration::from_secs(100), "{wait:?}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_long_pause_is_reported_and_keeps_the_principal_away_but_no_other() {
    let (server, upstream) = pair(policy(), |seen| match seen.number {
        1 => Answer::status(429).header("Retry-After", "86400").into(),
        _ => ok(),
    })
    .await;
    let wait = after(upstream.call("a", get()).await);
    assert!(wait > Duration::from_secs(590) && wait <= Duration::from_secs(600), "capped: {wait:?}");
    assert!(after(upstream.call("a", get()).now_or_never().unwrap()) > Duration::from_secs(590));
    assert_eq!(server.requests(), 1, "no request while it is paused");
    upstream.call("b", get()).await.unwrap();
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn an_empty_bucket_told_by_a_success_pauses_before_the_refusal_comes() {
    let empty =
        Answer::status(200).header("X-RateLimit-Remaining", "0").header("X-Lognex-Retry-After", "400");
    let (server, upstream) = pair(policy(), first(vec![empty.into()])).await;
    upstream.call("a", get()).await.unwrap();
    upstream.call("a", get()).await.unwrap();
    let seen = server.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(400));
}

#[tokio::test]
async fn a_call_does_not_collect_refusals_for_ever() {
    let (server, upstream) =
        pair(policy(), |_| Answer::status(429).header("X-Lognex-Retry-After", "1").into()).await;
    after(upstream.call("a", get()).await);
    assert_eq!(server.requests(), 5);
}

#[tokio::test]
async fn a_503_that_names_a_wait_is_left_alone_for_it() {
    let busy = Answer::status(503).header("Retry-After", "1");
    let (server, upstream) = pair(Policy { tries: 2, ..policy() }, first(vec![busy.into()])).await;
    upstream.call("a", get()).await.unwrap();
    let seen = server.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(990));
}

#[tokio::test]
async fn calls_refused_together_come_back_after_one_pause() {
    let (server, upstream) = pair(policy(), |seen| match seen.number {
        1..=6 => Act::from(Answer::status(429).after(Duration::from_millis(100))),
        _ => ok(),
    })
    .await;
    let results = join_all((0..6).map(|_| upstream.call("a", get()))).await;
    // Six doublings would not fit into the 5 s that a call may wait.
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(server.requests(), 12);
}

#[tokio::test]
async fn too_many_at_once_makes_fewer_at_once() {
    let told = |body: &[u8]| Told { code: None, too_many_at_once: body == b"busy" };
    let refusal = Answer::status(429).header("X-Lognex-Retry-After", "1").body("busy");
    let answers = Arc::new(AtomicBool::new(true));
    let refuses = answers.clone();
    let gate = Gate::default();
    let shut = gate.clone();
    let (server, upstream) = pair(Policy { parallel: 8, told, ..policy() }, move |_| {
        let answer = if refuses.load(Ordering::SeqCst) { refusal.clone() } else { Answer::status(200) };
        answer.behind(&shut).after(Duration::from_millis(20)).into()
    })
    .await;
    let eight_at_once = async {
        in_flight(&server, 8).await;
        gate.open();
    };
    let _ = tokio::join!(join_all((0..8).map(|_| upstream.call("a", get()))), eight_at_once);
    assert_eq!(server.most_in_flight(), 8);
    answers.store(false, Ordering::SeqCst);
    server.forget_most_in_flight();
    let results = join_all((0..30).map(|_| upstream.call("a", get()))).await;
    assert!(results.iter().all(Result::is_ok));
    assert!(server.most_in_flight() <= 4, "{}", server.most_in_flight());
    server.forget_most_in_flight();
    gate.close();
    let eight_at_once = async {
        in_flight(&server, 8).await;
        gate.open();
    };
    tokio::join!(join_all((0..16).map(|_| upstream.call("b", get()))), eight_at_once);
    assert_eq!(server.most_in_flight(), 8, "another principal has its own");
}

#[tokio::test]
async fn what_brings_a_ban_is_held_before_it_does() {
    let told = |body: &[u8]| Told { code: Some(body.len() as u64), too_many_at_once: false };
    let thresholds = Thresholds { equal_failures: 3, refusals: 100, writes_of_one: 100 };
    let (server, upstream) = pair(Policy { thresholds, told, ..policy() }, |seen| {
        Answer::status(412).body(if seen.number == 2 { "another" } else { "same" }).into()
    })
    .await;
    for _ in 0..4 {
        assert_eq!(upstream.call("a", get()).await.unwrap_err().status(), Some(412));
    }
    let held = upstream.call("a", post()).now_or_never().unwrap().unwrap_err();
    assert!(matches!(held, UpstreamError::Held { .. }) && held.is_retryable(), "{held}");
    assert!(held.wait().unwrap() > Duration::from_secs(50));
    assert_eq!(server.requests(), 4);
    assert_eq!(upstream.call("b", get()).await.unwrap_err().status(), Some(412), "another has its own count");
}

#[tokio::test]
async fn one_path_is_not_put_more_often_than_allowed_in_a_minute() {
    let thresholds = Thresholds { writes_of_one: 2, ..Thresholds::NONE };
    let (server, upstream) = pair(Policy { thresholds, ..policy() }, |_| ok()).await;
    let put = |path: &str| Call::new(Method::PUT, "PUT /things/{id}", path.to_owned());
    assert_eq!(upstream.holds_put("a", "/things/1"), None);
    for _ in 0..2 {
        upstream.call("a", put("/things/1")).await.unwrap();
    }
    assert!(matches!(upstream.call("a", put("/things/1")).await, Err(UpstreamError::Held { .. })));
    assert!(upstream.holds_put("a", "/things/1").is_some());
    upstream.call("a", put("/things/2")).await.unwrap();
    upstream.call("a", get()).await.unwrap();
    assert_eq!(server.requests(), 4);
}
