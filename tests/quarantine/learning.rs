//! A secret that the sender offers: kept sealed, approved by an operator, good for what came meanwhile.

use super::{Configured, kept, post, reverify};
use crate::support::gateway::Gateway;
use crate::support::{sign, wait};
use serde_json::Value;
use std::time::Duration;

const TABLE: &str = "[providers.asana]\nlearn_secret = true\n";
const EVENTS: &[u8] = br#"{"events":[{"action":"changed","created_at":"2026-11-23T00:00:00.000Z","resource":{"gid":"1","resource_type":"task"}}]}"#;

async fn offer(gateway: &Gateway, secret: &str) -> (u16, Option<String>) {
    let request = gateway.http.post(gateway.url("/api/v1/webhooks/asana")).header("x-hook-secret", secret);
    let reply = request.send().await.unwrap();
    let echoed = reply.headers().get("x-hook-secret").map(|value| value.to_str().unwrap().to_owned());
    (reply.status().as_u16(), echoed)
}

async fn offers(gateway: &Gateway) -> Vec<Value> {
    gateway.admin_get("/api/v1/offered-secrets?provider=asana").await["items"].as_array().unwrap().clone()
}

async fn deliver(gateway: &Gateway, secret: &str, body: &[u8]) -> u16 {
    let signature = sign::hmac_sha256(secret, body);
    post(gateway, "asana", &[("x-hook-signature", &signature)], body).await.0
}

#[tokio::test]
async fn an_offered_secret_proves_only_after_approval_and_then_what_came_meanwhile() {
    let mut configured = Configured::start(TABLE, &[]).await;
    configured.gateway.canary("offered-canary-1");
    let gateway = &configured.gateway;
    assert_eq!(offer(gateway, "offered-canary-1").await, (200, Some("offered-canary-1".to_owned())));
    assert_eq!(offer(gateway, "offered-canary-1").await.0, 200, "offered twice");
    let offered = offers(gateway).await;
    assert_eq!((offered.len(), &offered[0]["approved_at"]), (1, &Value::Null));
    assert!(!offered[0].to_string().contains("canary"));
    assert_eq!(deliver(gateway, "offered-canary-1", EVENTS).await, 401);
    let item = kept(gateway, "provider=asana", 1).await.remove(0);
    assert_eq!(reverify(gateway, &item).await.0, 409);

    let path = format!("/api/v1/offered-secrets/{}", offered[0]["id"].as_str().unwrap());
    let (status, approved) = gateway.admin("POST", &format!("{path}/approve"), &Value::Null).await;
    assert!(status == 200 && approved["approved_at"].is_string(), "{approved}");
    // At once on this node: no waiting here.
    let (status, receipt) = reverify(gateway, &item).await;
    assert_eq!((status, &receipt["processed"]), (200, &1.into()));
    assert_eq!(deliver(gateway, "offered-canary-1", EVENTS).await, 200);
    assert_eq!(deliver(gateway, "another", EVENTS).await, 401);

    configured.gateway.terminate();
    configured.gateway.restart();
    let gateway = &configured.gateway;
    assert_eq!(
        deliver(gateway, "offered-canary-1", b"{\"events\":[]}").await,
        200,
        "it outlives the process"
    );
    assert_eq!(gateway.admin("DELETE", &path, &Value::Null).await.0, 204);
    assert_eq!(deliver(gateway, "offered-canary-1", EVENTS).await, 401, "forgotten");
    assert_eq!(gateway.admin("POST", &format!("{path}/approve"), &Value::Null).await.0, 404);
}

#[tokio::test]
async fn the_commands_list_approve_and_forget_and_running_gateways_follow() {
    let configured = Configured::start(TABLE, &[]).await;
    let gateway = &configured.gateway;
    assert_eq!(offer(gateway, "offered-canary-2").await.0, 200);
    let id = offers(gateway).await[0]["id"].as_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let output = gateway.command(&[&["providers", "secrets"], arguments].concat());
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (good, list) = run(&["asana"]);
    assert!(good && list.contains(&id) && list.contains("waits") && !list.contains("canary"), "{list}");
    assert!(!run(&["dropbox"]).1.contains(&id));
    assert!(run(&["approve", &id]).0);
    wait::until("the approval to be noticed", Duration::from_secs(20), || async {
        (deliver(gateway, "offered-canary-2", EVENTS).await == 200).then_some(())
    })
    .await;
    assert!(run(&["forget", &id]).0 && !run(&["forget", &id]).0 && !run(&["approve", &id]).0);
}

#[tokio::test]
async fn at_most_ten_offers_wait_and_without_a_key_or_a_word_none_is_kept() {
    let configured = Configured::start(TABLE, &[]).await;
    for n in 0..10 {
        assert_eq!(offer(&configured.gateway, &format!("offer-{n}")).await.0, 200);
    }
    assert_eq!(offer(&configured.gateway, "one-too-many").await, (503, None));
    assert_eq!(offer(&configured.gateway, "offer-3").await.0, 200, "a known one is no new one");
    assert_eq!(offers(&configured.gateway).await.len(), 10);
    let keyless = Configured::start(TABLE, &[("HOOKGATE_MASTER_KEY", "")]).await;
    assert_eq!(offer(&keyless.gateway, "x").await, (503, None));
    let unasked = Configured::start("[providers.asana]\nsecret = \"x-canary\"\n", &[]).await;
    assert_eq!(offer(&unasked.gateway, "x").await, (401, None));
    assert!(offers(&unasked.gateway).await.is_empty());
}

#[tokio::test]
async fn an_offer_that_the_scheme_cannot_use_is_not_approved() {
    let table = r#"
[providers.acme]
secret = "00ff"
learn_secret = true
[[providers.acme.verify]]
algorithm = "hmac-sha256"
secret = "hex"
signature = { from = "header:X-Signature" }
signed = "{body}"
[providers.acme.event]
id = "{json:/id}"
type = "{json:/type}"
[[providers.acme.handshake]]
when = { header = "X-Offer" }
proof = "none"
learn = "header:X-Offer"
"#;
    let configured = Configured::start(table, &[]).await;
    let gateway = &configured.gateway;
    let offered = post(gateway, "acme", &[("x-offer", "no hex at all")], b"").await;
    assert_eq!(offered.0, 200);
    let list = gateway.admin_get("/api/v1/offered-secrets").await;
    let id = list["items"][0]["id"].as_str().unwrap();
    let path = format!("/api/v1/offered-secrets/{id}/approve");
    let (status, problem) = gateway.admin("POST", &path, &Value::Null).await;
    assert!(status == 409 && problem["detail"].as_str().unwrap().contains("providers.acme"), "{problem}");
    let output = gateway.command(&["providers", "secrets", "approve", id]);
    assert!(!output.status.success());
    let list = gateway.admin_get("/api/v1/offered-secrets").await;
    assert_eq!(list["items"][0]["approved_at"], Value::Null);
    let body = br#"{"id":"1","type":"t"}"#;
    let signature = sign::hmac_sha256_key(&[0x00, 0xff], body);
    assert_eq!(post(gateway, "acme", &[("x-signature", &signature)], body).await.0, 200);
}
