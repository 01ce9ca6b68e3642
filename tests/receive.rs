//! What comes in: proof, reading, storing once, and what the sender is told.

use crate::support::gateway::Gateway;
use crate::support::sign;
use base64::Engine as _;
use chrono::Utc;
use futures_util::future::join_all;
use serde_json::{Value, json};

const STRIPE: &str = "whsec_canary_1,whsec_canary_2";
const C2S: &str = "c2s-canary-9d1";
const MOYSKLAD: &str = "moysklad-canary-77";

async fn gateway() -> Gateway {
    Gateway::start(&[
        ("STRIPE_WEBHOOK_SECRET", STRIPE),
        ("WEBHOOK_SECRET", C2S),
        ("MOYSKLAD_WEBHOOK_TOKEN", MOYSKLAD),
    ])
    .await
}

/// Posts a body with headers; gives status and JSON.
async fn post(
    gateway: &Gateway,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<reqwest::Body>,
) -> (u16, Value) {
    let mut request = gateway.http.post(gateway.url(path)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = request.send().await.unwrap();
    let status = reply.status().as_u16();
    if status >= 400 {
        assert_eq!(reply.headers()["content-type"], "application/problem+json");
        let id = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem: Value = reply.json().await.unwrap();
        assert_eq!(
            (problem["status"].as_u64(), problem["request_id"].as_str()),
            (Some(status.into()), Some(&*id))
        );
        assert!(problem["type"].is_string() && problem["title"].is_string() && problem["detail"].is_string());
        return (status, problem);
    }
    (status, reply.json().await.unwrap())
}

async fn stripe(gateway: &Gateway, body: &str) -> (u16, Value) {
    let header = sign::stripe_now("whsec_canary_2", body.as_bytes());
    post(gateway, "/api/v1/webhooks/stripe", &[("stripe-signature", &header)], body.to_owned()).await
}

fn stripe_event(id: &str) -> String {
    json!({"id": id, "object": "event", "type": "product.updated", "created": 1_760_000_000,
        "data": {"object": {"id": "prod_1"}}})
    .to_string()
}

async fn c2s(gateway: &Gateway, body: &Value) -> (u16, Value) {
    post(gateway, "/api/v1/webhooks/c2s", &[("x-webhook-token", C2S)], body.to_string()).await
}

fn lead(id: &str, updated_at: &str) -> Value {
    json!({"id": id, "hook_action": "on_close_lead", "attributes": {"updated_at": updated_at}})
}

fn receipt(received: u64, processed: u64, duplicates: u64) -> Value {
    json!({"status": "received", "received": received, "processed": processed, "duplicates": duplicates})
}

async fn stored(gateway: &Gateway) -> usize {
    gateway.admin_get("/api/v1/events?limit=200").await["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn an_event_is_stored_once_and_every_repetition_is_counted() {
    let gateway = gateway().await;
    assert_eq!(stripe(&gateway, &stripe_event("evt_1")).await, (200, receipt(1, 1, 0)));
    assert_eq!(stripe(&gateway, &stripe_event("evt_1")).await, (200, receipt(1, 0, 1)));
    let other_bytes = stripe_event("evt_1").replace(':', ": ");
    assert_eq!(stripe(&gateway, &other_bytes).await, (200, receipt(1, 0, 1)));
    let event = gateway.event("stripe", "evt_1", &["ignored"]).await;
    assert_eq!((event["duplicates"].as_u64(), event["conflicting_duplicates"].as_u64()), (Some(2), Some(1)));
    assert_eq!(event["payload"]["data"]["object"]["id"], "prod_1");
    assert_eq!(event["subject"], "prod_1");
    assert_eq!(event["occurred_at"], "2025-10-09T08:53:20Z");
    assert!(event["last_duplicate_at"].is_string());
}

#[tokio::test]
async fn sixty_four_identical_requests_at_once_make_one_event() {
    let gateway = gateway().await;
    let body = stripe_event("evt_race");
    let replies = join_all((0..64).map(|_| stripe(&gateway, &body))).await;
    let new: u64 = replies.iter().map(|(_, reply)| reply["processed"].as_u64().unwrap()).sum();
    let known: u64 = replies.iter().map(|(_, reply)| reply["duplicates"].as_u64().unwrap()).sum();
    assert_eq!((new, known), (1, 63));
    assert_eq!(gateway.event("stripe", "evt_race", &["ignored"]).await["duplicates"], 63);
}

#[tokio::test]
async fn two_nodes_that_get_the_same_events_at_once_store_each_once() {
    let first = gateway().await;
    let second = Gateway::start_on(first.database.clone(), &[("STRIPE_WEBHOOK_SECRET", STRIPE)]).await;
    let bodies: Vec<String> = (0..50).map(|n| stripe_event(&format!("evt_{n}"))).collect();
    let here = join_all(bodies.iter().map(|body| stripe(&first, body)));
    let there = join_all(bodies.iter().rev().map(|body| stripe(&second, body)));
    let (here, there) = tokio::join!(here, there);
    let new: u64 = here.iter().chain(&there).map(|(_, reply)| reply["processed"].as_u64().unwrap()).sum();
    assert_eq!(new, 50);
    assert_eq!(stored(&first).await, 50);
}

#[tokio::test]
async fn a_batch_that_repeats_itself_is_counted_right() {
    let gateway = gateway().await;
    let (a, b) = (lead("a", "2026-01-01T00:00:00Z"), lead("b", "2026-01-01T00:00:00Z"));
    assert_eq!(c2s(&gateway, &json!([a, b, a, a])).await, (200, receipt(4, 2, 2)));
    assert_eq!(c2s(&gateway, &json!([a, b])).await, (200, receipt(2, 0, 2)));
    assert_eq!(gateway.event("c2s", "a@2026-01-01T00:00:00Z", &["ignored"]).await["duplicates"], 3);
}

#[tokio::test]
async fn an_unreadable_part_of_a_batch_is_rejected_alone_and_kept() {
    let gateway = gateway().await;
    let batch = json!([lead("a", "2026-01-01T00:00:00Z"), {"id": "b", "attributes": {}}, lead("c", "soon")]);
    let (status, reply) = c2s(&gateway, &batch).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&reply["received"], &reply["processed"], &reply["rejected"]),
        (&json!(3), &json!(1), &json!(2))
    );
    assert_eq!(reply["errors"][1]["index"], 2);
    assert!(reply["errors"][0]["detail"].as_str().unwrap().contains("updated_at"));
    let rejected = gateway.admin_get("/api/v1/events?provider=c2s&status=rejected").await;
    assert_eq!(rejected["items"].as_array().unwrap().len(), 2);
    let (status, _) = c2s(&gateway, &json!([{"id": "b", "attributes": {}}])).await;
    assert_eq!(status, 400, "nothing in it could be stored as an event");
}

#[tokio::test]
async fn what_is_not_proven_is_refused_and_leaves_no_trace() {
    let gateway = gateway().await;
    let body = stripe_event("evt_1");
    let now = Utc::now().timestamp();
    let good = sign::stripe("whsec_canary_1", now, body.as_bytes());
    let wrong = sign::stripe("whsec_other", now, body.as_bytes());
    let old = sign::stripe("whsec_canary_1", now - 302, body.as_bytes());
    let future = sign::stripe("whsec_canary_1", now + 400, body.as_bytes());
    let reserialised = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&body).unwrap()).unwrap();
    let cases: Vec<(&str, Vec<(&str, &str)>, String)> = vec![
        ("no header", vec![], body.clone()),
        ("wrong secret", vec![("stripe-signature", &wrong)], body.clone()),
        ("too old", vec![("stripe-signature", &old)], body.clone()),
        ("from the future", vec![("stripe-signature", &future)], body.clone()),
        ("twice", vec![("stripe-signature", &good), ("stripe-signature", &good)], body.clone()),
        ("empty", vec![("stripe-signature", "")], body.clone()),
        ("tampered", vec![("stripe-signature", &good)], body.replace("prod_1", "prod_2")),
        ("re-serialised", vec![("stripe-signature", &good)], reserialised),
        ("truncated", vec![("stripe-signature", &good)], body[..body.len() - 1].to_owned()),
    ];
    for (name, headers, body) in cases {
        let (status, problem) = post(&gateway, "/api/v1/webhooks/stripe", &headers, body).await;
        assert_eq!(
            (status, problem["detail"].as_str()),
            (401, Some("the request is not authenticated")),
            "{name}"
        );
    }
    for path in [
        "/api/v1/webhooks/c2s",
        "/api/v1/webhooks/c2s?token=no",
        "/api/v1/webhooks/moysklad",
        "/api/v1/webhooks/moysklad/no",
        "/api/v1/webhooks/moysklad?token=no",
    ] {
        assert_eq!(post(&gateway, path, &[], "{}").await.0, 401, "{path}");
    }
    assert_eq!(stored(&gateway).await, 0);
    assert_eq!(stripe(&gateway, &body).await.0, 200);
}

#[tokio::test]
async fn an_authentic_unreadable_request_is_refused_and_kept_byte_for_byte() {
    let gateway = gateway().await;
    let deep = format!(r#"{{"id":"e","type":"t","x":{}1{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    let bodies: Vec<Vec<u8>> = vec![
        b"not json".to_vec(),
        b"".to_vec(),
        b"{\"id\":\"evt_1\"".to_vec(),
        b"{\"id\":\"evt\x00\",\"type\":\"t\"}".to_vec(),
        b"{\"id\":\"evt\\u0000\",\"type\":\"t\"}".to_vec(),
        b"{\"id\":\"\xff\xfe\",\"type\":\"t\"}".to_vec(),
        b"{\"id\":null,\"type\":\"t\"}".to_vec(),
        b"[]".to_vec(),
        deep.into_bytes(),
        format!(r#"{{"id":"{}","type":"t"}}"#, "x".repeat(4000)).into_bytes(),
    ];
    for body in &bodies {
        let header = sign::stripe_now("whsec_canary_1", body);
        let (status, _) =
            post(&gateway, "/api/v1/webhooks/stripe", &[("stripe-signature", &header)], body.clone()).await;
        assert_eq!(status, 400, "{}", String::from_utf8_lossy(&body[..body.len().min(60)]));
    }
    let rejected = gateway.admin_get("/api/v1/events?status=rejected&limit=200").await;
    let rejected = rejected["items"].as_array().unwrap();
    assert_eq!(rejected.len(), bodies.len());
    assert!(rejected.iter().all(|event| event["error"].is_string()));
    // The one that is not UTF-8 (fifth from the end when listed newest first) comes back as its bytes.
    let detail = gateway.admin_get(&format!("/api/v1/events/{}", rejected[4]["id"].as_str().unwrap())).await;
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(detail["payload"]["base64"].as_str().unwrap());
    assert_eq!(bytes.unwrap(), bodies[5]);
    assert_eq!(stripe(&gateway, &stripe_event("evt_after")).await.0, 200);
}

#[tokio::test]
async fn the_operators_view_bears_bodies_that_jsonb_cannot_hold() {
    use diesel::{QueryableByName, sql_query, sql_types::Nullable, sql_types::Text};
    use diesel_async::RunQueryDsl as _;
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<Text>)]
        payload: Option<String>,
    }
    let gateway = gateway().await;
    let with_nul = r#"{"id":"evt_nul","type":"t","data":{"object":{"id":"x","note":"a\u0000b"}}}"#;
    assert_eq!(stripe(&gateway, with_nul).await.0, 200);
    assert_eq!(stripe(&gateway, "not json").await.0, 400);
    let mut conn = gateway.database.connect().await;
    let rows: Vec<Row> =
        sql_query("SELECT payload::text FROM events ORDER BY received_at").load(&mut conn).await.unwrap();
    assert!(rows[0].payload.as_ref().unwrap().contains("a\u{fffd}b"));
    assert_eq!(rows[1].payload, None);
}

#[tokio::test]
async fn the_exact_bytes_are_kept() {
    use diesel::{QueryableByName, sql_query, sql_types::Bytea};
    use diesel_async::RunQueryDsl as _;
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bytea)]
        body: Vec<u8>,
    }
    let gateway = gateway().await;
    let body = " {\"id\" :\"evt_1\",\r\n\"type\":\"t\",  \"n\":1.10, \"u\":\"Zo\u{eb}\"} \n";
    assert_eq!(stripe(&gateway, body).await.0, 200);
    let batch = format!(
        "[ {},\n{} ]",
        lead("a", "2026-01-01T00:00:00Z"),
        r#"{"id": "b",  "attributes": {"updated_at":"2026-01-01T00:00:00Z"}}"#
    );
    let reply = post(&gateway, "/api/v1/webhooks/c2s", &[("x-webhook-token", C2S)], batch).await;
    assert_eq!(reply.0, 200);
    let mut conn = gateway.database.connect().await;
    let rows: Vec<Row> =
        sql_query("SELECT body FROM webhook_events ORDER BY id").load(&mut conn).await.unwrap();
    assert_eq!(rows[0].body, body.as_bytes());
    assert_eq!(rows[2].body, br#"{"id": "b",  "attributes": {"updated_at":"2026-01-01T00:00:00Z"}}"#);
}

#[tokio::test]
async fn routes_that_do_not_exist_and_methods_that_are_not_taken() {
    let bare = Gateway::start(&[]).await;
    for provider in ["stripe", "c2s", "moysklad", "nobody", "7b0e9f0e-3f4e-4c0a-9d52-0c6f4f7f9a11"] {
        assert_eq!(
            post(&bare, &format!("/api/v1/webhooks/{provider}"), &[], "{}").await.0,
            404,
            "{provider}"
        );
    }
    let gateway = gateway().await;
    assert_eq!(post(&gateway, "/api/v1/webhooks/stripe/extra", &[], "{}").await.0, 404);
    assert_eq!(post(&gateway, "/nowhere", &[], "{}").await.0, 404);
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
        let request = gateway.http.request(method.parse().unwrap(), gateway.url("/api/v1/webhooks/stripe"));
        assert_eq!(request.send().await.unwrap().status(), 405, "{method}");
    }
}

#[tokio::test]
async fn the_alias_and_both_places_of_a_token_work() {
    let gateway = gateway().await;
    let event = |n: u32| lead(&n.to_string(), "2026-01-01T00:00:00Z").to_string();
    assert_eq!(post(&gateway, "/api/webhooks/c2s", &[("x-webhook-token", C2S)], event(1)).await.0, 200);
    assert_eq!(post(&gateway, &format!("/api/v1/webhooks/c2s?token={C2S}"), &[], event(2)).await.0, 200);
    let base = "https://api.moysklad.ru/api/remap/1.2/entity/product/4081cebb-f82b-11f0-0a80-0472000f6157";
    let body = json!({"events": [{"meta": {"type": "product", "href": base}, "action": "DELETE", "accountId": "x"}]});
    for path in [
        format!("/api/v1/webhooks/moysklad/{MOYSKLAD}?requestId=r1"),
        format!("/api/v1/webhooks/moysklad?token={MOYSKLAD}&requestId=r2"),
    ] {
        assert_eq!(post(&gateway, &path, &[], body.to_string()).await.1, receipt(1, 1, 0), "{path}");
    }
    // The same delivery again, as MoySklad repeats it when it gets no answer in time.
    let again = format!("/api/v1/webhooks/moysklad/{MOYSKLAD}?requestId=r1");
    assert_eq!(post(&gateway, &again, &[], body.to_string()).await.1, receipt(1, 0, 1));
    let foreign = body.to_string().replace("api.moysklad.ru", "evil.example");
    let path = format!("/api/v1/webhooks/moysklad/{MOYSKLAD}?requestId=r3");
    assert_eq!(post(&gateway, &path, &[], foreign).await.0, 400);
    assert_eq!(post(&gateway, &path, &[], r#"{"events":[]}"#).await, (200, receipt(0, 0, 0)));
}

#[tokio::test]
async fn secrets_and_addresses_are_not_among_the_stored_headers() {
    let gateway = gateway().await;
    let headers = [
        ("x-webhook-token", C2S),
        ("authorization", "Bearer canary"),
        ("cookie", "canary"),
        ("x-forwarded-for", "203.0.113.77"),
        ("x-custom", "kept"),
    ];
    let body = lead("a", "2026-01-01T00:00:00Z").to_string();
    assert_eq!(post(&gateway, "/api/v1/webhooks/c2s", &headers, body).await.0, 200);
    let event = gateway.event("c2s", "a@2026-01-01T00:00:00Z", &["ignored"]).await;
    let text = event.to_string();
    assert_eq!(event["headers"]["x-custom"], "kept");
    assert!(!text.contains("canary") && !text.contains("203.0.113.77"), "{text}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let gateway = gateway().await;
    let body = "x".repeat((1 << 20) + 1);
    let header = sign::stripe_now("whsec_canary_1", body.as_bytes());
    let headers = [("stripe-signature", &*header)];
    assert_eq!(post(&gateway, "/api/v1/webhooks/stripe", &headers, body.clone()).await.0, 413);
    let reply = chunked(&gateway, &header, body.as_bytes()).await;
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply:.80}");
    assert_eq!(stripe(&gateway, &stripe_event("evt_after")).await.0, 200);
}

/// Posts without announcing a length.
async fn chunked(gateway: &Gateway, signature: &str, body: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = gateway.base.trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/webhooks/stripe HTTP/1.1\r\nhost: x\r\nstripe-signature: {signature}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    for chunk in body.chunks(64 << 10) {
        // The server may have refused already and closed.
        let size = format!("{:x}\r\n", chunk.len());
        let _ = socket.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat()).await;
    }
    let mut reply = vec![0; 4096];
    let length = socket.read(&mut reply).await.unwrap();
    String::from_utf8_lossy(&reply[..length]).into_owned()
}

#[tokio::test]
async fn a_client_that_does_not_finish_is_cut_off_and_holds_nobody_up() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let gateway = Gateway::start(&[("STRIPE_WEBHOOK_SECRET", STRIPE), ("BODY_TIMEOUT_SECONDS", "0.3")]).await;
    let address = gateway.base.trim_start_matches("http://").to_owned();
    let slow = join_all((0..100).map(|_| async {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = "POST /api/v1/webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf";
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        tokio::time::timeout(std::time::Duration::from_secs(15), socket.read_to_end(&mut reply))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8_lossy(&reply).into_owned()
    }));
    let body = stripe_event("evt_meanwhile");
    let (slow, meanwhile) = tokio::join!(slow, stripe(&gateway, &body));
    assert_eq!(meanwhile.0, 200);
    assert!(slow.iter().all(|reply| reply.starts_with("HTTP/1.1 408")), "{:.80}", slow[0]);
}

#[tokio::test]
async fn rate_limits_are_off_unless_set_and_then_say_when_to_come_again() {
    let limited = Gateway::start(&[("WEBHOOK_SECRET", C2S), ("RATE_LIMIT_PER_PROVIDER", "2")]).await;
    let send = |n: u32| {
        let body = lead(&n.to_string(), "2026-01-01T00:00:00Z").to_string();
        limited
            .http
            .post(limited.url("/api/v1/webhooks/c2s"))
            .header("x-webhook-token", C2S)
            .body(body)
            .send()
    };
    let replies = join_all((0..20).map(send)).await;
    let refused: Vec<_> =
        replies.into_iter().map(Result::unwrap).filter(|reply| reply.status() == 429).collect();
    assert!(refused.len() >= 10, "{}", refused.len());
    assert!(refused[0].headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);

    let by_address = Gateway::start(&[
        ("WEBHOOK_SECRET", C2S),
        ("RATE_LIMIT_PER_IP", "1"),
        ("TRUSTED_PROXIES", "127.0.0.0/8"),
    ])
    .await;
    let from = |address: &'static str, n: u32| {
        let body = lead(&n.to_string(), "2026-01-01T00:00:00Z").to_string();
        let request = by_address.http.post(by_address.url("/api/v1/webhooks/c2s"));
        request.header("x-webhook-token", C2S).header("x-forwarded-for", address).body(body).send()
    };
    let (many, one) =
        tokio::join!(join_all((0..20).map(|n| from("203.0.113.1", n))), from("203.0.113.2", 20));
    let refused = many.into_iter().filter(|reply| reply.as_ref().unwrap().status() == 429).count();
    assert!(refused >= 10, "{refused}");
    assert_eq!(one.unwrap().status(), 200, "another address has its own rate");
}
