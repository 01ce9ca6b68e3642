//! Calls that somebody waits for, among others.

use super::{get, ok, pair, policy};
use crate::support::faulty_server::{Act, FaultyServer};
use crate::support::wait;
use futures_util::future::join_all;
use hookgate::upstream::{Call, Policy};
use reqwest::Method;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// One call each 50 ms, and time for all of them.
fn slow() -> Policy {
    Policy {
        units: 20,
        burst: 1,
        parallel: 5,
        urgent_slots: 1,
        max_wait: Duration::from_secs(60),
        ..policy()
    }
}

fn urgent() -> Call {
    Call::new(Method::GET, "GET /orders/{id}", "/orders/1").urgent(true)
}

async fn seen(server: &FaultyServer, count: usize) {
    wait::until("calls to arrive", Duration::from_secs(20), || async {
        (server.requests() >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_urgent_call_goes_ahead_of_those_that_wait() {
    let (server, upstream) = pair(slow(), |_| ok()).await;
    let others = join_all((0..60).map(|_| upstream.call("a", get())));
    let ahead = async {
        seen(&server, 3).await;
        let before = server.requests();
        upstream.call("a", urgent()).await.unwrap();
        let seen = server.seen();
        let place = seen.iter().position(|seen| seen.target == "/orders/1").unwrap();
        // One that has its turn already, and what came while this test was not looked at.
        assert!(place <= before + 10, "{place} after {before}");
    };
    let (others, ()) = tokio::join!(others, ahead);
    assert!(others.iter().all(Result::is_ok));
}

#[tokio::test]
async fn urgent_calls_without_end_starve_nobody() {
    let (_server, upstream) = pair(slow(), |_| ok()).await;
    let (is_done, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let without_end = join_all((0..8).map(async |_| {
        while !is_done.load(Ordering::SeqCst) {
            upstream.call("a", urgent()).await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
        }
    }));
    let others = async {
        let results = join_all((0..10).map(|_| upstream.call("a", get()))).await;
        is_done.store(true, Ordering::SeqCst);
        results
    };
    let (_, others) = tokio::join!(without_end, others);
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    let urgent = count.load(Ordering::SeqCst);
    assert!(urgent <= 10 * 10 + 8, "{urgent} urgent ones for 10 others");
}

#[tokio::test]
async fn a_place_is_kept_for_urgent_calls_where_there_are_three() {
    let policy = Policy { parallel: 3, urgent_slots: 1, ..policy() };
    let (server, upstream) = pair(policy, |seen| match &*seen.target {
        "/orders/1" => ok(),
        _ => Act::Silence,
    })
    .await;
    let others = join_all((0..5).map(|_| upstream.call("a", get())));
    let ahead = async {
        seen(&server, 2).await;
        upstream.call("a", urgent()).await.unwrap();
        assert_eq!(server.requests(), 3, "two others, and it");
    };
    tokio::select! {
        _ = others => panic!("nobody answers them"),
        () = ahead => {}
    }
}

#[tokio::test]
async fn puts_of_parts_count_as_puts_of_the_whole() {
    let thresholds =
        hookgate::upstream::Thresholds { writes_of_one: 3, ..hookgate::upstream::Thresholds::NONE };
    let (server, upstream) = pair(Policy { thresholds, ..policy() }, |_| ok()).await;
    let line = |id: u32| {
        Call::new(Method::PUT, "PUT /orders/{id}/lines/{id}", format!("/orders/1/lines/{id}"))
            .part_of("/orders/1")
    };
    assert_eq!(upstream.puts_left("a", "/orders/1"), 3);
    for id in 0..3 {
        upstream.call("a", line(id)).await.unwrap();
    }
    assert_eq!((upstream.puts_left("a", "/orders/1"), upstream.puts_left("a", "/orders/2")), (0, 3));
    for held in [line(9), Call::new(Method::PUT, "PUT /orders/{id}", "/orders/1")] {
        assert!(upstream.call("a", held).await.is_err());
    }
    assert_eq!(server.requests(), 3);
}
