//! Hookgate: receive any webhook once, prove it, keep it, act on it, and pass it on.
//!
//! An event walks through the rooms in one direction: [`http`] routes it, [`providers`] prove and parse it,
//! [`inbox`] stores it once, [`sync`] acts on it through [`upstream`]. [`keyring`] fetches the keys and certificates
//! that proofs need, [`queue`] is the one work engine, [`nodes`] knows which processes share the upstreams, and [`db`] is
//! the one database. `ARCHITECTURE.md` tells one event's way from socket to commit. [`simulate`] plays upstreams for tests
//! and staging.

pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod db;
pub mod http;
pub mod inbox;
pub mod keyring;
pub mod nodes;
pub mod providers;
pub mod quarantine;
pub mod queue;
pub mod records;
pub mod reload;
pub mod simulate;
pub mod sync;
pub mod telemetry;
pub mod upstream;
