//! Keys and certificates of the unit tests, made by OpenSSL.

use chrono::{DateTime, Utc};
use hookgate::providers::proof::{PublicKey, SigningKey};
use serde_json::Value;
use std::sync::LazyLock;

static ALL: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../src/providers/proof/testdata/keys.json")).expect("keys.json")
});

/// The name in the certificates.
pub const NAME: &str = "messageverificationcerts.example.com";

/// One of `section`: `keys`, `public`, `signatures`, `certificates`.
pub fn text(section: &str, name: &str) -> &'static str {
    ALL[section][name].as_str().unwrap_or_else(|| panic!("keys.json has no {section}/{name}"))
}

/// Names of a section, in their order.
pub fn names(section: &str) -> Vec<&'static str> {
    ALL[section].as_object().map(|all| all.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// A public key as JWK, under this id.
pub fn jwk(name: &str, kid: &str) -> Value {
    let mut jwk = ALL["jwk"][name].clone();
    jwk["kid"] = kid.into();
    jwk
}

/// A public key.
pub fn public(name: &str) -> PublicKey {
    PublicKey::from_pem(text("public", name).as_bytes()).expect("a public key of keys.json")
}

/// A private key.
pub fn signing(name: &str) -> SigningKey {
    SigningKey::from_text(&text("keys", name).into()).expect("a private key of keys.json")
}

/// A time at which the certificates are valid.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default()
}

/// The DER of a PEM text's first block.
pub fn der(pem: &str) -> Vec<u8> {
    use base64::Engine as _;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(body).expect("base64")
}
