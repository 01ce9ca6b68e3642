//! Test vectors: recorded or made-up requests with the verdict that they must get. The form is that of docs/providers.md;
//! users prove their own schemes with it, and CI proves the built-in ones.

use super::c2s::C2s;
use super::evidence::{Evidence, KeyLocation, Postback};
use super::moysklad::Moysklad;
use super::proof::certificate::Anchors;
use super::proof::jwt::KeySet;
use super::scheme::Tables;
use super::{Check, Handshook, KnownSecret, Provider, RawRequest, Step, Trace};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::DateTime;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// One vector.
#[derive(Debug, Deserialize)]
pub struct Vector {
    /// Its name.
    pub name: String,
    /// The provider that it is for, where a list holds several.
    pub provider: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, Lines>,
    #[serde(default)]
    body_b64: String,
    #[serde(default)]
    secret: String,
    #[serde(default)]
    now_unix: i64,
    valid: Option<bool>,
    /// What it shows.
    #[serde(default)]
    pub why: String,
    #[serde(default)]
    params: BTreeMap<String, String>,
    events: Option<Vec<ExpectedEvent>>,
    expect: Option<ExpectedAnswer>,
    #[serde(default)]
    needs_code: bool,
    #[serde(default)]
    cert_by_url: BTreeMap<String, String>,
    #[serde(default)]
    paypal: Pki,
    jwks: Option<Value>,
    #[serde(default)]
    oidc: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct ExpectedEvent {
    id: Option<String>,
    r#type: Option<String>,
    subject: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ExpectedAnswer {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body_b64: String,
    store_secret: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pki {
    cert_by_url: BTreeMap<String, String>,
    trust_roots_pem: Vec<String>,
    intermediates_pem: Vec<String>,
}

/// How a vector went.
#[derive(Debug)]
pub struct Outcome {
    /// Whether the verdict is the one that the vector demands.
    pub passed: bool,
    /// What it was, and what it should have been.
    pub verdict: String,
    /// The steps of the verification.
    pub steps: Vec<Step>,
}

/// Reads a list of vectors.
pub fn read(text: &str) -> Result<Vec<Vector>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a list of vectors: {error}"))
}

impl Vector {
    /// Tries the vector on the provider of this name, as the tables and the built-in schemes know it.
    pub fn run(&self, tables: &Tables, name: &str) -> Outcome {
        let failed = |verdict: String| Outcome { passed: false, verdict, steps: Vec::new() };
        if self.needs_code {
            let verdict = "says itself that its request is not in it".to_owned();
            return Outcome { passed: true, verdict, steps: Vec::new() };
        }
        let request = match self.request() {
            Ok(request) => request,
            Err(error) => return failed(error),
        };
        let provider = match self.provider(tables, name) {
            Ok(provider) => provider,
            // A secret that cannot be configured proves nothing.
            Err(error) if self.valid == Some(false) => {
                return Outcome { passed: true, verdict: format!("refused: {error}"), steps: Vec::new() };
            }
            Err(error) => return failed(error),
        };
        let evidence = match self.evidence() {
            Ok(evidence) => evidence,
            Err(error) => return failed(error),
        };
        let trace = Trace::default();
        let Some(now) = DateTime::from_timestamp(self.now_unix, 0) else {
            return failed("now_unix is no time".to_owned());
        };
        let check = Check { now, evidence: Some(&evidence), trace: Some(&trace) };
        let raw = request.raw();
        let (passed, verdict) = match &self.expect {
            Some(expected) => answered(&*provider, &raw, &check, expected),
            None => self.proven(&*provider, &raw, &check),
        };
        Outcome { passed, verdict, steps: trace.into_steps() }
    }

    fn proven(&self, provider: &dyn Provider, raw: &RawRequest<'_>, check: &Check<'_>) -> (bool, String) {
        let wanted = self.valid.unwrap_or(true);
        match provider.verify(raw, check) {
            Err(unproven) => (!wanted, format!("not proven: {unproven}")),
            Ok(_) if !wanted => (false, "proven, and should not be".to_owned()),
            Ok(proof) => match (&self.events, provider.parse(&proof)) {
                (None, _) => (true, "proven".to_owned()),
                (Some(_), Err(reason)) => (false, format!("proven, but not readable: {reason}")),
                (Some(expected), Ok(parsed)) => {
                    let found: Vec<_> = parsed.events.iter().flatten().collect();
                    let same = found.len() == expected.len()
                        && parsed.events.len() == found.len()
                        && found.iter().zip(expected).all(|(found, expected)| {
                            expected.id.as_ref().is_none_or(|id| found.event_id == *id)
                                && expected.r#type.as_ref().is_none_or(|kind| found.event_type == *kind)
                                && expected
                                    .subject
                                    .as_ref()
                                    .is_none_or(|subject| found.subject.as_ref() == Some(subject))
                        });
                    let told: Vec<String> = parsed
                        .events
                        .iter()
                        .map(|event| match event {
                            Ok(event) => format!(
                                "{} {} ({})",
                                event.event_type,
                                event.event_id,
                                event.subject.as_deref().unwrap_or("no subject")
                            ),
                            Err(part) => part.reason.to_string(),
                        })
                        .collect();
                    (same, format!("proven; events: {}", told.join(", ")))
                }
            },
        }
    }

    fn request(&self) -> Result<Request, String> {
        let body = STANDARD.decode(&self.body_b64).map_err(|_| "body_b64 is not base64".to_owned())?;
        // By text, not by a URL library: what was signed must stay as it was written.
        let after = self.url.find("://").map_or(0, |at| at + 3);
        let end = self.url[after..].find(['/', '?']).map_or(self.url.len(), |at| after + at);
        let (base, rest) = self.url.split_at(end);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut headers = Vec::new();
        for (name, lines) in &self.headers {
            let lines = match lines {
                Lines::One(line) => std::slice::from_ref(line),
                Lines::Many(lines) => lines,
            };
            headers.extend(lines.iter().map(|line| (name.to_lowercase(), line.clone())));
        }
        Ok(Request {
            method: self.method.clone().unwrap_or_else(|| "POST".to_owned()),
            bases: vec![base.to_owned()],
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.into(),
        })
    }

    fn provider(&self, tables: &Tables, name: &str) -> Result<Box<dyn Provider>, String> {
        let secret = SecretString::from(self.secret.clone());
        let known = || vec![KnownSecret { id: "vector".to_owned(), value: secret.clone() }];
        let empty = secret.expose_secret().is_empty();
        match name {
            "c2s" if !empty => return Ok(Box::new(C2s::new(known()))),
            "moysklad" if !empty => {
                let base = self
                    .params
                    .get("base_url")
                    .map_or("https://api.moysklad.ru/api/remap/1.2", String::as_str);
                let base = Url::parse(base).map_err(|_| "params.base_url is no URL".to_owned())?;
                return Ok(Box::new(Moysklad::new(known(), base)));
            }
            _ => {}
        }
        let mut params: BTreeMap<String, SecretString> =
            self.params.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        for (key, names) in [
            ("audience", ["audience", "aud", "expected_audience"]),
            ("service_account", ["email", "service_account", "expected_email"]),
        ] {
            if let Some(text) = names.iter().find_map(|name| self.oidc.get(*name)?.as_str()) {
                params.entry(key.to_owned()).or_insert_with(|| text.into());
            }
        }
        let provider = tables.trial(name, &secret, params).map_err(|error| error.to_string())?;
        Ok(Box::new(provider))
    }

    fn evidence(&self) -> Result<Known, String> {
        let mut anchors = Anchors::default();
        for pem in &self.paypal.trust_roots_pem {
            anchors.add_roots_pem(pem.as_bytes()).map_err(|error| error.to_string())?;
        }
        for pem in &self.paypal.intermediates_pem {
            anchors.add_intermediates_pem(pem.as_bytes()).map_err(|error| error.to_string())?;
        }
        let certificates = self.cert_by_url.iter().chain(&self.paypal.cert_by_url);
        let certificates = certificates.map(|(url, pem)| (url.clone(), Bytes::from(pem.clone()))).collect();
        let parse = |value: &Value| {
            KeySet::parse(value.to_string().as_bytes()).map(Arc::new).map_err(|error| error.to_string())
        };
        let mut keys = BTreeMap::new();
        for (url, set) in key_sets(self.jwks.as_ref().or_else(|| self.oidc.get("jwks"))) {
            keys.insert(url, parse(&set)?);
        }
        Ok(Known { anchors, certificates, keys })
    }
}

/// Key sets by the URL that they are asked for at; under an empty URL wherever they are asked for. A vector may bring a set,
/// a bare list of keys, keys by their id, or sets by URL.
fn key_sets(given: Option<&Value>) -> Vec<(String, Value)> {
    let set = |keys: Vec<Value>| vec![(String::new(), serde_json::json!({"keys": keys}))];
    match given {
        None => Vec::new(),
        Some(Value::Array(keys)) => set(keys.clone()),
        Some(one) if one.get("keys").is_some_and(Value::is_array) => vec![(String::new(), one.clone())],
        Some(one) if one.get("kty").is_some() => set(vec![one.clone()]),
        Some(map) => {
            let entries = || map.as_object().into_iter().flatten();
            if entries().any(|(_, value)| value.get("kty").is_some()) {
                return set(entries()
                    .map(|(kid, key)| {
                        let mut key = key.clone();
                        if key.get("kid").is_none() {
                            key["kid"] = kid.as_str().into();
                        }
                        key
                    })
                    .collect());
            }
            // Google's other form: certificates by key id.
            if entries().any(|(_, value)| value.is_string()) {
                return vec![(String::new(), map.clone())];
            }
            entries().map(|(url, set)| (url.clone(), set.clone())).collect()
        }
    }
}

/// A handshake's answer against the expected one. 401 stands for "not proven".
fn answered(
    provider: &dyn Provider,
    raw: &RawRequest<'_>,
    check: &Check<'_>,
    expected: &ExpectedAnswer,
) -> (bool, String) {
    let answer = match provider.handshake(raw, check) {
        Handshook::Answer(answer) => answer.guarded(),
        Handshook::Unproven(unproven) => {
            return (expected.status == 401, format!("not proven: {unproven}"));
        }
        Handshook::NotOne => {
            return match provider.verify(raw, check) {
                Ok(_) => (expected.status == provider.reply().status, "an ordinary delivery".to_owned()),
                Err(unproven) => (expected.status == 401, format!("not proven: {unproven}")),
            };
        }
    };
    let same_header = |(name, wanted): (&String, &String)| {
        // A missing type is no promise: an empty body has none.
        answer.body.is_empty() && name.eq_ignore_ascii_case("content-type")
            || answer.headers.iter().any(|(given, value)| {
                let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_lowercase();
                given.eq_ignore_ascii_case(name) && (value == wanted || essence(value) == essence(wanted))
            })
    };
    let body = STANDARD.decode(&expected.body_b64).unwrap_or_default();
    let learned = answer.learned.as_ref().map(|secret| secret.expose_secret().to_owned());
    let passed = answer.status == expected.status
        && answer.body == body
        && expected.headers.iter().all(same_header)
        && learned == expected.store_secret;
    (passed, format!("answered {} with {} bytes", answer.status, answer.body.len()))
}

/// A request that owns what a [`RawRequest`] borrows.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// What may stand before the path.
    pub bases: Vec<String>,
    /// The path.
    pub path: String,
    /// The query.
    pub query: String,
    /// Header lines; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// As a verifier wants it.
    pub fn raw(&self) -> RawRequest<'_> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        RawRequest {
            path_token: self.path.rsplit('/').next().filter(|segment| !segment.is_empty()),
            method: &self.method,
            bases: &self.bases,
            path: &self.path,
            ..RawRequest::post(&self.query, headers, &self.body)
        }
    }
}

/// What a vector brings from outside.
struct Known {
    anchors: Anchors,
    certificates: BTreeMap<String, Bytes>,
    keys: BTreeMap<String, Arc<KeySet>>,
}

impl Evidence for Known {
    fn certificate(&self, url: &Url) -> Option<Bytes> {
        self.certificates.get(url.as_str()).cloned()
    }

    fn keys(&self, location: &KeyLocation, _: &str) -> Option<Arc<KeySet>> {
        self.keys.get(location.url.as_str()).or_else(|| self.keys.get("")).cloned()
    }

    fn verdict(&self, _: &Postback) -> Option<bool> {
        None
    }

    fn anchors(&self) -> &Anchors {
        &self.anchors
    }
}
