//! A provider of one's own, by TOML alone, after SIGHUP and after a restart; and which secret proved what.

use super::{Configured, github, post};
use crate::support::gateway::Gateway;
use crate::support::{sign, wait};
use serde_json::Value;
use std::time::Duration;

fn acme(secrets: &str) -> String {
    format!(
        r#"
[providers.acme]
secrets = {secrets}
tolerance_seconds = 60

[[providers.acme.verify]]
algorithm = "hmac-sha256"
signature = {{ from = "header:X-Acme-Signature", prefix = "v1=", encoding = "base64" }}
time = {{ from = "header:X-Acme-Time", format = "unix", past = 300, future = 300 }}
signed = "{{time}}.{{body}}"

[providers.acme.event]
id = "{{json:/account}}.{{json:/event/id}}"
type = "{{json:/event/type}}"
subject = "{{json:/account}}"

[[providers.acme.handshake]]
when = {{ method = "GET", query = "challenge" }}
proof = "none"
reply = {{ body = "{{query:challenge}}" }}
"#
    )
}

async fn deliver(configured: &Configured, secret: &str, id: u32, age: i64) -> u16 {
    let body = format!(r#"{{"account":"a1","event":{{"id":{id},"type":"ordered"}}}}"#);
    let now = (chrono::Utc::now().timestamp() - age).to_string();
    let signature = sign::hmac_sha256_base64(secret, format!("{now}.{body}").as_bytes());
    let headers = [("x-acme-signature", &*format!("v1={signature}")), ("x-acme-time", &*now)];
    post(&configured.gateway, "acme", &headers, body.as_bytes()).await.0
}

async fn challenge(configured: &Configured) -> (u16, String) {
    let url = configured.gateway.url("/api/v1/webhooks/acme?challenge=abc");
    let reply = configured.gateway.http.get(url).send().await.unwrap();
    (reply.status().as_u16(), reply.text().await.unwrap())
}

#[tokio::test]
async fn a_provider_that_nobody_foresaw_works_after_sighup_and_after_a_restart() {
    let mut configured = Configured::start("", &[]).await;
    assert_eq!(deliver(&configured, "new-canary-9", 1, 0).await, 404);
    let both = r#"[{ id = "2026-11", value = "new-canary-9" }, { id = "2026-05", value = "old-canary-9" }]"#;
    configured.change(&acme(both)).await;
    for round in 0..2 {
        assert_eq!(deliver(&configured, "new-canary-9", round * 10 + 1, 0).await, 200);
        assert_eq!(deliver(&configured, "old-canary-9", round * 10 + 2, 30).await, 200);
        assert_eq!(deliver(&configured, "old-canary-9", round * 10 + 3, 90).await, 401, "over its tolerance");
        assert_eq!(deliver(&configured, "old-canary-9", round * 10 + 4, -90).await, 401);
        assert_eq!(deliver(&configured, "no secret", round * 10 + 5, 0).await, 401);
        assert_eq!(challenge(&configured).await, (200, "abc".to_owned()));
        let event = configured.gateway.event("acme", &format!("a1.{}", round * 10 + 1), &["ignored"]).await;
        assert_eq!((&event["event_type"], &event["subject"]), (&"ordered".into(), &"a1".into()));
        if round == 0 {
            assert!(configured.gateway.terminate());
            configured.gateway.restart();
        }
    }
    // The rotation ends.
    configured.change(&acme(r#"[{ id = "2026-11", value = "new-canary-9" }]"#)).await;
    assert_eq!(deliver(&configured, "old-canary-9", 30, 0).await, 401);
    assert_eq!(deliver(&configured, "new-canary-9", 30, 0).await, 200);
    configured.change("").await;
    assert_eq!(deliver(&configured, "new-canary-9", 31, 0).await, 404, "its table is gone");
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_the_log_names_line_and_field() {
    let mut configured = Configured::start(&acme("['good-canary-10']"), &[]).await;
    configured.gateway.canary("broken-canary-10");
    let broken = acme("['broken-canary-10']").replace("past = 300", "passed = 300");
    configured.change(&broken).await;
    assert_eq!(deliver(&configured, "good-canary-10", 1, 0).await, 200);
    assert_eq!(deliver(&configured, "broken-canary-10", 2, 0).await, 401);
    let log = configured.gateway.log();
    let line = log.lines().find(|line| line.contains("the providers stay as they were")).unwrap();
    assert!(line.contains("line 9") && line.contains("time"), "{line}");
    configured.change("misspelt_setting = 1").await;
    assert!(configured.gateway.log().contains("there is no setting `misspelt_setting`"));
    assert_eq!(deliver(&configured, "good-canary-10", 3, 0).await, 200);
}

/// Posts to Stripe's route, signed.
async fn stripe(gateway: &Gateway, secret: &str, body: &[u8]) -> (u16, Value) {
    let signature = sign::stripe_now(secret, body);
    post(gateway, "stripe", &[("stripe-signature", &signature)], body).await
}

fn event(id: &str) -> Vec<u8> {
    format!(r#"{{"id":"{id}","type":"product.updated","data":{{"object":{{"id":"prod_1"}}}}}}"#).into_bytes()
}

#[tokio::test]
async fn the_list_shows_which_secret_proved_last_and_how_the_day_went() {
    let table = r#"
[providers.stripe]
secrets = [{ id = "new", value = "new-canary-11" }, { id = "old", value = "old-canary-11" }]
"#;
    let configured = Configured::start(table, &[]).await;
    let gateway = &configured.gateway;
    let overview = async |query: &dyn Fn(&Value) -> bool| {
        wait::until("the counts", Duration::from_secs(20), || async {
            let list = gateway.admin_get("/api/v1/providers").await;
            let stripe = list["items"].as_array()?.iter().find(|item| item["name"] == "stripe")?.clone();
            query(&stripe).then_some(stripe)
        })
        .await
    };
    let before = overview(&|_| true).await;
    assert_eq!((&before["last_secret"], &before["last_event_at"]), (&Value::Null, &Value::Null));
    assert_eq!(before["url"], "http://localhost:8080/api/v1/webhooks/stripe");
    assert_eq!(stripe(gateway, "old-canary-11", &event("evt_1")).await.0, 200);
    assert_eq!(stripe(gateway, "old-canary-11", &event("evt_1")).await.0, 200);
    assert_eq!(stripe(gateway, "wrong", &event("evt_2")).await.0, 401);
    assert_eq!(stripe(gateway, "old-canary-11", b"\xff").await.0, 400);
    // A request is counted in steps (proven, then read, then stored) and the counts may be taken between them.
    let shown = overview(&|stripe| {
        let counts =
            ["proven", "events", "unproven", "unreadable"].map(|name| stripe["last_24h"][name].as_i64());
        counts == [3, 1, 1, 1].map(Some)
    })
    .await;
    assert_eq!(shown["last_secret"], "old");
    let old = shown["secrets"].as_array().unwrap().iter().find(|secret| secret["id"] == "old").unwrap();
    assert_eq!(old["uses"], 3);
    assert_eq!(stripe(gateway, "new-canary-11", &event("evt_4")).await.0, 200);
    let shown =
        overview(&|stripe| stripe["last_24h"]["proven"] == 4 && stripe["last_24h"]["events"] == 2).await;
    assert_eq!(shown["last_secret"], "new");
    let output = gateway.command(&["providers", "list"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with("stripe")).unwrap();
    assert!(line.contains("new (20") && line.contains("old (20") && !text.contains("canary"), "{text}");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[words.len() - 2..], ["2", "2"], "events and failures: {line}");
}

#[tokio::test]
async fn counts_in_hand_are_stored_when_the_process_ends() {
    let mut configured = Configured::start("[providers.github]\nsecret = \"end-canary\"\n", &[]).await;
    assert_eq!(github(&configured.gateway, "end-canary", "d1", b"{}").await.0, 200);
    assert!(configured.gateway.terminate());
    let output = configured.gateway.command(&["providers", "list", "--json"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list[0]["last_24h"]["events"], 1, "{list}");
}
