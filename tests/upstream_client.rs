//! The client of the upstreams against a server that misbehaves. Needs no gateway and no database.

mod breaker;
mod rate;
mod redaction;
mod tries;
mod urgent;
mod wire;

use crate::support::faulty_server::{Act, Answer, FaultyServer, Seen};
use hookgate::upstream::{Call, Policy, Reply, Upstream, UpstreamError};
use reqwest::Method;
use std::time::Duration;

/// A policy that neither waits nor repeats unless a test says so, and gives up soon.
fn policy() -> Policy {
    Policy {
        timeout: Duration::from_secs(10),
        tries: 1,
        units: 10_000,
        burst: 10_000,
        parallel: 64,
        breaker_failures: 1_000,
        ..Policy::default()
    }
}

fn get() -> Call {
    Call::new(Method::GET, "GET /things/{id}", "/things/1")
}

fn post() -> Call {
    Call::new(Method::POST, "POST /things", "/things").json(&serde_json::json!({"name": "x"}))
}

/// A server with this script and a client for it.
async fn pair(
    policy: Policy,
    script: impl Fn(&Seen) -> Act + Send + Sync + 'static,
) -> (FaultyServer, Upstream) {
    let server = FaultyServer::start(script).await;
    let upstream = Upstream::new("things", &server.url, policy);
    (server, upstream)
}

/// Answers the first requests with these, all others with 200.
fn first(acts: Vec<Act>) -> impl Fn(&Seen) -> Act + Send + Sync + 'static {
    move |seen| acts.get(seen.number - 1).cloned().unwrap_or_else(ok)
}

fn ok() -> Act {
    Answer::status(200).into()
}

fn reason(result: Result<Reply, UpstreamError>) -> &'static str {
    match result {
        Err(UpstreamError::Transport { reason, .. }) => reason,
        other => panic!("expected a lost call, not {other:?}"),
    }
}

fn after(result: Result<Reply, UpstreamError>) -> Duration {
    match result {
        Err(UpstreamError::RateLimited { after, .. }) => after,
        other => panic!("expected to be rate limited, not {other:?}"),
    }
}
