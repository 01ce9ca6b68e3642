//! Secrets are sealed: in no text of the database, no reply, no log; and still good for a second verification.

use super::{Configured, detail, explained, kept, post, reverify};
use crate::support::gateway::Gateway;
use diesel::sql_types::Text;
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl as _;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Every row of every table as text; bytes as text, where they are text.
async fn database(gateway: &Gateway) -> String {
    let mut conn = gateway.database.connect().await;
    let tables: Vec<Line> = sql_query(
        "SELECT table_name::text AS line FROM information_schema.tables
         WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
    )
    .load(&mut conn)
    .await
    .unwrap();
    assert!(tables.len() > 8);
    let mut text = String::new();
    for table in tables {
        let query = format!("SELECT r::text AS line FROM {} AS r", table.line);
        let rows: Vec<Line> = sql_query(query).load(&mut conn).await.unwrap();
        for row in rows {
            text.push_str(&row.line);
            // Bytes stand as `\x…`: what they spell is looked at too.
            for word in row.line.split("\\x").skip(1) {
                let digits: String = word.chars().take_while(char::is_ascii_hexdigit).collect();
                if let Ok(bytes) = hex::decode(&digits) {
                    text.push_str(&String::from_utf8_lossy(&bytes));
                }
            }
        }
    }
    text
}

const LEAD: &[u8] =
    br#"{"id":"7","hook_action":"on_close_lead","attributes":{"updated_at":"2026-01-01T00:00:00Z"}}"#;
const HOOK: &[u8] = br#"{"events":[{"meta":{"type":"product","href":"https://api.moysklad.ru/api/remap/1.2/entity/product/4081cebb-f82b-11f0-0a80-0472000f6157"},"action":"UPDATE","accountId":"x"}]}"#;

/// Four ways to carry a secret; each with the text that must be seen nowhere.
async fn fail_everywhere(gateway: &Gateway) -> [&'static str; 6] {
    let address = ("x-forwarded-for", "203.0.113.99");
    let header = [("x-webhook-token", "sent-canary-a"), ("cookie", "cookie-canary"), address];
    assert_eq!(post(gateway, "c2s", &header, LEAD).await.0, 401);
    assert_eq!(post(gateway, "c2s?token=sent%2Dcanary-b&x=1", &[], LEAD).await.0, 401);
    assert_eq!(post(gateway, "moysklad/sent-canary-c?requestId=r1", &[], HOOK).await.0, 401);
    let basic = format!("Basic {}", crate::support::sign::base64(b"user:sent-canary-d"));
    let refused = post(gateway, "acme", &[("authorization", &basic)], b"{\"id\":1,\"type\":\"t\"}").await;
    assert_eq!(refused.0, 401);
    // Its base64 too.
    [
        "sent-canary",
        "sent%2Dcanary",
        "cookie-canary",
        "203.0.113.99",
        "c2VudC1jYW5hcnk",
        "dXNlcjpzZW50LWNhbmFyeS1k",
    ]
}

fn settings(c2s: &str, moysklad: &str, acme: &str) -> String {
    format!(
        "webhook_secret = \"{c2s}\"\nmoysklad_webhook_token = \"{moysklad}\"\n[providers.acme]\nsecret = \"{acme}\"\n\
         [[providers.acme.verify]]\nalgorithm = \"basic\"\n[providers.acme.event]\nid = \"{{json:/id}}\"\ntype = \"{{json:/type}}\"\n"
    )
}

#[tokio::test]
async fn secrets_are_seen_nowhere_and_prove_the_request_once_they_are_configured() {
    let mut configured = Configured::start(&settings("old-1", "old-2", "user:old-3"), &[]).await;
    let canaries = fail_everywhere(&configured.gateway).await;
    for canary in canaries {
        configured.gateway.canary(canary);
    }
    let gateway = &configured.gateway;
    let items = kept(gateway, "", 4).await;
    let mut seen = database(gateway).await;
    for item in &items {
        seen.push_str(&detail(gateway, item).await.to_string());
        seen.push_str(&explained(gateway, item));
    }
    for canary in canaries {
        assert!(!seen.contains(canary), "{canary} is seen");
    }
    assert!(seen.contains("token=[redacted]&x=1") && seen.contains("requestId=r1"));
    assert!(items.iter().all(|item| item["proof_kept"] == true));

    configured.change(&settings("sent-canary-a,sent-canary-b", "sent-canary-c", "user:sent-canary-d")).await;
    for item in &items {
        let (status, receipt) = reverify(gateway, item).await;
        assert_eq!(status, 200, "{receipt}");
    }
    let events = gateway.admin_get("/api/v1/events").await;
    assert_eq!(events["items"].as_array().unwrap().len(), 3, "both leads are one event: {events}");
    let seen = database(gateway).await;
    for canary in canaries {
        assert!(!seen.contains(canary), "{canary} is seen in the database after it was accepted");
    }
}

#[tokio::test]
async fn without_a_master_key_a_secret_proof_is_gone_and_a_signature_is_not() {
    let text =
        format!("{}[providers.github]\nsecret = \"old-4\"\n", settings("old-1", "old-2", "user:old-3"));
    let configured = Configured::start(&text, &[("HOOKGATE_MASTER_KEY", "")]).await;
    let gateway = &configured.gateway;
    let canaries = fail_everywhere(gateway).await;
    assert_eq!(super::github(gateway, "new-4", "d", super::BODY).await.0, 401);
    let items = kept(gateway, "", 5).await;
    let seen = database(gateway).await;
    for canary in canaries {
        assert!(!seen.contains(canary), "{canary} is seen");
    }
    let new = settings("sent-canary-a,sent-canary-b", "sent-canary-c", "user:sent-canary-d");
    configured.change(&format!("{new}[providers.github]\nsecret = \"new-4\"\n")).await;
    for item in &items {
        let (status, answer) = reverify(gateway, item).await;
        if item["provider"] == "github" {
            assert_eq!((status, &answer["processed"]), (200, &1.into()));
        } else {
            assert_eq!(status, 409);
            assert!(answer["detail"].as_str().unwrap().starts_with("its proof was not kept"), "{answer}");
        }
    }
}
