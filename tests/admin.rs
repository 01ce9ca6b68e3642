//! The admin API of events, its guard, and the commands that do the same.

use crate::support::gateway::{ADMIN_TOKEN, Gateway};
use serde_json::{Value, json};

const C2S: &str = "c2s-canary-admin";

async fn with_events(count: usize) -> Gateway {
    let gateway =
        Gateway::start(&[("WEBHOOK_SECRET", C2S), ("STRIPE_WEBHOOK_SECRET", "whsec_canary_admin")]).await;
    for n in 0..count {
        let lead = json!({"id": format!("lead{n}"), "hook_action": if n % 2 == 0 { "on_close_lead" } else { "lead.closed" },
            "attributes": {"updated_at": "2026-01-01T00:00:00Z"}});
        let request = gateway.http.post(gateway.url("/api/v1/webhooks/c2s")).header("x-webhook-token", C2S);
        assert_eq!(request.body(lead.to_string()).send().await.unwrap().status(), 200);
    }
    gateway
}

fn ids(page: &Value) -> Vec<String> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["event_id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn no_admin_route_answers_without_its_token() {
    let gateway = with_events(0).await;
    let document: Value =
        gateway.http.get(gateway.url("/api/openapi.json")).send().await.unwrap().json().await.unwrap();
    let mut guarded = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["security"].is_null() {
                let open =
                    ["/health", "/health/live", "/health/ready", "/metrics", "/api/v1/webhooks/{provider}"];
                assert!(open.contains(&path.as_str()), "{path} is not guarded");
                continue;
            }
            guarded += 1;
            let path = path.replace("{id}", "00000000-0000-0000-0000-000000000000");
            let path = path.replace("{account_id}", "00000000-0000-0000-0000-000000000000");
            for token in [None, Some("wrong"), Some("")] {
                let method = method.to_uppercase().parse().unwrap();
                let mut request = gateway.http.request(method, gateway.url(&path)).json(&json!({}));
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                assert_eq!(request.send().await.unwrap().status(), 401, "{path}");
            }
        }
    }
    assert!(guarded >= 5, "{guarded}");
    // Basic authentication and a bare token are not the scheme.
    for value in [ADMIN_TOKEN.to_owned(), format!("Basic {ADMIN_TOKEN}")] {
        let request = gateway.http.get(gateway.url("/api/v1/events")).header("authorization", value);
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn without_a_configured_token_every_admin_route_answers_401() {
    let gateway = Gateway::start(&[("HOOKGATE_ADMIN_TOKEN", "")]).await;
    for token in ["", "x"] {
        let request = gateway.http.get(gateway.url("/api/v1/events")).bearer_auth(token);
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn lists_page_newest_first_and_filter() {
    let gateway = with_events(5).await;
    let first = gateway.admin_get("/api/v1/events?limit=2").await;
    assert_eq!(ids(&first), ["lead4@2026-01-01T00:00:00Z", "lead3@2026-01-01T00:00:00Z"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = gateway.admin_get(&format!("/api/v1/events?limit=2&cursor={cursor}")).await;
    let cursor = second["next_cursor"].as_str().unwrap();
    let third = gateway.admin_get(&format!("/api/v1/events?limit=2&cursor={cursor}")).await;
    assert_eq!((ids(&second).len(), ids(&third)), (2, vec!["lead0@2026-01-01T00:00:00Z".to_owned()]));
    assert_eq!(third["next_cursor"], Value::Null);
    for (query, expected) in [
        ("provider=c2s", 5),
        ("provider=stripe", 0),
        ("type=on_close_lead", 3),
        ("type=lead.*", 2),
        ("type=on_%25", 0),
        ("subject=lead3", 1),
        ("q=LEAD2", 1),
        ("q=_ead", 0),
        ("status=ignored", 5),
        ("status=failed", 0),
        ("since=2020-01-01T00:00:00Z", 5),
        ("until=2020-01-01T00:00:00Z", 0),
    ] {
        assert_eq!(
            ids(&gateway.admin_get(&format!("/api/v1/events?{query}")).await).len(),
            expected,
            "{query}"
        );
    }
    for bad in ["limit=0", "limit=201", "limit=x", "status=lost", "since=yesterday", "cursor=1", "colour=red"]
    {
        let request =
            gateway.http.get(gateway.url(&format!("/api/v1/events?{bad}"))).bearer_auth(ADMIN_TOKEN);
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), 400, "{bad}");
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn an_empty_parameter_counts_as_absent_and_a_nul_is_the_callers_mistake() {
    let gateway = with_events(1).await;
    for (list, parameters) in [
        ("events", "provider,status,type,subject,since,until,q,limit,cursor"),
        ("sync-queue", "status,account,entity_type,limit,cursor"),
        ("sync-log", "account,entity_type,main_id,limit,cursor"),
        ("sync-changes", "status,account,limit"),
        ("quarantine", "provider,reason,since,limit,cursor"),
        ("payments", "provider,id,status,limit,cursor"),
        ("messages", "provider,id,status,limit,cursor"),
        ("offered-secrets", "provider"),
    ] {
        let query: Vec<String> = parameters.split(',').map(|name| format!("{name}=")).collect();
        let shown = gateway.admin_get(&format!("/api/v1/{list}?{}", query.join("&"))).await;
        assert_eq!(shown["items"], gateway.admin_get(&format!("/api/v1/{list}")).await["items"], "{list}");
        for query in parameters.split(',').map(|name| format!("{name}=a%00b")).chain(["none=1".to_owned()]) {
            let (status, problem) =
                gateway.admin("GET", &format!("/api/v1/{list}?{query}"), &serde_json::Value::Null).await;
            assert_eq!(status, 400, "{list} {query}: {problem}");
        }
    }
    let (status, problem) =
        gateway.admin("POST", "/api/v1/events/replay", &serde_json::json!({"subject": "a\0b"})).await;
    assert_eq!(status, 400, "{problem}");
}

#[tokio::test]
async fn an_item_has_the_fields_of_the_contract() {
    let gateway = with_events(1).await;
    let item = gateway.admin_get("/api/v1/events").await["items"][0].clone();
    for field in [
        "id",
        "provider",
        "event_id",
        "event_type",
        "subject",
        "status",
        "attempts",
        "duplicates",
        "received_at",
        "processed_at",
        "next_attempt_at",
        "error",
    ] {
        assert!(item.get(field).is_some(), "{field}");
    }
    let detail = gateway.admin_get(&format!("/api/v1/events/{}", item["id"].as_str().unwrap())).await;
    for field in ["payload", "headers", "outcome", "attempt_log"] {
        assert!(detail.get(field).is_some(), "{field}");
    }
    assert_eq!(detail["payload"]["id"], "lead0");
}

#[tokio::test]
async fn retry_and_replay_know_what_they_may() {
    let gateway = with_events(2).await;
    let unreadable =
        gateway.http.post(gateway.url("/api/v1/webhooks/c2s")).header("x-webhook-token", C2S).body("x");
    assert_eq!(unreadable.send().await.unwrap().status(), 400);
    let items = gateway.admin_get("/api/v1/events").await["items"].clone();
    let (rejected, ignored) = (items[0]["id"].as_str().unwrap(), items[1]["id"].as_str().unwrap());
    let act = async |id: &str, action: &str| {
        gateway.admin("POST", &format!("/api/v1/events/{id}/{action}"), &Value::Null).await.0
    };
    assert_eq!(act(ignored, "retry").await, 409);
    assert_eq!(act(ignored, "replay").await, 200);
    assert_eq!(act(rejected, "retry").await, 200);
    assert_eq!(act("00000000-0000-0000-0000-000000000000", "retry").await, 404);
    assert_eq!(act("nonsense", "replay").await, 404);
    let id = items[1]["event_id"].as_str().unwrap();
    let event = gateway.event("c2s", id, &["ignored"]).await;
    assert_eq!((event["attempts"].as_i64(), event["attempt_log"].as_array().unwrap().len()), (Some(1), 1));
    assert!(event["attempt_log"][0]["at"].is_string() && event["attempt_log"][0]["duration_ms"].is_u64());
    assert_eq!(gateway.admin("POST", "/api/v1/events/replay", &json!({})).await.0, 422);
    let (status, reply) =
        gateway.admin("POST", "/api/v1/events/replay", &json!({"type": "on_close_lead"})).await;
    assert_eq!((status, &reply["queued"]), (200, &json!(1)));
}

#[tokio::test]
async fn the_commands_list_show_retry_and_replay() {
    let gateway = with_events(3).await;
    let run = |arguments: &[&str]| {
        let output = gateway.command(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text, String::from_utf8(output.stderr).unwrap())
    };
    let (good, table, _) = run(&["events", "list"]);
    assert!(good && table.lines().count() == 4 && table.contains("lead2@2026-01-01T00:00:00Z"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours where nobody looks");
    let (_, json, _) = run(&["events", "list", "--limit", "1", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()[0]["subject"], "lead2");
    let (good, shown, _) = run(&["events", "show", "lead1@2026-01-01T00:00:00Z"]);
    assert!(good && shown.contains("lead.closed") && shown.contains("\"updated_at\""), "{shown}");
    let (good, _, error) = run(&["events", "retry", "lead1@2026-01-01T00:00:00Z"]);
    assert!(!good && error.contains("only a failed or rejected event"), "{error}");
    assert!(run(&["events", "replay", "lead1@2026-01-01T00:00:00Z"]).0);
    let event = gateway.event("c2s", "lead1@2026-01-01T00:00:00Z", &["ignored"]).await;
    assert_eq!(event["attempt_log"].as_array().unwrap().len(), 1);
    let (good, _, error) = run(&["events", "show", "nothing"]);
    assert!(!good && error.contains("events list"), "{error}");
    assert!(!run(&["events", "replay"]).0, "neither ids nor a filter");
}

#[tokio::test]
async fn send_signs_and_posts_and_says_how_it_went() {
    let gateway = with_events(0).await;
    for (provider, event_type) in [("stripe", "payment_intent.succeeded"), ("c2s", "on_close_lead")] {
        let output = gateway.command(&["send", provider, event_type, "--to", &gateway.base]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("\"processed\":1"));
    }
    let failing: [&[&str]; 4] = [
        &["send", "moysklad", "product.UPDATE", "--to", &gateway.base],
        &["send", "stripe", "no.such.type", "--to", &gateway.base],
        &["send", "stripe", "charge.succeeded", "--to", "http://127.0.0.1:1"],
        &["send", "nobody"],
    ];
    for arguments in failing {
        let output = gateway.command(arguments);
        assert!(!output.status.success() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn check_gives_a_verdict_on_each_thing() {
    let gateway = with_events(0).await;
    let output = gateway.command(&["check", "--json"]);
    let verdicts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let verdict = |check: &str| {
        verdicts.as_array().unwrap().iter().find(|v| v["check"] == check).unwrap()["verdict"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        (verdict("database"), verdict("schema"), verdict("providers")),
        ("ok".into(), "ok".into(), "ok".into())
    );
    assert!(output.status.success());
}

#[tokio::test]
async fn metrics_have_the_names_of_the_contract_and_hold_no_ids() {
    let gateway = with_events(2).await;
    let text = gateway.http.get(gateway.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        r#"webhook_events_received_total{provider="c2s",outcome="new"} 2"#,
        r#"webhook_ack_duration_seconds_count{provider="c2s"} 2"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.contains("webhook_ack_duration_seconds_bucket"));
    assert!(!text.contains("lead0") && !text.contains(C2S));
}

#[tokio::test]
async fn the_docs_are_served_whole_from_the_binary() {
    let gateway = with_events(0).await;
    let page = gateway.http.get(gateway.url("/api/docs/")).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let moved = gateway.http.get(gateway.url("/api/docs")).send().await.unwrap();
    assert_eq!(moved.headers()["location"], "/api/docs/");
    let script = gateway.http.get(gateway.url("/api/docs/swagger-ui-bundle.js")).send().await.unwrap();
    assert_eq!(script.status(), 200);
}
