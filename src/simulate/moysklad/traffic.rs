//! What an account was asked, and the thresholds above which the real one bans a client.

use super::knobs::Fault;
use reqwest::Method;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
/// Equal errors, or answers 429, of one minute.
const MOST_REFUSALS: usize = 200;
/// Writes of one entity in one minute.
const MOST_PUTS: usize = 100;

/// A request that came with an account's token.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// HTTP method.
    pub method: Method,
    /// Path below the API's base.
    pub path: String,
    /// Query, without the question mark.
    pub query: String,
    /// Status of the answer, also of one that was lost.
    pub status: u16,
    /// Values of the loop-prevention header.
    pub prefixes: Vec<String>,
    /// The body, parsed; null if there was none.
    pub body: Value,
}

/// A person's request: method, path below the base, body.
pub(super) type ByHand = (Method, String, Value);

/// Requests of one account.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) recorded: Vec<Recorded>,
    /// Answers of any status, also 429.
    pub(super) answers: usize,
    pub(super) in_flight: usize,
    pub(super) peak_in_flight: usize,
    pub(super) latency: Duration,
    pub(super) faults: VecDeque<(Method, Fault)>,
    /// Writes that name this text are refused: another one changed it meanwhile (1065).
    pub(super) contended: Option<String>,
    /// Requests with this method that name all these words fail so.
    pub(super) troubles: Vec<(Method, String, Fault)>,
    /// What a person does just before the first request with this method that names all these words is acted on.
    pub(super) meanwhile: Option<(Method, String, ByHand)>,
    /// When, status, code.
    refusals: VecDeque<(Instant, u16, u64)>,
    puts: VecDeque<(Instant, Uuid)>,
}

impl Traffic {
    /// The first fault that waits for this method.
    pub(super) fn take_fault(&mut self, method: &Method) -> Option<Fault> {
        let position = self.faults.iter().position(|fault| fault.0 == *method)?;
        self.faults.remove(position).map(|fault| fault.1)
    }

    /// Counts an answer; says so when the real one would ban the client for it.
    pub(super) fn count(&mut self, method: &Method, path: &str, status: u16, code: u64) -> Option<String> {
        self.answers += 1;
        let now = Instant::now();
        while self.refusals.front().is_some_and(|refusal| now - refusal.0 > MINUTE) {
            self.refusals.pop_front();
        }
        while self.puts.front().is_some_and(|put| now - put.0 > MINUTE) {
            self.puts.pop_front();
        }
        if status >= 400 {
            self.refusals.push_back((now, status, code));
            let equal =
                self.refusals.iter().filter(|refusal| (refusal.1, refusal.2) == (status, code)).count();
            if equal == MOST_REFUSALS + 1 {
                return Some(format!(
                    "banned: more than {MOST_REFUSALS} answers {status}/{code} in a minute"
                ));
            }
        }
        if *method == Method::PUT
            && let Some(id) = super::json::uuids(path).last()
        {
            self.puts.push_back((now, id));
            if self.puts.iter().filter(|put| put.1 == id).count() == MOST_PUTS + 1 {
                return Some(format!("banned: more than {MOST_PUTS} writes of {id} in a minute"));
            }
        }
        None
    }
}
