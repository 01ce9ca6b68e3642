//! A strict stand-in for Stripe's API, and the sender of its webhooks.

use super::gate::Gate;
use super::gateway::Gateway;
use super::sign;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Signing secret of the endpoint in every test.
pub const SECRET: &str = "whsec_canary_7b1e";
/// Key of the API in every test.
pub const API_KEY: &str = "sk_test_canary_c41d";

/// What a request gets instead of its answer.
#[derive(Clone, Copy)]
pub enum Fault {
    Status(u16),
    /// 429 with `Retry-After` in seconds.
    TooMany(u32),
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Get {
    pub collection: String,
    pub id: String,
    pub account: Option<String>,
    pub at: Instant,
    pub status: u16,
}

struct State {
    objects: HashMap<(String, String), Value>,
    gets: Vec<Get>,
    latency: Duration,
    gate: Gate,
    faults: VecDeque<Fault>,
}

/// Stripe's API on a local port.
pub struct Stripe {
    pub url: String,
    state: Arc<Mutex<State>>,
    server: actix_web::dev::ServerHandle,
}

impl Stripe {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            objects: HashMap::new(),
            gets: Vec::new(),
            latency: Duration::ZERO,
            gate: Gate::opened(),
            faults: VecDeque::new(),
        }));
        let shared = web::Data::from(state.clone());
        let (sender, started) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new().app_data(shared.clone()).default_service(web::to(answer))
                })
                .workers(1)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                sender.send((address, server.handle())).unwrap();
                let _ = server.await;
            });
        });
        let (address, server) = started.recv().unwrap();
        Self { url: format!("http://{address}"), state, server }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Creates or replaces an object of the own account.
    pub fn put(&self, object: &Value) {
        self.put_in("", object);
    }

    /// Creates or replaces an object of a connected account.
    pub fn put_in(&self, account: &str, object: &Value) {
        let id = object["id"].as_str().unwrap().to_owned();
        self.state().objects.insert((account.to_owned(), id), object.clone());
    }

    pub fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// What the next requests get, one each.
    pub fn fail(&self, faults: &[Fault]) {
        self.state().faults.extend(faults);
    }

    /// Closes the gate before its answers.
    pub fn hold(&self) -> Gate {
        let gate = self.state().gate.clone();
        gate.close();
        gate
    }

    /// Every request so far that named this object.
    pub fn gets(&self, id: &str) -> Vec<Get> {
        self.state().gets.iter().filter(|get| get.id == id).cloned().collect()
    }

    /// Every request so far.
    pub fn all_gets(&self) -> Vec<Get> {
        self.state().gets.clone()
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        // The future only waits for the end; the command is sent at once.
        drop(self.server.stop(false));
    }
}

async fn answer(request: HttpRequest, state: web::Data<Mutex<State>>) -> HttpResponse {
    let at = Instant::now();
    let segments: Vec<&str> = request.path().trim_start_matches('/').split('/').collect();
    let &["v1", collection, id] = segments.as_slice() else { return unrecognized(&request) };
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let account = header("stripe-account").map(str::to_owned);
    let (reply, gate, latency) = {
        let mut state = state.lock().unwrap();
        let reply = if request.method() != "GET" {
            unrecognized(&request)
        } else if header("authorization") != Some(&format!("Bearer {API_KEY}")) {
            error(401, &json!({"type": "invalid_request_error", "message": "Invalid API Key provided"}))
        } else {
            state.answer(collection, id, account.as_deref().unwrap_or_default())
        };
        let (collection, id) = (collection.to_owned(), id.to_owned());
        state.gets.push(Get { collection, id, account, at, status: reply.status().as_u16() });
        (reply, state.gate.clone(), state.latency)
    };
    // A slow answer tells what was true when the request came.
    gate.pass().await;
    tokio::time::sleep(latency).await;
    reply
}

impl State {
    fn answer(&mut self, collection: &str, id: &str, account: &str) -> HttpResponse {
        if let Some(fault) = self.faults.pop_front() {
            return match fault {
                Fault::Status(status) => error(status, &json!({"type": "api_error"})),
                Fault::TooMany(seconds) => too_many(seconds),
            };
        }
        let kind = match collection {
            "payment_intents" => "payment_intent",
            "charges" => "charge",
            "refunds" => "refund",
            "invoices" => "invoice",
            "customers" => "customer",
            "subscriptions" => "subscription",
            _ => {
                return error(
                    404,
                    &json!({"type": "invalid_request_error", "message": "Unrecognized request URL"}),
                );
            }
        };
        match self.objects.get(&(account.to_owned(), id.to_owned())) {
            Some(object) if object["object"] == kind => HttpResponse::Ok().json(object),
            _ => error(
                404,
                &json!({
                    "type": "invalid_request_error", "code": "resource_missing", "param": "id",
                    "message": format!("No such {kind}: '{id}'"),
                }),
            ),
        }
    }
}

fn error(status: u16, error: &Value) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).json(json!({ "error": error }))
}

fn too_many(seconds: u32) -> HttpResponse {
    let mut reply = error(429, &json!({"type": "invalid_request_error", "code": "rate_limit"}));
    let value = seconds.to_string().parse().unwrap();
    reply.headers_mut().insert("retry-after".parse().unwrap(), value);
    reply
}

fn unrecognized(request: &HttpRequest) -> HttpResponse {
    let message = format!("Unrecognized request URL ({}: {})", request.method(), request.path());
    error(404, &json!({"type": "invalid_request_error", "message": message}))
}

/// An event of Stripe about `object`, `created` in unix seconds.
pub fn event(id: &str, event_type: &str, created: i64, object: &Value) -> Value {
    json!({
        "id": id, "object": "event", "type": event_type, "created": created, "livemode": false,
        "api_version": "2025-09-30.clover", "pending_webhooks": 1, "data": {"object": object},
    })
}

/// Signs an event as Stripe does and posts it; it must be accepted.
pub async fn send(gateway: &Gateway, event: &Value) {
    let body = event.to_string();
    let reply = gateway
        .http
        .post(gateway.url("/api/v1/webhooks/stripe"))
        .header("Stripe-Signature", sign::stripe_now(SECRET, body.as_bytes()))
        .header("Content-Type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    let status = reply.status();
    assert_eq!(status, 200, "{}", reply.text().await.unwrap());
}
