//! What was acknowledged survives: kills, drains and takeovers under load.

use crate::support::gateway::Gateway;
use crate::support::nobody::Nobody;
use crate::support::sign;
use crate::support::wait::until;
use diesel::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Another for each test: a gateway of another test that gets the port of one that was killed must acknowledge nothing.
fn secret() -> String {
    format!("whsec_canary_{}", uuid::Uuid::new_v4().simple())
}

fn payment(n: u64) -> (String, String) {
    let id = format!("evt_{n}");
    // Ten events a payment, so that lanes matter too.
    let object = json!({"id": format!("pi_{}", n / 10), "object": "payment_intent", "amount": 100, "currency": "brl",
        "status": "succeeded"});
    let body = json!({"id": id, "type": "payment_intent.succeeded", "created": 1_760_000_000 + n,
        "data": {"object": object}});
    (id, body.to_string())
}

/// Posts events until told to stop and remembers which were acknowledged.
struct Load {
    base: Arc<Mutex<String>>,
    nobody: Nobody,
    acknowledged: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(gateway: &Gateway, secret: &str, senders: usize) -> Self {
        let base = Arc::new(Mutex::new(gateway.base.clone()));
        let (acknowledged, stop, next) =
            (Arc::default(), Arc::<AtomicBool>::default(), Arc::new(AtomicU64::new(0)));
        let tasks = (0..senders)
            .map(|_| {
                let (base, http, secret) = (base.clone(), gateway.http.clone(), secret.to_owned());
                let (acknowledged, stop, next): (Arc<Mutex<Vec<String>>>, _, _) =
                    (Arc::clone(&acknowledged), stop.clone(), next.clone());
                tokio::spawn(async move {
                    while !stop.load(SeqCst) {
                        let (id, body) = payment(next.fetch_add(1, SeqCst));
                        // A provider sends the same event again until it is acknowledged.
                        while !stop.load(SeqCst) {
                            let url = format!("{}/api/v1/webhooks/stripe", base.lock().unwrap());
                            let signature = sign::stripe_now(&secret, body.as_bytes());
                            let request =
                                http.post(url).header("stripe-signature", signature).body(body.clone());
                            match request.send().await {
                                Ok(reply) if reply.status() == 200 => {
                                    acknowledged.lock().unwrap().push(id);
                                    break;
                                }
                                _ => tokio::time::sleep(Duration::from_millis(5)).await,
                            }
                        }
                    }
                })
            })
            .collect();
        Self { base, nobody: Nobody::new(), acknowledged, stop, tasks }
    }

    fn go_to(&self, gateway: &Gateway) {
        self.base.lock().unwrap().clone_from(&gateway.base);
    }

    /// From now on nobody is reached: where a gateway listened, something else may soon.
    fn go_nowhere(&self) {
        self.nobody.url.as_str().trim_end_matches('/').clone_into(&mut self.base.lock().unwrap());
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    async fn grown_by(&self, more: usize) {
        let goal = self.count() + more;
        until("more acknowledged events", Duration::from_secs(30), || async {
            (self.count() >= goal).then_some(())
        })
        .await;
    }

    async fn stop(self) -> Vec<String> {
        self.stop.store(true, SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.acknowledged.lock().unwrap().clone()
    }
}

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = Text)]
    event_id: String,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Every acknowledged event is stored exactly once, and all that is stored comes to its end.
async fn nothing_lost(gateway: &Gateway, acknowledged: &[String]) {
    use diesel_async::RunQueryDsl as _;
    let mut conn = gateway.database.connect().await;
    let stored: Vec<Stored> = sql_query(
        "SELECT event_id, count(*) AS rows FROM webhook_events WHERE provider = 'stripe' GROUP BY event_id",
    )
    .load(&mut conn)
    .await
    .unwrap();
    assert!(stored.iter().all(|event| event.rows == 1));
    let stored: std::collections::HashSet<&str> =
        stored.iter().map(|event| event.event_id.as_str()).collect();
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !stored.contains(id.as_str())).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged events are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    all_handled(gateway).await;
}

async fn all_handled(gateway: &Gateway) {
    until("all events to be handled", Duration::from_secs(60), || async {
        let unfinished = count(gateway, "status NOT IN ('completed', 'ignored')").await;
        (unfinished == 0).then_some(())
    })
    .await;
}

async fn count(gateway: &Gateway, condition: &str) -> i64 {
    use diesel_async::RunQueryDsl as _;
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        rows: i64,
    }
    let mut conn = gateway.database.connect().await;
    let found: Vec<Count> =
        sql_query(format!("SELECT count(*) AS rows FROM webhook_events WHERE {condition}"))
            .load(&mut conn)
            .await
            .unwrap();
    found[0].rows
}

#[tokio::test(flavor = "multi_thread")]
async fn four_kills_under_load_lose_nothing_and_double_nothing() {
    let secret = secret();
    let mut gateway = Gateway::start(&[("STRIPE_WEBHOOK_SECRET", &secret)]).await;
    let load = Load::start(&gateway, &secret, 16);
    for _ in 0..4 {
        load.grown_by(300).await;
        load.go_nowhere();
        gateway.kill();
        gateway.restart();
        load.go_to(&gateway);
    }
    load.grown_by(300).await;
    let acknowledged = load.stop().await;
    assert!(acknowledged.len() >= 1500);
    nothing_lost(&gateway, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn termination_under_load_drains_and_answers_what_it_has_taken() {
    let secret = secret();
    let mut gateway = Gateway::start(&[("STRIPE_WEBHOOK_SECRET", &secret)]).await;
    let load = Load::start(&gateway, &secret, 8);
    load.grown_by(200).await;
    // The load goes on while it drains.
    assert!(gateway.terminate(), "it exits with success");
    load.go_nowhere();
    assert_eq!(count(&gateway, "status = 'processing'").await, 0, "nothing is left half done");
    gateway.restart();
    load.go_to(&gateway);
    load.grown_by(100).await;
    let acknowledged = load.stop().await;
    nothing_lost(&gateway, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_node_takes_over_what_a_killed_one_had_in_hand() {
    let secret = secret();
    let mut first = Gateway::start(&[("STRIPE_WEBHOOK_SECRET", &secret)]).await;
    let second = Gateway::start_on(first.database.clone(), &[("STRIPE_WEBHOOK_SECRET", &secret)]).await;
    let load = Load::start(&first, &secret, 16);
    load.grown_by(500).await;
    load.go_nowhere();
    first.kill();
    load.go_to(&second);
    let acknowledged = load.stop().await;
    nothing_lost(&second, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_and_a_worker_share_the_job() {
    let secret = secret();
    let settings = [("STRIPE_WEBHOOK_SECRET", &*secret)];
    let receiver = Gateway::start_role("receiver", None, &settings).await;
    let load = Load::start(&receiver, &secret, 4);
    load.grown_by(50).await;
    let acknowledged = load.stop().await;
    assert_eq!(count(&receiver, "status = 'completed' AND provider = 'stripe'").await, 0);
    let database = receiver.database.clone();
    let worker = Gateway::start_role("worker", Some(database), &settings).await;
    nothing_lost(&receiver, &acknowledged).await;
    let refused = worker.http.post(worker.url("/api/v1/webhooks/stripe")).body("{}").send().await.unwrap();
    assert_eq!(refused.status(), 404, "a worker receives nothing");
    worker.answers("/health/ready", 200).await;
    // An idle worker on another node hears of new work at once, not by its poll alone.
    let (id, body) = payment(1_000_000);
    let signature = sign::stripe_now(&secret, body.as_bytes());
    let url = receiver.url("/api/v1/webhooks/stripe");
    let reply =
        receiver.http.post(url).header("stripe-signature", signature).body(body).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    let event: Value = receiver.event("stripe", &id, &["completed"]).await;
    assert_eq!(event["attempts"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_nodes_may_start_and_migrate_at_once() {
    let database = Arc::new(crate::support::gateway::TestDatabase::create().await);
    let starts = (0..4).map(|_| Gateway::start_on(database.clone(), &[]));
    let nodes = futures_util::future::join_all(starts).await;
    for node in &nodes {
        node.answers("/health", 200).await;
    }
}
