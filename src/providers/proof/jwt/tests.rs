use super::super::testdata::{every_flipped_bit, jwk, now, public, signing, text};
use super::token::MAX_TOKEN;
use super::*;
use JwtAlgorithm::{Es256, Hs256, Rs256};
use JwtError as E;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;

const BODY: &[u8] = b"{\"webhook_type\":\"ITEM\"}";
const ISSUER: &str = "https://accounts.google.com";

fn rules() -> JwtRules {
    JwtRules {
        algorithms: vec![Rs256, Es256],
        issuers: vec![ISSUER.to_owned(), "accounts.google.com".to_owned()],
        audience: Some("https://hooks.example.com/in?x=1".to_owned()),
        claims: vec![
            ("email".to_owned(), Expected::Text("push@project.iam.gserviceaccount.com".to_owned())),
            ("email_verified".to_owned(), Expected::Bool(true)),
        ],
        body_sha256_claim: None,
        max_age: None,
        exp_optional: false,
        leeway: 60,
    }
}

fn claims() -> Value {
    let now = now().timestamp();
    json!({
        "iss": ISSUER, "aud": "https://hooks.example.com/in?x=1", "sub": "1", "iat": now - 10, "exp": now + 3590,
        "email": "push@project.iam.gserviceaccount.com", "email_verified": true,
    })
}

fn set() -> KeySet {
    let keys =
        json!({"keys": [jwk("rsa", "r"), jwk("p256", "p"), jwk("ed25519", "e"), {"kty": "oct", "kid": "o"}]});
    KeySet::parse(keys.to_string().as_bytes()).unwrap()
}

fn token(claims: &Value) -> String {
    issue(claims, Rs256, Some("r"), JwtSigner::Key(&signing("rsa"))).unwrap()
}

fn judge(claims: &Value) -> Result<Claims, JwtError> {
    check(&token(claims), &rules(), JwtKeys::Set(&set()), b"", now())
}

/// The good claims with some of them changed; null takes one out.
fn with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// A token whose header and claims are any text, signed by RSA.
fn raw(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = signing("rsa").sign(SignatureScheme::RsaSha256, signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_good_token_gives_its_claims() {
    let found = judge(&claims()).unwrap();
    assert_eq!(found.text("sub"), Some("1"));
    assert_eq!(format!("{found:?}"), "Claims(7)", "nothing personal");
    assert_eq!(key_id(&token(&claims())), Ok(Some("r".to_owned())));
    let by_p256 = issue(&claims(), Es256, Some("p"), JwtSigner::Key(&signing("p256"))).unwrap();
    assert!(check(&by_p256, &rules(), JwtKeys::Set(&set()), b"", now()).is_ok());
    let without_id = issue(&claims(), Rs256, None, JwtSigner::Key(&signing("rsa"))).unwrap();
    assert_eq!(key_id(&without_id), Ok(None));
    assert_eq!(check(&without_id, &rules(), JwtKeys::Set(&set()), b"", now()), Err(E::NoKeyId));
    assert!(check(&without_id, &rules(), JwtKeys::Key(&public("rsa")), b"", now()).is_ok());
}

#[test]
fn claims_are_what_the_rules_say() {
    for good in [
        json!({"iss": "accounts.google.com"}),
        json!({"aud": ["other", "https://hooks.example.com/in?x=1"]}),
        json!({"email": "Push@Project.iam.gserviceaccount.COM"}),
    ] {
        assert!(judge(&with(&good)).is_ok(), "{good}");
    }
    for (name, values) in [
        ("iss", vec![json!(null), json!(""), json!("https://accounts.google.com/"), json!([ISSUER])]),
        (
            "aud",
            vec![
                json!(null),
                json!("https://hooks.example.com/in"),
                json!([]),
                json!(["other"]),
                json!({"a": 1}),
            ],
        ),
        ("email", vec![json!(null), json!("other@project.iam.gserviceaccount.com"), json!(true)]),
        ("email_verified", vec![json!(null), json!(false), json!("true"), json!(1)]),
        ("exp", vec![json!(null), json!("soon"), json!(true), json!(1e300)]),
        ("nbf", vec![json!("x")]),
        ("iat", vec![json!([])]),
    ] {
        for value in values {
            let claims = with(&json!({ (name): value.clone() }));
            assert_eq!(judge(&claims), Err(E::Claim(name.to_owned())), "{name} {value}");
        }
    }
    let empty = JwtRules { audience: Some(String::new()), ..rules() };
    let token = token(&with(&json!({"aud": ""})));
    assert!(check(&token, &empty, JwtKeys::Set(&set()), b"", now()).is_err());
}

#[test]
fn times_are_bounded_on_both_sides() {
    let now = now().timestamp();
    for (changes, expected) in [
        (json!({"exp": now - 60}), None),
        (json!({"exp": now - 61}), Some(E::Expired)),
        (json!({"exp": -1}), Some(E::Expired)),
        (json!({"exp": i64::MIN}), Some(E::Expired)),
        (json!({"nbf": now + 60}), None),
        (json!({"nbf": now + 61}), Some(E::NotYetValid)),
        (json!({"iat": now + 60}), None),
        (json!({"iat": now + 61}), Some(E::NotYetValid)),
        (json!({"iat": i64::MAX, "exp": i64::MAX}), Some(E::NotYetValid)),
        (json!({"iat": null}), None),
    ] {
        assert_eq!(judge(&with(&changes)).err(), expected, "{changes}");
    }
    #[allow(clippy::cast_precision_loss)]
    let fraction = with(&json!({"exp": now as f64 + 0.5}));
    assert!(judge(&fraction).is_ok());
}

#[test]
fn the_age_is_bounded_where_the_rules_say_so() {
    let rules = JwtRules { max_age: Some(300), ..rules() };
    let now = self::now();
    let judge = |age: Value| {
        let claims = with(&json!({ "iat": age }));
        check(&token(&claims), &rules, JwtKeys::Set(&set()), b"", now).err()
    };
    let now = now.timestamp();
    assert_eq!(judge(json!(now - 300)), None);
    assert_eq!(judge(json!(now - 301)), Some(E::Expired));
    assert_eq!(judge(json!(null)), Some(E::Claim("iat".to_owned())));
}

#[test]
fn a_token_bound_to_a_body_and_an_age_needs_no_end_as_plaid_sends_none() {
    let rules = JwtRules {
        algorithms: vec![Es256],
        body_sha256_claim: Some("request_body_sha256".to_owned()),
        max_age: Some(300),
        leeway: 60,
        ..JwtRules::default()
    };
    let hash = hex::encode(Sha256::digest(BODY));
    let answer = json!({"key": {"alg": "ES256", "use": "sig", "created_at": 1, "expired_at": null}, "request_id": "x"});
    let set = |expired_at: Value, algorithm: &str| {
        let mut answer = answer.clone();
        for (name, value) in jwk("p256", "k").as_object().unwrap() {
            answer["key"][name] = value.clone();
        }
        answer["key"]["expired_at"] = expired_at;
        answer["key"]["alg"] = algorithm.into();
        KeySet::parse_one(answer.to_string().as_bytes(), "/key").unwrap()
    };
    let now = self::now();
    let judge = |hash: &str, set: &KeySet, rules: &JwtRules| {
        let claims = json!({"iat": now.timestamp(), "request_body_sha256": hash});
        let token = issue(&claims, Es256, Some("k"), JwtSigner::Key(&signing("p256"))).unwrap();
        check(&token, rules, JwtKeys::Set(set), BODY, now).err()
    };
    let current = set(Value::Null, "ES256");
    assert_eq!(judge(&hash, &current, &rules), None);
    assert_eq!(judge(&hex::encode(Sha256::digest(b"")), &current, &rules), Some(E::Body));
    assert_eq!(judge(&hash.to_uppercase(), &current, &rules), Some(E::Body));
    assert_eq!(judge(&hash, &set(json!(now.timestamp()), "ES256"), &rules), None);
    assert_eq!(judge(&hash, &set(json!(now.timestamp() - 1), "ES256"), &rules), Some(E::UnknownKey));
    assert_eq!(judge(&hash, &set(Value::Null, "ES384"), &rules), Some(E::UnknownKey));
    let unbound = JwtRules { max_age: None, ..rules };
    assert_eq!(judge(&hash, &current, &unbound), Some(E::Claim("exp".to_owned())));
}

#[test]
fn the_token_cannot_choose_its_algorithm() {
    let keys = JwtKeys::Set(&set());
    let claims = claims().to_string();
    for alg in ["none", "None", "HS256", "RS384", "rs256", ""] {
        let unsigned = raw(&json!({"alg": alg, "kid": "r"}).to_string(), &claims);
        assert_eq!(check(&unsigned, &rules(), keys, b"", now()), Err(E::Algorithm), "{alg}");
        let (signed, _) = unsigned.rsplit_once('.').unwrap();
        assert_eq!(check(&format!("{signed}."), &rules(), keys, b"", now()), Err(E::Algorithm), "{alg}");
    }
    // The oldest trick: HMAC with the public key, which everybody has.
    let all = JwtRules { algorithms: vec![Rs256, Hs256], ..rules() };
    for secret in [text("public", "rsa").as_bytes(), jwk("rsa", "r")["n"].as_str().unwrap().as_bytes(), b""] {
        let forged = issue(&self::claims(), Hs256, Some("r"), JwtSigner::Secret(secret)).unwrap();
        assert_eq!(check(&forged, &all, keys, b"", now()), Err(E::Algorithm));
        assert_eq!(check(&forged, &all, JwtKeys::Key(&public("rsa")), b"", now()), Err(E::Algorithm));
    }
    let genuine = token(&self::claims());
    assert_eq!(check(&genuine, &all, JwtKeys::Secret(b"secret"), b"", now()), Err(E::Algorithm));
}

#[test]
fn a_secret_proves_hmac_tokens() {
    let rules = JwtRules { algorithms: vec![Hs256], ..rules() };
    let token = issue(&claims(), Hs256, None, JwtSigner::Secret(b"secret")).unwrap();
    let judge = |secret: &[u8]| check(&token, &rules, JwtKeys::Secret(secret), b"", now()).err();
    assert_eq!(judge(b"secret"), None);
    assert_eq!(judge(b"other"), Some(E::Signature));
    let empty = issue(&claims(), Hs256, None, JwtSigner::Secret(b"")).unwrap();
    assert_eq!(check(&empty, &rules, JwtKeys::Secret(b""), b"", now()), Err(E::Algorithm));
}

#[test]
fn an_unknown_or_wrong_key_proves_nothing() {
    let keys = JwtKeys::Set(&set());
    let signed_as = |kid: &str| issue(&claims(), Rs256, Some(kid), JwtSigner::Key(&signing("rsa"))).unwrap();
    for kid in ["x", "", "o"] {
        assert_eq!(check(&signed_as(kid), &rules(), keys, b"", now()), Err(E::UnknownKey), "{kid}");
    }
    assert_eq!(
        check(&signed_as("p"), &rules(), keys, b"", now()),
        Err(E::UnknownKey),
        "a key of another kind"
    );
    let small = json!({"keys": [jwk("rsa1024", "r")]});
    let small = KeySet::parse(small.to_string().as_bytes()).unwrap();
    assert_eq!(check(&signed_as("r"), &rules(), JwtKeys::Set(&small), b"", now()), Err(E::UnknownKey));
    let twice = json!({"keys": [jwk("p256", "r"), jwk("rsa", "r")]});
    let twice = KeySet::parse(twice.to_string().as_bytes()).unwrap();
    assert!(check(&signed_as("r"), &rules(), JwtKeys::Set(&twice), b"", now()).is_ok());
}

#[test]
fn odd_tokens_are_refused() {
    let (header, claims) = (r#"{"alg":"RS256","kid":"r"}"#, claims().to_string());
    let good = raw(header, &claims);
    let judge = |token: &str| check(token, &rules(), JwtKeys::Set(&set()), b"", now()).err();
    assert_eq!(judge(&good), None);
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        &format!("{good}."),
        &format!(".{good}"),
        &format!("{good}="),
        &format!(" {good}"),
    ] {
        assert_eq!(judge(token), Some(E::Malformed), "{token}");
    }
    for header in [
        "[]",
        "{}",
        r#"{"alg":1}"#,
        r#"{"alg":"RS256","kid":1}"#,
        r#"{"alg":"RS256","alg":"RS256","kid":"r"}"#,
        r#"{"alg":"RS256","kid":"r","crit":["b64"],"b64":false}"#,
        r#"{"alg":"RS256","kid":"a\nb"}"#,
        &json!({"alg": "RS256", "kid": "k".repeat(257)}).to_string(),
    ] {
        let token = raw(header, &claims);
        assert_eq!(judge(&token), Some(E::Malformed), "{header}");
        assert_eq!(key_id(&token), Err(E::Malformed), "{header}");
    }
    let twice = format!("{},\"exp\":9999999999}}", claims.trim_end_matches('}'));
    assert_eq!(judge(&raw(header, &twice)), Some(E::Malformed));
    assert_eq!(judge(&raw(header, "[1]")), Some(E::Malformed));
    let long = token(&with(&json!({"pad": "x".repeat(MAX_TOKEN)})));
    assert_eq!(judge(&long), Some(E::Malformed));
    assert_eq!(key_id(&long), Err(E::Malformed));
}

#[test]
fn key_sets_are_read_in_both_forms_and_unknown_keys_left_out() {
    let set = set();
    assert_eq!((set.get("r"), set.get("p")), (Some(&public("rsa")), Some(&public("p256"))));
    assert_eq!((set.get("o"), set.get("")), (None, None));
    let pems = json!({"a": text("certificates", "self_signed"), "b": text("public", "p256")});
    let pems = KeySet::parse(pems.to_string().as_bytes()).unwrap();
    assert_eq!((pems.get("a"), pems.get("b")), (Some(&public("rsa")), Some(&public("p256"))));
    assert!(KeySet::parse(br#"{"keys":[]}"#).unwrap().is_empty());
    let many = vec![jwk("p256", "a"); 129];
    let many = json!({ "keys": many }).to_string();
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"a":"b"}"#, r#"{"keys":[],"keys":[]}"#, "<html>", &many]
    {
        assert_eq!(KeySet::parse(bad.as_bytes()), Err(BadKeySet), "{bad}");
    }
    for (answer, pointer) in
        [("{}", "/key"), (r#"{"key":1}"#, "/key"), (r#"{"key":{"kid":"a"}}"#, "/key"), ("{", "")]
    {
        assert_eq!(KeySet::parse_one(answer.as_bytes(), pointer), Err(BadKeySet));
    }
}

#[test]
fn only_three_algorithms_have_a_name() {
    for algorithm in [Rs256, Es256, Hs256] {
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
    }
    for name in ["none", "RS384", "hs256", ""] {
        assert!(name.parse::<JwtAlgorithm>().is_err());
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_token_never_verifies() {
    let secret = JwtRules { algorithms: vec![Hs256], ..rules() };
    let set = set();
    let (by_set, by_secret) = (JwtKeys::Set(&set), JwtKeys::Secret(b"secret"));
    let by_p256 = issue(&claims(), Es256, Some("p"), JwtSigner::Key(&signing("p256"))).unwrap();
    let by_hmac = issue(&claims(), Hs256, None, JwtSigner::Secret(b"secret")).unwrap();
    for (token, rules, keys) in
        [(token(&claims()), rules(), by_set), (by_p256, rules(), by_set), (by_hmac, secret, by_secret)]
    {
        assert!(check(&token, &rules, keys, b"", now()).is_ok());
        for other in every_flipped_bit(token.as_bytes()).filter_map(|bytes| String::from_utf8(bytes).ok()) {
            assert!(check(&other, &rules, keys, b"", now()).is_err(), "{other}");
        }
    }
}

#[test]
fn tokens_that_others_made_verify() {
    let rules = JwtRules { algorithms: vec![Rs256, Es256], ..JwtRules::default() };
    for name in ["RS256", "ES256"] {
        let claims = check(text("tokens", name), &rules, JwtKeys::Set(&set()), b"", now()).unwrap();
        assert_eq!(claims.text("sub"), Some(name));
    }
}

proptest! {
    #[test]
    fn no_text_panics(token in "[A-Za-z0-9_.\\-=]{0,60}|\\PC{0,30}", header in "\\{\\PC{0,30}\\}", bytes: Vec<u8>) {
        for token in [&token, &format!("{}.{token}.", URL_SAFE_NO_PAD.encode(&header))] {
            prop_assert!(check(token, &rules(), JwtKeys::Set(&set()), b"", now()).is_err());
            let _ = key_id(token);
        }
        let _ = KeySet::parse(&bytes);
        let _ = KeySet::parse(header.as_bytes());
        let _ = KeySet::parse_one(header.as_bytes(), &token);
    }
}
