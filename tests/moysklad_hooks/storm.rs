//! Case 2 of facts/moysklad.md: many large notifications at once, while no worker runs, and a kill right after the last answer.
//!
//! `HOOKGATE_STORM_POSTS=300` is its real size.

use crate::moysklad_sync::ORIGIN;
use crate::support::gateway::Gateway;
use diesel::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

const EVENTS: usize = 1000;
/// `MoySklad` gives up then.
const LIMIT: Duration = Duration::from_millis(1500);
/// On a machine that runs other tests beside this one the time says little.
const LIMIT_BESIDE_OTHERS: Duration = Duration::from_secs(30);
const BASE: &str = "http://127.0.0.1:9/api/remap/1.2";

#[derive(QueryableByName)]
struct Stored {
    #[diesel(sql_type = BigInt)]
    rows: i64,
    #[diesel(sql_type = BigInt)]
    subjects: i64,
}

fn notification(account: Uuid) -> String {
    let event = |_| {
        let href = format!("{BASE}/entity/product/{}", Uuid::new_v4());
        let meta = json!({"type": "product", "href": href});
        json!({"meta": meta, "action": "UPDATE", "accountId": account, "updatedFields": ["name", "salePrices"]})
    };
    let context = json!({"uid": "anna@shop", "moment": "2026-11-23 10:00:00"});
    json!({"auditContext": context, "events": (0..EVENTS).map(event).collect::<Vec<Value>>()}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_notifications_at_once_are_answered_in_time_and_outlive_a_kill() {
    let asked: Option<usize> = std::env::var("HOOKGATE_STORM_POSTS").ok().map(|posts| posts.parse().unwrap());
    let posts = asked.unwrap_or(6);
    let token = "storm-canary-9b1c";
    let mut gateway = Gateway::start_role(
        "receiver",
        None,
        &[
            ("MOYSKLAD_BASE_URL", BASE),
            ("MOYSKLAD_WEBHOOK_TOKEN", token),
            ("APP_URL", ORIGIN),
            ("RUST_LOG", "hookgate=info"),
        ],
    )
    .await;
    let account = Uuid::new_v4();
    let body = json!({"name": "Main", "role": "main", "access_token": "storm-canary-77c2"});
    let path = format!("/api/v1/moysklad/accounts/{account}");
    assert_eq!(gateway.admin("PUT", &path, &body).await.0, 201);
    let bodies: Vec<String> = (0..posts).map(|_| notification(account)).collect();
    let begun = Instant::now();
    let answers = join_all(bodies.into_iter().enumerate().map(|(n, body)| {
        let url = gateway.url(&format!("/api/v1/webhooks/moysklad?token={token}&requestId=storm-{n}"));
        let request = gateway.http.post(url).header("content-type", "application/json").body(body);
        async move {
            let begun = Instant::now();
            let reply = request.send().await.unwrap();
            let status = reply.status().as_u16();
            let told: Value = reply.json().await.unwrap();
            (begun.elapsed(), status, told["processed"].as_u64())
        }
    }))
    .await;
    let took = begun.elapsed();
    gateway.kill();
    let mut times: Vec<Duration> = answers.iter().map(|(time, ..)| *time).collect();
    times.sort();
    println!(
        "{posts} notifications of {EVENTS} events in {took:?}: half within {:?}, all within {:?}",
        times[posts / 2],
        times[posts - 1]
    );
    assert!(answers.iter().all(|(_, status, stored)| (*status, *stored) == (200, Some(EVENTS as u64))));
    let mut conn = gateway.database.connect().await;
    let count = "SELECT count(*) AS rows, count(DISTINCT subject) AS subjects FROM webhook_events
                 WHERE provider = 'moysklad' AND status = 'received'";
    let stored: Stored = sql_query(count).get_result(&mut conn).await.unwrap();
    let all = i64::try_from(posts * EVENTS).unwrap();
    assert_eq!((stored.rows, stored.subjects), (all, all), "nothing that was acknowledged is lost");
    let limit = if asked.is_some() { LIMIT } else { LIMIT_BESIDE_OTHERS };
    assert!(times[posts - 1] < limit, "{:?}", times[posts - 1]);
}
