//! The circuit of a principal: when calls are refused without being sent.

use super::{get, ok, pair, policy};
use crate::support::faulty_server::{Act, Answer, Seen};
use crate::support::gate::Gate;
use crate::support::wait;
use hookgate::upstream::{Call, Policy, Reply, UpstreamError};
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longer than any stall; nobody waits for it, see [`sit_out`].
const PAUSE: Duration = Duration::from_secs(60);

/// Lets the pause of an open circuit pass, by tokio's clock, which it goes by.
async fn sit_out() {
    tokio::time::pause();
    tokio::time::advance(PAUSE).await;
    tokio::time::resume();
}

fn fragile() -> Policy {
    Policy { breaker_failures: 3, breaker_pause: PAUSE, ..policy() }
}

/// A read of its own: the same one again would count once.
fn thing(number: usize) -> Call {
    Call::new(Method::GET, "GET /things/{id}", format!("/things/{number}"))
}

/// Whether the circuit refused it, and if so with a wait that makes sense.
fn refused(result: &Result<Reply, UpstreamError>) -> bool {
    match result {
        Err(UpstreamError::CircuitOpen { after, .. }) => {
            assert!(*after > Duration::ZERO && *after <= PAUSE, "{after:?}");
            true
        }
        _ => false,
    }
}

#[tokio::test]
async fn a_dead_upstream_is_called_no_more_until_a_probe_finds_it_alive() {
    let alive = Arc::new(AtomicBool::new(false));
    let health = alive.clone();
    let (server, upstream) =
        pair(
            fragile(),
            move |_| {
                if health.load(Ordering::SeqCst) { ok() } else { Answer::status(500).into() }
            },
        )
        .await;
    for number in 0..3 {
        assert_eq!(upstream.call("a", thing(number)).await.unwrap_err().status(), Some(500));
    }
    assert!(refused(&upstream.call("a", get()).await));
    assert_eq!(server.requests(), 3, "refused without a request");

    sit_out().await;
    assert_eq!(upstream.call("a", thing(3)).await.unwrap_err().status(), Some(500), "the probe");
    assert!(refused(&upstream.call("a", get()).await), "the probe failed: open again at once");
    assert_eq!(server.requests(), 4);

    alive.store(true, Ordering::SeqCst);
    sit_out().await;
    upstream.call("a", get()).await.unwrap();
    upstream.call("a", get()).await.unwrap();
    assert_eq!(server.requests(), 6);
}

#[tokio::test]
async fn only_one_probe_is_under_way_at_a_time() {
    let gate = Gate::default();
    let answer = Answer::status(200).behind(&gate);
    let (server, upstream) = pair(fragile(), move |seen| match seen.number {
        1..=3 => Act::HangUp,
        _ => answer.clone().into(),
    })
    .await;
    for _ in 0..3 {
        upstream.call("a", get()).await.unwrap_err();
    }
    sit_out().await;
    let probe = tokio::spawn({
        let upstream = upstream.clone();
        async move { upstream.call("a", get()).await }
    });
    wait::until("the probe to arrive", Duration::from_secs(5), || async {
        (server.requests() == 4).then_some(())
    })
    .await;
    assert!(refused(&upstream.call("a", get()).await));
    gate.open();
    probe.await.unwrap().unwrap();
    upstream.call("a", get()).await.unwrap();
    assert_eq!(server.requests(), 5);
}

#[tokio::test]
async fn the_circuit_of_one_principal_is_not_that_of_another() {
    let account = HeaderName::from_static("x-account");
    let (server, upstream) =
        pair(
            fragile(),
            |seen: &Seen| {
                if seen.header("x-account") == Some("bad") { Act::HangUp } else { ok() }
            },
        )
        .await;
    for _ in 0..10 {
        let bad = get().header(account.clone(), HeaderValue::from_static("bad"));
        upstream.call("bad", bad).await.unwrap_err();
        upstream.call("good", get()).await.unwrap();
    }
    let of_bad = server.seen().iter().filter(|seen| seen.header("x-account").is_some()).count();
    assert!((3..10).contains(&of_bad), "{of_bad}");
    assert_eq!(server.requests() - of_bad, 10);
}

#[tokio::test]
async fn refusals_of_the_caller_do_not_open_it() {
    for status in [400, 401, 404, 409, 408] {
        let (server, upstream) = pair(fragile(), move |_| Answer::status(status).into()).await;
        for _ in 0..6 {
            assert_eq!(upstream.call("a", get()).await.unwrap_err().status(), Some(status));
        }
        assert_eq!(server.requests(), 6);
    }
}

#[tokio::test]
async fn a_reply_that_says_nothing_about_its_health_neither_counts_nor_clears() {
    for neutral in [408, 429] {
        let (server, upstream) = pair(fragile(), move |seen| {
            let status = if seen.number == 3 { neutral } else { 500 };
            Answer::status(status).header("X-Lognex-Retry-After", "1").into()
        })
        .await;
        while server.requests() < 4 {
            assert!(!refused(&upstream.call("a", thing(server.requests())).await), "{neutral}");
        }
        assert!(refused(&upstream.call("a", get()).await), "{neutral}: it was the third failure");
    }
}

#[tokio::test]
async fn the_tries_of_one_call_stop_when_they_open_it() {
    let (server, upstream) = pair(Policy { tries: 10, ..fragile() }, |_| Answer::status(500).into()).await;
    let put = Call::new(Method::PUT, "PUT /things/{id}", "/things/1");
    let error = upstream.call("a", put).await.unwrap_err();
    assert_eq!(error.status(), Some(500), "what went wrong, not that nothing more is tried");
    assert!((3..10).contains(&server.requests()), "{}", server.requests());
}

#[tokio::test]
async fn one_thing_that_cannot_be_read_does_not_keep_the_others_from_being_read() {
    let (server, upstream) = pair(Policy { tries: 3, lenient_reads: true, ..fragile() }, |seen| {
        if seen.target.ends_with("/things/1") { Answer::status(500).into() } else { ok() }
    })
    .await;
    for _ in 0..3 {
        assert_eq!(upstream.call("a", get()).await.unwrap_err().status(), Some(500));
    }
    upstream.call("a", thing(2)).await.unwrap();
    assert_eq!(server.requests(), 6, "what is known to fail is tried once");
}
