//! Black-box tests: a real server on a real Postgres, real sockets, strict simulators of the upstreams.
//!
//! Run by `scripts/test.sh`, which starts the Postgres and names it in `HOOKGATE_TEST_DATABASE_URL`.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    clippy::similar_names,
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::items_after_statements,
    clippy::type_complexity,
    clippy::zombie_processes,
    reason = "support code is shared by tests that each use a part; a test reads as a sentence before all else"
)]

mod admin;
mod c2s_enrichment;
mod crash;
mod database;
mod firebase_events;
mod keyring;
mod moysklad_hooks;
mod moysklad_model;
mod moysklad_orders;
mod moysklad_reconcile;
mod moysklad_sync;
mod nodes;
mod paypal_payments;
mod private_cluster;
mod providers_cli;
mod quarantine;
mod queue;
mod receive;
mod sns_confirm;
mod stripe_payments;
mod support;
mod twilio_messages;
mod upstream_client;
