//! JSON Web Tokens (RFC 7519), signed ones alone (RFC 7515, compact form).
//!
//! The configuration says which algorithms count, and the token chooses among those. Nothing is read from a token before
//! its signature is proven, except its header.

mod issue;
mod key_set;
mod strict;
mod token;

pub use issue::{JwtSigner, issue};
pub use key_set::{BadKeySet, KeySet};

use super::{PublicKey, SignatureScheme};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq as _;
use token::Parts;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// HMAC with SHA-256.
    Hs256,
}

impl JwtAlgorithm {
    /// Its name in a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
        }
    }

    fn scheme(self) -> Option<SignatureScheme> {
        match self {
            Self::Rs256 => Some(SignatureScheme::RsaSha256),
            Self::Es256 => Some(SignatureScheme::EcdsaP256Sha256Fixed),
            Self::Hs256 => None,
        }
    }
}

/// No algorithm that is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of RS256, ES256, HS256")]
pub struct UnknownAlgorithm;

impl FromStr for JwtAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        [Self::Rs256, Self::Es256, Self::Hs256]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or(UnknownAlgorithm)
    }
}

/// What a claim must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// This text; in any case, if the claim is `email`.
    Text(String),
    /// This literal.
    Bool(bool),
}

/// What a token must fulfil.
#[derive(Debug, Clone, Default)]
pub struct JwtRules {
    /// Accepted algorithms.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Accepted `iss`; empty: any.
    pub issuers: Vec<String>,
    /// What `aud` must be, or hold if it is a list; `None`: anything.
    pub audience: Option<String>,
    /// Claims that must be there with these values.
    pub claims: Vec<(String, Expected)>,
    /// Claim that must hold the body's SHA-256 in lower-case hex.
    pub body_sha256_claim: Option<String>,
    /// Seconds since `iat` after which the token is too old, whatever `exp` says. Then `iat` must be there.
    pub max_age: Option<i64>,
    /// Whether a token without `exp` is accepted: for senders that bind it to a body and never let it expire.
    pub exp_optional: bool,
    /// Seconds by which the clocks may differ; not added to `max_age`.
    pub leeway: i64,
}

/// What verifies a token.
#[derive(Clone, Copy)]
pub enum JwtKeys<'a> {
    /// Public keys by their id.
    Set(&'a KeySet),
    /// One public key; the token's key id does not matter.
    Key(&'a PublicKey),
    /// An HMAC secret.
    Secret(&'a [u8]),
}

/// Why a token proves nothing. The text is for the operator and names claims, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not three parts of base64url, not JSON where JSON belongs, too long, or a key twice.
    #[error("the token cannot be read")]
    Malformed,
    /// Its algorithm is not accepted, or does not go with the keys.
    #[error("the token's algorithm is not an accepted one")]
    Algorithm,
    /// It names no key, and there are several.
    #[error("the token names no key")]
    NoKeyId,
    /// No key of this id and algorithm is known, or it has expired.
    #[error("the token's key is not known, or no longer valid")]
    UnknownKey,
    /// The signature is not of these keys.
    #[error("the token's signature does not match")]
    Signature,
    /// `exp` or the maximal age is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A claim is missing or another than it should be.
    #[error("the token's claim `{0}` is missing or another than configured")]
    Claim(String),
    /// The hash in the token is not that of this body.
    #[error("the token was made for another body")]
    Body,
}

/// What a proven token says.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// A claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }
}

/// Claims may be about people, so only their number is shown.
impl fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Claims({})", self.0.len())
    }
}

/// The id of the key that `token` says it is signed with. Unproven: good for finding the key and for nothing else.
pub fn key_id(token: &str) -> Result<Option<String>, JwtError> {
    Ok(Parts::of(token)?.key_id)
}

/// The claims of `token`, if it fulfils the rules at `now`; `body` is what a hash among the claims is compared with.
///
/// `exp` must be there, unless the token is bound to one body and to an age (Plaid sends none) or the rules let it go.
pub fn check(
    token: &str,
    rules: &JwtRules,
    keys: JwtKeys<'_>,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<Claims, JwtError> {
    let parts = Parts::of(token)?;
    let algorithm = rules.algorithms.iter().find(|algorithm| algorithm.name() == parts.algorithm);
    parts.check_signature(*algorithm.ok_or(JwtError::Algorithm)?, keys, now)?;
    let claims = strict::object(&parts.claims()?).ok_or(JwtError::Malformed)?;
    check_times(&claims, rules, now.timestamp())?;
    check_claims(&claims, rules)?;
    if let Some(name) = &rules.body_sha256_claim {
        let claim = claims.get(name).and_then(Value::as_str).ok_or_else(|| missing(name))?;
        let expected = hex::encode(Sha256::digest(body));
        if !bool::from(claim.as_bytes().ct_eq(expected.as_bytes())) {
            return Err(JwtError::Body);
        }
    }
    Ok(Claims(claims))
}

fn missing(name: &str) -> JwtError {
    JwtError::Claim(name.to_owned())
}

fn check_times(claims: &Map<String, Value>, rules: &JwtRules, now: i64) -> Result<(), JwtError> {
    let time =
        |name: &str| claims.get(name).map(|value| seconds(value).ok_or_else(|| missing(name))).transpose();
    let (expires, starts, issued) = (time("exp")?, time("nbf")?, time("iat")?);
    let bound_otherwise = rules.max_age.is_some() && rules.body_sha256_claim.is_some();
    match expires {
        None if !bound_otherwise && !rules.exp_optional => return Err(missing("exp")),
        Some(end) if now > end.saturating_add(rules.leeway) => return Err(JwtError::Expired),
        _ => {}
    }
    let latest = now.saturating_add(rules.leeway);
    if starts.is_some_and(|start| start > latest) || issued.is_some_and(|issued| issued > latest) {
        return Err(JwtError::NotYetValid);
    }
    match (rules.max_age, issued) {
        (Some(_), None) => Err(missing("iat")),
        (Some(most), Some(issued)) if now.saturating_sub(issued) > most => Err(JwtError::Expired),
        _ => Ok(()),
    }
}

/// A `NumericDate`: seconds since 1970, with a fraction perhaps, which is cut off.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let fraction = value.as_f64().filter(|seconds| seconds.abs() < 1e15)?;
        #[allow(
            clippy::cast_possible_truncation,
            reason = "far below where whole numbers lose their exactness"
        )]
        let whole = fraction.floor() as i64;
        Some(whole)
    })
}

fn check_claims(claims: &Map<String, Value>, rules: &JwtRules) -> Result<(), JwtError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if !rules.issuers.is_empty() {
        let issuer = text("iss").ok_or_else(|| missing("iss"))?;
        if !rules.issuers.iter().any(|accepted| accepted == issuer) {
            return Err(missing("iss"));
        }
    }
    if let Some(audience) = &rules.audience {
        let fits = match claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(list)) => list.iter().any(|one| one.as_str() == Some(audience)),
            _ => false,
        };
        if !fits || audience.is_empty() {
            return Err(missing("aud"));
        }
    }
    for (name, expected) in &rules.claims {
        let fits = match expected {
            Expected::Bool(literal) => claims.get(name).and_then(Value::as_bool) == Some(*literal),
            Expected::Text(value) if name == "email" => {
                text(name).is_some_and(|claim| claim.eq_ignore_ascii_case(value))
            }
            Expected::Text(value) => text(name) == Some(value.as_str()),
        };
        if !fits {
            return Err(missing(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
