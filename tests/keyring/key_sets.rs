use super::*;
use crate::support::faulty_server::Seen;
use hookgate::providers::evidence::{Evidence as _, KeyLocation};
use hookgate::providers::proof::SigningKey;
use hookgate::providers::proof::jwt::{
    Claims, JwtAlgorithm, JwtError, JwtKeys, JwtRules, JwtSigner, check, issue, key_id,
};
use serde_json::json;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use url::Url;

const HOST: &str = "www.googleapis.com";

fn google() -> KeyLocation {
    let url = Url::parse(&format!("https://{HOST}/oauth2/v3/certs")).unwrap();
    KeyLocation { url, body: None, pointer: String::new() }
}

fn jwk(name: &str, kid: &str) -> Value {
    let mut jwk = KEYS["jwk"][name].clone();
    jwk["kid"] = kid.into();
    jwk
}

fn set(kids: &[&str]) -> Vec<u8> {
    let keys: Vec<_> = kids.iter().map(|kid| jwk("rsa", kid)).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}

fn needs(kid: &str) -> Needed {
    Needed::Key(google(), kid.to_owned())
}

/// Verifies as a scheme does: with what is known, and once more after a fetch.
async fn verify(bench: &Bench, kid: &str) -> Result<Result<Claims, JwtError>, KeyringError> {
    let key = SigningKey::from_text(&made("keys", "rsa").into()).unwrap();
    let claims = json!({"exp": bench.now().timestamp() + 60});
    let token = issue(&claims, JwtAlgorithm::Rs256, Some(kid), JwtSigner::Key(&key)).unwrap();
    let rules = JwtRules { algorithms: vec![JwtAlgorithm::Rs256], ..JwtRules::default() };
    let kid = key_id(&token).unwrap().unwrap();
    if bench.keyring.keys(&google(), &kid).is_none() {
        bench.keyring.supply(&needs(&kid)).await?;
    }
    let keys = bench.keyring.keys(&google(), &kid).expect("it was supplied");
    Ok(check(&token, &rules, JwtKeys::Set(&keys), b"", bench.now()))
}

#[tokio::test]
async fn a_token_verifies_with_the_published_key_and_a_rotated_one_is_found() {
    let rotated = |seen: &Seen| ok(if seen.number == 1 { set(&["a", "b"]) } else { set(&["b", "c"]) });
    let server = FaultyServer::start(rotated).await;
    let bench = Bench::before(&server, &[HOST]);
    for kid in ["a", "b", "a"] {
        assert!(verify(&bench, kid).await.unwrap().is_ok());
    }
    assert_eq!(server.requests(), 1);
    assert_eq!(server.seen()[0].target, "/oauth2/v3/certs");
    assert_eq!(verify(&bench, "c").await, Ok(Err(JwtError::UnknownKey)), "asked for within a minute");
    assert_eq!(server.requests(), 1);
    bench.pass(60);
    assert!(verify(&bench, "c").await.unwrap().is_ok());
    assert_eq!(verify(&bench, "a").await, Ok(Err(JwtError::UnknownKey)), "withdrawn");
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_flood_of_unknown_key_ids_is_one_fetch_a_minute() {
    let server = FaultyServer::start(|_| ok(set(&["a"]))).await;
    let bench = Bench::before(&server, &[HOST]);
    for minute in 1..=3 {
        for wave in 0..5 {
            let needs: Vec<_> = (0..200).map(|number| needs(&format!("{minute}-{wave}-{number}"))).collect();
            let results = join_all(needs.iter().map(|needed| bench.keyring.supply(needed))).await;
            assert!(results.iter().all(Result::is_ok));
            bench.pass(10);
        }
        assert_eq!(verify(&bench, "random").await, Ok(Err(JwtError::UnknownKey)));
        assert!(verify(&bench, "a").await.unwrap().is_ok());
        assert_eq!(server.requests(), minute);
        bench.pass(10);
    }
}

#[tokio::test]
async fn a_set_is_kept_as_long_as_its_owner_says_within_bounds() {
    for (header, kept) in [
        ("public, max-age=600", 600),
        ("max-age=1", 300),
        ("max-age=4000000000", 24 * 3600),
        ("no-cache", 3600),
    ] {
        let answer = Answer::status(200).header("Cache-Control", header).body(set(&["a"]));
        let server = FaultyServer::start(move |_| answer.clone().into()).await;
        let bench = Bench::before(&server, &[HOST]);
        verify(&bench, "a").await.unwrap().unwrap();
        bench.pass(kept - 1);
        verify(&bench, "a").await.unwrap().unwrap();
        assert_eq!(server.requests(), 1, "{header}");
        bench.pass(1);
        verify(&bench, "a").await.unwrap().unwrap();
        assert_eq!(server.requests(), 2, "{header}");
    }
}

#[tokio::test]
async fn a_set_serves_on_while_no_newer_one_can_be_had() {
    for bad in [Answer::status(503).into(), Act::HangUp, ok("{\"keys\":[]}"), ok("{}"), ok("<html>")] {
        let label = format!("{bad:?}");
        let server =
            FaultyServer::start(move |seen| if seen.number == 1 { ok(set(&["a"])) } else { bad.clone() })
                .await;
        let bench = Bench::before(&server, &[HOST]);
        verify(&bench, "a").await.unwrap().unwrap();
        bench.pass(3600);
        assert!(verify(&bench, "a").await.unwrap().is_ok(), "{label}");
        assert_eq!(server.requests(), 2);
        assert!(verify(&bench, "b").await.is_err(), "nobody knows whether it exists: {label}");
        assert!(verify(&bench, "a").await.unwrap().is_ok());
        assert_eq!(server.requests(), 2, "the failure is remembered: {label}");
        bench.pass(24 * 3600 + 1);
        assert!(verify(&bench, "a").await.is_err(), "not forever: {label}");
    }
}

#[tokio::test]
async fn a_failed_look_for_an_unknown_key_is_not_repeated_within_a_minute() {
    let server =
        FaultyServer::start(
            |seen| if seen.number == 1 { ok(set(&["a"])) } else { Answer::status(500).into() },
        )
        .await;
    let bench = Bench::before(&server, &[HOST]);
    verify(&bench, "a").await.unwrap().unwrap();
    for fetches in 2..5 {
        bench.pass(60);
        for _ in 0..20 {
            assert!(verify(&bench, "b").await.is_err());
            assert!(verify(&bench, "a").await.unwrap().is_ok());
        }
        assert_eq!(server.requests(), fetches);
    }
}

#[tokio::test]
async fn a_set_may_be_long_but_not_without_end() {
    let padded = |length: usize| {
        let set = String::from_utf8(set(&["a"])).unwrap();
        format!("{set}{}", " ".repeat(length - set.len()))
    };
    for (length, expected) in [(256 * 1024, None), (256 * 1024 + 1, Some(Reason::TooLong))] {
        let body = padded(length);
        let server = FaultyServer::start(move |_| ok(body.clone())).await;
        let bench = Bench::before(&server, &[HOST]);
        let result = bench.keyring.supply(&needs("a")).await;
        assert_eq!(result.clone().err().map(|_| reason(result)), expected);
    }
}

fn plaid(kid: &str) -> KeyLocation {
    let body = json!({"client_id": "id", "secret": "s3cret", "key_id": kid}).to_string();
    KeyLocation {
        url: Url::parse("https://production.plaid.com/webhook_verification_key/get").unwrap(),
        body: Some(body.into()),
        pointer: "/key".to_owned(),
    }
}

fn plaid_server(seen: &Seen) -> Act {
    let asked: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((&asked["client_id"], &asked["secret"]), (&json!("id"), &json!("s3cret")));
    match asked["key_id"].as_str().unwrap() {
        kid if kid.starts_with("good") => {
            ok(json!({"key": jwk("p256", kid), "request_id": "r"}).to_string().into_bytes())
        }
        _ => Answer::status(400).body("{\"error_code\":\"INVALID_WEBHOOK_VERIFICATION_KEY_ID\"}").into(),
    }
}

#[tokio::test]
async fn a_key_may_be_asked_for_by_its_id_with_credentials() {
    let server = FaultyServer::start(plaid_server).await;
    let bench = Bench::before(&server, &["production.plaid.com"]);
    let supply = async |kid: &str| bench.keyring.supply(&Needed::Key(plaid(kid), kid.to_owned())).await;
    let known = |kid: &str| bench.keyring.keys(&plaid(kid), kid).and_then(|set| set.get(kid).cloned());
    for kid in ["good-1", "good-2", "good-1"] {
        supply(kid).await.unwrap();
        assert!(known(kid).is_some());
    }
    assert_eq!(server.requests(), 2);
    let seen = server.seen().remove(0);
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/webhook_verification_key/get"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let other_credentials = KeyLocation { body: Some("{}".into()), ..plaid("good-1") };
    assert!(bench.keyring.keys(&other_credentials, "good-1").is_none());

    let refused = supply("bad").await;
    assert_eq!(refused, Err(error(Kind::Key, "production.plaid.com", Reason::Status(400))));
    assert!(known("bad").is_none());
    let shown = format!("{:?} {refused:?} {}", bench.keyring, refused.clone().unwrap_err());
    assert!(!shown.contains("s3cret"), "{shown}");
    let before = server.requests();
    let results = join_all((0..500).map(async |number| supply(&format!("bad-{number}")).await)).await;
    assert!(results.iter().all(Result::is_err));
    assert!(server.requests() - before <= 10, "{}", server.requests());
    assert!(known("good-1").is_some());
}

#[tokio::test]
async fn fetches_are_counted_by_kind_and_outcome() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let server =
        FaultyServer::start(
            |seen| if seen.number == 1 { Answer::status(500).into() } else { ok(set(&["a"])) },
        )
        .await;
    let bench = Bench::before(&server, &[HOST]);
    bench.keyring.supply(&needs("a")).await.unwrap_err();
    bench.pass(5);
    bench.keyring.supply(&needs("a")).await.unwrap();
    bench.keyring.supply(&needs("a")).await.unwrap();
    let text = recorder.handle().render();
    for line in ["outcome=\"status\"} 1", "outcome=\"ok\"} 1"] {
        assert!(text.contains(&format!("webhook_key_fetches_total{{kind=\"key_set\",{line}")), "{text}");
    }
}

#[tokio::test]
async fn many_at_work_while_keys_rotate_see_a_good_key_or_an_honest_refusal() {
    // The newest of two keys changes with every fetch; time jumps by a minute now and then.
    static NEWEST: AtomicU32 = AtomicU32::new(0);
    static PASSED: AtomicI64 = AtomicI64::new(0);
    let server = FaultyServer::start(|_| {
        let newest = NEWEST.fetch_add(1, Ordering::SeqCst) + 1;
        ok(set(&[&format!("k{}", newest - 1), &format!("k{newest}")]))
    })
    .await;
    let bench = Bench::before(&server, &[HOST]);
    for _ in 0..20 {
        let kids: Vec<_> =
            (0..4).map(|back| format!("k{}", NEWEST.load(Ordering::SeqCst) + 1 - back.min(1))).collect();
        let results = join_all(kids.iter().map(|kid| verify(&bench, kid))).await;
        for result in results {
            assert!(matches!(result.unwrap(), Ok(_) | Err(JwtError::UnknownKey)));
        }
        bench.pass(30);
        PASSED.fetch_add(30, Ordering::SeqCst);
    }
    let minutes = usize::try_from(PASSED.load(Ordering::SeqCst) / 60).unwrap();
    assert!((2..=minutes + 1).contains(&server.requests()), "{}", server.requests());
}
