//! The simulator itself: one that lets anything pass would prove nothing.

mod catalog;
mod command;
mod hooks;
mod limits;
mod orders;

use super::{ORIGIN, reference};
use crate::support::moysklad::Simulator;
use crate::support::wait;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const TOKEN: &str = "token";
const HEADER: &str = "X-Lognex-WebHook-DisableByPrefix";

fn simulator() -> (Simulator, Uuid) {
    let sim = Simulator::start(ORIGIN);
    let account = sim.account(TOKEN, &["Retail"], &["RUB"]);
    (sim, account)
}

/// One account with two price types, asked as a correct client asks.
struct Api {
    sim: Simulator,
    account: Uuid,
    http: Client,
}

/// What came back.
struct Reply {
    status: u16,
    body: Value,
}

impl Reply {
    fn code(&self) -> (u16, u64) {
        (self.status, self.body["errors"][0]["code"].as_u64().unwrap_or_else(|| panic!("{}", self.body)))
    }
}

fn api() -> Api {
    api_of(Simulator::start(ORIGIN))
}

fn api_of(sim: Simulator) -> Api {
    let account = sim.account(TOKEN, &["Retail", "Staff"], &["RUB", "USD"]);
    Api { sim, account, http: client() }
}

/// One parameter of a query, encoded.
fn query(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

impl Api {
    async fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        let method = method.parse().unwrap();
        let request = self.http.request(method, format!("{}{path}", self.sim.base)).bearer_auth(TOKEN);
        let request = if body.is_null() { request } else { request.json(body) };
        // Tests of other things do not wait for the rate.
        self.sim.request_weight(self.account, 0);
        let reply = request.header(HEADER, ORIGIN).send().await.unwrap();
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        Reply { status, body: if text.is_empty() { Value::Null } else { text.parse().unwrap() } }
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.send("GET", path, &Value::Null).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.body
    }

    async fn list(&self, kind: &str, filter: &str) -> Value {
        self.get(&format!("/entity/{kind}?{}", query("filter", filter))).await
    }

    async fn create(&self, kind: &str, body: Value) -> Uuid {
        let reply = self.send("POST", &format!("/entity/{kind}"), &body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body["id"].as_str().unwrap().parse().unwrap()
    }

    async fn put(&self, kind: &str, id: Uuid, body: Value) -> Value {
        let reply = self.send("PUT", &format!("/entity/{kind}/{id}"), &body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    /// Status and code of a create that must fail.
    async fn refused(&self, kind: &str, body: Value) -> (u16, u64) {
        self.send("POST", &format!("/entity/{kind}"), &body).await.code()
    }

    /// A reference within the account.
    fn at(&self, kind: &str, id: Uuid) -> Value {
        self.sim.reference(self.account, kind, id)
    }
}

fn client() -> Client {
    Client::builder().no_proxy().gzip(true).build().unwrap()
}

async fn send(request: RequestBuilder) -> Response {
    request.bearer_auth(TOKEN).send().await.unwrap()
}

async fn code(reply: Response) -> (u16, u64) {
    let status = reply.status().as_u16();
    (status, reply.json::<Value>().await.unwrap()["errors"][0]["code"].as_u64().unwrap())
}

fn post(sim: &Simulator, body: &Value) -> RequestBuilder {
    client().post(format!("{}/entity/product", sim.base)).json(body)
}

#[tokio::test]
async fn it_refuses_what_the_real_one_refuses() {
    let (sim, account) = simulator();
    let products = format!("{}/entity/product", sim.base);
    let plain = Client::builder().no_proxy().gzip(false).build().unwrap();
    let reply = send(plain.get(&products)).await;
    assert_eq!((reply.status().as_u16(), reply.content_length()), (415, Some(0)));
    assert_eq!(code(client().get(&products).bearer_auth("other").send().await.unwrap()).await, (401, 1056));
    assert_eq!(code(send(client().get(&products).header("Accept", "text/html")).await).await, (400, 1062));
    assert_eq!(code(send(client().get(format!("{products}/{}", Uuid::new_v4()))).await).await, (404, 1021));
    assert_eq!(sim.take_violations().len(), 2, "encoding and media type");

    let reply = send(client().get(&products)).await;
    assert_eq!(reply.headers()["x-ratelimit-limit"], "45");
    assert_eq!(reply.headers()["x-lognex-retry-timeinterval"], "3000");
    // Three requests in three seconds, of which one is spent: also who is slow runs out of them.
    sim.request_weight(account, 15);
    let mut last = (0, String::new());
    for _ in 0..50 {
        let reply = send(client().get(&products)).await;
        last =
            (reply.status().as_u16(), reply.headers()["x-lognex-retry-after"].to_str().unwrap().to_owned());
        if last.0 == 429 {
            break;
        }
    }
    let wait: u64 = last.1.parse().unwrap();
    assert!(last.0 == 429 && (1..=3000).contains(&wait), "{last:?}");
}

#[tokio::test]
async fn an_id_of_another_account_and_a_write_without_the_header_are_violations() {
    let (sim, own) = simulator();
    let other = sim.account("other", &["Retail"], &["RUB"]);
    let price = |account: Uuid| {
        let price_type = reference(&sim, "pricetype", sim.price_type(account, "Retail"));
        json!({"name": "Kettle", "salePrices": [{"value": 1, "priceType": price_type}]})
    };
    let reply = send(post(&sim, &price(other)).header(HEADER, ORIGIN)).await;
    assert_eq!(code(reply).await, (404, 1021));
    assert!(sim.take_violations()[0].contains("is an id of another account"));
    assert!(send(post(&sim, &price(own))).await.status().is_success());
    assert!(sim.take_violations()[0].contains("without the loop-prevention header"));
    assert!(send(post(&sim, &price(own)).header(HEADER, ORIGIN)).await.status().is_success());
    assert!(sim.take_violations().is_empty());
}

#[tokio::test]
async fn a_sync_id_creates_once_and_a_code_or_name_is_checked() {
    let (sim, account) = simulator();
    let body = json!({"name": "Kettle", "syncId": Uuid::new_v4()});
    let create = async |body: &Value| send(post(&sim, body).header(HEADER, ORIGIN)).await;
    let first: Value = create(&body).await.json().await.unwrap();
    let second: Value = create(&body).await.json().await.unwrap();
    assert_eq!(first["id"], second["id"]);
    assert_eq!(sim.products(account).len(), 1);
    assert_eq!(first["salePrices"][0]["value"].to_string(), "0.0", "every price type shows");
    assert_eq!(first["externalCode"].as_str().unwrap().len(), 22);
    assert_eq!(code(create(&json!({"code": "1"})).await).await, (412, 3000));
    assert_eq!(code(create(&json!({"name": "x", "vatEnabled": true})).await).await, (412, 16010));
}

#[tokio::test]
async fn webhooks_are_tried_four_times_and_muted_by_prefix() {
    let (sim, account) = simulator();
    // Whoever answers here answers 401.
    let deaf = format!("{}/nobody?x=1", sim.base);
    sim.hook(account, "product", "CREATE", &deaf);
    let create = async |prefixes: &[&str]| {
        let request = post(&sim, &json!({"name": "Kettle"}));
        let reply =
            send(prefixes.iter().fold(request, |request, prefix| request.header(HEADER, *prefix))).await;
        let status = reply.status().as_u16();
        wait::until("webhooks to be given up", Duration::from_secs(60), || async {
            sim.is_quiet().then_some(())
        })
        .await;
        (status, sim.deliveries().len())
    };
    assert_eq!(create(&[ORIGIN]).await, (200, 1), "another prefix mutes nothing");
    let delivery = sim.deliveries().remove(0);
    assert_eq!(delivery.statuses, [Some(401); 4], "four times, then it is lost");
    assert_eq!(delivery.body["events"][0]["action"], "CREATE");
    assert_eq!(create(&[ORIGIN, &sim.base]).await, (200, 1), "two headers mute two prefixes");
    assert_eq!(
        create(&[ORIGIN, &format!("https://a.example,{}", sim.base)]).await,
        (200, 2),
        "a list mutes none"
    );
    for prefix in ["https://", "https://host", "http://localhost:8080", "host.example.com"] {
        assert_eq!(create(&[ORIGIN, prefix]).await.0, 400, "{prefix}");
    }
    sim.take_violations();
}
