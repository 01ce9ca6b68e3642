//! MoySklad in this process: the library's simulator, with helpers that fail a test instead of giving errors.
//!
//! A request that no correct client makes (an account's token with another account's id, a write without the
//! loop-prevention header, …) is a violation, and the test that caused it fails when the simulator is dropped.

#![allow(clippy::needless_pass_by_value, reason = "tests write their products as they pass them")]

#[allow(unused_imports, reason = "for the tests that need them")]
pub use hookgate::simulate::moysklad::{Delivery, Fault, Person, Recorded, Rules, Weather};

use super::gateway::TestDatabase;
use super::wait;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl as _;
use hookgate::simulate::moysklad;
use reqwest::Method;
use serde_json::{Value, json};
use std::ops::Deref;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A machine that pauses a gateway must not make webhooks come twice, or be lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// Work that has not ended by then hangs.
const LONG: Duration = Duration::from_secs(120);

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Waits until every webhook was sent, every event handled and every sync task ended.
pub async fn settle(sim: &Simulator, database: &TestDatabase) {
    // One statement: work that changes its status between two would be seen by neither.
    let unfinished = "SELECT (SELECT count(*) FROM webhook_events WHERE status IN ('received', 'processing'))
             + (SELECT count(*) FROM sync_queue WHERE status IN ('received', 'processing')) AS rows";
    idle(sim, database, unfinished).await;
}

/// Waits until every webhook was sent and every event handled; what they made to do may be left.
pub async fn heard(sim: &Simulator, database: &TestDatabase) {
    let unfinished = "SELECT count(*) AS rows FROM webhook_events WHERE status IN ('received', 'processing')";
    idle(sim, database, unfinished).await;
}

/// Until no webhook is under way and this query counts nothing.
async fn idle(sim: &Simulator, database: &TestDatabase, unfinished: &str) {
    let mut conn = database.connect().await;
    let start = Instant::now();
    loop {
        let late = start.elapsed() > LONG;
        let sent = sim.is_quiet().then(|| sim.delivered());
        let left: Count = sql_query(unfinished).get_result(&mut conn).await.unwrap();
        // The last task may have raised a webhook between the two looks.
        let is_quiet = sent.is_some() && sim.is_quiet() && sent == Some(sim.delivered());
        if is_quiet && left.rows == 0 {
            return;
        }
        assert!(!late, "{} events and tasks did not end; quiet: {is_quiet}", left.rows);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A running simulator; stopped when dropped. What is not here is in the library's, which it derefs to.
pub struct Simulator {
    /// `MOYSKLAD_BASE_URL`.
    pub base: String,
    inner: moysklad::Simulator,
}

impl Deref for Simulator {
    type Target = moysklad::Simulator;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl Simulator {
    /// Starts it. Every write through the API must carry `prefix` in the loop-prevention header.
    pub fn start(prefix: &str) -> Self {
        Self::start_seeded(prefix, 0)
    }

    /// The same, with chance that begins at `seed`.
    pub fn start_seeded(prefix: &str, seed: u64) -> Self {
        Self::start_patient(prefix, seed, PATIENCE)
    }

    /// The same for a receiver of webhooks that has to answer within this.
    pub fn start_patient(prefix: &str, seed: u64, patience: Duration) -> Self {
        // A test may come here first, and no client can be built without it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (prefix, patience) = (Some(prefix.to_owned()), Some(patience));
        let config = moysklad::Config { port: 0, prefix, seed, patience };
        let inner = moysklad::Simulator::start(&config).unwrap();
        Self { base: inner.base().to_owned(), inner }
    }

    /// A new account with these price types (the first is the default) and currencies (likewise), pieces and litres.
    pub fn account(&self, token: &str, price_types: &[&str], currencies: &[&str]) -> Uuid {
        self.inner.add_account("franchise", token, price_types, currencies)
    }

    /// Registers a webhook in the account.
    pub fn hook(&self, account: Uuid, entity_type: &str, action: &str, url: &str) {
        let mut hook = json!({"entityType": entity_type, "action": action, "url": url});
        if action == "UPDATE" {
            hook["diffType"] = "FIELDS".into();
        }
        self.inner.add_hook(account, &hook).unwrap();
    }

    /// A person creates a product in the account.
    pub fn create(&self, account: Uuid, product: Value) -> Uuid {
        self.create_in(account, "product", product)
    }

    /// A person creates an entity of any kind.
    pub fn create_in(&self, account: Uuid, kind: &str, body: Value) -> Uuid {
        self.inner.person(account).create(kind, &body).unwrap()
    }

    /// A person changes a product.
    pub fn edit(&self, account: Uuid, id: Uuid, changes: Value) {
        self.edit_in(account, "product", id, changes);
    }

    /// A person changes an entity of any kind.
    pub fn edit_in(&self, account: Uuid, kind: &str, id: Uuid, changes: Value) {
        self.inner.person(account).update(kind, id, &changes).unwrap();
    }

    /// A person deletes a product.
    pub fn delete(&self, account: Uuid, id: Uuid) {
        self.inner.person(account).delete("product", id).unwrap();
    }

    /// All products of an account, also archived ones.
    pub fn products(&self, account: Uuid) -> Vec<Value> {
        self.inner.entities(account, "product")
    }

    /// The account's product with this external code; there must be exactly one.
    pub fn by_external_code(&self, account: Uuid, external_code: &str) -> Value {
        self.one(account, "product", external_code)
    }

    /// The account's entity of this kind with this external code; there must be exactly one.
    pub fn one(&self, account: Uuid, kind: &str, external_code: &str) -> Value {
        let mut found = self.inner.entities(account, kind);
        found.retain(|entity| entity["externalCode"] == external_code);
        assert_eq!(found.len(), 1, "{kind} with external code {external_code}: {found:?}");
        found.remove(0)
    }

    /// The products of an account once `probe` says so.
    pub async fn products_when(
        &self,
        what: &str,
        account: Uuid,
        probe: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        self.entities_when(what, account, "product", probe).await
    }

    /// The entities of a kind once `probe` says so.
    pub async fn entities_when(
        &self,
        what: &str,
        account: Uuid,
        kind: &str,
        probe: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        wait::until(what, Duration::from_secs(20), || async {
            Some(self.inner.entities(account, kind)).filter(|entities| probe(entities))
        })
        .await
    }

    /// Id of a price type of the account.
    pub fn price_type(&self, account: Uuid, name: &str) -> Uuid {
        self.inner.price_type(account, name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// Id of a currency of the account.
    pub fn currency(&self, account: Uuid, iso_code: &str) -> Uuid {
        self.id_by(account, "currency", "isoCode", iso_code)
    }

    /// Id of a unit of the account by its code.
    pub fn uom(&self, account: Uuid, code: &str) -> Uuid {
        self.id_by(account, "uom", "code", code)
    }

    /// Id of the account's first entity of this kind: its organization, its store.
    pub fn first(&self, account: Uuid, kind: &str) -> Uuid {
        self.inner.entities(account, kind)[0]["id"].as_str().unwrap().parse().unwrap()
    }

    /// Id of the entity of this kind whose field has this value.
    pub fn id_by(&self, account: Uuid, kind: &str, field: &str, value: &str) -> Uuid {
        let found = self.inner.find(account, kind, field, value);
        found.unwrap_or_else(|| panic!("there is no {kind} whose {field} is {value}"))
    }

    /// Requests through the API that changed the account or would have.
    pub fn writes(&self, account: Uuid) -> Vec<Recorded> {
        let mut requests = self.inner.requests(account);
        requests.retain(|request| request.method != Method::GET);
        requests
    }

    /// The account's token is refused from now on.
    pub fn kill_token(&self, account: Uuid) {
        self.inner.kill_tokens(account);
    }

    /// Codes of products are unique in the account, as a company may set.
    pub fn unique_codes(&self, account: Uuid) {
        self.inner.rules(account, |rules| rules.check_unique_code = true);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let violations = self.inner.violations();
            assert!(violations.is_empty(), "no correct client does this: {violations:#?}");
        }
    }
}
