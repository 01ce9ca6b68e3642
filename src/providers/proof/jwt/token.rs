//! The three parts of a token.

use super::{JwtAlgorithm, JwtError, JwtKeys, key_set, strict};
use crate::providers::proof::{Hash, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

/// Longest token, in bytes; Google's are about 1 KiB.
pub(super) const MAX_TOKEN: usize = 16 * 1024;

/// A token taken apart, its header read.
pub(super) struct Parts<'a> {
    pub(super) algorithm: String,
    pub(super) key_id: Option<String>,
    claims: &'a str,
    /// Header and claims as they were signed.
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(token: &'a str) -> Result<Self, JwtError> {
        if token.len() > MAX_TOKEN {
            return Err(JwtError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtError::Malformed)?;
        if claims.contains('.') {
            return Err(JwtError::Malformed);
        }
        let header = strict::object(&decoded(header)?).ok_or(JwtError::Malformed)?;
        // Extensions that must be understood: none is.
        if header.contains_key("crit") {
            return Err(JwtError::Malformed);
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(JwtError::Malformed),
        };
        let key_id = text("kid")?;
        if key_id
            .as_ref()
            .is_some_and(|kid| kid.len() > key_set::MAX_KEY_ID || kid.contains(char::is_control))
        {
            return Err(JwtError::Malformed);
        }
        Ok(Self {
            algorithm: text("alg")?.ok_or(JwtError::Malformed)?,
            key_id,
            claims,
            signed,
            signature: decoded(signature)?,
        })
    }

    /// The claims as JSON.
    pub(super) fn claims(&self) -> Result<Vec<u8>, JwtError> {
        decoded(self.claims)
    }

    /// Whether the signature is one of these keys.
    pub(super) fn check_signature(
        &self,
        algorithm: JwtAlgorithm,
        keys: JwtKeys<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), JwtError> {
        let signed = self.signed.as_bytes();
        let proven = match (keys, algorithm.scheme()) {
            (JwtKeys::Secret(secret), None) if !secret.is_empty() => {
                hmac(Hash::Sha256, secret, signed).ct_eq(&self.signature).into()
            }
            (JwtKeys::Key(key), Some(scheme)) => key.verify(scheme, signed, &self.signature),
            (JwtKeys::Set(set), Some(scheme)) => {
                let kid = self.key_id.as_deref().ok_or(JwtError::NoKeyId)?;
                let mut keys = set.candidates(kid, algorithm, now).filter(|key| key.fits(scheme)).peekable();
                keys.peek().ok_or(JwtError::UnknownKey)?;
                keys.any(|key| key.verify(scheme, signed, &self.signature))
            }
            // A public key is no secret: a token signed by HMAC with it is anybody's.
            _ => return Err(JwtError::Algorithm),
        };
        if proven { Ok(()) } else { Err(JwtError::Signature) }
    }
}

/// Base64url without padding; other ways to write the same bytes are refused.
fn decoded(part: &str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed)
}
