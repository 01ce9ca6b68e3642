//! Samples for `hookgate send`: the table says where the signature stands, the engine makes it.

use super::keys::{Kind, encode};
use super::table::Sample;
use super::{SchemeProvider, scene, urls};
use crate::providers::proof::{SigningKey, digest, hmac};
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
    fill.hash = hex::encode(digest(crate::providers::proof::Hash::Sha256, unsigned.body.as_bytes()));
    let unsigned = write(sample, &fill, "");
    let signature = sign(provider, &unsigned, base, key)?;
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

fn sign(
    provider: &SchemeProvider,
    unsigned: &SignedSample,
    base: &str,
    signing: Option<&SigningKey>,
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
    let scene = scene::Scene::new(&request, &provider.params);
    let secret = provider.secrets.first().map(|secret| &secret.value);
    let Some((rule, at)) = provider.rule(&scene, secret) else {
        return Err("no rule of the scheme fits the sample".to_owned());
    };
    let kind = rule.algorithm.kind();
    let text = || secret.map_or("", |secret| secret.expose_secret());
    match kind {
        Kind::Token => return Ok(text().to_owned()),
        Kind::Basic => return Ok(STANDARD.encode(text())),
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
        (Kind::Hmac(hash), Some(super::keys::Key::Bytes(bytes))) => hmac(hash, bytes.expose_secret(), &signed),
        (Kind::Digest(hash), _) => digest(hash, &signed),
        (Kind::Signature(scheme), _) => signing
            .ok_or("its sender signs with a private key: give a test key with --signing-key whose public half is configured")?
            .sign(scheme, &signed)
            .map_err(|error| error.to_string())?,
        _ => return Err(format!("a sample of {} cannot be signed here", provider.name)),
    };
    Ok(encode(place.encoding, &signature))
}
