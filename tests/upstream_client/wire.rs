//! What goes over the wire, what is read from it, and in which ways it is lost.

use super::{first, get, ok, pair, policy, post, reason};
use crate::support::faulty_server::{Act, Answer};
use crate::support::nobody::Nobody;
use futures_util::future::join_all;
use hookgate::upstream::{Call, Policy, Upstream, UpstreamError};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use std::time::{Duration, Instant};
use url::Url;

#[tokio::test]
async fn a_call_arrives_as_it_was_made() {
    let (server, _) =
        pair(policy(), |_| Answer::status(201).header("X-Id", "7").body(r#"{"a":1}"#).into()).await;
    let base = Url::parse(&format!("{}api/remap/1.2/", server.url)).unwrap();
    let upstream = Upstream::new("things", &base, policy());
    let call = Call::new(Method::POST, "POST /entity/{type}", "/entity/product")
        .query("filter", "name=a&b")
        .query("limit", "100")
        .header(ACCEPT, HeaderValue::from_static("application/json;charset=utf-8"))
        .json(&serde_json::json!({"name": "Чай"}));
    let reply = upstream.call("a", call).await.unwrap();
    assert_eq!((reply.status, reply.headers["x-id"].to_str().unwrap()), (201, "7"));
    assert_eq!(reply.json::<serde_json::Value>().unwrap(), serde_json::json!({"a": 1}));

    let seen = server.seen().remove(0);
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.target, "/api/remap/1.2/entity/product?filter=name%3Da%26b&limit=100");
    assert_eq!(seen.header("accept"), Some("application/json;charset=utf-8"));
    assert_eq!(seen.header("accept-encoding"), Some("gzip"), "MoySklad answers 415 without it");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("user-agent"), Some(concat!("Hookgate/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.body, r#"{"name":"Чай"}"#.as_bytes());
}

#[tokio::test]
async fn a_content_type_is_sent_only_with_a_body_and_may_be_chosen() {
    let (server, upstream) = pair(policy(), |_| ok()).await;
    upstream.call("a", get()).await.unwrap();
    let own = post().header(CONTENT_TYPE, HeaderValue::from_static("application/merge-patch+json"));
    upstream.call("a", own).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("content-type"), None);
    assert_eq!(seen[1].header("content-type"), Some("application/merge-patch+json"));
}

#[tokio::test]
async fn connections_are_reused_also_after_errors() {
    let (server, upstream) = pair(policy(), |seen| {
        let status = [200, 404, 500, 302, 429][seen.number % 5];
        Answer::status(status).header("X-Lognex-Retry-After", "1").body("{}").into()
    })
    .await;
    for _ in 0..20 {
        let _ = upstream.call("a", get()).await;
    }
    assert!(server.requests() >= 20);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn gzip_and_plain_replies_are_both_read() {
    let (_server, upstream) = pair(
        policy(),
        first(vec![
            Answer::status(200).body("packed").gzip().into(),
            Answer::status(200).body("plain").into(),
        ]),
    )
    .await;
    assert_eq!(&*upstream.call("a", get()).await.unwrap().body, b"packed");
    assert_eq!(&*upstream.call("a", get()).await.unwrap().body, b"plain");
}

#[tokio::test]
async fn a_reply_longer_than_the_limit_is_refused_and_not_asked_for_again() {
    let limit = 1_000;
    let bomb = Answer::status(200).body(vec![b'0'; 5_000_000]).gzip();
    let (server, upstream) = pair(
        Policy { max_reply: limit, tries: 3, ..policy() },
        first(vec![
            Answer::status(200).body(vec![b'x'; limit]).into(),
            Answer::status(200).body(vec![b'x'; limit + 1]).into(),
            bomb.into(),
        ]),
    )
    .await;
    assert_eq!(upstream.call("a", get()).await.unwrap().body.len(), limit);
    assert_eq!(reason(upstream.call("a", get()).await), "body too long");
    assert_eq!(reason(upstream.call("a", get()).await), "body too long", "decompressed bytes count");
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn the_body_of_an_error_is_given_to_the_handler_up_to_the_limit() {
    let (_server, upstream) = pair(Policy { max_reply: 10, ..policy() }, |seen| {
        Answer::status(400).body(if seen.number == 1 { "[1,2]" } else { "0123456789abc" }).into()
    })
    .await;
    let error = upstream.call("a", get()).await.unwrap_err();
    assert_eq!((error.status(), error.body().map(|body| &**body)), (Some(400), Some(&b"[1,2]"[..])));
    assert!(!error.is_retryable());
    let error = upstream.call("a", get()).await.unwrap_err();
    assert_eq!((error.status(), error.body().map(|body| &**body)), (Some(400), Some(&b"0123456789"[..])));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let (server, upstream) =
            pair(policy(), move |_| Answer::status(status).header("Location", "/elsewhere").into()).await;
        let error = upstream.call("a", get()).await.unwrap_err();
        assert_eq!((error.status(), server.requests()), (Some(status), 1));
    }
}

#[tokio::test]
async fn each_way_to_lose_a_reply_has_its_name() {
    let patient = Policy { timeout: Duration::from_secs(4), ..policy() };
    let no_gzip = Answer::status(200).header("Content-Encoding", "gzip").body("this is no gzip");
    let gzip_header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let bad_gzip =
        Answer::status(200).header("Content-Encoding", "gzip").body([&gzip_header[..], &[0xff; 9]].concat());
    let cut_gzip = Answer::status(200).header("Content-Encoding", "gzip").body(gzip_header);
    let cases = [
        (Act::Silence, "timeout"),
        (Act::StallBody, "timeout"),
        (Answer::status(200).chunked().body("4\r\nhalf\r\n").into(), "timeout"),
        (Act::HangUp, "connection lost"),
        (Act::CutBody, "connection lost"),
        (cut_gzip.into(), "connection lost"),
        (Act::Garbage, "connection lost"),
        (Answer::status(200).chunked().body("no chunk\r\n").into(), "broken reply"),
        (no_gzip.into(), "broken reply"),
        (bad_gzip.into(), "broken reply"),
    ];
    join_all(cases.into_iter().map(async |(act, expected)| {
        let (_server, upstream) = pair(patient.clone(), first(vec![act.clone()])).await;
        let start = Instant::now();
        let result = upstream.call("a", get()).await;
        assert!(result.as_ref().is_err_and(UpstreamError::is_retryable), "{act:?}");
        assert_eq!(reason(result), expected, "{act:?}");
        assert!(start.elapsed() < Duration::from_secs(30), "{act:?}");
    }))
    .await;
}

#[tokio::test]
async fn nothing_is_sent_where_no_connection_can_be_made() {
    let address = Nobody::new();
    let nobody = Upstream::new("things", &address.url, policy());
    assert_eq!(reason(nobody.call("a", get()).await), "cannot connect");
    let (server, _) = pair(policy(), |_| ok()).await;
    let no_tls = Url::parse(&server.url.as_str().replace("http:", "https:")).unwrap();
    let no_tls = Upstream::new("things", &no_tls, policy());
    assert_eq!(reason(no_tls.call("a", get()).await), "cannot connect");
    assert_eq!((server.requests(), server.connections()), (0, 1));
}

#[tokio::test]
async fn a_reply_that_is_no_json_is_unreadable() {
    let (_server, upstream) = pair(policy(), |_| Answer::status(200).body("<html>").into()).await;
    let error = upstream.call("a", get()).await.unwrap().json::<serde_json::Value>().unwrap_err();
    assert!(matches!(error, UpstreamError::Unreadable { .. }), "{error:?}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn an_id_that_leads_elsewhere_is_never_sent() {
    let (server, upstream) = pair(policy(), |_| ok()).await;
    let error =
        upstream.call("a", Call::new(Method::GET, "GET /things/{id}", "/things/..")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::BadPath { .. }), "{error:?}");
    assert!(!error.is_retryable());
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_call_may_have_more_time_than_others() {
    let hasty = Policy { timeout: Duration::from_secs(1), ..policy() };
    let (_server, upstream) = pair(hasty, |_| Answer::status(200).after(Duration::from_secs(3)).into()).await;
    assert_eq!(reason(upstream.call("a", get()).await), "timeout");
    assert!(upstream.call("a", get().timeout(Duration::from_secs(20))).await.is_ok());
}
