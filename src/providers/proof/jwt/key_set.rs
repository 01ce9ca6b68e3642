//! Keys by their id, as their owners publish them.

use super::{JwtAlgorithm, strict};
use crate::providers::proof::{BadKey, PublicKey};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// Most keys in a set; Google publishes two or three, the largest sets known hold some dozens.
const MAX_KEYS: usize = 128;
/// Longest key id, in bytes.
pub(super) const MAX_KEY_ID: usize = 256;

/// What came is no set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came is no JSON Web Key Set")]
pub struct BadKeySet;

/// Keys by their id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kid: String,
    /// `alg`; a key without it serves every algorithm that it fits.
    algorithm: Option<String>,
    /// Unix time after which it proves nothing (Plaid's `expired_at`).
    expired_at: Option<i64>,
    key: PublicKey,
}

impl KeySet {
    /// From a JWK set (RFC 7517), or from Google's older form: an object of PEM certificates by key id. Keys of
    /// unknown kinds, without an id, or not for signatures are left out, so a set may turn out empty.
    pub fn parse(json: &[u8]) -> Result<Self, BadKeySet> {
        let object = strict::object(json).ok_or(BadKeySet)?;
        let entries: Vec<Entry> = match object.get("keys") {
            Some(Value::Array(list)) if list.len() <= MAX_KEYS => {
                list.iter().filter_map(|item| entry(item.as_object()?).ok()).collect()
            }
            None if !object.is_empty() && object.len() <= MAX_KEYS => {
                object.iter().map(|(kid, pem)| certificate_entry(kid, pem)).collect::<Result<_, _>>()?
            }
            _ => return Err(BadKeySet),
        };
        Ok(Self { entries })
    }

    /// From an answer that holds one JWK, where `pointer` (RFC 6901) leads to it.
    pub fn parse_one(json: &[u8], pointer: &str) -> Result<Self, BadKeySet> {
        let answer = Value::Object(strict::object(json).ok_or(BadKeySet)?);
        let jwk = answer.pointer(pointer).and_then(Value::as_object).ok_or(BadKeySet)?;
        let entry = entry(jwk).map_err(|_| BadKeySet)?;
        Ok(Self { entries: vec![entry] })
    }

    /// The key with this id, if there is one.
    pub fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.entries.iter().find(|entry| entry.kid == kid).map(|entry| &entry.key)
    }

    /// Whether there are no keys in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The keys that may prove a token of this id and algorithm at `now`. An id may stand twice, with keys of two
    /// kinds (RFC 7517, 4.5).
    pub(super) fn candidates(
        &self,
        kid: &str,
        algorithm: JwtAlgorithm,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = &PublicKey> {
        self.entries
            .iter()
            .filter(move |entry| {
                entry.kid == kid
                    && entry.algorithm.as_deref().is_none_or(|name| name == algorithm.name())
                    && entry.expired_at.is_none_or(|end| now.timestamp() <= end)
            })
            .map(|entry| &entry.key)
    }
}

fn entry(jwk: &Map<String, Value>) -> Result<Entry, BadKey> {
    let kid = jwk.get("kid").and_then(Value::as_str).filter(|kid| !kid.is_empty() && kid.len() <= MAX_KEY_ID);
    let expired_at = match jwk.get("expired_at") {
        None | Some(Value::Null) => None,
        Some(end) => Some(end.as_i64().ok_or(BadKey)?),
    };
    Ok(Entry {
        kid: kid.ok_or(BadKey)?.to_owned(),
        algorithm: jwk.get("alg").and_then(Value::as_str).map(str::to_owned),
        expired_at,
        key: PublicKey::from_jwk(jwk)?,
    })
}

fn certificate_entry(kid: &str, pem: &Value) -> Result<Entry, BadKeySet> {
    let pem = pem.as_str().ok_or(BadKeySet)?;
    let key = PublicKey::from_pem(pem.as_bytes()).map_err(|_| BadKeySet)?;
    Ok(Entry { kid: kid.to_owned(), algorithm: None, expired_at: None, key })
}
