use super::*;
use crate::support::faulty_server::Seen;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookgate::keyring::PayPal;
use hookgate::providers::evidence::{Evidence as _, Postback};
use serde_json::json;

const SECRET: &str = "cl1ent-s3cret";
const HOST: &str = "127.0.0.1";

fn bench(server: &FaultyServer) -> Bench {
    let paypal = PayPal {
        client_id: "client".to_owned(),
        client_secret: SECRET.into(),
        base_url: server.url.join("/base/").unwrap(),
    };
    Bench::new(KeyringSettings { paypal: Some(paypal), ..KeyringSettings::default() })
}

fn postback(body: &str) -> Arc<Postback> {
    Arc::new(Postback { body: Bytes::from(body.to_owned()) })
}

fn need(body: &str) -> Needed {
    Needed::Verdict(postback(body))
}

fn token(name: &str) -> Act {
    ok(json!({"access_token": name, "token_type": "Bearer", "expires_in": 32400}).to_string())
}

fn is_token(seen: &Seen) -> bool {
    seen.target == "/base/v1/oauth2/token"
}

/// Says `SUCCESS` to bodies with "genuine" in them.
fn paypal(seen: &Seen) -> Act {
    if is_token(seen) {
        let expected = format!("Basic {}", STANDARD.encode(format!("client:{SECRET}")));
        assert_eq!(seen.header("authorization"), Some(&*expected));
        assert_eq!(seen.body, b"grant_type=client_credentials");
        assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
        return token("t0ken");
    }
    assert_eq!(seen.target, "/base/v1/notifications/verify-webhook-signature");
    assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let genuine = String::from_utf8_lossy(&seen.body).contains("genuine");
    ok(json!({"verification_status": if genuine { "SUCCESS" } else { "FAILURE" }}).to_string())
}

fn count(server: &FaultyServer) -> (usize, usize) {
    let tokens = server.seen().iter().filter(|seen| is_token(seen)).count();
    (tokens, server.requests() - tokens)
}

#[tokio::test]
async fn paypal_is_asked_with_the_exact_bytes_and_its_word_holds_for_a_moment() {
    let server = FaultyServer::start(paypal).await;
    let bench = bench(&server);
    let body = "{\"webhook_event\": { \"genuine\":1,  \"b\":\"\\u00e9\" } }";
    assert_eq!(bench.keyring.verdict(&postback(body)), None);
    bench.keyring.supply(&need(body)).await.unwrap();
    bench.keyring.supply(&need("forged")).await.unwrap();
    assert_eq!(bench.keyring.verdict(&postback(body)), Some(true));
    assert_eq!(bench.keyring.verdict(&postback("forged")), Some(false));
    assert_eq!(bench.keyring.verdict(&postback("genuine too")), None);
    assert_eq!(server.seen()[1].body, body.as_bytes());
    assert_eq!(count(&server), (1, 2), "one token for both");
    bench.pass(10);
    assert_eq!(bench.keyring.verdict(&postback(body)), None);
}

#[tokio::test]
async fn the_same_webhook_many_times_is_one_question() {
    let server = FaultyServer::start(paypal).await;
    let bench = bench(&server);
    assert!(bench.crowd(&need("genuine")).await.iter().all(Result::is_ok));
    assert_eq!(count(&server), (1, 1));
    let needs: Vec<_> = (0..64).map(|number| need(&format!("genuine {number}"))).collect();
    let results = join_all(needs.iter().map(|needed| bench.keyring.supply(needed))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(count(&server), (1, 65));
    assert!(server.most_in_flight() <= 16);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_when_it_is_no_longer_taken() {
    let server = FaultyServer::start(|seen| match seen.number {
        1 | 4 | 6 => token(&format!("t{}", seen.number)),
        3 => Answer::status(401).into(),
        _ => ok(json!({"verification_status": "SUCCESS"}).to_string()),
    })
    .await;
    let bench = bench(&server);
    bench.keyring.supply(&need("1")).await.unwrap();
    bench.keyring.supply(&need("2")).await.unwrap();
    assert_eq!(count(&server), (2, 3), "token, 1, 2 refused, token, 2");
    assert_eq!(server.seen()[4].header("authorization"), Some("Bearer t4"));
    bench.pass(8 * 3600);
    bench.keyring.supply(&need("3")).await.unwrap();
    assert_eq!(server.seen()[6].header("authorization"), Some("Bearer t6"));
}

#[tokio::test]
async fn refused_credentials_are_told_and_not_tried_again_at_once() {
    for tokens_refused in [true, false] {
        let server = FaultyServer::start(move |seen| {
            if is_token(seen) && !tokens_refused { token("t") } else { Answer::status(401).into() }
        })
        .await;
        let bench = bench(&server);
        for body in ["1", "2", "3"] {
            let result = bench.keyring.supply(&need(body)).await;
            assert_eq!(result, Err(KeyringError::PayPalCredentials));
            let text = result.unwrap_err().to_string();
            assert!(text.contains("PAYPAL_CLIENT_SECRET") && !text.contains(SECRET), "{text}");
        }
        assert_eq!(count(&server), if tokens_refused { (1, 0) } else { (2, 2) });
    }
}

#[tokio::test]
async fn trouble_at_paypal_is_remembered_for_every_webhook_and_forgotten_when_it_is_over() {
    for bad in [
        Answer::status(500).into(),
        Answer::status(429).into(),
        ok("{}"),
        ok("{\"verification_status\":\"MAYBE\"}"),
        Act::HangUp,
    ] {
        let server = FaultyServer::start(move |seen| match (is_token(seen), seen.number) {
            (true, _) => token("t0ken"),
            (_, 2) => bad.clone(),
            _ => paypal(seen),
        })
        .await;
        let bench = bench(&server);
        let first = bench.keyring.supply(&need("genuine 1")).await;
        assert!(matches!(&first, Err(KeyringError::Fetch { kind: Kind::Verdict, host, .. }) if host == HOST));
        assert_eq!(bench.keyring.supply(&need("genuine 2")).await, first);
        assert_eq!(count(&server), (1, 1));
        assert_eq!(bench.keyring.verdict(&postback("genuine 1")), None);
        bench.pass(5);
        bench.keyring.supply(&need("genuine 1")).await.unwrap();
        bench.keyring.supply(&need("genuine 2")).await.unwrap();
        assert_eq!(bench.keyring.verdict(&postback("genuine 1")), Some(true));
    }
}

#[tokio::test]
async fn what_paypal_cannot_even_read_is_not_genuine_and_no_trouble() {
    let server = FaultyServer::start(|seen| match &*seen.body {
        b"odd" => Answer::status(400).body("{\"name\":\"VALIDATION_ERROR\"}").into(),
        _ => paypal(seen),
    })
    .await;
    let bench = bench(&server);
    bench.keyring.supply(&need("odd")).await.unwrap();
    assert_eq!(bench.keyring.verdict(&postback("odd")), Some(false));
    bench.keyring.supply(&need("genuine")).await.unwrap();
    assert_eq!(bench.keyring.verdict(&postback("genuine")), Some(true));
}

#[tokio::test]
async fn without_credentials_the_remedy_is_told() {
    let bench = Bench::new(KeyringSettings::default());
    let error = bench.keyring.supply(&need("1")).await.unwrap_err();
    assert_eq!(error, KeyringError::NoPayPal);
    assert!(error.to_string().contains("PAYPAL_CLIENT_ID"), "{error}");
}
