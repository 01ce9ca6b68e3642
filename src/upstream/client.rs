//! One upstream: its base URL, its policy and the way of one call through its tries.

use super::guard::{Held, Thresholds};
use super::pause::{Pause, backoff};
use super::principal::{Admission, Principal, Refusal};
use super::principals::{Limits, Principals};
use super::transport::{self, Lost};
use super::{Call, Redacted, Reply, UpstreamError, retry_after};
use crate::nodes::{Nodes, Standing};
use bytes::Bytes;
use chrono::Utc;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Request};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Refusals (429) after which a call gives up although there would be time to wait for more: `MoySklad` bans who
/// collects 200 of them a minute.
const MOST_REFUSALS: u32 = 5;

/// How an upstream wants to be called.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Of one try, from connecting to the last byte.
    pub timeout: Duration,
    /// Tries of one call, the first included, where no reply came or a 5xx; only of calls marked repeatable.
    pub tries: u32,
    /// Rate units that refill over `per`, for each principal.
    pub units: u32,
    /// Refill time of `units`.
    pub per: Duration,
    /// Units that may be spent at once; at most `units`.
    pub burst: u32,
    /// Calls in flight for each principal; fewer for a while after a refusal that says so ([`Told::too_many_at_once`]).
    pub parallel: usize,
    /// Of these, slots that only urgent calls take, while there are at least three ([`Call::urgent`]).
    pub urgent_slots: usize,
    /// How long a call may wait for its turn before it gives up with [`UpstreamError::RateLimited`].
    pub max_wait: Duration,
    /// Failures in a row that open the circuit of a principal.
    pub breaker_failures: u32,
    /// Single things may be unreadable (5xx) while the upstream works: a read that fails again and again counts once as long as
    /// other calls work, and is tried once in each call.
    pub lenient_reads: bool,
    /// How long an open circuit refuses calls.
    pub breaker_pause: Duration,
    /// Longest reply body in bytes.
    pub max_reply: usize,
    /// What it bans a principal for, and from how many on calls are held instead.
    pub thresholds: Thresholds,
    /// Reads the body of a failure.
    pub told: fn(&[u8]) -> Told,
}

/// What the body of a failure tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// The upstream's own code: failures of one status and code are equal.
    pub code: Option<u64>,
    /// The call was refused (429) because others were in flight, not because there were too many lately.
    pub too_many_at_once: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            tries: 3,
            units: 20,
            per: Duration::from_secs(1),
            burst: 20,
            parallel: 8,
            urgent_slots: 0,
            max_wait: Duration::from_secs(5),
            breaker_failures: 5,
            lenient_reads: false,
            breaker_pause: Duration::from_secs(30),
            max_reply: 8 << 20,
            thresholds: Thresholds::NONE,
            told: |_| Told::default(),
        }
    }
}

/// An API that Hookgate calls. Cheap to clone; clones share limits, circuit and connections.
#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

struct Shared {
    name: &'static str,
    base: Url,
    policy: Policy,
    client: Option<Client>,
    principals: Arc<Principals>,
}

/// A reply of any status.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Upstream {
    /// An upstream named `name` (metrics label) under `base_url`.
    pub fn new(name: &'static str, base_url: &Url, policy: Policy) -> Self {
        Self(Arc::new(Shared {
            name,
            base: base_url.clone(),
            client: transport::client(name, &policy),
            principals: Principals::new(policy.clone()).into(),
            policy,
        }))
    }

    /// The same for an upstream whose limits this process shares with others: `policy` is the whole, and `share` what of it
    /// may be used at this standing, if anything. Rates, calls in flight and thresholds are taken from that.
    pub fn shared(
        name: &'static str,
        base_url: &Url,
        policy: Policy,
        nodes: &Nodes,
        share: impl Fn(Standing) -> Option<Policy> + Send + Sync + 'static,
    ) -> Self {
        let upstream = Self::new(name, base_url, policy);
        nodes.tell(Arc::new(Limits::new(&upstream.0.principals, share)));
        upstream
    }

    /// Makes one call for `principal` (an account or token id: rate, parallelism and circuit are kept for each).
    /// The name of the principal must not be a secret. Any status but 2xx is an error,
    /// except a redirect that the call takes.
    ///
    /// May be dropped at any time: it then frees what it holds, though the upstream may have acted already.
    pub async fn call(&self, principal: &str, call: Call) -> Result<Reply, UpstreamError> {
        let shared = &*self.0;
        let (upstream, route) = (shared.name, call.route);
        let principal = &*shared.principals.get(principal);
        let mut budget = shared.policy.max_wait.min(retry_after::LONGEST);
        let mut tries =
            Tries { most: shared.policy.tries, repeatable: call.repeatable, failed: 0, refused: 0 };
        let mut failure = None;
        let end = if call.takes_redirect { 400 } else { 300 };
        loop {
            let request = transport::request(&shared.base, &call);
            let request = request.ok_or(UpstreamError::BadPath { upstream, route })?;
            if tries.is_first() && call.is_get() && principal.expects_failure(hash(request.url())) {
                tries.most = 1;
            }
            let admission = match principal.admit(&call, &mut budget).await {
                Ok(admission) => admission,
                // What went wrong with the upstream says more than that there is no time left to try again.
                Err(refusal) => return Err(failure.unwrap_or_else(|| refusal.into_error(upstream))),
            };
            let (error, wait) = match shared.attempt(principal, admission, route, request, &tries).await {
                Ok(Answer { status, headers, body }) if (200..end).contains(&status) => {
                    return Ok(Reply { status, headers, body, upstream, route });
                }
                Ok(Answer { status: 429, .. }) => {
                    let after = principal.pause.remaining();
                    let wait = if after <= budget { tries.after_refusal() } else { None };
                    (UpstreamError::RateLimited { upstream, after }, wait)
                }
                Ok(Answer { status, body, .. }) => {
                    let wait = if status >= 500 { tries.after_failure(true) } else { None };
                    (UpstreamError::Status { upstream, route, status, body: Redacted(body) }, wait)
                }
                Err(lost) => {
                    // A body that is too long now will be so again.
                    let wait =
                        if lost == Lost::TooLong { None } else { tries.after_failure(lost != Lost::Connect) };
                    (UpstreamError::Transport { upstream, route, reason: lost.reason() }, wait)
                }
            };
            let Some(wait) = wait else { return Err(error) };
            failure = Some(error);
            tokio::time::sleep(wait).await;
        }
    }
}

impl Upstream {
    /// How long a PUT of this path would be held now, if it would: it was written too often within a minute.
    pub fn holds_put(&self, principal: &str, path: &str) -> Option<Duration> {
        let (wait, why) = self.0.principals.get(principal).guard.holds(&Method::PUT, path)?;
        // What holds the whole account says so itself when a call is made.
        (why == Held::WritesOfOne).then_some(wait)
    }

    /// How long the circuit of this principal refuses calls from now on; zero while it is closed.
    pub fn closed_for(&self, principal: &str) -> Duration {
        self.0.principals.get(principal).refused_for()
    }

    /// How many PUTs of this path, and of parts of it, may go out within the next moments; more would be held.
    pub fn puts_left(&self, principal: &str, path: &str) -> u32 {
        self.0.principals.get(principal).guard.writes_left(path)
    }
}

impl Shared {
    /// One try: sends, reads, and tells the principal's pause and circuit what came of it.
    async fn attempt(
        &self,
        principal: &Principal,
        admission: Admission<'_>,
        route: &'static str,
        request: Request,
        tries: &Tries,
    ) -> Result<Answer, Lost> {
        let sent = Instant::now();
        let read = (request.method() == Method::GET).then(|| hash(request.url()));
        if let Some(held) = admission.last_before {
            self.tell_held(principal, route, held);
        }
        let result = self.exchange(&principal.pause, request, sent).await;
        self.record(route, &result, sent.elapsed(), tries);
        if let Ok(Answer { status: status @ 400.., body, .. }) = &result {
            self.failed(principal, route, *status, body, sent);
        }
        match &result {
            // They say nothing about the upstream's health.
            Ok(Answer { status: 408 | 429, .. }) => {}
            answer @ (Ok(Answer { status: 500.., .. })
            | Err(Lost::Connect | Lost::Timeout | Lost::Connection | Lost::Broken)) => {
                if admission.pass.failed(read.filter(|_| answer.is_ok())) {
                    let pause_s = self.policy.breaker_pause.as_secs();
                    tracing::warn!(upstream = self.name, route, pause_s, "circuit opened for a principal");
                }
            }
            Ok(_) | Err(Lost::TooLong) => admission.pass.succeeded(),
        }
        result
    }

    async fn exchange(&self, pause: &Pause, request: Request, sent: Instant) -> Result<Answer, Lost> {
        let Some(client) = &self.client else { return Err(Lost::Connect) };
        let mut response = client.execute(request).await?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        // Before the body: other calls of this principal should not run into the same refusal meanwhile.
        match retry_after::wait(status, &headers, Utc::now()) {
            Some(wait) => pause.extend(wait),
            None if status == 429 => pause.strike(sent, rand::random()),
            None => {}
        }
        if status != 429 {
            pause.clear_strikes(sent);
        }
        let cut = !(200..300).contains(&status);
        let body = transport::body(response, self.policy.max_reply, cut).await?;
        Ok(Answer { status, headers, body })
    }

    /// Counts a failure against what the upstream bans for.
    fn failed(&self, principal: &Principal, route: &str, status: u16, body: &[u8], sent: Instant) {
        let upstream = self.name;
        let told = (self.policy.told)(body);
        if told.too_many_at_once
            && let Some(parallel) = principal.slots.halve(sent)
        {
            metrics::counter!("upstream_parallel_lowered_total", "upstream" => upstream).increment(1);
            tracing::info!(upstream, principal = principal.name, parallel, "fewer calls at once for a while");
        }
        if let Some(held) = principal.guard.answered(status, told.code) {
            self.tell_held(principal, route, held);
        }
    }

    fn tell_held(&self, principal: &Principal, route: &str, held: Held) {
        let upstream = self.name;
        metrics::counter!("upstream_held_total", "upstream" => upstream, "reason" => held.label())
            .increment(1);
        tracing::warn!(
            alert = "ban",
            upstream,
            principal = principal.name,
            route,
            remedy = held.remedy(),
            "{}: calls are held for a minute, before the upstream bans this principal",
            held.reason()
        );
    }

    fn record(&self, route: &str, result: &Result<Answer, Lost>, took: Duration, tries: &Tries) {
        let upstream = self.name;
        let status = match result {
            Ok(answer) => answer.status.to_string(),
            Err(lost) => lost.label().to_owned(),
        };
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(upstream, route, status, duration_ms, "try" = tries.number(), "upstream call");
        metrics::counter!("upstream_requests_total", "upstream" => upstream, "status" => status).increment(1);
        metrics::histogram!("upstream_request_duration_seconds", "upstream" => upstream).record(took);
    }
}

fn hash(url: &Url) -> u64 {
    let mut hasher = DefaultHasher::new();
    url.as_str().hash(&mut hasher);
    hasher.finish()
}

impl Refusal {
    fn into_error(self, upstream: &'static str) -> UpstreamError {
        match self {
            Self::Limited(after) => UpstreamError::RateLimited { upstream, after },
            Self::Broken(after) => UpstreamError::CircuitOpen { upstream, after },
            Self::Held(after, held) => UpstreamError::Held { upstream, reason: held.reason(), after },
        }
    }
}

/// What became of the tries of one call so far, and whether there may be another.
struct Tries {
    most: u32,
    repeatable: bool,
    failed: u32,
    refused: u32,
}

impl Tries {
    fn is_first(&self) -> bool {
        self.number() == 1
    }

    /// Number of the try that runs now, from 1.
    fn number(&self) -> u32 {
        self.failed + self.refused + 1
    }

    /// How long to wait before the next try after no reply or a 5xx; `None` if this was the last. What was surely
    /// not sent may be sent again even if it is not repeatable.
    fn after_failure(&mut self, sent: bool) -> Option<Duration> {
        self.failed += 1;
        let again = self.failed < self.most && (self.repeatable || !sent);
        again.then(|| backoff(self.failed, rand::random()))
    }

    /// The same after a 429, which says that the call was not acted on. The principal's own pause does the waiting.
    fn after_refusal(&mut self) -> Option<Duration> {
        self.refused += 1;
        (self.refused < MOST_REFUSALS).then_some(Duration::ZERO)
    }
}
