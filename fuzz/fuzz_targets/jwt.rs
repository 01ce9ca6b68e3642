//! Tokens and key sets. A token that the key did not make never passes; one that it made passes exactly if its claims
//! are what the rules say, by a second reading of the rules that stands here.

#![no_main]

use arbitrary::Arbitrary;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hookgate::providers::proof::jwt::{
    Expected, JwtAlgorithm, JwtKeys, JwtRules, JwtSigner, KeySet, check, issue, key_id,
};
use hookgate::providers::proof::{Hash, PublicKey, SigningKey, digest, hmac};
use hookgate_fuzz::testdata;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

const SECRET: &[u8] = b"fuzz-secret-8d1f3a5b7c9e2046";

#[derive(Debug, Arbitrary)]
struct Input {
    token: Token,
    rules: Rules,
    keys: Keys,
    body: Vec<u8>,
    /// Whether a token that is made gets what a good one has, and keys and rules that fit it, before the rest changes it.
    good: bool,
}

#[derive(Debug, Arbitrary)]
enum Token {
    Text(String),
    /// Three parts that nobody signed.
    Parts {
        header: Vec<(Header, Plain)>,
        claims: String,
        signature: Vec<u8>,
    },
    /// Made with the key, and changed on the way perhaps.
    Issued {
        signer: Algorithm,
        kid: Option<Kid>,
        claims: Vec<(Name, Plain)>,
        change: Option<(u16, u8)>,
        cut: Option<u16>,
    },
    /// An HMAC under what everybody knows of a public key.
    Confused {
        known: u8,
        claims: Vec<(Name, Plain)>,
        kid: Option<Kid>,
    },
    /// A key set instead of a token.
    Set(String),
    /// A key set of keys.
    Jwks(Vec<Vec<(Field, Plain)>>),
    /// One key somewhere in an answer.
    One {
        answer: String,
        pointer: String,
    },
}

#[derive(Debug, Arbitrary)]
struct Rules {
    algorithms: Vec<Algorithm>,
    issuer: Option<Word>,
    audience: Option<Word>,
    claims: Vec<(Name, Result<Word, bool>)>,
    body_claim: Option<Name>,
    max_age: Option<u16>,
    exp_optional: bool,
    leeway: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Algorithm {
    Es256,
    Hs256,
    Rs256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Keys {
    Set,
    P256,
    Rsa,
    Secret,
}

#[derive(Debug, Arbitrary)]
enum Kid {
    P,
    R,
    Other(String),
}

#[derive(Debug, Arbitrary)]
enum Header {
    Alg,
    Kid,
    Typ,
    Crit,
    Other(String),
}

#[derive(Debug, Arbitrary)]
enum Name {
    Iss,
    Aud,
    Exp,
    Nbf,
    Iat,
    Email,
    EmailVerified,
    Hash,
    Other(String),
}

#[derive(Debug, Arbitrary)]
enum Field {
    Kid,
    Kty,
    Crv,
    X,
    Y,
    N,
    E,
    Use,
    ExpiredAt,
    Other(String),
}

#[derive(Debug, Arbitrary)]
enum Word {
    Issuer,
    Mail,
    Upper,
    Empty,
    Other(String),
}

/// A value of a claim.
#[derive(Debug, Arbitrary)]
enum Plain {
    Word(Word),
    /// Seconds from now.
    At(i16),
    Number(i64),
    Flag(bool),
    List(Vec<Word>),
    BodyHash,
    Name(Algorithm),
    Null,
}

fuzz_target!(|input: Input| {
    let mut input = input;
    if let (true, Token::Issued { signer, kid, claims, .. }) = (input.good, &mut input.token) {
        input.rules.algorithms.push(*signer);
        input.keys = match (*signer, input.keys) {
            (Algorithm::Es256 | Algorithm::Rs256, Keys::Set) => Keys::Set,
            (Algorithm::Es256, _) => Keys::P256,
            (Algorithm::Rs256, _) => Keys::Rsa,
            (Algorithm::Hs256, _) => Keys::Secret,
        };
        kid.get_or_insert(if *signer == Algorithm::Es256 { Kid::P } else { Kid::R });
        let good = [
            (Name::Exp, Plain::At(300)),
            (Name::Iat, Plain::At(-5)),
            (Name::Iss, Plain::Word(Word::Issuer)),
            (Name::Aud, Plain::List(vec![Word::Empty, Word::Issuer])),
            (Name::Email, Plain::Word(Word::Mail)),
            (Name::EmailVerified, Plain::Flag(true)),
            (Name::Hash, Plain::BodyHash),
        ];
        claims.splice(0..0, good);
    }
    let rules = input.rules.made();
    let fixed = fixed();
    let keys = match input.keys {
        Keys::Set => JwtKeys::Set(&fixed.set),
        Keys::P256 => JwtKeys::Key(&fixed.p256),
        Keys::Rsa => JwtKeys::Key(&fixed.rsa),
        Keys::Secret => JwtKeys::Secret(SECRET),
    };
    let judge = |token: &str| check(token, &rules, keys, &input.body, now());
    match &input.token {
        Token::Text(text) => {
            let _ = key_id(text);
            assert!(judge(text).is_err(), "{text:?} was made by nobody");
        }
        Token::Parts { header, claims, signature } => {
            let header = header.iter().map(|(name, value)| (name.text(), value.json(&input.body)));
            let header = Value::Object(header.collect()).to_string();
            let parts = [header.as_bytes(), claims.as_bytes(), signature];
            let token = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
            let _ = key_id(&token);
            assert!(judge(&token).is_err(), "{token:?} was made by nobody");
        }
        Token::Issued { signer, kid, claims, change, cut } => {
            let claims = object(claims, &input.body);
            let kid = kid.as_ref().map(Kid::text);
            let made = match signer {
                Algorithm::Es256 => {
                    issue(&claims, JwtAlgorithm::Es256, kid, JwtSigner::Key(&fixed.p256_signing))
                }
                Algorithm::Rs256 => {
                    issue(&claims, JwtAlgorithm::Rs256, kid, JwtSigner::Key(&fixed.rsa_signing))
                }
                Algorithm::Hs256 => issue(&claims, JwtAlgorithm::Hs256, kid, JwtSigner::Secret(SECRET)),
            };
            let made = made.expect("the key is of this kind");
            let token = changed(&made, *change, *cut);
            if token != made {
                assert!(judge(&token).is_err(), "{token:?} is another than {made:?}");
                return;
            }
            let short = token.len() <= 16 * 1024
                && kid.is_none_or(|kid| kid.len() <= 256 && !kid.contains(char::is_control));
            let keyed = match (input.keys, signer) {
                (Keys::Set, Algorithm::Es256) => kid == Some("p"),
                (Keys::Set, Algorithm::Rs256) => kid == Some("r"),
                (Keys::P256, Algorithm::Es256)
                | (Keys::Rsa, Algorithm::Rs256)
                | (Keys::Secret, Algorithm::Hs256) => true,
                _ => false,
            };
            let expected = short && keyed && input.rules.accept(*signer, &claims, &input.body);
            let found = judge(&token);
            assert_eq!(found.is_ok(), expected, "{claims} under {rules:?}: {found:?}");
        }
        Token::Confused { known, claims, kid } => {
            let header = json!({"alg": "HS256", "kid": kid.as_ref().map(Kid::text)});
            let claims = object(claims, &input.body);
            let signed =
                [header.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
            let all = &fixed.confusing;
            let tag = hmac(Hash::Sha256, &all[usize::from(*known) % all.len()], signed.as_bytes());
            let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
            assert!(judge(&token).is_err(), "an HMAC under a public key");
        }
        Token::Set(text) => {
            let _ = KeySet::parse(text.as_bytes());
        }
        Token::Jwks(keys) => {
            let keys = keys.iter().map(|fields| {
                let fields = fields.iter().map(|(name, value)| (name.text(), value.json(&input.body)));
                Value::Object(fields.collect())
            });
            let keys: Vec<Value> = keys.collect();
            let (count, text) = (keys.len(), json!({"keys": keys}).to_string());
            assert_eq!(KeySet::parse(text.as_bytes()).is_ok(), count <= 128);
        }
        Token::One { answer, pointer } => {
            let _ = KeySet::parse_one(answer.as_bytes(), pointer);
        }
    }
});

struct Fixed {
    set: KeySet,
    p256: PublicKey,
    rsa: PublicKey,
    p256_signing: SigningKey,
    rsa_signing: SigningKey,
    confusing: Vec<Vec<u8>>,
}

fn fixed() -> &'static Fixed {
    static FIXED: OnceLock<Fixed> = OnceLock::new();
    FIXED.get_or_init(|| {
        let set = json!({"keys": [testdata::jwk("rsa", "r"), testdata::jwk("p256", "p")]});
        let mut confusing = vec![Vec::new()];
        for name in ["rsa", "p256"] {
            let pem = testdata::text("public", name);
            let jwk = testdata::jwk(name, "p");
            confusing.extend([pem.as_bytes().to_vec(), pem.trim().as_bytes().to_vec(), testdata::der(pem)]);
            confusing.push(jwk.to_string().into_bytes());
            let number = jwk.get("n").or_else(|| jwk.get("x")).and_then(Value::as_str).unwrap_or_default();
            confusing
                .extend([number.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(number).unwrap_or_default()]);
        }
        Fixed {
            set: KeySet::parse(set.to_string().as_bytes()).expect("a key set"),
            p256: testdata::public("p256"),
            rsa: testdata::public("rsa"),
            p256_signing: testdata::signing("p256"),
            rsa_signing: testdata::signing("rsa"),
            confusing,
        }
    })
}

fn now() -> DateTime<Utc> {
    testdata::now()
}

fn object(claims: &[(Name, Plain)], body: &[u8]) -> Value {
    let fields: Map<String, Value> =
        claims.iter().map(|(name, value)| (name.text(), value.json(body))).collect();
    Value::Object(fields)
}

/// One character put in another's place, and the end cut off.
fn changed(token: &str, change: Option<(u16, u8)>, cut: Option<u16>) -> String {
    let mut bytes = token.as_bytes().to_vec();
    if let Some((at, byte)) = change {
        let at = usize::from(at) % bytes.len();
        bytes[at] = byte & 0x7f;
    }
    if let Some(cut) = cut {
        bytes.truncate(usize::from(cut));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Rules {
    fn made(&self) -> JwtRules {
        JwtRules {
            algorithms: self.algorithms.iter().map(|algorithm| algorithm.made()).collect(),
            issuers: self.issuer.iter().map(Word::text).map(str::to_owned).collect(),
            audience: self.audience.as_ref().map(|word| word.text().to_owned()),
            claims: self
                .claims
                .iter()
                .map(|(name, wanted)| match wanted {
                    Ok(word) => (name.text(), Expected::Text(word.text().to_owned())),
                    Err(flag) => (name.text(), Expected::Bool(*flag)),
                })
                .collect(),
            body_sha256_claim: self.body_claim.as_ref().map(Name::text),
            max_age: self.max_age.map(i64::from),
            exp_optional: self.exp_optional,
            leeway: i64::from(self.leeway),
        }
    }

    /// The rules once more, written to be read and not to be fast.
    fn accept(&self, algorithm: Algorithm, claims: &Value, body: &[u8]) -> bool {
        let now = now().timestamp();
        let leeway = i64::from(self.leeway);
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        for name in ["exp", "nbf", "iat"] {
            if claims.get(name).is_some_and(|value| value.as_i64().is_none()) {
                return false;
            }
        }
        let time = |name: &str| claims.get(name).and_then(Value::as_i64);
        let bound = self.max_age.is_some() && self.body_claim.is_some();
        let alive = match time("exp") {
            None => self.exp_optional || bound,
            Some(end) => end >= now - leeway,
        };
        let begun = time("nbf").is_none_or(|at| at <= now + leeway)
            && time("iat").is_none_or(|at| at <= now + leeway);
        let young = self.max_age.is_none_or(|most| {
            time("iat").is_some_and(|at| i128::from(now) - i128::from(at) <= i128::from(most))
        });
        let issued = self.issuer.as_ref().is_none_or(|issuer| text("iss") == Some(issuer.text()));
        let meant = self.audience.as_ref().is_none_or(|audience| {
            let audience = audience.text();
            !audience.is_empty()
                && match claims.get("aud") {
                    Some(Value::String(one)) => one == audience,
                    Some(Value::Array(list)) => list.iter().any(|one| one == audience),
                    _ => false,
                }
        });
        let said = self.claims.iter().all(|(name, wanted)| {
            let name = name.text();
            match wanted {
                Err(flag) => claims.get(&name) == Some(&Value::Bool(*flag)),
                Ok(word) if name == "email" => {
                    text(&name).is_some_and(|mail| mail.eq_ignore_ascii_case(word.text()))
                }
                Ok(word) => text(&name) == Some(word.text()),
            }
        });
        let hashed = self
            .body_claim
            .as_ref()
            .is_none_or(|name| text(&name.text()) == Some(&hex::encode(digest(Hash::Sha256, body))));
        self.algorithms.contains(&algorithm) && alive && begun && young && issued && meant && said && hashed
    }
}

impl Algorithm {
    fn made(self) -> JwtAlgorithm {
        match self {
            Self::Es256 => JwtAlgorithm::Es256,
            Self::Hs256 => JwtAlgorithm::Hs256,
            Self::Rs256 => JwtAlgorithm::Rs256,
        }
    }
}

impl Kid {
    fn text(&self) -> &str {
        match self {
            Self::P => "p",
            Self::R => "r",
            Self::Other(text) => text,
        }
    }
}

impl Word {
    fn text(&self) -> &str {
        match self {
            Self::Issuer => "https://accounts.google.com",
            Self::Mail => "push@project.iam.gserviceaccount.com",
            Self::Upper => "PUSH@project.iam.gserviceaccount.com",
            Self::Empty => "",
            Self::Other(text) => text,
        }
    }
}

impl Plain {
    fn json(&self, body: &[u8]) -> Value {
        match self {
            Self::Word(word) => word.text().into(),
            Self::At(seconds) => (now().timestamp() + i64::from(*seconds)).into(),
            Self::Number(number) => (*number).into(),
            Self::Flag(flag) => (*flag).into(),
            Self::List(words) => words.iter().map(Word::text).collect(),
            Self::BodyHash => hex::encode(digest(Hash::Sha256, body)).into(),
            Self::Name(algorithm) => algorithm.made().name().into(),
            Self::Null => Value::Null,
        }
    }
}

impl Name {
    fn text(&self) -> String {
        match self {
            Self::Iss => "iss",
            Self::Aud => "aud",
            Self::Exp => "exp",
            Self::Nbf => "nbf",
            Self::Iat => "iat",
            Self::Email => "email",
            Self::EmailVerified => "email_verified",
            Self::Hash => "request_body_sha256",
            Self::Other(text) => text,
        }
        .to_owned()
    }
}

impl Header {
    fn text(&self) -> String {
        match self {
            Self::Alg => "alg",
            Self::Kid => "kid",
            Self::Typ => "typ",
            Self::Crit => "crit",
            Self::Other(text) => text,
        }
        .to_owned()
    }
}

impl Field {
    fn text(&self) -> String {
        match self {
            Self::Kid => "kid",
            Self::Kty => "kty",
            Self::Crv => "crv",
            Self::X => "x",
            Self::Y => "y",
            Self::N => "n",
            Self::E => "e",
            Self::Use => "use",
            Self::ExpiredAt => "expired_at",
            Self::Other(text) => text,
        }
        .to_owned()
    }
}
