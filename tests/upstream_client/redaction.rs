//! Nothing that a call carries, and nothing that an upstream says, shows in an error or a log.

use super::{first, pair, policy};
use crate::support::faulty_server::{Act, Answer};
use crate::support::nobody::Nobody;
use hookgate::upstream::{Call, Policy, Upstream};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

const CANARY: &str = "canary-7d1e";

/// Where the log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A call that carries the canary in every place there is.
fn call() -> Call {
    let mut token = HeaderValue::from_str(&format!("Bearer {CANARY}")).unwrap();
    token.set_sensitive(true);
    Call::new(Method::POST, "POST /leads/{id}", format!("/leads/{CANARY}"))
        .query("api_key", CANARY)
        .header(AUTHORIZATION, token)
        .header("x-plain".parse().unwrap(), HeaderValue::from_static(CANARY))
        .json(&serde_json::json!({ "cpf": CANARY }))
}

#[tokio::test]
async fn a_token_or_a_person_never_shows() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);

    let say = |status| Answer::status(status).header("X-Said", CANARY).body(format!("<{CANARY}>"));
    let acts: Vec<Act> = vec![
        say(401).into(),
        say(400).into(),
        say(500).into(),
        say(302).header("Location", &format!("/{CANARY}")).into(),
        say(429).header("Retry-After", &format!("60{CANARY}")).header("X-Lognex-Retry-After", "1").into(),
        Act::HangUp,
        Act::CutBody,
        Act::Garbage,
        Act::Silence,
        say(200).header("Content-Encoding", "gzip").into(),
        say(200).body("x".repeat(2_000)).into(),
        say(200).into(),
    ];
    let rough = Policy { timeout: Duration::from_secs(5), max_reply: 1_000, breaker_failures: 5, ..policy() };
    let (server, plain) = pair(rough.clone(), first(acts.clone())).await;
    let base = server.url.join(&format!("/{CANARY}/")).unwrap();
    let upstream = Upstream::new("leads", &base, rough.clone());

    let mut shown = vec![format!("{:?}", call())];
    while server.requests() < acts.len() {
        // Tests in other threads, which have no subscriber, may have switched these log lines off for the process.
        tracing::callsite::rebuild_interest_cache();
        // Each under its own principal: the circuit must not hide the others.
        let principal = server.requests().to_string();
        match upstream.call(&principal, call()).await {
            Ok(reply) => {
                assert!(
                    std::str::from_utf8(&reply.body).unwrap().contains(CANARY),
                    "the handler does get it"
                );
                let unreadable = reply.json::<serde_json::Value>().unwrap_err();
                shown.push(format!("{reply:?} {unreadable:?} {unreadable}"));
            }
            Err(error) => shown.push(format!("{error:?} {error}")),
        }
    }
    let nobody = Nobody::new();
    let gone = Upstream::new("leads", &nobody.url.join(CANARY).unwrap(), rough);
    for _ in 0..6 {
        tracing::callsite::rebuild_interest_cache();
        let error = gone.call("a", call()).await.unwrap_err();
        shown.push(format!("{error:?} {error}"));
    }
    let up = Call::new(Method::GET, "GET /leads/{id}", format!("/leads/{CANARY}/../.."));
    let error = plain.call("a", up).await.unwrap_err();
    shown.push(format!("{error:?} {error}"));

    let shown = shown.join("\n");
    for expected in ["400", "500", "302", "connection lost", "timeout", "broken reply", "body too long"] {
        assert!(shown.contains(expected), "{expected} is missing in {shown}");
    }
    for expected in ["unreadable", "cannot connect", "circuit open", "cannot be part of a path"] {
        assert!(shown.contains(expected), "{expected} is missing in {shown}");
    }
    let log = log.text();
    for expected in ["POST /leads/{id}", "upstream=\"leads\"", "status=\"timeout\"", "circuit opened"] {
        assert!(log.contains(expected), "{expected} is missing in {log}");
    }
    for (place, text) in [("errors", &shown), ("log", &log), ("metrics", &recorder.handle().render())] {
        let line = text.lines().find(|line| line.contains(CANARY));
        assert_eq!(line, None, "{place} show the canary");
    }
}
