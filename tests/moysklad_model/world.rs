//! One main account with its children, a gateway between them, and the weather.

use super::book::{Book, KINDS};
use super::draw::Draw;
use super::edit::Made;
use super::papers::Sheet;
use super::profiles::{
    self, ATTRIBUTES, CHILD_NOTE, CURRENCIES, FABRICS, Filter, Head, PRICE_TYPES, PROFILES, Profile,
    WANTED_FOLDER,
};
use crate::moysklad_sync::{ORIGIN, account_path};
use crate::support::gateway::Gateway;
use crate::support::moysklad::{Rules, Simulator, Weather};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

const MAIN_TOKEN: &str = "main-canary-77c2";

/// How large a run is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub edits: usize,
    pub children: usize,
}

pub struct Child {
    pub account: Uuid,
    pub profile: Profile,
    /// Its attribute that main does not have.
    pub note: Uuid,
    /// Its settings were changed.
    pub is_changed: bool,
}

pub struct World {
    pub seed: u64,
    pub gateway: Gateway,
    pub sim: Simulator,
    pub main: Uuid,
    pub children: Vec<Child>,
    /// Ids of main's attributes and of the elements of its dictionary, by name.
    pub attributes: HashMap<&'static str, Uuid>,
    pub fabrics: HashMap<&'static str, Uuid>,
    /// Where documents go in main.
    pub head: Head,
    pub book: Book,
    /// What is known of the documents of the book; none of those that could not be made.
    pub sheets: Vec<Option<Sheet>>,
    /// What was done, a line for each edit.
    pub log: Vec<Made>,
    /// Fields that children set and main does not have, by child and entity.
    pub kept: HashMap<(usize, Uuid), HashMap<&'static str, Value>>,
    /// What children made, as it was shown when they last touched it.
    pub owned: HashMap<(usize, Uuid), Value>,
}

impl World {
    /// Everything about it follows from the seed and the size.
    pub async fn start(seed: u64, size: Size) -> (Self, StdRng) {
        let mut rng = StdRng::seed_from_u64(seed);
        let sim = Simulator::start_seeded(ORIGIN, seed);
        let main = sim.account(MAIN_TOKEN, &PRICE_TYPES, &CURRENCIES);
        let profiles = choose(&mut rng, size.children);
        let children: Vec<Child> = profiles.into_iter().map(|profile| child(&sim, profile)).collect();
        for account in std::iter::once(main).chain(children.iter().map(|child| child.account)) {
            let chosen = rules(&mut rng);
            sim.rules(account, |rules| *rules = chosen);
        }
        let (attributes, fabrics) = furnish(&sim, main);
        let head = Head::furnish(&sim, main);
        let base = sim.base.clone();
        // Of a long run the sweeps may take their time.
        let sweeps = if size.edits > 1000 { "0.5" } else { "0.05" };
        let mut gateway = Gateway::start(&[
            ("MOYSKLAD_BASE_URL", &*base),
            ("MOYSKLAD_WEBHOOK_TOKEN", "hook-canary-31f7"),
            ("MOYSKLAD_REQUEST_WEIGHT", "1"),
            ("APP_URL", ORIGIN),
            ("MOYSKLAD_RECONCILE_MINUTES", sweeps),
            ("MOYSKLAD_RESTORE_SECONDS", "1"),
            // People edit an order again and again within seconds; a loop would not end at any number.
            ("MOYSKLAD_LOOP_WRITES", "20"),
            // Imports may start a worker beside the gateway's.
            ("WORKER_LEASE_SECONDS", "10"),
            // Every request of a long run in full is gigabytes.
            ("RUST_LOG", "hookgate=info"),
        ])
        .await;
        gateway.canary(MAIN_TOKEN);
        sim.resolve(ORIGIN, &gateway.base);
        let mut world = Self {
            seed,
            gateway,
            sim,
            main,
            children,
            attributes,
            fabrics,
            head,
            book: Book::default(),
            sheets: Vec::new(),
            log: Vec::new(),
            kept: HashMap::new(),
            owned: HashMap::new(),
        };
        world.stock(&mut rng);
        world.register().await;
        (world, rng)
    }

    /// What main has before anything is set up: there is something to sell from the start.
    fn stock(&mut self, rng: &mut StdRng) {
        let folder = json!({"name": WANTED_FOLDER, "externalCode": "wanted"});
        let wanted = self.sim.create_in(self.main, "productfolder", folder);
        self.note_created("productfolder", wanted);
        let delivery = json!({"name": "Delivery", "externalCode": "delivery"});
        let delivery = self.sim.create_in(self.main, "service", delivery);
        self.note_created("service", delivery);
        // People of main put it into orders.
        self.book.of_mut("service")[0].sold = true;
        for (kind, count) in
            [("productfolder", 1), ("product", 8), ("service", 2), ("variant", 4), ("bundle", 2)]
        {
            for _ in 0..count {
                let draw = Draw { rng, book: &mut self.book, takes_all: Vec::new(), catalog_only: false };
                let edits = { draw }.create(kind);
                for edit in edits {
                    self.apply(edit);
                }
            }
        }
    }

    async fn register(&mut self) {
        let main = json!({"name": "Head office", "role": "main", "access_token": MAIN_TOKEN});
        let (status, reply) = self.gateway.admin("PUT", &account_path(self.main), &main).await;
        assert_eq!(status, 201, "{reply}");
        for child in &self.children {
            let profile = &child.profile;
            let body = json!({
                "name": profile.name, "role": "child", "parent_account_id": self.main,
                "access_token": profile.token, "settings": profile.settings(self.book.of("productfolder")[0].id, &self.head),
            });
            let (status, reply) = self.gateway.admin("PUT", &account_path(child.account), &body).await;
            assert_eq!(status, 201, "{reply}");
            self.gateway.canary(profile.token);
        }
        let setup = self.gateway.run(&["webhook", "setup", "--all"]).await;
        assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
        // What was there before the first sweep is an import's affair.
        let import = self.gateway.run(&["sync", "full", "--account", &self.main.to_string()]).await;
        assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
        self.sim.weather(Weather {
            lose: 0.01,
            repeat: 0.05,
            repeat_anew: 0.02,
            reorder: 0.2,
            fail: 0.01,
            drop_after_commit: 0.01,
            jitter: Duration::from_millis(20),
            ..Weather::default()
        });
    }

    /// The kill of a machine: nothing of what it was doing is finished.
    pub fn crash(&mut self) {
        self.gateway.kill();
        self.gateway.restart();
        self.sim.resolve(ORIGIN, &self.gateway.base);
    }

    /// All accounts, main first.
    pub fn accounts(&self) -> Vec<Uuid> {
        std::iter::once(self.main).chain(self.children.iter().map(|child| child.account)).collect()
    }

    /// Every entity of the catalogue of an account, with its kind.
    pub fn catalogue(&self, account: Uuid) -> Vec<(&'static str, Value)> {
        let of_kind = |kind: &'static str| {
            self.sim.entities(account, kind).into_iter().map(move |entity| (kind, entity))
        };
        KINDS.into_iter().flat_map(of_kind).collect()
    }
}

/// Other children for each seed, and another filter.
fn choose(rng: &mut StdRng, count: usize) -> Vec<Profile> {
    let mut profiles = PROFILES;
    profiles[4].filter = [Filter::Folder, Filter::Promo, Filter::NotRed][rng.random_range(0..3_usize)];
    profiles.shuffle(rng);
    profiles[..count.min(PROFILES.len())].to_vec()
}

/// Both readings of what the documentation leaves open.
fn rules(rng: &mut StdRng) -> Rules {
    let mut coin = || rng.random_bool(0.5);
    Rules {
        partial_failure_status: if coin() { 400 } else { 200 },
        no_op_updates_fire: coin(),
        variants_update_their_product: coin(),
        unknown_characteristics_are_created: coin(),
        unused_characteristics_vanish: coin(),
        components_are_replaced: coin(),
        fill_ean13: coin(),
        fill_unique_code: coin(),
        use_recycle_bin: coin(),
        ..Rules::default()
    }
}

/// The attributes, units and dictionary of main.
fn furnish(sim: &Simulator, main: Uuid) -> (HashMap<&'static str, Uuid>, HashMap<&'static str, Uuid>) {
    let person = sim.person(main);
    let (dictionary, elements) = person.add_dictionary("Fabrics", &FABRICS).unwrap();
    let attribute =
        |(name, kind): (&'static str, &'static str)| (name, add_attribute(sim, main, name, kind, dictionary));
    person.create("uom", &json!({"name": "Crate"})).unwrap();
    person.create("uom", &json!({"name": "Sack", "code": "C-7"})).unwrap();
    (ATTRIBUTES.into_iter().map(attribute).collect(), FABRICS.into_iter().zip(elements).collect())
}

fn add_attribute(sim: &Simulator, account: Uuid, name: &str, kind: &str, dictionary: Uuid) -> Uuid {
    let mut body = json!({"name": name, "type": kind});
    if kind == "customentity" {
        body["customEntityMeta"] = sim.reference(account, "customentity", dictionary)["meta"].take();
        body["customEntityMeta"]["href"] = format!("{}/entity/customentity/{dictionary}", sim.base).into();
        body["customEntityMeta"]["type"] = "customentity".into();
    }
    sim.person(account).add_attribute("product", &body).unwrap()
}

fn child(sim: &Simulator, profile: Profile) -> Child {
    let account = sim.account(profile.token, profile.price_types, profile.currencies);
    let (dictionary, _) = sim.person(account).add_dictionary("Fabrics", &FABRICS[..1]).unwrap();
    for (name, kind) in ATTRIBUTES {
        if profile.attributes.contains(&name) {
            add_attribute(sim, account, name, kind, dictionary);
        } else if name == "Paint" {
            add_attribute(sim, account, name, "text", dictionary);
        }
    }
    let note = add_attribute(sim, account, CHILD_NOTE, "string", dictionary);
    profiles::furnish(sim, account, profile.name);
    Child { account, profile, note, is_changed: false }
}
