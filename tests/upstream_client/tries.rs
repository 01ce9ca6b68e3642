//! Which calls are made again after a failure, and how often.

use super::{first, get, ok, pair, policy, post, reason};
use crate::support::faulty_server::{Act, Answer};
use crate::support::nobody::Nobody;
use crate::support::wait;
use hookgate::upstream::{Call, Policy, Upstream};
use reqwest::Method;
use std::time::Duration;

fn three_tries() -> Policy {
    Policy { tries: 3, ..policy() }
}

/// What is waited out where the server stays silent.
fn hasty() -> Policy {
    Policy { timeout: Duration::from_secs(3), ..three_tries() }
}

fn fit_for(act: &Act) -> Policy {
    if matches!(act, Act::Silence) { hasty() } else { three_tries() }
}

#[tokio::test]
async fn a_get_is_repeated_until_it_works() {
    for act in
        [Act::HangUp, Act::CutBody, Act::Silence, Answer::status(500).into(), Answer::status(503).into()]
    {
        let (server, upstream) = pair(fit_for(&act), first(vec![act.clone(), act.clone()])).await;
        let reply = upstream.call("a", get()).await;
        assert!(reply.is_ok(), "{act:?}: {reply:?}");
        assert_eq!(server.requests(), 3, "{act:?}");
    }
}

#[tokio::test]
async fn a_get_is_given_up_after_the_last_try_with_what_went_wrong() {
    let (server, upstream) = pair(three_tries(), |_| Answer::status(502).into()).await;
    assert_eq!(upstream.call("a", get()).await.unwrap_err().status(), Some(502));
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn a_post_is_not_repeated_once_it_may_have_arrived() {
    for act in [Act::HangUp, Act::CutBody, Act::Silence, Answer::status(500).into()] {
        let (server, upstream) = pair(fit_for(&act), first(vec![act.clone()])).await;
        assert!(upstream.call("a", post()).await.is_err(), "{act:?}");
        assert_eq!(server.requests(), 1, "{act:?}");
    }
}

#[tokio::test]
async fn a_post_marked_repeatable_is_repeated_with_the_same_body() {
    let (server, upstream) = pair(three_tries(), first(vec![Act::HangUp])).await;
    upstream.call("a", post().repeatable()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, seen[1].body);
}

#[tokio::test]
async fn a_patch_is_not_repeated_and_a_put_and_a_delete_are() {
    for (method, requests) in [(Method::PATCH, 1), (Method::PUT, 2), (Method::DELETE, 2)] {
        let (server, upstream) = pair(three_tries(), first(vec![Act::HangUp])).await;
        let _ = upstream.call("a", Call::new(method.clone(), "x", "/x")).await;
        assert_eq!(server.requests(), requests, "{method}");
    }
}

#[tokio::test]
async fn a_post_that_found_no_connection_is_tried_again() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let nobody = Nobody::new();
    let upstream = Upstream::new("nobody", &nobody.url, three_tries());
    assert_eq!(reason(upstream.call("a", post()).await), "cannot connect");
    let metrics = recorder.handle().render();
    assert!(
        metrics.contains(r#"upstream_requests_total{upstream="nobody",status="connect"} 3"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_post_after_the_server_closed_an_idle_connection_is_sent_once_on_a_new_one() {
    let (server, upstream) = pair(three_tries(), first(vec![Answer::status(200).closing().into()])).await;
    upstream.call("a", post()).await.unwrap();
    wait::until("the server to close", Duration::from_secs(5), || async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        (server.open_connections() == 0).then_some(())
    })
    .await;
    upstream.call("a", post()).await.unwrap();
    assert_eq!((server.requests(), server.connections()), (2, 2));
}

#[tokio::test]
async fn a_4xx_is_never_repeated() {
    for status in [400, 401, 404, 408, 409, 415] {
        let (server, upstream) = pair(three_tries(), move |_| Answer::status(status).into()).await;
        assert_eq!(upstream.call("a", get()).await.unwrap_err().status(), Some(status));
        assert_eq!(server.requests(), 1, "{status}");
    }
}

#[tokio::test]
async fn every_try_is_counted_and_timed() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (_server, upstream) =
        pair(hasty(), first(vec![Act::Silence, Answer::status(500).into(), ok(), Act::HangUp])).await;
    upstream.call("a", get()).await.unwrap();
    upstream.call("a", post()).await.unwrap_err();
    let metrics = recorder.handle().render();
    for status in ["timeout", "500", "200", "error"] {
        let line = format!(r#"upstream_requests_total{{upstream="things",status="{status}"}} 1"#);
        assert!(metrics.contains(&line), "{status}: {metrics}");
    }
    assert!(metrics.contains(r#"upstream_request_duration_seconds_count{upstream="things"} 4"#), "{metrics}");
}

#[tokio::test]
async fn a_call_that_is_dropped_frees_its_slot() {
    let (server, upstream) = pair(Policy { parallel: 1, ..policy() }, first(vec![Act::Silence])).await;
    {
        let arrived = wait::until("the call to arrive", Duration::from_secs(5), || async {
            (server.requests() == 1).then_some(())
        });
        let call = upstream.call("a", get());
        tokio::select! {
            result = call => panic!("the server never answers, and yet: {result:?}"),
            () = arrived => {}
        }
    }
    upstream.call("a", get()).await.expect("no slot is taken");
    assert_eq!(server.requests(), 2);
}
