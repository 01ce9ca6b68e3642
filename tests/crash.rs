//! What was acknowledged survives: kills, drains and takeovers under load.

use crate::support::gateway::Gateway;
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

const SECRET: &str = "whsec_canary_crash";

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
    acknowledged: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(gateway: &Gateway, senders: usize) -> Self {
        let base = Arc::new(Mutex::new(gateway.base.clone()));
        let (acknowledged, stop, next) =
            (Arc::default(), Arc::<AtomicBool>::default(), Arc::new(AtomicU64::new(0)));
        let tasks = (0..senders)
            .map(|_| {
                let (base, http) = (base.clone(), gateway.http.clone());
                let (acknowledged, stop, next): (Arc<Mutex<Vec<String>>>, _, _) =
                    (Arc::clone(&acknowledged), stop.clone(), next.clone());
                tokio::spawn(async move {
                    while !stop.load(SeqCst) {
                        let (id, body) = payment(next.fetch_add(1, SeqCst));
                        // A provider sends the same event again until it is acknowledged.
                        while !stop.load(SeqCst) {
                            let url = format!("{}/api/v1/webhooks/stripe", base.lock().unwrap());
                            let signature = sign::stripe_now(SECRET, body.as_bytes());
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
        Self { base, acknowledged, stop, tasks }
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
    let mut gateway = Gateway::start(&[("STRIPE_WEBHOOK_SECRET", SECRET)]).await;
    let load = Load::start(&gateway, 16);
    for _ in 0..4 {
        load.grown_by(300).await;
        gateway.kill();
        gateway.restart();
        *load.base.lock().unwrap() = gateway.base.clone();
    }
    load.grown_by(300).await;
    let acknowledged = load.stop().await;
    assert!(acknowledged.len() >= 1500);
    nothing_lost(&gateway, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn termination_under_load_drains_and_answers_what_it_has_taken() {
    let mut gateway = Gateway::start(&[("STRIPE_WEBHOOK_SECRET", SECRET)]).await;
    let load = Load::start(&gateway, 8);
    load.grown_by(200).await;
    assert!(gateway.terminate(), "it exits with success");
    assert_eq!(count(&gateway, "status = 'processing'").await, 0, "nothing is left half done");
    gateway.restart();
    *load.base.lock().unwrap() = gateway.base.clone();
    load.grown_by(100).await;
    let acknowledged = load.stop().await;
    nothing_lost(&gateway, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_node_takes_over_what_a_killed_one_had_in_hand() {
    let mut first = Gateway::start(&[("STRIPE_WEBHOOK_SECRET", SECRET)]).await;
    let second = Gateway::start_on(first.database.clone(), &[("STRIPE_WEBHOOK_SECRET", SECRET)]).await;
    let load = Load::start(&first, 16);
    load.grown_by(500).await;
    first.kill();
    *load.base.lock().unwrap() = second.base.clone();
    let acknowledged = load.stop().await;
    nothing_lost(&second, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_and_a_worker_share_the_job() {
    let receiver = Gateway::start_role("receiver", None, &[("STRIPE_WEBHOOK_SECRET", SECRET)]).await;
    let load = Load::start(&receiver, 4);
    load.grown_by(50).await;
    let acknowledged = load.stop().await;
    assert_eq!(count(&receiver, "status = 'completed' AND provider = 'stripe'").await, 0);
    let database = receiver.database.clone();
    let worker = Gateway::start_role("worker", Some(database), &[("STRIPE_WEBHOOK_SECRET", SECRET)]).await;
    nothing_lost(&receiver, &acknowledged).await;
    let refused = worker.http.post(worker.url("/api/v1/webhooks/stripe")).body("{}").send().await.unwrap();
    assert_eq!(refused.status(), 404, "a worker receives nothing");
    assert_eq!(worker.http.get(worker.url("/health/ready")).send().await.unwrap().status(), 200);
    // An idle worker on another node hears of new work at once, not by its poll alone.
    let (id, body) = payment(1_000_000);
    let signature = sign::stripe_now(SECRET, body.as_bytes());
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
        assert_eq!(node.http.get(node.url("/health")).send().await.unwrap().status(), 200);
    }
}
