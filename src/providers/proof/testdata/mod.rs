//! Keys, certificates and signatures that OpenSSL made (`make.py`).

use super::{PublicKey, SigningKey};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::sync::LazyLock;

static ALL: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("keys.json")).unwrap());

/// The name in the certificates.
pub(crate) const NAME: &str = "messageverificationcerts.example.com";

/// What the signatures are over.
pub(crate) fn message() -> &'static [u8] {
    ALL["message"].as_str().unwrap().as_bytes()
}

/// One of `section`: `keys`, `public`, `signatures`, `certificates`.
pub(crate) fn text(section: &str, name: &str) -> &'static str {
    ALL[section][name].as_str().unwrap_or_else(|| panic!("keys.json has no {section}/{name}"))
}

/// A public key as JWK, under this id.
pub(crate) fn jwk(name: &str, kid: &str) -> Value {
    let mut jwk = ALL["jwk"][name].clone();
    jwk["kid"] = kid.into();
    jwk
}

pub(crate) fn names(section: &str) -> impl Iterator<Item = &'static str> {
    ALL[section].as_object().unwrap().keys().map(String::as_str)
}

pub(crate) fn public(name: &str) -> PublicKey {
    PublicKey::from_pem(text("public", name).as_bytes()).unwrap()
}

pub(crate) fn signing(name: &str) -> SigningKey {
    SigningKey::from_text(&text("keys", name).into()).unwrap()
}

/// A time at which the certificates are valid.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// `bytes` with each of its bits flipped in turn.
pub(crate) fn every_flipped_bit(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    })
}

/// Vectors of the shared folder, where it is beside the project; they may not be copied into it.
pub(crate) fn shared_vectors(path: &str) -> Vec<Value> {
    let path = format!("{}/../shared/vectors/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).map(|text| serde_json::from_slice(&text).unwrap()).unwrap_or_default()
}
