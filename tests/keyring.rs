//! The keyring against servers that lie, stall, redirect and fall over. Needs no gateway and no database.

mod certificates;
mod key_sets;
mod paypal;

use crate::support::faulty_server::{Act, Answer, FaultyServer};
use chrono::{DateTime, Duration, Utc};
use futures_util::future::join_all;
use hookgate::clock::Clock;
use hookgate::keyring::{Keyring, KeyringError, KeyringSettings, Kind, Reason};
use hookgate::providers::evidence::Needed;
use serde_json::Value;
use std::sync::{Arc, LazyLock, Mutex};

static KEYS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../src/providers/proof/testdata/keys.json")).unwrap()
});

/// One of the keys, certificates and signatures that OpenSSL made.
fn made(section: &str, name: &str) -> &'static str {
    KEYS[section][name].as_str().unwrap()
}

/// A keyring, and the hand of its clock.
struct Bench {
    keyring: Keyring,
    now: Arc<Mutex<DateTime<Utc>>>,
}

impl Bench {
    fn new(settings: KeyringSettings) -> Self {
        let now = Arc::new(Mutex::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
        let hand = now.clone();
        Self { keyring: Keyring::new(settings, Clock::told(move || *hand.lock().unwrap())), now }
    }

    /// With these hosts standing for the server.
    fn before(server: &FaultyServer, hosts: &[&str]) -> Self {
        Self::new(KeyringSettings { url_overrides: overrides(server, hosts), ..KeyringSettings::default() })
    }

    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap()
    }

    fn pass(&self, seconds: i64) {
        *self.now.lock().unwrap() += Duration::seconds(seconds);
    }

    /// What 64 requests get that need this at the same moment.
    async fn crowd(&self, needed: &Needed) -> Vec<Result<(), KeyringError>> {
        join_all((0..64).map(|_| self.keyring.supply(needed))).await
    }
}

fn overrides(server: &FaultyServer, hosts: &[&str]) -> Vec<(String, url::Url)> {
    hosts.iter().map(|&host| (host.to_owned(), server.url.clone())).collect()
}

fn reason(result: Result<(), KeyringError>) -> Reason {
    match result {
        Err(KeyringError::Fetch { reason, .. }) => reason,
        other => panic!("expected a failed fetch, not {other:?}"),
    }
}

fn error(kind: Kind, host: &str, reason: Reason) -> KeyringError {
    KeyringError::Fetch { kind, host: host.to_owned(), reason }
}

fn ok(body: impl Into<Vec<u8>>) -> Act {
    Answer::status(200).body(body).into()
}
