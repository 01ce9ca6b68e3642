//! MoySklad, from a webhook of the main account to the products of its children.

mod accounts;
mod attributes;
mod audit;
mod bans;
mod below_folders;
mod bundles;
mod bursts;
mod catalog;
mod cleared;
mod deletes;
mod fields;
mod filters;
mod first_create;
mod folders;
mod forgotten;
mod images;
mod loops;
mod match_fields;
mod matching;
mod order_of_events;
mod prices;
mod products;
mod refusals;
mod services;
mod simulator;
mod tasks;
mod tokens;
mod trouble;
mod units;
mod unreadable;
mod variants;
mod vat;

use crate::support::gateway::Gateway;
use crate::support::moysklad::{self, Simulator, Weather};
use crate::support::wait;
use diesel::sql_query;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// `APP_URL` of the gateway: what MoySklad knows it by.
pub const ORIGIN: &str = "https://gate.example.test";
const HOOK_TOKEN: &str = "hook-canary-31f7";
const MAIN_TOKEN: &str = "main-canary-77c2";
const CHILD_TOKENS: [&str; 2] = ["kazan-canary-01d4", "omsk-canary-02e5"];

/// One main account and two children, each with webhooks to the gateway.
pub struct Franchise {
    pub gateway: Gateway,
    pub sim: Simulator,
    pub main: Uuid,
    pub children: [Uuid; 2],
}

impl Franchise {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(env: &[(&str, &str)]) -> Self {
        let sim = Simulator::start(ORIGIN);
        let main = sim.account(MAIN_TOKEN, &["Retail", "Wholesale", "Staff"], &["RUB", "USD"]);
        // In another order, with one type and one currency missing.
        let kazan = sim.account(CHILD_TOKENS[0], &["Wholesale", "Retail"], &["RUB"]);
        let omsk = sim.account(CHILD_TOKENS[1], &["Retail", "Own", "Wholesale"], &["KZT", "RUB", "USD"]);
        let base = sim.base.clone();
        let mut all = vec![
            ("MOYSKLAD_BASE_URL", &*base),
            ("MOYSKLAD_WEBHOOK_TOKEN", HOOK_TOKEN),
            ("MOYSKLAD_REQUEST_WEIGHT", "1"),
            ("APP_URL", ORIGIN),
        ];
        all.extend_from_slice(env);
        let mut gateway = Gateway::start(&all).await;
        for token in [MAIN_TOKEN, CHILD_TOKENS[0], CHILD_TOKENS[1]] {
            gateway.canary(token);
        }
        sim.resolve(ORIGIN, &gateway.base);
        let franchise = Self { gateway, sim, main, children: [kazan, omsk] };
        franchise.register(main, "Head office", None, MAIN_TOKEN).await;
        franchise.register(kazan, "Kazan", Some(main), CHILD_TOKENS[0]).await;
        franchise.register(omsk, "Omsk", Some(main), CHILD_TOKENS[1]).await;
        for account in [main, kazan, omsk] {
            for action in ["CREATE", "UPDATE", "DELETE"] {
                franchise.sim.hook(account, "product", action, &hook_url());
            }
        }
        franchise
    }

    async fn register(&self, account: Uuid, name: &str, parent: Option<Uuid>, token: &str) {
        let role = if parent.is_some() { "child" } else { "main" };
        let body = json!({"name": name, "role": role, "parent_account_id": parent, "access_token": token});
        let (status, reply) = self.gateway.admin("PUT", &account_path(account), &body).await;
        assert_eq!(status, 201, "{reply}");
    }

    /// Waits until every webhook was sent, every event handled and every sync task ended.
    pub async fn settle(&self) {
        moysklad::settle(&self.sim, &self.gateway.database).await;
    }

    /// Does this while no sync task can begin, so that all the events that it raises gather for one run of each child.
    /// Waits before it until nothing is to do, and afterwards until the events are handled; then the runs may begin.
    pub async fn gathered<T>(&self, edit: impl AsyncFnOnce() -> T) -> T {
        self.settle().await;
        let mut gate = self.gateway.database.connect().await;
        // What the engine takes for each claim. It waits for it, and connects anew when it has waited for long.
        let claim = "hashtext('hookgate.claim.sync_queue')";
        sql_query(format!("SELECT pg_advisory_lock({claim})")).execute(&mut gate).await.unwrap();
        let done = edit().await;
        moysklad::heard(&self.sim, &self.gateway.database).await;
        sql_query(format!("SELECT pg_advisory_unlock({claim})")).execute(&mut gate).await.unwrap();
        done
    }

    /// Ends the wait of tasks that are to be tried again.
    pub async fn due_now(&self) {
        let mut conn = self.gateway.database.connect().await;
        for now in [
            "UPDATE moysklad_images SET due_at = now() WHERE status = 'waiting'",
            "UPDATE sync_queue SET run_at = now() WHERE status = 'received'",
        ] {
            sql_query(now).execute(&mut conn).await.unwrap();
        }
    }

    /// A person creates a product in main; gives its id after it has reached whom it can.
    pub async fn create(&self, product: Value) -> Uuid {
        let id = self.sim.create(self.main, product);
        self.settle().await;
        id
    }

    /// A person changes a product in main; returns after it has reached whom it can.
    pub async fn edit(&self, id: Uuid, changes: Value) {
        self.sim.edit(self.main, id, changes);
        self.settle().await;
    }

    /// The sync tasks that write to this account, newest first.
    pub async fn tasks(&self, account: Uuid) -> Vec<Value> {
        let page = self.gateway.admin_get(&format!("/api/v1/sync-queue?account={account}")).await;
        page["items"].as_array().unwrap().clone()
    }

    /// Outcome of the newest task of this account.
    pub async fn outcome(&self, account: Uuid) -> String {
        self.tasks(account).await[0]["outcome"].as_str().unwrap_or_default().to_owned()
    }

    /// The newest task of this account once `probe` says so.
    pub async fn task_when(&self, what: &str, account: Uuid, probe: impl Fn(&Value) -> bool) -> Value {
        wait::until(what, Duration::from_secs(20), || async {
            self.tasks(account).await.into_iter().next().filter(|task| probe(task))
        })
        .await
    }

    /// The sync log of a child and an entity of main, newest first.
    pub async fn log(&self, child: Uuid, main_id: Uuid) -> Vec<Value> {
        let log =
            self.gateway.admin_get(&format!("/api/v1/sync-log?account={child}&main_id={main_id}")).await;
        log["items"].as_array().unwrap().clone()
    }

    /// The sync task that failed for this account is tried again, as by an operator.
    pub async fn retry_failed(&self, account: Uuid) {
        let task = self.tasks(account).await.into_iter().find(|task| task["status"] == "failed").unwrap();
        let path = format!("/api/v1/sync-queue/{}/retry", task["id"].as_str().unwrap());
        assert_eq!(self.gateway.admin("POST", &path, &json!(null)).await.0, 200);
        self.settle().await;
    }

    /// Edits that raise no notification: it is lost on its way.
    pub fn unheard<T>(&self, edit: impl FnOnce() -> T) -> T {
        self.sim.weather(Weather { lose: 1.0, ..Weather::default() });
        let done = edit();
        self.sim.weather(Weather::default());
        done
    }

    /// Posts a notification as MoySklad would, with this request id; the answer must be 200.
    pub async fn notify(&self, account: Uuid, product: Uuid, action: &str, request_id: &str) -> Value {
        self.notify_of(account, "product", product, action, request_id).await
    }

    /// The same for an entity of any kind.
    pub async fn notify_of(
        &self,
        account: Uuid,
        kind: &str,
        id: Uuid,
        action: &str,
        request_id: &str,
    ) -> Value {
        let path = format!("/api/v1/webhooks/moysklad?token={HOOK_TOKEN}&requestId={request_id}");
        let href = format!("{}/entity/{kind}/{id}", self.sim.base);
        let event = json!({"meta": {"type": kind, "href": href}, "action": action, "accountId": account});
        let body = json!({"events": [event]}).to_string();
        let reply = self.gateway.http.post(self.gateway.url(&path)).body(body).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.json().await.unwrap()
    }
}

pub fn hook_url() -> String {
    format!("{ORIGIN}/api/v1/webhooks/moysklad?token={HOOK_TOKEN}")
}

pub fn account_path(account: Uuid) -> String {
    format!("/api/v1/moysklad/accounts/{account}")
}

/// The price of this type: value as it is written, id of its currency.
pub fn price(sim: &Simulator, account: Uuid, product: &Value, price_type: &str) -> (String, Uuid) {
    let id = sim.price_type(account, price_type).to_string();
    let mut prices = product["salePrices"].as_array().unwrap().iter();
    let found = prices.find(|price| last_segment(&price["priceType"]) == id).unwrap();
    (found["value"].to_string(), last_segment(&found["currency"]).parse().unwrap())
}

pub fn last_segment(reference: &Value) -> String {
    reference["meta"]["href"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// A reference within an account, for bodies that a person sends.
pub fn reference(sim: &Simulator, kind: &str, id: Uuid) -> Value {
    let path = if kind == "pricetype" { "context/companysettings" } else { "entity" };
    json!({"meta": {"href": format!("{}/{path}/{kind}/{id}", sim.base), "type": kind}})
}

/// A sale price of main: type, value, currency.
pub fn sale_price(franchise: &Franchise, price_type: &str, value: &str, iso_code: &str) -> Value {
    let Franchise { sim, main, .. } = franchise;
    json!({
        "value": serde_json::from_str::<Value>(value).unwrap(),
        "priceType": reference(sim, "pricetype", sim.price_type(*main, price_type)),
        "currency": reference(sim, "currency", sim.currency(*main, iso_code)),
    })
}

/// The webhooks of main that a franchise with all types has.
pub fn hook_all(franchise: &Franchise) {
    for kind in ["service", "variant", "bundle", "productfolder"] {
        for action in ["CREATE", "UPDATE", "DELETE"] {
            franchise.sim.hook(franchise.main, kind, action, &hook_url());
        }
    }
}

/// Replaces what a child wants of the catalogue.
pub async fn set_catalog(franchise: &Franchise, child: Uuid, catalog: Value) {
    let settings = json!({"catalog": catalog});
    let body = json!({
        "name": "Child", "role": "child", "parent_account_id": franchise.main, "settings": settings,
    });
    let (status, reply) = franchise.gateway.admin("PUT", &account_path(child), &body).await;
    assert_eq!(status, 200, "{reply}");
}

/// The value of an attribute, for bodies that a person sends.
pub fn with_attribute(sim: &Simulator, id: Uuid, value: Value) -> Value {
    let mut attribute = sim.attribute_reference("product", id);
    attribute["value"] = value;
    attribute
}

/// The value of the attribute with this name; null if there is none.
pub fn attribute(entity: &Value, name: &str) -> Value {
    let mut all = entity["attributes"].as_array().into_iter().flatten();
    all.find(|one| one["name"] == name).map(|one| one["value"].clone()).unwrap_or_default()
}

/// The entities of a kind with this external code: how many there are.
pub fn count(sim: &Simulator, account: Uuid, kind: &str, external_code: &str) -> usize {
    sim.entities(account, kind).iter().filter(|entity| entity["externalCode"] == external_code).count()
}

/// The id of an entity as the API shows it.
pub fn id_of(entity: &Value) -> Uuid {
    entity["id"].as_str().unwrap().parse().unwrap()
}
