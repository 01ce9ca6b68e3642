//! A strict stand-in for PayPal's REST API: tokens that end, resources that are readable late, the verdict on webhooks.

use super::simulator::{Simulator, Upstream, header};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Id of the REST app in every test.
pub const CLIENT_ID: &str = "AQkquBDf1zctJOWGKWUEtKXm6qVhueUEMvXO";
/// Its secret.
pub const CLIENT_SECRET: &str = "EL1tVxAj-canary-3f0c";
/// Id of the webhook at PayPal.
pub const WEBHOOK_ID: &str = "1JE4291016473214C";

/// What a request for a resource gets instead of its answer.
#[derive(Clone, Copy)]
pub enum Fault {
    Status(u16),
    /// 429 with `Retry-After` in seconds.
    TooMany(u32),
}

/// PayPal's API on a local port.
pub type Paypal = Simulator<State>;

/// What it holds and what it was asked.
pub struct State {
    /// Resources by path.
    resources: HashMap<String, Value>,
    /// Tokens with their ends.
    tokens: HashMap<String, Instant>,
    /// How long a token that is made now is good for.
    pub token_life: Duration,
    /// How long the token is said to be good for, if that is not the truth.
    pub told_life: Option<u64>,
    /// How many tokens were made.
    pub tokens_made: usize,
    /// Paths of resources that were asked for, with the status of the answer.
    pub gets: Vec<(String, u16)>,
    /// What the next requests for resources get, one each.
    pub faults: VecDeque<Fault>,
    pub latency: Duration,
    /// Bodies that PayPal sent, by transmission id.
    pub sent: HashMap<String, Vec<u8>>,
    /// How often a verdict was asked for.
    pub verdicts: usize,
    pub violations: Vec<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            resources: HashMap::new(),
            tokens: HashMap::new(),
            token_life: Duration::from_secs(32400),
            told_life: None,
            tokens_made: 0,
            gets: Vec::new(),
            faults: VecDeque::new(),
            latency: Duration::ZERO,
            sent: HashMap::new(),
            verdicts: 0,
            violations: Vec::new(),
        }
    }
}

impl Paypal {
    /// Creates or replaces a resource of the collection `orders`, `captures` or `refunds`.
    pub fn put(&self, collection: &str, resource: &Value) {
        let id = resource["id"].as_str().unwrap();
        let root = if collection == "orders" { "/v2/checkout" } else { "/v2/payments" };
        self.state().resources.insert(format!("{root}/{collection}/{id}"), resource.clone());
    }

    /// Ends every token at once, as a change of the app's secret does.
    pub fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// How often a resource was asked for.
    pub fn gets(&self, id: &str) -> usize {
        self.state().gets.iter().filter(|(path, _)| path.ends_with(&format!("/{id}"))).count()
    }
}

impl Upstream for State {
    fn answer(&mut self, request: &HttpRequest, body: &[u8]) -> HttpResponse {
        match (request.method().as_str(), request.path()) {
            ("POST", "/v1/oauth2/token") => self.token(request, body),
            ("POST", "/v1/notifications/verify-webhook-signature") => self.verify(request, body),
            ("GET", path) if is_resource(path) => self.get(request),
            (method, path) => {
                self.violations.push(format!("{method} {path}"));
                error(404, "RESOURCE_NOT_FOUND")
            }
        }
    }

    fn latency(&self) -> Duration {
        self.latency
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}

fn is_resource(path: &str) -> bool {
    let collections = ["/v2/checkout/orders/", "/v2/payments/captures/", "/v2/payments/refunds/"];
    collections.iter().filter_map(|prefix| path.strip_prefix(prefix)).any(|id| {
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

#[derive(Deserialize)]
struct Verification<'a> {
    auth_algo: String,
    cert_url: String,
    transmission_id: String,
    transmission_sig: String,
    transmission_time: String,
    webhook_id: String,
    #[serde(borrow)]
    webhook_event: &'a RawValue,
}

impl State {
    fn token(&mut self, request: &HttpRequest, body: &[u8]) -> HttpResponse {
        let form = header(request, "content-type") == Some("application/x-www-form-urlencoded");
        if !form || body != b"grant_type=client_credentials" {
            self.violations.push(format!("a request for a token with `{}`", String::from_utf8_lossy(body)));
            return HttpResponse::BadRequest().json(json!({"error": "unsupported_grant_type"}));
        }
        let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
        if header(request, "authorization") != Some(&expected) {
            return HttpResponse::Unauthorized().json(
                json!({"error": "invalid_client", "error_description": "Client Authentication failed"}),
            );
        }
        self.tokens_made += 1;
        let token = format!("A21AA-canary-{}", self.tokens_made);
        self.tokens.insert(token.clone(), Instant::now() + self.token_life);
        HttpResponse::Ok().json(json!({
            "scope": "https://uri.paypal.com/services/payments/payment", "access_token": token,
            "token_type": "Bearer", "app_id": "APP-80W284485P519543T",
            "expires_in": self.told_life.unwrap_or(self.token_life.as_secs()), "nonce": "2026-11-23T10:00:00Z-x",
        }))
    }

    fn is_authorized(&self, request: &HttpRequest) -> bool {
        let token = header(request, "authorization").and_then(|value| value.strip_prefix("Bearer "));
        token.and_then(|token| self.tokens.get(token)).is_some_and(|end| Instant::now() < *end)
    }

    fn get(&mut self, request: &HttpRequest) -> HttpResponse {
        let reply = if !self.is_authorized(request) {
            HttpResponse::Unauthorized().json(
                json!({"error": "invalid_token", "error_description": "Token signature verification failed"}),
            )
        } else if let Some(fault) = self.faults.pop_front() {
            match fault {
                Fault::Status(status) => error(status, "INTERNAL_SERVER_ERROR"),
                Fault::TooMany(seconds) => {
                    let mut reply = error(429, "RATE_LIMIT_REACHED");
                    let value = seconds.to_string().parse().unwrap();
                    reply.headers_mut().insert("retry-after".parse().unwrap(), value);
                    reply
                }
            }
        } else {
            match self.resources.get(request.path()) {
                Some(resource) => HttpResponse::Ok().json(resource),
                None => error(404, "RESOURCE_NOT_FOUND"),
            }
        };
        self.gets.push((request.path().to_owned(), reply.status().as_u16()));
        reply
    }

    fn verify(&mut self, request: &HttpRequest, body: &[u8]) -> HttpResponse {
        self.verdicts += 1;
        if !self.is_authorized(request) {
            return HttpResponse::Unauthorized().json(json!({"error": "invalid_token"}));
        }
        let Ok(asked) = serde_json::from_slice::<Verification<'_>>(body) else {
            self.violations.push("a question for a verdict that has not the documented form".to_owned());
            return error(400, "INVALID_REQUEST");
        };
        // The event must stand in the question byte for byte: parsed and written again it has another checksum.
        let genuine = asked.webhook_id == WEBHOOK_ID
            && asked.auth_algo == "SHA256withRSA"
            && asked.cert_url == CERT_URL
            && asked.transmission_sig == signature(&asked.transmission_id, &asked.transmission_time)
            && self
                .sent
                .get(&asked.transmission_id)
                .is_some_and(|sent| sent == asked.webhook_event.get().as_bytes());
        HttpResponse::Ok().json(json!({"verification_status": if genuine { "SUCCESS" } else { "FAILURE" }}))
    }
}

const CERT_URL: &str = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-90621ecd";

/// A signature that only this simulator can tell from others.
fn signature(transmission_id: &str, time: &str) -> String {
    STANDARD.encode(format!("signed {transmission_id} {time}"))
}

impl Paypal {
    /// The headers of a delivery of this body, which the simulator then knows as its own.
    pub fn sign(&self, body: &str) -> Vec<(&'static str, String)> {
        let id = uuid::Uuid::new_v4().to_string();
        let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        self.state().sent.insert(id.clone(), body.as_bytes().to_vec());
        vec![
            ("Paypal-Auth-Algo", "SHA256withRSA".to_owned()),
            ("Paypal-Cert-Url", CERT_URL.to_owned()),
            ("Paypal-Transmission-Sig", signature(&id, &time)),
            ("Paypal-Transmission-Id", id),
            ("Paypal-Transmission-Time", time),
        ]
    }
}

fn error(status: u16, name: &str) -> HttpResponse {
    let body = json!({"name": name, "message": "…", "debug_id": "90957fca61718", "details": []});
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).json(body)
}

/// An event of PayPal about a resource.
pub fn event(id: &str, event_type: &str, resource_type: &str, create_time: &str, resource: &Value) -> Value {
    json!({
        "id": id, "event_version": "1.0", "create_time": create_time, "resource_type": resource_type,
        "resource_version": "2.0", "event_type": event_type, "summary": "…", "resource": resource,
        "links": [{"href": format!("https://api-m.paypal.com/v1/notifications/webhooks-events/{id}"), "rel": "self"}],
    })
}
