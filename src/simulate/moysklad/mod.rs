//! MoySklad on a loopback port: JSON API 1.2 for several accounts, as strict as the real one, and its webhooks.
//!
//! A request that no correct client makes (an account's token with another account's id, a write without the
//! loop-prevention header, …) is a violation: see [`Simulator::violations`]. Where the documentation is silent, a
//! switch in [`Rules`] decides; how badly things go is [`Weather`]. Source: facts/moysklad.md, section 9.

mod account;
mod attributes;
mod company;
mod fields;
mod filter;
mod gates;
mod hooks;
mod images;
mod json;
mod kind;
mod knobs;
mod list;
mod person;
mod positions;
mod references;
mod refused;
mod route;
mod server;
mod show;
mod stock;
mod stock_hooks;
mod traffic;
mod variants;
mod webhooks;
mod world;
mod write;

pub use hooks::Delivery;
pub use knobs::{Fault, Rules, Weather};
pub use person::Person;
pub use refused::Refused;
pub use traffic::Recorded;

use account::Account;
use actix_web::dev::ServerHandle;
use gates::Principal;
use reqwest::Method;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::runtime::Handle;
use uuid::Uuid;
use world::World;

/// How a simulator starts.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Loopback port; 0 takes a free one.
    pub port: u16,
    /// What every write must carry in the loop-prevention header, or it is a violation. None: nothing is demanded.
    pub prefix: Option<String>,
    /// Where chance begins: the same seed brings the same weather to the same requests.
    pub seed: u64,
    /// The receiver of a webhook must have answered within this; the real one's 1.5 s if none is given.
    pub patience: Option<Duration>,
}

/// A running simulator; stopped when dropped.
pub struct Simulator {
    base: String,
    shared: Arc<Shared>,
    server: ServerHandle,
}

/// What requests, webhooks and people have in common.
struct Shared {
    world: Mutex<World>,
    http: reqwest::Client,
    /// Sends webhooks.
    runtime: Handle,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Simulator {
    /// Starts it on a thread of its own. The crypto provider of rustls must be installed.
    pub fn start(config: &Config) -> std::io::Result<Self> {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), config.port);
        let listener = TcpListener::bind(address)?;
        let base = format!("http://{}{}", listener.local_addr()?, server::ROOT);
        // By another name, as the real one's storage has.
        let storage = TcpListener::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))?;
        let contents = format!("http://localhost:{}", storage.local_addr()?.port());
        let http = reqwest::Client::builder().no_proxy().timeout(config.patience.unwrap_or(hooks::PATIENCE));
        let http = http.redirect(reqwest::redirect::Policy::none()).build().map_err(std::io::Error::other)?;
        let world = World::new(&base, &contents, config.prefix.as_deref(), config.seed);
        let (sender, started) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let shared = Arc::new(Shared { world: Mutex::new(world), http, runtime: Handle::current() });
                match server::start(listener, storage, shared.clone()) {
                    Ok(server) => {
                        let _ = sender.send(Ok((shared, server.handle())));
                        let _ = server.await;
                    }
                    Err(error) => {
                        let _ = sender.send(Err(error));
                    }
                }
            });
        });
        let (shared, server) = started.recv().map_err(std::io::Error::other)??;
        Ok(Self { base, shared, server })
    }

    /// `MOYSKLAD_BASE_URL`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A new account with these price types (the first is the default) and currencies (likewise), and what every
    /// account has from its first day: units, countries, an organization, a store, states of documents.
    pub fn add_account(&self, name: &str, token: &str, price_types: &[&str], currencies: &[&str]) -> Uuid {
        self.shared.world().add_account(name, token, price_types, currencies)
    }

    /// A further user or solution of an account, with limits of its own; `weight` in units per request.
    pub fn add_principal(&self, account: Uuid, token: &str, weight: u32) {
        self.change(account, |account| account.principals.push(Principal::new(token, weight)));
    }

    /// A person at the web interface of the account.
    pub fn person(&self, account: Uuid) -> Person<'_> {
        Person { simulator: self, account }
    }

    /// Ids of all accounts, in the order in which they were added.
    pub fn accounts(&self) -> Vec<Uuid> {
        self.shared.world().accounts.iter().map(|account| account.id).collect()
    }

    /// `{"meta": …}` of an entity, price type or dictionary element, for bodies.
    pub fn reference(&self, account: Uuid, kind: &str, id: Uuid) -> Value {
        self.read(account, |account| account.reference(kind, id)).unwrap_or_default()
    }

    /// All entities of a kind, also archived ones, as the API shows them.
    pub fn entities(&self, account: Uuid, kind: &str) -> Vec<Value> {
        let all = |account: &Account| account.all(kind).map(|entity| account.show(entity)).collect();
        self.read(account, all).unwrap_or_default()
    }

    /// Ids of all entities of a kind, also archived ones, the oldest first.
    pub fn ids(&self, account: Uuid, kind: &str) -> Vec<Uuid> {
        self.read(account, |account| account.all(kind).map(|entity| entity.id).collect()).unwrap_or_default()
    }

    /// One entity as the API shows it, with these paths expanded (`positions.assortment`).
    pub fn entity(&self, account: Uuid, id: Uuid, expand: &[&str]) -> Option<Value> {
        let expand: Vec<String> = expand.iter().map(|path| (*path).to_owned()).collect();
        self.read(account, |account| {
            let mut shown = account.show(account.get(id)?);
            account.expand(&mut shown, &expand);
            Some(shown)
        })
        .flatten()
    }

    /// Pictures of an entity: file names and contents.
    pub fn images(&self, account: Uuid, id: Uuid) -> Vec<(String, bytes::Bytes)> {
        let images = |account: &Account| {
            let images = account.get(id).map_or(&[][..], |entity| &entity.images);
            images.iter().map(|image| (image.filename.clone(), image.content.clone())).collect()
        };
        self.read(account, images).unwrap_or_default()
    }

    /// Id of a price type of the account.
    pub fn price_type(&self, account: Uuid, name: &str) -> Option<Uuid> {
        self.read(account, |account| {
            account.price_types.iter().find(|price_type| price_type.name == name).map(|known| known.id)
        })
        .flatten()
    }

    /// Id of the first entity of this kind whose field has this value.
    pub fn find(&self, account: Uuid, kind: &str, field: &str, value: &str) -> Option<Uuid> {
        let is_it =
            |entity: &&account::Entity| entity.fields.get(field).and_then(Value::as_str) == Some(value);
        self.read(account, |account| account.all(kind).find(is_it).map(|entity| entity.id)).flatten()
    }

    /// Id of a state of documents of a kind.
    pub fn state(&self, account: Uuid, kind: &str, name: &str) -> Option<Uuid> {
        self.read(account, |account| {
            account.states.get(kind)?.iter().find(|state| state.name == name).map(|state| state.id)
        })
        .flatten()
    }

    /// `{"meta": …}` of a state.
    pub fn state_reference(&self, kind: &str, id: Uuid) -> Value {
        json::meta(&format!("{}/entity/{kind}/metadata/states/{id}", self.base), "state")
    }

    /// `{"meta": …}` of an attribute's metadata.
    pub fn attribute_reference(&self, kind: &str, id: Uuid) -> Value {
        json::meta(&format!("{}/entity/{kind}/metadata/attributes/{id}", self.base), "attributemetadata")
    }

    /// Registers a webhook, as a person would: `{"entityType", "action", "url", "diffType"?, "enabled"?}`.
    pub fn add_hook(&self, account: Uuid, body: &Value) -> Result<Uuid, Refused> {
        let mut world = self.shared.world();
        let index = world.index(account).ok_or_else(Refused::unknown)?;
        world.accounts[index].add_hook(body)
    }

    /// Where URLs with this origin really are: what a name server would say.
    pub fn resolve(&self, origin: &str, address: &str) {
        let mut world = self.shared.world();
        world.names.retain(|name| name.0 != origin);
        world.names.push((origin.to_owned(), address.to_owned()));
    }

    /// Requests through the API with the account's tokens.
    pub fn requests(&self, account: Uuid) -> Vec<Recorded> {
        self.read(account, |account| account.traffic.recorded.clone()).unwrap_or_default()
    }

    /// Most requests of the account that were in flight at once.
    pub fn peak_in_flight(&self, account: Uuid) -> usize {
        self.read(account, |account| account.traffic.peak_in_flight).unwrap_or_default()
    }

    /// Requests of the account that have come and are not answered yet.
    pub fn in_flight(&self, account: Uuid) -> usize {
        self.read(account, |account| account.traffic.in_flight).unwrap_or_default()
    }

    /// Most requests with this token of the account that were in flight at once.
    pub fn peak_in_flight_of(&self, account: Uuid, token: &str) -> usize {
        self.read(account, |account| {
            let caller = account.principals.iter().find(|principal| principal.token == token);
            caller.map_or(0, |principal| principal.peak_in_flight)
        })
        .unwrap_or_default()
    }

    /// How many requests with the account's tokens were answered, whatever the status.
    pub fn answers(&self, account: Uuid) -> usize {
        self.read(account, |account| account.traffic.answers).unwrap_or_default()
    }

    /// Webhooks that were sent, or given up.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.world().deliveries.clone()
    }

    /// How many webhooks were sent, or given up.
    pub fn delivered(&self) -> usize {
        self.shared.world().deliveries.len()
    }

    /// Whether all webhooks have been sent, or given up.
    pub fn is_quiet(&self) -> bool {
        self.shared.world().pending == 0
    }

    /// How often the account was refused with 401 or 429.
    pub fn refused(&self, account: Uuid, status: u16) -> usize {
        self.shared.world().refused.iter().filter(|refused| **refused == (account, status)).count()
    }

    /// The next request with this method fails so.
    pub fn fault(&self, account: Uuid, method: Method, fault: Fault) {
        self.change(account, |account| account.traffic.faults.push_back((method, fault)));
    }

    /// Writes of the account that name this text, in path or body, are refused from now on, because another one is said to
    /// have changed the entity meanwhile; `None`: no more.
    pub fn contended(&self, account: Uuid, text: Option<&str>) {
        self.change(account, |account| account.traffic.contended = text.map(str::to_owned));
    }

    /// Requests of the account with this method fail so from now on if they name all these words, in path, query or body.
    pub fn trouble(&self, account: Uuid, method: Method, words: &str, fault: Fault) {
        self.change(account, |account| account.traffic.troubles.push((method, words.to_owned(), fault)));
    }

    /// No more of [`Simulator::trouble`].
    pub fn no_trouble(&self, account: Uuid) {
        self.change(account, |account| account.traffic.troubles.clear());
    }

    /// Every request of the account takes this long from now on.
    pub fn latency(&self, account: Uuid, latency: Duration) {
        self.change(account, |account| account.traffic.latency = latency);
    }

    /// Remembers only so many requests of each account, and so many deliveries, at least; else all.
    pub fn keep(&self, kept: usize) {
        self.shared.world().kept = kept;
    }

    /// The next links to contents have expired before anybody follows them.
    pub fn dead_links(&self, count: usize) {
        self.shared.world().dead_links = count;
    }

    /// The storage has no content any more for images of this file name.
    pub fn lose_contents(&self, filename: &str) {
        self.shared.world().lost_contents.push(filename.to_owned());
    }

    /// How badly things go from now on.
    pub fn weather(&self, weather: Weather) {
        self.shared.world().weather = weather;
    }

    /// Changes how an account is set.
    pub fn rules(&self, account: Uuid, change: impl FnOnce(&mut Rules)) {
        self.change(account, |account| change(&mut account.rules));
    }

    /// The account's tokens are refused from now on.
    pub fn kill_tokens(&self, account: Uuid) {
        self.change(account, |account| {
            for principal in &mut account.principals {
                principal.is_dead = true;
            }
        });
    }

    /// The account's first token is this from now on; the old one is unknown.
    pub fn set_token(&self, account: Uuid, token: &str) {
        self.change(account, |account| {
            if let Some(principal) = account.principals.first_mut() {
                token.clone_into(&mut principal.token);
                principal.is_dead = false;
            }
        });
    }

    /// Rate units of one request of the account: 1 for a published solution, 3 or 4 for a user's token.
    pub fn request_weight(&self, account: Uuid, weight: u32) {
        self.change(account, |account| {
            for principal in &mut account.principals {
                principal.bucket.weight = weight;
            }
        });
    }

    /// Removes a price type: whoever still refers to it gets 1021.
    pub fn remove_price_type(&self, account: Uuid, name: &str) {
        self.change(account, |account| account.price_types.retain(|price_type| price_type.name != name));
    }

    /// Adds a price type.
    pub fn add_price_type(&self, account: Uuid, name: &str) -> Option<Uuid> {
        let mut world = self.shared.world();
        let index = world.index(account)?;
        Some(world.accounts[index].add_price_type(name))
    }

    /// Whether the loop-prevention header has an effect; the real one might lose it.
    pub fn header_support(&self, on: bool) {
        self.shared.world().header_support = on;
    }

    /// Lets days pass, for the rule that switches failing webhooks off.
    pub fn pass_days(&self, days: i64) {
        self.shared.world().days += days;
    }

    /// Requests so far that no correct client makes.
    pub fn violations(&self) -> Vec<String> {
        self.shared.world().violations.clone()
    }

    /// Takes the violations so far: for those who commit them on purpose.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.world().violations)
    }

    fn read<T>(&self, account: Uuid, read: impl FnOnce(&Account) -> T) -> Option<T> {
        let world = self.shared.world();
        world.index(account).map(|index| read(&world.accounts[index]))
    }

    fn change(&self, account: Uuid, change: impl FnOnce(&mut Account)) {
        let mut world = self.shared.world();
        if let Some(index) = world.index(account) {
            change(&mut world.accounts[index]);
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // The future only waits for the end; the command is sent at once.
        drop(self.server.stop(false));
    }
}
