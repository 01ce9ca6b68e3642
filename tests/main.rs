//! Black-box tests: a real server on a real Postgres, real sockets, strict simulators of the upstreams.
//!
//! Run by `scripts/test.sh`, which starts the Postgres and names it in `HOOKGATE_TEST_DATABASE_URL`.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "support code is shared by tests that each use a part"
)]

mod admin;
mod c2s_enrichment;
mod crash;
mod database;
mod private_cluster;
mod queue;
mod receive;
mod stripe_payments;
mod support;
mod upstream_client;
