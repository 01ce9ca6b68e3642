//! Back to the door once the secret is mended, and an event exactly once.

use super::{BODY, Configured, detail, explained, github, kept, post, reverify};
use crate::support::sign;
use futures_util::future::join_all;
use serde_json::{Value, json};

fn github_table(secret: &str) -> String {
    format!("[providers.github]\nsecret = \"{secret}\"\n")
}

async fn events(configured: &Configured, provider: &str) -> Vec<Value> {
    let page = configured.gateway.admin_get(&format!("/api/v1/events?provider={provider}")).await;
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_failed_signature_becomes_an_event_exactly_once_after_the_secret_is_mended() {
    let configured = Configured::start(&github_table("old-canary-5"), &[]).await;
    let gateway = &configured.gateway;
    assert_eq!(github(gateway, "new-canary-5", "delivery-1", BODY).await.0, 401);
    let item = kept(gateway, "provider=github", 1).await.remove(0);
    let (status, problem) = reverify(gateway, &item).await;
    assert_eq!(
        (status, &problem["detail"]),
        (409, &"still not proven: this secret gives another proof".into())
    );
    assert_eq!(detail(gateway, &item).await["outcome"], "not proven");
    assert!(events(&configured, "github").await.is_empty());

    configured.change(&github_table("new-canary-5")).await;
    let text = explained(gateway, &item);
    assert!(text.contains(&format!("POST /api/v1/quarantine/{}/reverify", item["id"].as_str().unwrap())));
    let (status, receipt) = reverify(gateway, &item).await;
    assert_eq!(
        (status, receipt),
        (200, json!({"status": "received", "received": 1, "processed": 1, "duplicates": 0}))
    );
    let (status, receipt) = reverify(gateway, &item).await;
    assert_eq!(
        (status, receipt),
        (200, json!({"status": "received", "received": 1, "processed": 0, "duplicates": 1}))
    );
    // The provider's own redelivery of it is known too.
    assert_eq!(github(gateway, "new-canary-5", "delivery-1", BODY).await.1["duplicates"], 1);
    assert_eq!(events(&configured, "github").await.len(), 1);
    let shown = detail(gateway, &item).await;
    assert_eq!((&shown["outcome"], &shown["receipt"]["processed"]), (&"accepted".into(), &1.into()));
    assert!(shown["reverified_at"].is_string());
    assert!(explained(gateway, &item).contains("accepted"));
}

#[tokio::test]
async fn the_proof_is_judged_at_the_time_it_came() {
    let table = |secret: &str, tolerance: u32| {
        format!("[providers.stripe]\nsecret = \"{secret}\"\ntolerance_seconds = {tolerance}\n")
    };
    let configured = Configured::start(&table("old-canary-6", 60), &[]).await;
    let gateway = &configured.gateway;
    let body = br#"{"id":"evt_q","type":"product.updated","data":{"object":{"id":"prod_1"}}}"#;
    let signature = sign::stripe_now("new-canary-6", body);
    assert_eq!(post(gateway, "stripe", &[("stripe-signature", &signature)], body).await.0, 401);
    let item = kept(gateway, "provider=stripe", 1).await.remove(0);
    configured.change(&table("new-canary-6", 60)).await;
    // As if an hour had passed since.
    let mut conn = gateway.database.connect().await;
    let late = sign::stripe("new-canary-6", chrono::Utc::now().timestamp() - 3600, body);
    diesel_async::SimpleAsyncConnection::batch_execute(
        &mut conn,
        &format!(
            "UPDATE quarantined_requests SET received_at = received_at - interval '1 hour',
                 headers = replace(headers::text, '{signature}', '{late}')::jsonb"
        ),
    )
    .await
    .unwrap();
    assert_eq!(post(gateway, "stripe", &[("stripe-signature", &late)], body).await.0, 401, "too late now");
    assert_eq!(reverify(gateway, &item).await.0, 200);
    // And what was too late when it came stays so.
    let expired = kept(gateway, "reason=expired", 1).await.remove(0);
    let (status, problem) = reverify(gateway, &expired).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("before now"), "{problem}");
}

#[tokio::test]
async fn many_at_once_make_one_event_even_where_events_have_no_id() {
    let table = |secret: &str| format!("[providers.dropbox]\nsecret = \"{secret}\"\n");
    let configured = Configured::start(&table("old-canary-7"), &[]).await;
    let gateway = &configured.gateway;
    let body = br#"{"list_folder":{"accounts":["dbid:1"]}}"#;
    let signature = sign::hmac_sha256("new-canary-7", body);
    assert_eq!(post(gateway, "dropbox", &[("x-dropbox-signature", &signature)], body).await.0, 401);
    let item = kept(gateway, "provider=dropbox", 1).await.remove(0);
    configured.change(&table("new-canary-7")).await;
    let answers = join_all((0..16).map(|_| reverify(gateway, &item))).await;
    let processed: u64 = answers.iter().filter_map(|(_, receipt)| receipt["processed"].as_u64()).sum();
    assert_eq!(processed, 1, "{answers:?}");
    assert!(answers.iter().all(|(status, _)| [200, 409].contains(status)), "{answers:?}");
    assert_eq!(reverify(gateway, &item).await.1["duplicates"], 1);
    assert_eq!(events(&configured, "dropbox").await.len(), 1);
}

#[tokio::test]
async fn a_handshake_is_not_taken_for_a_delivery() {
    let table = |secret: &str| format!("[providers.slack]\nsecret = \"{secret}\"\n");
    let configured = Configured::start(&table("old-canary-8"), &[]).await;
    let gateway = &configured.gateway;
    let body = br#"{"type":"url_verification","challenge":"c"}"#;
    let now = chrono::Utc::now().timestamp().to_string();
    let signed = [b"v0:", now.as_bytes(), b":", body].concat();
    let signature = format!("v0={}", sign::hmac_sha256("new-canary-8", &signed));
    let headers = [("x-slack-signature", &*signature), ("x-slack-request-timestamp", &*now)];
    assert_eq!(post(gateway, "slack", &headers, body).await.0, 401);
    let item = kept(gateway, "provider=slack", 1).await.remove(0);
    configured.change(&table("new-canary-8")).await;
    let (status, problem) = reverify(gateway, &item).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("only sets things up"), "{problem}");
    assert!(events(&configured, "slack").await.is_empty());
}
