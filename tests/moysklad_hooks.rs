//! The webhooks of MoySklad accounts: set up, checked, mended, removed; and the breakers that end loops.

mod loops;
mod outage;
mod refusals;
mod setup;
mod stock;
mod storm;

use crate::moysklad_sync::{Franchise, ORIGIN};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::process::Output;
use uuid::Uuid;

/// Tokens of the franchise's main account and its children.
pub const TOKENS: [&str; 3] = ["main-canary-77c2", "kazan-canary-01d4", "omsk-canary-02e5"];

/// MoySklad's API as a person with a token uses it.
pub struct Person {
    http: Client,
    base: String,
    token: &'static str,
}

impl Person {
    pub fn new(franchise: &Franchise, token: &'static str) -> Self {
        let http = Client::builder().no_proxy().gzip(true).build().unwrap();
        Self { http, base: franchise.sim.base.clone(), token }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let write = method != Method::GET;
        let reply = loop {
            let mut request =
                self.http.request(method.clone(), format!("{}{path}", self.base)).bearer_auth(self.token);
            if write {
                request = request.header("X-Lognex-WebHook-DisableByPrefix", ORIGIN);
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            let reply = request.send().await.unwrap();
            if reply.status() != 429 {
                break reply;
            }
            // Who polls shares the account's units with the gateway.
            let wait: u64 = reply.headers()["x-lognex-retry-after"].to_str().unwrap().parse().unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(wait.max(1))).await;
        };
        let status = reply.status();
        let text = reply.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub async fn hooks(&self) -> Vec<Value> {
        self.send(Method::GET, "/entity/webhook", None).await["rows"].as_array().unwrap().clone()
    }

    pub async fn add_hook(&self, entity_type: &str, action: &str, url: &str) {
        let body = json!({"entityType": entity_type, "action": action, "url": url});
        self.send(Method::POST, "/entity/webhook", Some(body)).await;
    }

    pub async fn change_hook(&self, hook: &Value, changes: Value) {
        let path = format!("/entity/webhook/{}", hook["id"].as_str().unwrap());
        self.send(Method::PUT, &path, Some(changes)).await;
    }

    pub async fn remove_hook(&self, hook: &Value) {
        let path = format!("/entity/webhook/{}", hook["id"].as_str().unwrap());
        self.send(Method::DELETE, &path, None).await;
    }
}

/// All webhooks of the account, as its web interface shows them: who polls this way takes no unit of its limits.
pub fn shown(franchise: &Franchise, account: Uuid) -> Vec<Value> {
    let reply = franchise.sim.person(account).request(&Method::GET, "/entity/webhook", &Value::Null);
    reply.unwrap()["rows"].as_array().unwrap().clone()
}

/// `product.CREATE`, …, in order.
pub fn names(hooks: &[Value]) -> Vec<String> {
    let name = |hook: &Value| {
        format!("{}.{}", hook["entityType"].as_str().unwrap(), hook["action"].as_str().unwrap())
    };
    let mut names: Vec<String> = hooks.iter().map(name).collect();
    names.sort();
    names
}

/// Those that lead to the gateway.
pub fn ours(hooks: &[Value]) -> Vec<Value> {
    hooks.iter().filter(|hook| hook["url"].as_str().unwrap().starts_with(ORIGIN)).cloned().collect()
}

/// Whether a command did it, and what it printed.
pub fn told(output: &Output) -> (bool, String) {
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// Runs a command of the gateway.
pub fn run(franchise: &Franchise, arguments: &[&str]) -> (bool, String) {
    told(&franchise.gateway.command(arguments))
}

pub fn id(account: Uuid) -> String {
    account.to_string()
}
