//! A strict stand-in for the part of Twilio's REST API that shows messages.

use super::simulator::{Simulator, Upstream, header};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The account in every test.
pub const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
/// Its token.
pub const AUTH_TOKEN: &str = "twilio-canary-b3a81f0c77d2";

/// What a request gets instead of its answer.
#[derive(Clone, Copy)]
pub enum Fault {
    Status(u16),
    /// 429 with `Retry-After` in seconds.
    TooMany(u32),
}

/// Twilio's API on a local port.
pub type Twilio = Simulator<State>;

/// What it holds and what it was asked.
#[derive(Default)]
pub struct State {
    messages: HashMap<String, Value>,
    /// Ids that were asked for, with the status of the answer.
    pub gets: Vec<(String, u16)>,
    /// What the next requests get, one each.
    pub faults: VecDeque<Fault>,
    pub latency: Duration,
    pub violations: Vec<String>,
}

impl Twilio {
    /// Creates or replaces a message.
    pub fn put(&self, sid: &str, status: &str, error_code: Option<u32>) {
        let message = json!({
            "sid": sid, "account_sid": ACCOUNT, "status": status, "error_code": error_code, "error_message": null,
            "direction": "outbound-api", "from": "+15005550006", "to": "+5581999990000", "body": "Ana, your code is 1",
            "date_created": "Mon, 23 Nov 2026 10:00:00 +0000", "num_segments": "1", "num_media": "0", "price": null,
            "uri": format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}.json"),
        });
        self.state().messages.insert(sid.to_owned(), message);
    }

    /// How often a message was asked for.
    pub fn gets(&self, sid: &str) -> usize {
        self.state().gets.iter().filter(|get| get.0 == sid).count()
    }
}

impl Upstream for State {
    fn answer(&mut self, request: &HttpRequest, _: &[u8]) -> HttpResponse {
        let prefix = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/");
        let sid = request.path().strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".json"));
        let Some(sid) = sid.filter(|sid| request.method() == "GET" && sid.len() == 34 && sid.is_ascii())
        else {
            self.violations.push(format!("{} {}", request.method(), request.path()));
            return error(404, 20404);
        };
        let expected = format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{AUTH_TOKEN}")));
        let reply = if header(request, "authorization") != Some(&expected) {
            error(401, 20003)
        } else if let Some(fault) = self.faults.pop_front() {
            match fault {
                Fault::Status(status) => error(status, 20500),
                Fault::TooMany(seconds) => {
                    let mut reply = error(429, 20429);
                    let value = seconds.to_string().parse().unwrap();
                    reply.headers_mut().insert("retry-after".parse().unwrap(), value);
                    reply
                }
            }
        } else {
            match self.messages.get(sid) {
                Some(message) => HttpResponse::Ok().json(message),
                None => error(404, 20404),
            }
        };
        self.gets.push((sid.to_owned(), reply.status().as_u16()));
        reply
    }

    fn latency(&self) -> Duration {
        self.latency
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}

fn error(status: u16, code: u32) -> HttpResponse {
    let body = json!({
        "code": code, "message": "…", "more_info": format!("https://www.twilio.com/docs/errors/{code}"), "status": status,
    });
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).json(body)
}
