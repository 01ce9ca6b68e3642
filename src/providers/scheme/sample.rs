//! Samples for `hookgate send`: the table says where the signature stands, the engine makes it.

use super::keys::{Kind, encode};
use super::table::{ClaimEntry, Sample, Verify};
use super::{SchemeProvider, scene, urls};
use crate::providers::proof::jwt::{JwtAlgorithm, JwtSigner, issue};
use crate::providers::proof::{Hash, SigningKey, digest, hmac};
use crate::providers::{RawRequest, SignedSample};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::ExposeSecret as _;

/// What the placeholders of one sample stand for.
struct Fill {
    now: DateTime<Utc>,
    uuid: String,
    secret: String,
    hash: String,
}

impl Fill {
    fn fill(&self, text: &str, signature: &str) -> String {
        let pairs = [
            ("{now}", self.now.timestamp().to_string()),
            ("{now_ms}", self.now.timestamp_millis().to_string()),
            ("{now_rfc2822}", self.now.to_rfc2822()),
            ("{now_rfc3339}", self.now.to_rfc3339_opts(SecondsFormat::Secs, true)),
            ("{uuid}", self.uuid.clone()),
            ("{hex}", self.uuid.replace('-', "")[20..].to_owned()),
            ("{secret}", self.secret.clone()),
            ("{basic}", STANDARD.encode(&self.secret)),
            ("{hash}", self.hash.clone()),
            ("{signature}", signature.to_owned()),
        ];
        pairs.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// The sample of this type, signed with the first secret, or with `key` where the sender signs with a private key.
/// `Err` says what is missing.
pub(super) fn make(
    provider: &SchemeProvider,
    sample: &Sample,
    base: &str,
    key: Option<&SigningKey>,
    now: DateTime<Utc>,
) -> Result<SignedSample, String> {
    let secret = provider.secrets.first().map_or("", |secret| secret.value.expose_secret());
    let mut fill =
        Fill { now, uuid: uuid::Uuid::new_v4().to_string(), secret: secret.to_owned(), hash: String::new() };
    // What is signed does not hold the signature, so the request without one shows what is to be signed.
    let unsigned = write(sample, &fill, "");
    fill.hash = hex::encode(digest(Hash::Sha256, unsigned.body.as_bytes()));
    let unsigned = write(sample, &fill, "");
    let signature = sign(provider, &unsigned, base, key, now)?;
    Ok(write(sample, &fill, &signature))
}

fn write(sample: &Sample, fill: &Fill, signature: &str) -> SignedSample {
    SignedSample {
        method: sample.method.clone().unwrap_or_else(|| "POST".to_owned()),
        query: fill.fill(sample.query.as_deref().unwrap_or_default(), signature),
        headers: sample
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), fill.fill(value, signature)))
            .collect(),
        body: fill.fill(&sample.body, signature),
    }
}

/// Key id of tokens that samples are signed with: the key set has to hold the test key under it.
const SAMPLE_KEY_ID: &str = "hookgate-send";

const NEEDS_KEY: &str = "its sender signs with a private key: give a test key with --signing-key, whose public half the gateway \
                         is configured with (as the secret, or in the key set as `hookgate-send`)";

/// A token with the claims that the rule demands.
fn token(
    rule: &Verify,
    scene: &scene::Scene<'_>,
    moment: scene::Moment<'_>,
    signing: Option<&SigningKey>,
    now: DateTime<Utc>,
    body: &[u8],
) -> Result<String, String> {
    let table = rule.jwt.as_ref().ok_or("the scheme has no token")?;
    let text = |template| scene.render(template, moment).and_then(|text| String::from_utf8(text).ok());
    let mut claims = serde_json::Map::new();
    claims.insert("iat".to_owned(), now.timestamp().into());
    claims.insert("exp".to_owned(), (now.timestamp() + 300).into());
    if let Some(issuer) = table.issuers.first() {
        claims.insert("iss".to_owned(), issuer.as_str().into());
    }
    if let Some(audience) = table.audience.as_ref().and_then(|choice| scene.first(choice, moment)) {
        claims.insert("aud".to_owned(), audience.into());
    }
    for (name, entry) in &table.claims {
        let value = match entry {
            ClaimEntry::Flag(flag) => (*flag).into(),
            ClaimEntry::Text(template) => {
                text(template).ok_or("a parameter of the token is not configured")?.into()
            }
        };
        claims.insert(name.clone(), value);
    }
    if let Some(name) = &table.body_sha256_claim {
        claims.insert(name.clone(), hex::encode(digest(Hash::Sha256, body)).into());
    }
    let algorithm: JwtAlgorithm =
        table.algorithms.first().and_then(|name| name.parse().ok()).ok_or("the token has no algorithm")?;
    let secret = moment.secret.map_or("", |secret| secret.expose_secret());
    let (signer, kid) = match (algorithm, signing) {
        (JwtAlgorithm::Hs256, _) => (JwtSigner::Secret(secret.as_bytes()), None),
        (_, Some(key)) => (JwtSigner::Key(key), Some(SAMPLE_KEY_ID)),
        (_, None) => return Err(NEEDS_KEY.to_owned()),
    };
    issue(&claims.into(), algorithm, kid, signer).map_err(|error| error.to_string())
}

fn sign(
    provider: &SchemeProvider,
    unsigned: &SignedSample,
    base: &str,
    signing: Option<&SigningKey>,
    now: DateTime<Utc>,
) -> Result<String, String> {
    let body = Bytes::from(unsigned.body.clone());
    let names: Vec<String> = unsigned.headers.iter().map(|header| header.0.to_lowercase()).collect();
    let headers =
        names.iter().zip(&unsigned.headers).map(|(name, header)| (name.as_str(), header.1.as_bytes()));
    let bases = [base.trim_end_matches('/').to_owned()];
    let path = format!("/api/v1/webhooks/{}", provider.name);
    let request = RawRequest {
        method: &unsigned.method,
        bases: &bases,
        path: &path,
        ..RawRequest::post(&unsigned.query, headers.collect(), &body)
    };
    let scene = provider.scene(&request);
    let secret = provider.secrets.first().map(|secret| &secret.value);
    let Some((rule, at)) = provider.rule(&scene, secret) else {
        return Err("no rule of the scheme fits the sample".to_owned());
    };
    let kind = rule.algorithm.kind();
    let text = || secret.map_or("", |secret| secret.expose_secret());
    match kind {
        Kind::Token => return Ok(text().to_owned()),
        Kind::Basic => return Ok(STANDARD.encode(text())),
        Kind::Jwt => {
            let urls = urls::candidates(&request, provider.registered_url.as_deref(), &rule.urls);
            let url = urls.first().map(String::as_str);
            let moment = scene::Moment { secret, url, ..scene::Moment::default() };
            return token(rule, &scene, moment, signing, now, &body);
        }
        _ => {}
    }
    let Some(place) = &rule.signature else {
        return Err(format!("a sample of {} cannot be signed: only its sender has the keys", provider.name));
    };
    let key = provider.secrets.first().and_then(|secret| secret.keys.get(at)?.as_ref());
    let registered = provider.registered_url.as_deref();
    let url = urls::candidates(&request, registered, &rule.urls).into_iter().next();
    let signed = super::verify::to_sign(rule, place, &scene, secret, url.as_deref())
        .ok_or("the sample lacks a value that is signed")?;
    let signature = match (kind, key) {
        (Kind::Hmac(hash), Some(super::keys::Key::Bytes(bytes))) => {
            hmac(hash, bytes.expose_secret(), &signed)
        }
        (Kind::Digest(hash), _) => digest(hash, &signed),
        (Kind::Signature(scheme), _) => {
            signing.ok_or(NEEDS_KEY)?.sign(scheme, &signed).map_err(|error| error.to_string())?
        }
        _ => return Err(format!("a sample of {} cannot be signed here", provider.name)),
    };
    Ok(encode(place.encoding, &signature))
}
