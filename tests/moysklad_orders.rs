//! MoySklad, from documents of a child to orders of main, and what is told of them.

mod circles;
mod crossing;
mod emitted;
mod gone;
mod header;
mod in_step;
mod late;
mod lines;
mod lost;
mod parties;
mod refused;
mod removed;
mod states;
mod trouble;
mod waiting;
mod whole;

use crate::support::gateway::Gateway;
use crate::support::moysklad::{self, Simulator};
use crate::support::wait;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// `APP_URL` of the gateway: what MoySklad knows it by.
pub const ORIGIN: &str = "https://gate.example.test";
const HOOK_TOKEN: &str = "hook-canary-31f7";
const MAIN_TOKEN: &str = "main-canary-77c2";
const CHILD_TOKEN: &str = "kazan-canary-01d4";

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// One main account and one child whose documents flow, each with webhooks to the gateway. Goods of both are linked by
/// hand: how they come to be is another test's matter.
pub struct Shop {
    pub gateway: Gateway,
    pub sim: Simulator,
    pub main: Uuid,
    pub child: Uuid,
    pub organization: Uuid,
    pub stand_in: Uuid,
}

impl Shop {
    /// All orders are a stand-in's in main.
    pub async fn start() -> Self {
        Self::start_with(|_, settings| settings).await
    }

    /// `change` gets the stand-in's id and the settings of orders.
    pub async fn start_with(change: impl FnOnce(Uuid, Value) -> Value) -> Self {
        Self::start_in(&[], change).await
    }

    /// The same with these settings of the gateway beside the tests' own.
    pub async fn start_in(env: &[(&str, &str)], change: impl FnOnce(Uuid, Value) -> Value) -> Self {
        let sim = Simulator::start(ORIGIN);
        let main = sim.account(MAIN_TOKEN, &["Retail"], &["RUB", "USD"]);
        let child = sim.account(CHILD_TOKEN, &["Retail"], &["KZT", "RUB", "USD"]);
        let organization = id(&sim.entities(main, "organization")[0]);
        let stand_in = sim.create_in(main, "counterparty", json!({"name": "Kazan"}));
        let base = sim.base.clone();
        let mut all = vec![
            ("MOYSKLAD_BASE_URL", &*base),
            ("MOYSKLAD_WEBHOOK_TOKEN", HOOK_TOKEN),
            ("MOYSKLAD_REQUEST_WEIGHT", "1"),
            ("APP_URL", ORIGIN),
        ];
        all.extend_from_slice(env);
        let mut gateway = Gateway::start(&all).await;
        for secret in [MAIN_TOKEN, CHILD_TOKEN] {
            gateway.canary(secret);
        }
        sim.resolve(ORIGIN, &gateway.base);
        let shop = Self { gateway, sim, main, child, organization, stand_in };
        let settings =
            change(stand_in, json!({"organization": organization, "counterparty": {"stub": stand_in}}));
        shop.register(main, None, MAIN_TOKEN, &json!({})).await;
        shop.register(child, Some(main), CHILD_TOKEN, &json!({"orders": settings})).await;
        for kind in ["customerorder", "retaildemand", "purchaseorder"] {
            for action in ["CREATE", "UPDATE", "DELETE"] {
                shop.sim.hook(child, kind, action, &hook_url());
                shop.sim.hook(main, kind, action, &hook_url());
            }
        }
        shop
    }

    async fn register(&self, account: Uuid, parent: Option<Uuid>, token: &str, settings: &Value) {
        let role = if parent.is_some() { "child" } else { "main" };
        let body = json!({
            "name": "x", "role": role, "parent_account_id": parent, "access_token": token, "settings": settings,
        });
        let path = format!("/api/v1/moysklad/accounts/{account}");
        let (status, reply) = self.gateway.admin("PUT", &path, &body).await;
        assert_eq!(status, 201, "{reply}");
    }

    /// Makes the same thing in both accounts and links them; gives main's id and the child's.
    pub async fn goods(&self, kind: &str, main: Value, child: Value) -> (Uuid, Uuid) {
        let ids = (self.sim.create_in(self.main, kind, main), self.sim.create_in(self.child, kind, child));
        self.link(kind, ids.0, ids.1).await;
        ids
    }

    /// A product of both accounts; gives main's id and the child's.
    pub async fn product(&self, name: &str) -> (Uuid, Uuid) {
        self.goods("product", json!({"name": name}), json!({"name": name})).await
    }

    pub async fn link(&self, kind: &str, main: Uuid, child: Uuid) {
        let mut conn = self.gateway.database.connect().await;
        sql_query(
            "INSERT INTO moysklad_mappings (main_account, child_account, entity_type, main_id, child_id)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind::<SqlUuid, _>(self.main)
        .bind::<SqlUuid, _>(self.child)
        .bind::<Text, _>(kind)
        .bind::<SqlUuid, _>(main)
        .bind::<SqlUuid, _>(child)
        .execute(&mut conn)
        .await
        .unwrap();
    }

    /// A line of the child: what it sells (`product`, …), and the other fields.
    pub fn line(&self, kind: &str, sold: Uuid, rest: Value) -> Value {
        let mut line = rest;
        line["assortment"] = self.sim.reference(self.child, kind, sold);
        line
    }

    /// A document of the child with these lines.
    pub fn document(&self, lines: Value, rest: Value) -> Value {
        let sim = &self.sim;
        let mut document = rest;
        document["positions"] = lines;
        if document.get("agent").is_none() {
            let agent = sim.create_in(self.child, "counterparty", json!({"name": "Somebody"}));
            document["agent"] = sim.reference(self.child, "counterparty", agent);
        }
        let organization = id(&sim.entities(self.child, "organization")[0]);
        document["organization"] = sim.reference(self.child, "organization", organization);
        if document.get("rate").is_none() {
            let rouble = sim.reference(self.child, "currency", sim.currency(self.child, "RUB"));
            document["rate"] = json!({ "currency": rouble });
        }
        document
    }

    /// A person creates a document in the child.
    pub fn create(&self, kind: &str, document: Value) -> Uuid {
        self.sim.create_in(self.child, kind, document)
    }

    /// Waits until every webhook was sent, every event handled and every sync task ended.
    pub async fn settle(&self) {
        moysklad::settle(&self.sim, &self.gateway.database).await;
    }

    /// Ends the wait of tasks that are to be tried again; what was sent to main without an answer will not land any more.
    pub async fn due_now(&self) {
        self.execute("UPDATE moysklad_mappings SET adding_since = adding_since - interval '1 hour'").await;
        self.execute("UPDATE sync_queue SET run_at = now() WHERE status = 'received'").await;
    }

    /// Changes the database behind the gateway's back.
    pub async fn execute(&self, statement: &str) {
        let mut conn = self.gateway.database.connect().await;
        sql_query(statement).execute(&mut conn).await.unwrap();
    }

    /// Runs a command of the gateway: whether it did it, and what it printed.
    pub fn run(&self, arguments: &[&str]) -> (bool, String) {
        crate::moysklad_hooks::told(&self.gateway.command(arguments))
    }

    /// How many rows a query counts, as `rows`.
    pub async fn count(&self, query: &str) -> i64 {
        let mut conn = self.gateway.database.connect().await;
        let count: Count = sql_query(query).get_result(&mut conn).await.unwrap();
        count.rows
    }

    /// A person brings the child's document into this state.
    pub fn set_state(&self, account: Uuid, order: Uuid, name: &str) {
        let state = self.sim.state(account, "customerorder", name).unwrap();
        let state = self.sim.state_reference("customerorder", state);
        self.sim.edit_in(account, "customerorder", order, json!({ "state": state }));
    }

    /// Name of the state that an order is in.
    pub fn state(&self, account: Uuid, order: Uuid) -> &'static str {
        let own = target(&self.sim.entity(account, order, &[]).unwrap()["state"]);
        let is_it = |name: &&&str| {
            self.sim.state(account, "customerorder", name).is_some_and(|state| state.to_string() == own)
        };
        ["Новый", "Подтвержден", "Доставлен", "Отменен"].iter().find(is_it).unwrap()
    }

    /// Main's orders.
    pub fn orders(&self) -> Vec<Value> {
        let orders = self.sim.entities(self.main, "customerorder");
        orders.iter().map(|order| self.sim.entity(self.main, id(order), &["positions"]).unwrap()).collect()
    }

    /// Main's only order, with its lines.
    pub fn order(&self) -> Value {
        let mut orders = self.orders();
        assert_eq!(orders.len(), 1, "{orders:?}");
        orders.remove(0)
    }

    /// The child's document, with its lines.
    pub fn source(&self, id: Uuid) -> Value {
        self.sim.entity(self.child, id, &["positions"]).unwrap()
    }

    /// Tasks, newest first.
    pub async fn tasks(&self) -> Vec<Value> {
        let page = self.gateway.admin_get("/api/v1/sync-queue").await;
        page["items"].as_array().unwrap().clone()
    }

    /// The newest task once `probe` says so.
    pub async fn task_when(&self, what: &str, probe: impl Fn(&Value) -> bool) -> Value {
        wait::until(what, Duration::from_secs(20), || async {
            self.tasks().await.into_iter().next().filter(|task| probe(task))
        })
        .await
    }

    /// Outcomes of all tasks that moved a document, oldest first.
    pub async fn outcomes(&self) -> Vec<String> {
        let mut tasks = self.tasks().await;
        tasks.reverse();
        let moved = tasks.iter().filter(|task| task["operation"] != "observe");
        moved.map(|task| task["outcome"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

pub fn hook_url() -> String {
    format!("{ORIGIN}/api/v1/webhooks/moysklad?token={HOOK_TOKEN}")
}

pub fn id(entity: &Value) -> Uuid {
    entity["id"].as_str().unwrap().parse().unwrap()
}

/// Lines of a document.
pub fn rows(document: &Value) -> Vec<Value> {
    document["positions"]["rows"].as_array().unwrap().clone()
}

/// Fields of lines that cross over as they are.
pub const NUMBERS: [&str; 5] = ["quantity", "price", "discount", "vat", "vatEnabled"];

/// What a reference points at.
pub fn target(reference: &Value) -> String {
    reference["meta"]["href"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}
