//! Known bytes under another id, and who may call at all.

use super::{BODY, Configured, github, post};
use crate::support::gateway::Gateway;
use futures_util::future::join_all;
use serde_json::Value;

fn counts(reply: &(u16, Value)) -> (u16, u64, u64) {
    let count = |name: &str| reply.1[name].as_u64().unwrap();
    (reply.0, count("processed"), count("duplicates"))
}

async fn events(gateway: &Gateway) -> Vec<Value> {
    let page = gateway.admin_get("/api/v1/events?provider=github&limit=200").await;
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_captured_request_under_a_fresh_id_is_kept_apart_and_told() {
    let gateway = Gateway::start(&[("GITHUB_WEBHOOK_SECRET", "github-canary-2")]).await;
    assert_eq!(counts(&github(&gateway, "github-canary-2", "first", BODY).await), (200, 1, 0));
    assert_eq!(counts(&github(&gateway, "github-canary-2", "first", BODY).await), (200, 0, 1));
    assert_eq!(counts(&github(&gateway, "github-canary-2", "fresh", BODY).await), (200, 1, 0));
    assert_eq!(counts(&github(&gateway, "github-canary-2", "fresh", BODY).await), (200, 0, 1));
    assert_eq!(counts(&github(&gateway, "github-canary-2", "other", br#"{"ref":"x"}"#).await), (200, 1, 0));
    let events = events(&gateway).await;
    let of = |id: &str| events.iter().find(|event| event["event_id"] == id).unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(of("fresh")["suspected_replay_of"], of("first")["id"]);
    assert_eq!(of("fresh")["status"], "ignored");
    assert_eq!((of("first")["duplicates"].as_i64(), of("fresh")["duplicates"].as_i64()), (Some(1), Some(1)));
    for id in ["first", "other"] {
        assert!(of(id)["suspected_replay_of"].is_null(), "{id}");
    }
    let detail = gateway.admin_get(&format!("/api/v1/events/{}", of("fresh")["id"].as_str().unwrap())).await;
    assert!(detail["outcome"].as_str().unwrap().contains("suspected replay"), "{detail}");
}

#[tokio::test]
async fn of_many_fresh_ids_at_once_one_is_the_original() {
    let gateway = Gateway::start(&[("GITHUB_WEBHOOK_SECRET", "github-canary-3")]).await;
    let ids: Vec<String> = (0..32).map(|index| format!("delivery-{index}")).collect();
    let replies = join_all(ids.iter().map(|id| github(&gateway, "github-canary-3", id, BODY))).await;
    assert!(replies.iter().all(|reply| counts(reply) == (200, 1, 0)));
    let events = events(&gateway).await;
    let originals: Vec<&Value> =
        events.iter().filter(|event| event["suspected_replay_of"].is_null()).collect();
    assert_eq!((events.len(), originals.len()), (32, 1));
    assert_eq!(events.iter().filter(|event| event["suspected_replay_of"] == originals[0]["id"]).count(), 31);
}

#[tokio::test]
async fn an_operator_may_drop_replays_or_let_them_be() {
    let table =
        |replay: &str| format!("[providers.github]\nsecret = \"github-canary-4\"\nreplay = \"{replay}\"\n");
    let configured = Configured::start(&table("drop"), &[]).await;
    let gateway = &configured.gateway;
    assert_eq!(counts(&github(gateway, "github-canary-4", "a", BODY).await), (200, 1, 0));
    assert_eq!(counts(&github(gateway, "github-canary-4", "b", BODY).await), (200, 0, 1));
    let stored = events(gateway).await;
    assert_eq!((stored.len(), stored[0]["duplicates"].as_i64()), (1, Some(1)));
    configured.change(&table("off")).await;
    assert_eq!(counts(&github(gateway, "github-canary-4", "c", BODY).await), (200, 1, 0));
    assert_eq!(counts(&github(gateway, "github-canary-4", "d", BODY).await), (200, 1, 0));
    assert!(events(gateway).await.iter().all(|event| event["suspected_replay_of"].is_null()));
}

#[tokio::test]
async fn a_table_says_who_may_call_how_often_and_with_how_much() {
    let toml = "[providers.github]\nsecret = \"github-canary-5\"\nallow_ips = [\"203.0.113.0/24\"]\nmax_body_bytes = 100\n\
                [providers.c2s]\nallow_ips = [\"203.0.113.7\"]\n\
                [providers.gitea]\nsecret = \"gitea-canary-5\"\nrequests_per_second = 1\n";
    let env = [("TRUSTED_PROXIES", "127.0.0.0/8"), ("WEBHOOK_SECRET", "c2s-canary-5")];
    let configured = Configured::start(toml, &env).await;
    let gateway = &configured.gateway;
    let from = async |address: &'static str, route: &'static str, body: &'static [u8]| {
        let headers = [("x-forwarded-for", address), ("x-webhook-token", "c2s-canary-5")];
        post(gateway, route, &headers, body).await.0
    };
    // Whoever may not call is told no more than who cannot prove himself.
    assert_eq!(from("198.51.100.1", "github", BODY).await, 401);
    assert_eq!(from("203.0.113.9", "github", &[b'x'; 101]).await, 413);
    assert_eq!(from("198.51.100.1", "github", &[b'x'; 101]).await, 401);
    let lead = br#"{"id":"l1","attributes":{"updated_at":"2026-01-01T00:00:00Z"}}"#;
    assert_eq!(from("203.0.113.9", "c2s", lead).await, 401);
    assert_eq!(from("203.0.113.7", "c2s", lead).await, 200);
    // What a client says of itself counts for nothing beyond the proxies that are trusted.
    assert_eq!(from("203.0.113.7, 198.51.100.1", "c2s", lead).await, 401);
    let replies = join_all((0..30).map(|_| from("198.51.100.1", "gitea", BODY))).await;
    assert!(replies.iter().filter(|status| **status == 429).count() >= 20, "{replies:?}");
}
