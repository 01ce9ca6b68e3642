//! What was not proven: kept within bounds, told to the operator, never to the sender, and taken back once the secret is
//! mended.

mod bounds;
mod door;
mod learning;
mod reload;
mod reverify;
mod secrets;

use crate::support::gateway::{ADMIN_TOKEN, Gateway};
use crate::support::{sign, wait};
use serde_json::Value;
use std::time::Duration;

/// A gateway whose settings file a test may change.
struct Configured {
    gateway: Gateway,
    file: tempfile::NamedTempFile,
}

impl Configured {
    async fn start(toml: &str, env: &[(&str, &str)]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let mut all = vec![("HOOKGATE_CONFIG", path.as_str())];
        all.extend_from_slice(env);
        Self { gateway: Gateway::start(&all).await, file }
    }

    /// Writes other settings and lets the gateway read them.
    async fn change(&self, toml: &str) {
        std::fs::write(self.file.path(), toml).unwrap();
        self.gateway.reload().await;
    }
}

/// Posts to a provider's route; gives status and JSON (null if there is none).
async fn post(gateway: &Gateway, route: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
    let mut request =
        gateway.http.post(gateway.url(&format!("/api/v1/webhooks/{route}"))).body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = request.send().await.unwrap();
    let status = reply.status().as_u16();
    (status, serde_json::from_str(&reply.text().await.unwrap()).unwrap_or(Value::Null))
}

/// Posts to GitHub's route, signed.
async fn github(gateway: &Gateway, secret: &str, delivery: &str, body: &[u8]) -> (u16, Value) {
    let signature = format!("sha256={}", sign::hmac_sha256(secret, body));
    let headers =
        [("x-hub-signature-256", &*signature), ("x-github-event", "push"), ("x-github-delivery", delivery)];
    post(gateway, "github", &headers, body).await
}

/// The quarantined requests that match, once there are so many.
async fn kept(gateway: &Gateway, query: &str, count: usize) -> Vec<Value> {
    let what = format!("{count} quarantined requests for {query:?}");
    wait::until(&what, Duration::from_secs(20), || async {
        let page = gateway.admin_get(&format!("/api/v1/quarantine?limit=200&{query}")).await;
        let items = page["items"].as_array().unwrap().clone();
        (items.len() == count).then_some(items)
    })
    .await
}

async fn detail(gateway: &Gateway, item: &Value) -> Value {
    gateway.admin_get(&format!("/api/v1/quarantine/{}", item["id"].as_str().unwrap())).await
}

async fn reverify(gateway: &Gateway, item: &Value) -> (u16, Value) {
    let path = format!("/api/v1/quarantine/{}/reverify", item["id"].as_str().unwrap());
    gateway.admin("POST", &path, &Value::Null).await
}

fn explained(gateway: &Gateway, item: &Value) -> String {
    let output = gateway.command(&["providers", "explain", item["id"].as_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const BODY: &[u8] = br#"{"ref":"refs/heads/main","repository":{"full_name":"o/r"}}"#;

#[tokio::test]
async fn the_sender_sees_a_401_and_the_operator_sees_why() {
    let gateway = Gateway::start(&[
        ("GITHUB_WEBHOOK_SECRET", "github-canary-1"),
        ("STRIPE_WEBHOOK_SECRET", "stripe-canary-1"),
    ])
    .await;
    let refused = "the request is not authenticated";
    let (status, problem) = post(&gateway, "github", &[("x-github-event", "push")], BODY).await;
    assert_eq!((status, &problem["detail"]), (401, &refused.into()));
    let (status, problem) = github(&gateway, "another secret", "d1", BODY).await;
    assert_eq!((status, &problem["detail"]), (401, &refused.into()));
    let late = sign::stripe("stripe-canary-1", chrono::Utc::now().timestamp() - 900, b"{}");
    let (status, problem) = post(&gateway, "stripe", &[("stripe-signature", &late)], b"{}").await;
    assert_eq!((status, &problem["detail"]), (401, &refused.into()));

    let missing = kept(&gateway, "provider=github&reason=missing", 1).await.remove(0);
    assert_eq!(missing["why"], "header:x-hub-signature-256 is missing or repeated");
    let text = explained(&gateway, &missing);
    assert!(text.contains("FAILED signature    header:x-hub-signature-256 is missing"), "{text}");

    let mismatch = kept(&gateway, "provider=github&reason=mismatch", 1).await.remove(0);
    let shown = detail(&gateway, &mismatch).await;
    assert_eq!(shown["body"]["text"].as_str().unwrap().as_bytes(), BODY);
    let headers = shown["headers"].as_array().unwrap();
    let signature = headers.iter().find(|line| line["name"] == "x-hub-signature-256").unwrap();
    assert!(signature["value"].as_str().unwrap().starts_with("sha256="), "a signature is no secret");
    let steps = shown["steps"].as_array().unwrap();
    let signed = steps.iter().find(|step| step["check"] == "signed bytes").unwrap();
    let digest = sign::sha256(BODY);
    let expected = format!("{} bytes, SHA-256 {digest}", BODY.len());
    assert_eq!(signed["detail"], expected);
    assert!(steps.iter().any(|step| step["check"] == "secret" && step["ok"] == true));
    let text = explained(&gateway, &mismatch);
    assert_eq!(text.matches("this secret gives another proof").count(), 2, "then and now: {text}");

    let expired = kept(&gateway, "provider=stripe&reason=expired", 1).await.remove(0);
    let text = explained(&gateway, &expired);
    assert!(text.contains("FAILED time") && text.contains("s before now; allowed are 300 s"), "{text}");
    let list = gateway.command(&["providers", "explain", "--provider", "github"]);
    let list = String::from_utf8(list.stdout).unwrap();
    assert_eq!(list.lines().count(), 3, "{list}");
}

#[tokio::test]
async fn what_is_proven_and_unreadable_is_kept_too() {
    let gateway = Gateway::start(&[("STRIPE_WEBHOOK_SECRET", "stripe-canary-2")]).await;
    let body = b"\xffnot json";
    let signature = sign::stripe_now("stripe-canary-2", body);
    assert_eq!(post(&gateway, "stripe", &[("stripe-signature", &signature)], body).await.0, 400);
    let item = kept(&gateway, "reason=unreadable", 1).await.remove(0);
    let shown = detail(&gateway, &item).await;
    assert_eq!(shown["body"]["base64"], sign::base64(body));
    let (status, problem) = reverify(&gateway, &item).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().starts_with("it is proven, but cannot be read"));
    assert_eq!(detail(&gateway, &item).await["outcome"], "unreadable");
}

#[tokio::test]
async fn the_list_is_filtered_and_paged_and_rows_can_be_forgotten() {
    let gateway = Gateway::start(&[
        ("GITHUB_WEBHOOK_SECRET", "github-canary-3"),
        ("LINEAR_WEBHOOK_SECRET", "linear-canary-3"),
    ])
    .await;
    for n in 0..5 {
        assert_eq!(github(&gateway, "wrong", "d", format!("{{\"n\":{n}}}").as_bytes()).await.0, 401);
    }
    assert_eq!(post(&gateway, "linear", &[], b"{}").await.0, 401);
    kept(&gateway, "", 6).await;
    let first = gateway.admin_get("/api/v1/quarantine?provider=github&limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second =
        gateway.admin_get(&format!("/api/v1/quarantine?provider=github&limit=3&cursor={cursor}")).await;
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next_cursor"]), (3, &Value::Null));
    let id = |page: &Value, n: usize| page["items"][n]["id"].as_str().unwrap().to_owned();
    assert!(id(&first, 0) > id(&first, 1) && id(&first, 1) > id(&second, 0), "newest first");
    assert!(kept(&gateway, "since=2999-01-01T00:00:00Z", 0).await.is_empty());
    for bad in ["limit=0", "limit=201", "reason=odd", "cursor=1", "since=yesterday", "colour=red"] {
        let request =
            gateway.http.get(gateway.url(&format!("/api/v1/quarantine?{bad}"))).bearer_auth(ADMIN_TOKEN);
        assert_eq!(request.send().await.unwrap().status(), 400, "{bad}");
    }
    let path = format!("/api/v1/quarantine/{}", id(&first, 0));
    assert_eq!(gateway.admin("DELETE", &path, &Value::Null).await.0, 204);
    for (method, path) in [("DELETE", path.clone()), ("POST", format!("{path}/reverify")), ("GET", path)] {
        assert_eq!(gateway.admin(method, &path, &Value::Null).await.0, 404, "{method} {path}");
    }
    kept(&gateway, "provider=github", 4).await;
}

#[tokio::test]
async fn the_same_request_again_is_one_row_with_a_count() {
    let gateway = Gateway::start(&[("GITHUB_WEBHOOK_SECRET", "github-canary-4")]).await;
    for _ in 0..7 {
        assert_eq!(github(&gateway, "wrong", "same", BODY).await.0, 401);
    }
    let item = wait::until("the request to be counted", Duration::from_secs(10), || async {
        let item = kept(&gateway, "provider=github", 1).await.remove(0);
        (item["times"] == 7).then_some(item)
    })
    .await;
    assert!(item["last_seen_at"].as_str().unwrap() > item["received_at"].as_str().unwrap());
    assert_eq!(github(&gateway, "wrong", "other", BODY).await.0, 401);
    kept(&gateway, "provider=github", 2).await;
}
