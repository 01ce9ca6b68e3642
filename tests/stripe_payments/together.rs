//! What the ledger writes in one transaction, and what happens when a part of it cannot be written.

use super::*;
use diesel::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl as _, SimpleAsyncConnection as _};

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

async fn until_count(gateway: &Gateway, what: &str, query: &str, count: i64) {
    wait::until(what, Duration::from_secs(20), || async {
        let mut conn = gateway.database.connect().await;
        let found: Vec<Count> = sql_query(query).load(&mut conn).await.unwrap();
        (found[0].rows == count).then_some(())
    })
    .await;
}

const BLOCKED: &str = "SELECT count(*) AS rows FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'hookgate ledger' AND wait_event_type = 'Lock'";

#[tokio::test]
async fn of_findings_that_wait_together_one_that_cannot_be_written_fails_alone() {
    let gateway = trusting().await;
    let mut blocker = gateway.database.connect().await;
    blocker.batch_execute("BEGIN; LOCK TABLE payments IN EXCLUSIVE MODE").await.unwrap();
    send(&gateway, &event("evt_first", "payment_intent.succeeded", T, &intent("pi_first", "succeeded")))
        .await;
    until_count(&gateway, "the ledger waits", BLOCKED, 1).await;
    // While it waits, the others gather behind it.
    let mut events = Vec::new();
    for number in 0..10 {
        let object = intent(&format!("pi_{number}"), "succeeded");
        events.push(event(&format!("evt_{number}"), "payment_intent.succeeded", T, &object));
    }
    for id in ["ch_a", "ch_b"] {
        let mut object = charge(id, Some("pi_much"), 0);
        object["amount"] = json!(i64::MAX);
        events.push(event(&format!("evt_{id}"), "charge.succeeded", T, &object));
    }
    futures_util::future::join_all(events.iter().map(|event| send(&gateway, event))).await;
    let in_work = "SELECT count(*) AS rows FROM webhook_events WHERE status = 'processing'";
    until_count(&gateway, "all are in work", in_work, 13).await;
    blocker.batch_execute("ROLLBACK").await.unwrap();
    for number in 0..10 {
        let outcome = completed(&gateway, &format!("evt_{number}")).await;
        assert!(outcome.contains("emitted payment.received"), "{outcome}");
    }
    completed(&gateway, "evt_first").await;
    let mut ends = Vec::new();
    for id in ["evt_ch_a", "evt_ch_b"] {
        let ended = gateway.event("stripe", id, &["completed", "failed"]).await;
        ends.push(ended["status"].as_str().unwrap().to_owned());
    }
    ends.sort();
    assert_eq!(ends, ["completed", "failed"]);
    assert_eq!(emitted(&gateway, "").await, counts(&[("payment.received", 11)]));
    let much = payment(&gateway, "pi_much").await.unwrap();
    assert_eq!((&much["status"], &much["amount"]), (&json!("succeeded"), &json!(i64::MAX)));
}

#[tokio::test]
async fn a_payment_that_another_node_makes_meanwhile_is_merged_with_what_it_knows() {
    let gateway = trusting().await;
    let mut other = gateway.database.connect().await;
    other
        .batch_execute(
            "BEGIN;
             INSERT INTO payments (provider, payment_id, status, amount, amount_refunded, currency, last_event_id,
                 last_event_at, last_event_rank)
             VALUES ('stripe', 'pi_1', 'partially_refunded', 900, 300, 'brl', 'evt_other', 'epoch', 0);
             INSERT INTO payment_parts VALUES
                 ('stripe', 'ch_1', 'pi_1', 'charge', 'epoch', 'succeeded', 300, 900, 'brl', NULL)",
        )
        .await
        .unwrap();
    send(&gateway, &event("evt_1", "payment_intent.succeeded", T, &intent("pi_1", "succeeded"))).await;
    until_count(&gateway, "the ledger waits", BLOCKED, 1).await;
    other.batch_execute("COMMIT").await.unwrap();
    let outcome = completed(&gateway, "evt_1").await;
    assert!(outcome.contains("pi_1 is partially_refunded, emitted payment.received"), "{outcome}");
    assert_eq!(state(&gateway, "pi_1").await, ("partially_refunded".to_owned(), 300));
    assert_eq!(payment(&gateway, "pi_1").await.unwrap()["last_event_id"], "evt_1");
}

#[tokio::test]
async fn findings_of_one_payment_in_one_transaction_see_each_other() {
    let gateway = trusting().await;
    let mut blocker = gateway.database.connect().await;
    blocker.batch_execute("BEGIN; LOCK TABLE payments IN EXCLUSIVE MODE").await.unwrap();
    send(&gateway, &event("evt_first", "payment_intent.succeeded", T, &intent("pi_first", "succeeded")))
        .await;
    until_count(&gateway, "the ledger waits", BLOCKED, 1).await;
    send(&gateway, &event("evt_p", "payment_intent.succeeded", T, &intent("pi_1", "succeeded"))).await;
    for part in 0..9 {
        let object = refund(&format!("re_{part}"), "pi_1", 100, "succeeded");
        send(&gateway, &event(&format!("evt_{part}"), "refund.created", T + 1, &object)).await;
    }
    let in_work = "SELECT count(*) AS rows FROM webhook_events WHERE status = 'processing'";
    until_count(&gateway, "all are in work", in_work, 11).await;
    blocker.batch_execute("ROLLBACK").await.unwrap();
    all_completed(&gateway, 11).await;
    assert_eq!(state(&gateway, "pi_1").await, ("refunded".to_owned(), 900));
    let told = counts(&[("payment.received", 1), ("payment.refunded", 9)]);
    assert_eq!(emitted(&gateway, "pi_1").await, told);
}
