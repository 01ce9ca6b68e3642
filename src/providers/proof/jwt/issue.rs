//! Making tokens, for `hookgate send` and tests.

use super::JwtAlgorithm;
use crate::providers::proof::{Hash, SigningKey, SigningKeyError, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What signs a token.
#[derive(Clone, Copy)]
pub enum JwtSigner<'a> {
    /// A private key.
    Key(&'a SigningKey),
    /// An HMAC secret.
    Secret(&'a [u8]),
}

/// A token with these claims.
pub fn issue(
    claims: &Value,
    algorithm: JwtAlgorithm,
    kid: Option<&str>,
    signer: JwtSigner<'_>,
) -> Result<String, SigningKeyError> {
    let mut header = json!({"alg": algorithm.name(), "typ": "JWT"});
    if let Some(kid) = kid {
        header["kid"] = kid.into();
    }
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let text = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = match (signer, algorithm.scheme()) {
        (JwtSigner::Key(key), Some(scheme)) => key.sign(scheme, text.as_bytes())?,
        (JwtSigner::Secret(secret), None) => hmac(Hash::Sha256, secret, text.as_bytes()),
        _ => return Err(SigningKeyError::Mismatch),
    };
    Ok(format!("{text}.{}", encode(&signature)))
}
