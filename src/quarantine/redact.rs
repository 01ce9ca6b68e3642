//! What of a request an operator may see, and what is sealed beside it so that it can be verified again.

use super::Suspect;
use crate::crypto::MasterKey;
use crate::providers::{OwnedRequest, Step};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;
use std::borrow::Cow;
use std::collections::BTreeMap;
use uuid::Uuid;
use zeroize::Zeroize;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// Most steps that are kept, and the longest text of one, in bytes.
const MAX_STEPS: usize = 200;
const MAX_DETAIL: usize = 2000;
/// What a row costs beside what it holds.
const ROW: usize = 512;
/// Texts shorter than this are not searched for in the steps: they would be found everywhere.
const SHORTEST: usize = 4;

/// A request as it is stored.
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) provider: String,
    pub(super) reason: &'static str,
    pub(super) fingerprint: Vec<u8>,
    pub(super) steps: Value,
    pub(super) method: String,
    pub(super) bases: Value,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: Value,
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) proof_kept: bool,
    pub(super) body: Bytes,
    /// Bytes that count against the provider's share.
    pub(super) size: usize,
    pub(super) times: i32,
    pub(super) received_at: DateTime<Utc>,
    pub(super) last_seen_at: DateTime<Utc>,
}

/// What was taken out of a request.
#[derive(Default, Serialize, Deserialize)]
struct Withheld {
    /// Header values in base64, by the place of their line.
    #[serde(default)]
    headers: BTreeMap<usize, String>,
    /// The whole query.
    #[serde(default)]
    query: Option<String>,
    /// The whole path, and the token in it.
    #[serde(default)]
    path: Option<(String, String)>,
}

impl Drop for Withheld {
    fn drop(&mut self) {
        self.headers.values_mut().for_each(Zeroize::zeroize);
        self.query.zeroize();
        if let Some((path, token)) = &mut self.path {
            path.zeroize();
            token.zeroize();
        }
    }
}

impl Withheld {
    fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.query.is_none() && self.path.is_none()
    }
}

/// Where a row's secrets are sealed.
fn place(id: Uuid) -> String {
    format!("quarantined_requests/sealed/{id}")
}

impl Row {
    /// Takes the secrets out of a request and seals them, if there is a key.
    pub(super) fn new(suspect: &Suspect, key: Option<&MasterKey>) -> Self {
        let Suspect { provider, reason, steps, request, received_at, .. } = suspect;
        let id = Uuid::now_v7();
        let mut withheld = Withheld::default();
        let mut proof_kept = true;
        let mut secrets: Vec<String> = Vec::new();
        let mut headers = Vec::with_capacity(request.headers.len());
        for (at, (name, value)) in request.headers.iter().enumerate() {
            let proves = suspect.secret_headers.contains(name);
            headers.push(if proves || suspect.private_headers.contains(name) {
                proof_kept &= !proves || key.is_some();
                withheld.headers.insert(at, STANDARD.encode(value));
                secrets.extend(std::str::from_utf8(value).map(str::to_owned));
                json!([name, null])
            } else {
                json!([name, shown(value)])
            });
        }
        let (query, taken) = redacted_query(&request.query, &suspect.secret_parameters);
        if !taken.is_empty() {
            proof_kept &= key.is_some();
            withheld.query = Some(request.query.clone());
            secrets.extend(taken);
        }
        let path = if let Some(token) = &request.path_token {
            proof_kept &= key.is_some();
            withheld.path = Some((request.path.clone(), token.clone()));
            // The last segment as it came, which may be another writing of the token.
            let (front, written) = request.path.rsplit_once('/').unwrap_or(("", &request.path));
            secrets.extend([token.clone(), written.to_owned()]);
            front.to_owned()
        } else {
            request.path.clone()
        };
        let fingerprint = fingerprint(suspect, &path, &query, &headers, key);
        let sealed = key.filter(|_| !withheld.is_empty()).and_then(|key| {
            let mut text = serde_json::to_string(&withheld).ok()?;
            let plain = SecretString::from(text.as_str());
            text.zeroize();
            Some(key.seal(&place(id), &plain))
        });
        let steps = told(steps, &secrets);
        secrets.iter_mut().for_each(Zeroize::zeroize);
        let (headers, bases) = (Value::Array(headers), json!(request.bases));
        let size = request.body.len()
            + headers.to_string().len()
            + steps.to_string().len()
            + path.len()
            + query.len()
            + sealed.as_ref().map_or(0, Vec::len)
            + ROW;
        Self {
            id,
            provider: provider.clone(),
            reason,
            fingerprint,
            steps,
            method: request.method.clone(),
            bases,
            path,
            query,
            headers,
            sealed,
            proof_kept,
            body: request.body.clone(),
            size,
            times: 1,
            received_at: *received_at,
            last_seen_at: *received_at,
        }
    }
}

/// The request of a row, put together again. `None`: what is sealed cannot be opened with this key.
pub(super) fn reassemble(
    id: Uuid,
    mut shown: OwnedRequest,
    sealed: Option<&[u8]>,
    key: Option<&MasterKey>,
) -> Option<OwnedRequest> {
    // Nothing was withheld, or it is gone; then what proves the request was not among it.
    let Some(sealed) = sealed else { return Some(shown) };
    let plain = key?.open(&place(id), sealed).ok()?;
    let mut withheld: Withheld = serde_json::from_str(plain.expose_secret()).ok()?;
    for (at, value) in &withheld.headers {
        shown.headers.get_mut(*at)?.1 = STANDARD.decode(value).ok()?;
    }
    if let Some(query) = withheld.query.take() {
        shown.query = query;
    }
    if let Some((path, token)) = withheld.path.take() {
        shown.path = path;
        shown.path_token = Some(token);
    }
    Some(shown)
}

/// A header value as JSON: text, or base64 of what is no text.
fn shown(value: &[u8]) -> Value {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains('\0') => text.into(),
        _ => json!({ "base64": STANDARD.encode(value) }),
    }
}

/// A header value from its JSON; of a redacted one nothing.
pub(super) fn unshown(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => STANDARD.decode(other["base64"].as_str().unwrap_or_default()).unwrap_or_default(),
    }
}

/// The query with the values of secret parameters replaced, and these values: as they stood, and decoded.
fn redacted_query(query: &str, secret: &[String]) -> (String, Vec<String>) {
    let mut taken = Vec::new();
    let pieces: Vec<Cow<'_, str>> = query
        .split('&')
        .map(|piece| {
            let decoded = url::form_urlencoded::parse(piece.as_bytes()).next();
            match (decoded, piece.split_once('=')) {
                (Some((name, value)), Some((written, raw)))
                    if secret.iter().any(|secret| *secret == name) =>
                {
                    taken.extend([raw.to_owned(), value.into_owned()]);
                    Cow::Owned(format!("{written}={REDACTED}"))
                }
                _ => Cow::Borrowed(piece),
            }
        })
        .collect();
    (pieces.join("&"), taken)
}

/// The steps as they are kept: bounded, and without a secret that a URL in them may hold.
fn told(steps: &[Step], secrets: &[String]) -> Value {
    let clean = |text: &str| {
        let mut text = text.replace('\0', "\u{fffd}");
        for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST) {
            text = text.replace(secret.as_str(), REDACTED);
        }
        if text.len() > MAX_DETAIL {
            let end = (0..=MAX_DETAIL).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        text
    };
    let steps = steps.iter().take(MAX_STEPS);
    steps.map(|step| json!({"check": step.check, "ok": step.ok, "detail": clean(&step.detail)})).collect()
}

/// Tells identical requests. With a key its tag covers the secrets too; without one they are left out: they are not kept,
/// and a bare hash would let a weak one be guessed.
fn fingerprint(
    suspect: &Suspect,
    path: &str,
    query: &str,
    headers: &[Value],
    key: Option<&MasterKey>,
) -> Vec<u8> {
    let request = &suspect.request;
    let derived = key.map_or([0; 32], |key| key.derive("fingerprints of quarantined requests"));
    // An HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&derived) else { return Vec::new() };
    let mut part = |bytes: &[u8]| {
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    for text in [suspect.reason, &request.method] {
        part(text.as_bytes());
    }
    if key.is_some() {
        part(request.path.as_bytes());
        part(request.query.as_bytes());
        for (name, value) in &request.headers {
            part(name.as_bytes());
            part(value);
        }
    } else {
        part(path.as_bytes());
        part(query.as_bytes());
        part(json!(headers).to_string().as_bytes());
    }
    part(&request.body);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MasterKey {
        MasterKey::parse(MasterKey::generate().expose_secret()).unwrap()
    }

    fn suspect() -> Suspect {
        let headers: [(&str, &[u8]); 4] = [
            ("x-token", b"header-canary"),
            ("x-signature", b"sha256=00"),
            ("cookie", b"cookie-canary"),
            ("x-odd", b"\xff\xfe"),
        ];
        Suspect {
            provider: "acme".to_owned(),
            reason: "mismatch",
            steps: vec![Step {
                check: "signed bytes".to_owned(),
                ok: true,
                detail: "with the URL https://h/p/path-canary?token=query%2Dcanary&a=1".to_owned(),
            }],
            request: OwnedRequest {
                method: "POST".to_owned(),
                bases: vec!["https://h".to_owned()],
                path: "/p/path-canary".to_owned(),
                path_token: Some("path-canary".to_owned()),
                query: "a=1&token=query%2Dcanary&b".to_owned(),
                headers: headers.map(|(name, value)| (name.to_owned(), value.to_vec())).to_vec(),
                body: Bytes::from_static(b"body\x00"),
            },
            secret_headers: vec!["x-token".to_owned()],
            private_headers: vec!["cookie".to_owned()],
            secret_parameters: vec!["token".to_owned()],
            received_at: Utc::now(),
        }
    }

    fn visible(row: &Row) -> String {
        format!("{} {} {} {} {}", row.steps, row.path, row.query, row.headers, row.bases)
    }

    fn request(row: &Row) -> OwnedRequest {
        let headers = row.headers.as_array().unwrap();
        OwnedRequest {
            method: row.method.clone(),
            bases: serde_json::from_value(row.bases.clone()).unwrap(),
            path: row.path.clone(),
            path_token: None,
            query: row.query.clone(),
            headers: headers
                .iter()
                .map(|pair| (pair[0].as_str().unwrap().to_owned(), unshown(&pair[1])))
                .collect(),
            body: row.body.clone(),
        }
    }

    #[test]
    fn no_secret_can_be_seen_and_the_exact_request_comes_back() {
        let key = key();
        let row = Row::new(&suspect(), Some(&key));
        let text = visible(&row);
        assert!(!text.contains("canary") && text.contains("sha256=00"), "{text}");
        assert_eq!(row.query, "a=1&token=[redacted]&b");
        assert_eq!((row.path.as_str(), row.proof_kept), ("/p", true));
        let back = reassemble(row.id, request(&row), row.sealed.as_deref(), Some(&key)).unwrap();
        let original = suspect().request;
        assert_eq!(format!("{back:?}"), format!("{original:?}"));
        assert!(reassemble(row.id, request(&row), row.sealed.as_deref(), None).is_none());
        assert!(reassemble(Uuid::nil(), request(&row), row.sealed.as_deref(), Some(&key)).is_none());
    }

    #[test]
    fn without_a_key_the_proof_is_gone_and_says_so() {
        let row = Row::new(&suspect(), None);
        assert!(row.sealed.is_none() && !row.proof_kept && !visible(&row).contains("canary"));
        let mut signed = suspect();
        signed.secret_headers.clear();
        signed.secret_parameters.clear();
        signed.request.path_token = None;
        assert!(Row::new(&signed, None).proof_kept, "a cookie proves nothing");
    }

    #[test]
    fn the_fingerprint_tells_requests_that_differ_anywhere() {
        let key = key();
        let of = |change: &dyn Fn(&mut Suspect)| {
            let mut suspect = suspect();
            change(&mut suspect);
            Row::new(&suspect, Some(&key)).fingerprint
        };
        let same = of(&|_| {});
        assert_eq!(of(&|_| {}), same);
        let changes: [&dyn Fn(&mut Suspect); 6] = [
            &|suspect| suspect.reason = "expired",
            &|suspect| suspect.request.body = Bytes::from_static(b"body"),
            &|suspect| suspect.request.query.push('x'),
            &|suspect| suspect.request.path.push('x'),
            &|suspect| suspect.request.headers[0].1.push(b'x'),
            &|suspect| suspect.request.headers.swap(0, 1),
        ];
        for change in changes {
            assert_ne!(of(change), same);
        }
    }

    #[test]
    fn long_steps_are_cut_between_characters() {
        let step = Step { check: "x".to_owned(), ok: false, detail: "é".repeat(5000) };
        let told = told(&vec![step; 500], &[]);
        assert_eq!(told.as_array().unwrap().len(), MAX_STEPS);
        assert!(told[0]["detail"].as_str().unwrap().len() <= MAX_DETAIL + 3);
    }
}
