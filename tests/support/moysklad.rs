//! MoySklad in this process: JSON API 1.2 for several accounts, as strict as the real one, and its webhooks.
//!
//! A request that no correct client makes (an account's token with another account's id, a write without the
//! loop-prevention header, …) is a violation, and the test that caused it fails when the simulator is dropped.

#![allow(clippy::needless_pass_by_value, reason = "tests write their products as they pass them")]

mod account;
mod entity;
mod filter;
mod gates;
mod hooks;
mod server;
mod world;

pub use hooks::Delivery;
pub use world::{Fault, Recorded};

use super::wait;
use account::Account;
use actix_web::dev::ServerHandle;
use reqwest::Method;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use uuid::Uuid;
use world::World;

/// A running simulator; stopped when dropped.
pub struct Simulator {
    /// `MOYSKLAD_BASE_URL`.
    pub base: String,
    shared: Arc<Shared>,
    server: ServerHandle,
}

/// What requests, webhooks and tests have in common.
pub struct Shared {
    world: Mutex<World>,
    http: reqwest::Client,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Simulator {
    /// Starts it. Every write through the API must carry `prefix` in the loop-prevention header.
    pub fn start(prefix: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/api/remap/1.2", listener.local_addr().unwrap());
        let http = reqwest::Client::builder().no_proxy().timeout(hooks::PATIENCE);
        // Webhooks are sent from several runtimes, and a connection belongs to one.
        let http = http.pool_max_idle_per_host(0).build().unwrap();
        let world = Mutex::new(World::new(&base, prefix));
        let shared = Arc::new(Shared { world, http });
        let server = server::start(listener, shared.clone());
        Self { base, shared, server }
    }

    /// A new account with these price types (the first is the default) and currencies (likewise), pieces and litres.
    pub fn account(&self, token: &str, price_types: &[&str], currencies: &[&str]) -> Uuid {
        self.shared.world().add_account(token, price_types, currencies)
    }

    /// Registers a webhook in the account.
    pub fn hook(&self, account: Uuid, entity_type: &str, action: &str, url: &str) {
        self.change(account, |account| account.add_hook(entity_type, action, url));
    }

    /// Where URLs with this origin really are: what a name server would say.
    pub fn resolve(&self, origin: &str, address: &str) {
        let mut world = self.shared.world();
        world.names.retain(|name| name.0 != origin);
        world.names.push((origin.to_owned(), address.to_owned()));
    }

    /// A person creates a product in the account.
    pub fn create(&self, account: Uuid, product: Value) -> Uuid {
        let (id, notices) = self.shared.world().create_by_hand(account, &product);
        hooks::send(&self.shared, notices);
        id
    }

    /// A person changes a product.
    pub fn edit(&self, account: Uuid, id: Uuid, changes: Value) {
        let notices = self.shared.world().edit_by_hand(account, id, &changes);
        hooks::send(&self.shared, notices);
    }

    /// A person deletes a product.
    pub fn delete(&self, account: Uuid, id: Uuid) {
        let notices = self.shared.world().delete_by_hand(account, id);
        hooks::send(&self.shared, notices);
    }

    /// All products of an account, also archived ones.
    pub fn products(&self, account: Uuid) -> Vec<Value> {
        self.read(account, Account::all_products)
    }

    /// The account's product with this external code; there must be exactly one.
    pub fn by_external_code(&self, account: Uuid, external_code: &str) -> Value {
        let mut found = self.products(account);
        found.retain(|product| product["externalCode"] == external_code);
        assert_eq!(found.len(), 1, "products with external code {external_code}: {found:?}");
        found.remove(0)
    }

    /// The products of an account once `probe` says so.
    pub async fn products_when(
        &self,
        what: &str,
        account: Uuid,
        probe: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        wait::until(what, Duration::from_secs(20), || async {
            Some(self.products(account)).filter(|products| probe(products))
        })
        .await
    }

    /// Id of a price type of the account.
    pub fn price_type(&self, account: Uuid, name: &str) -> Uuid {
        self.read(account, |account| account.price_types.id(name))
    }

    /// Id of a currency of the account.
    pub fn currency(&self, account: Uuid, iso_code: &str) -> Uuid {
        self.read(account, |account| account.currencies.id(iso_code))
    }

    /// Id of a unit of the account by its code.
    pub fn uom(&self, account: Uuid, code: &str) -> Uuid {
        self.read(account, |account| account.uoms.id(code))
    }

    /// Requests through the API with the account's token.
    pub fn requests(&self, account: Uuid) -> Vec<Recorded> {
        self.read(account, |account| account.recorded.clone())
    }

    /// Requests through the API that changed the account or would have.
    pub fn writes(&self, account: Uuid) -> Vec<Recorded> {
        let mut requests = self.requests(account);
        requests.retain(|request| request.method != Method::GET);
        requests
    }

    /// Most requests of the account that were in flight at once.
    pub fn peak_in_flight(&self, account: Uuid) -> usize {
        self.read(account, |account| account.peak_in_flight)
    }

    /// Webhooks that were sent, or given up.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.world().deliveries.clone()
    }

    /// Whether all webhooks have been sent, or given up.
    pub fn is_quiet(&self) -> bool {
        self.shared.world().pending == 0
    }

    /// How often the account was refused with 401 and 429.
    pub fn refused(&self, account: Uuid, status: u16) -> usize {
        self.shared.world().refused.iter().filter(|refused| **refused == (account, status)).count()
    }

    /// The next request with this method fails so.
    pub fn fault(&self, account: Uuid, method: Method, fault: Fault) {
        self.change(account, |account| account.faults.push_back((method, fault)));
    }

    /// Every request of the account takes this long from now on.
    pub fn latency(&self, account: Uuid, latency: Duration) {
        self.change(account, |account| account.latency = latency);
    }

    /// The account's token is refused from now on.
    pub fn kill_token(&self, account: Uuid) {
        self.change(account, |account| account.token_is_dead = true);
    }

    /// The account's token is this from now on.
    pub fn set_token(&self, account: Uuid, token: &str) {
        self.change(account, |account| {
            token.clone_into(&mut account.token);
            account.token_is_dead = false;
        });
    }

    /// Codes of products are unique in the account, as a company may set.
    pub fn unique_codes(&self, account: Uuid) {
        self.change(account, |account| account.unique_codes = true);
    }

    /// Rate units of one request of the account: 1 for a published solution, 3 or 4 for a user's token.
    pub fn request_weight(&self, account: Uuid, weight: u32) {
        self.change(account, |account| account.bucket.weight = weight);
    }

    /// Removes a price type: whoever still refers to it gets 1021.
    pub fn remove_price_type(&self, account: Uuid, name: &str) {
        self.change(account, |account| account.price_types.remove(name));
    }

    /// Adds a price type.
    pub fn add_price_type(&self, account: Uuid, name: &str) {
        self.shared.world().add_price_type(account, name);
    }

    /// Whether the loop-prevention header has an effect; the real one might lose it.
    pub fn header_support(&self, on: bool) {
        self.shared.world().header_support = on;
    }

    /// Takes the violations so far: for tests of the simulator itself, which commit them on purpose.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.world().violations)
    }

    fn read<T>(&self, account: Uuid, read: impl FnOnce(&Account) -> T) -> T {
        read(self.shared.world().account(account))
    }

    fn change(&self, account: Uuid, change: impl FnOnce(&mut Account)) {
        change(self.shared.world().account_mut(account));
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.server.stop(false));
        if !std::thread::panicking() {
            let violations = self.shared.world().violations.clone();
            assert!(violations.is_empty(), "no correct client does this: {violations:#?}");
        }
    }
}
