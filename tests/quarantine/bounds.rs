//! A flood of junk stays within its bounds and pushes nothing out that was there before it.

use super::{github, kept};
use crate::support::gateway::Gateway;
use crate::support::wait;
use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl as _;
use futures_util::future::join_all;
use std::time::Duration;

#[derive(QueryableByName, Debug)]
struct Held {
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    missing: i64,
}

async fn held(gateway: &Gateway) -> Held {
    let mut conn = gateway.database.connect().await;
    sql_query(
        "SELECT count(*) AS requests, coalesce(sum(octet_length(body)), 0)::bigint AS bytes,
             count(*) FILTER (WHERE reason = 'missing') AS missing FROM quarantined_requests",
    )
    .get_result(&mut conn)
    .await
    .unwrap()
}

/// Requests that are in the gateway's hands and not yet counted anywhere.
async fn settled(gateway: &Gateway, requests: u32) {
    wait::until("every request to be kept or counted", Duration::from_secs(60), || async {
        let text = gateway.http.get(gateway.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| {
            line.starts_with("webhook_quarantined_total")
                || line.starts_with("webhook_quarantine_dropped_total")
        });
        let counted: f64 = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
        (counted >= f64::from(requests)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_junk_stays_within_bounds_and_an_earlier_mismatch_survives() {
    let gateway = Gateway::start(&[
        ("GITHUB_WEBHOOK_SECRET", "flood-canary"),
        ("QUARANTINE_MAX_REQUESTS", "30"),
        ("QUARANTINE_MAX_BYTES", "1000000"),
    ])
    .await;
    assert_eq!(github(&gateway, "old secret", "real", b"{\"real\":true}").await.0, 401);
    let real = kept(&gateway, "reason=mismatch", 1).await.remove(0);
    let url = gateway.url("/api/v1/webhooks/github");
    for round in 0..15_usize {
        let flood = join_all((0..100_usize).map(|n| {
            let size = [10, 1_000, 20_000, 200_000, 500_000][(round + n) % 5] + n;
            let body = format!("{round}-{n}-{}", "x".repeat(size));
            let mut request = gateway.http.post(&url).body(body);
            if n % 2 == 0 {
                request = request.header("x-hub-signature-256", format!("sha256={:064x}", round * 100 + n));
            }
            request.send()
        }));
        assert!(flood.await.into_iter().all(|reply| reply.unwrap().status() == 401));
        if round % 5 == 0 {
            let held = held(&gateway).await;
            assert!(held.requests <= 30 && held.bytes <= 1_000_000 && held.missing <= 3, "{held:?}");
        }
    }
    settled(&gateway, 1_501).await;
    let held = held(&gateway).await;
    assert!(held.requests <= 30 && held.bytes <= 1_000_000 && held.missing <= 3, "{held:?}");
    assert!(held.missing > 0 && held.requests > held.missing + 1, "some of it is kept: {held:?}");
    let items =
        kept(&gateway, "reason=mismatch", usize::try_from(held.requests - held.missing).unwrap()).await;
    assert!(items.iter().any(|item| item["id"] == real["id"]), "what was there first is still there");
}

#[tokio::test]
async fn a_quiet_hour_keeps_its_place_and_what_is_old_goes() {
    let gateway = Gateway::start(&[
        ("GITHUB_WEBHOOK_SECRET", "hours-canary"),
        ("QUARANTINE_MAX_REQUESTS", "8"),
        ("QUARANTINE_DAYS", "2"),
    ])
    .await;
    let shift = async |by: &str| {
        let mut conn = gateway.database.connect().await;
        sql_query("UPDATE quarantined_requests SET received_at = received_at - $1::interval")
            .bind::<Text, _>(by)
            .execute(&mut conn)
            .await
            .unwrap();
    };
    let send = async |name: &str| assert_eq!(github(&gateway, "wrong", name, name.as_bytes()).await.0, 401);
    send("ancient").await;
    kept(&gateway, "", 1).await;
    shift("40 hours").await;
    send("quiet").await;
    kept(&gateway, "", 2).await;
    shift("20 hours").await;
    // One by one, so that each commit has to choose what gives way.
    for (n, letter) in (0..).zip('a'..='o') {
        send(&format!("flood-{letter}")).await;
        settled(&gateway, 3 + n).await;
    }
    let names = |items: &[serde_json::Value]| {
        let mut names: Vec<u64> = items.iter().map(|item| item["body_bytes"].as_u64().unwrap()).collect();
        names.sort_unstable();
        names
    };
    let items = kept(&gateway, "", 8).await;
    // "quiet" has five bytes, "ancient" would have seven and is too old.
    assert_eq!(names(&items)[0], 5, "{items:?}");
    assert!(names(&items)[1..].iter().all(|bytes| *bytes == 7), "{items:?}");
    let dated = items.iter().map(|item| item["received_at"].as_str().unwrap()).min().unwrap();
    let oldest: chrono::DateTime<chrono::Utc> = dated.parse().unwrap();
    assert!(oldest > chrono::Utc::now() - chrono::TimeDelta::hours(48));
}

#[tokio::test]
async fn nothing_gives_way_to_a_large_body_and_zero_keeps_nothing() {
    let env = [("GITHUB_WEBHOOK_SECRET", "large-canary"), ("QUARANTINE_MAX_BYTES", "700000")];
    let gateway = Gateway::start(&env).await;
    let send = async |size: usize| assert_eq!(github(&gateway, "wrong", "d", &vec![b'x'; size]).await.0, 401);
    send(300_000).await;
    send(100_000).await;
    settled(&gateway, 2).await;
    // Both are over 256 KiB; for the second there is no room any more.
    send(310_000).await;
    settled(&gateway, 3).await;
    let items = kept(&gateway, "", 2).await;
    assert_eq!((&items[0]["body_bytes"], &items[1]["body_bytes"]), (&100_000.into(), &300_000.into()));

    let off =
        Gateway::start(&[("GITHUB_WEBHOOK_SECRET", "off-canary"), ("QUARANTINE_MAX_REQUESTS", "0")]).await;
    assert_eq!(github(&off, "wrong", "d", b"{}").await.0, 401);
    assert_eq!(github(&off, "off-canary", "d", b"{}").await.0, 200);
    assert!(kept(&off, "", 0).await.is_empty());
}
