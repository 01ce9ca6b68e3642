//! The part of a table that says how a request is proven.

use super::reference::Reference;
use super::template::{Choice, Template};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One way to prove a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verify {
    #[serde(default)]
    pub(super) when: When,
    pub(super) algorithm: Algorithm,
    #[serde(default)]
    pub(super) secret: KeyForm,
    pub(super) signature: Option<SignaturePlace>,
    pub(super) signed: Option<Template>,
    pub(super) signed_parts: Option<Parts>,
    pub(super) time: Option<TimeRule>,
    pub(super) each: Option<String>,
    #[serde(default)]
    pub(super) require: Vec<Require>,
    #[serde(default)]
    pub(super) urls: Vec<UrlForm>,
    pub(super) certificate: Option<Certificate>,
    pub(super) jwt: Option<Jwt>,
}

/// Pieces of what is signed: one list, or several of which any may be the one that the sender signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Parts {
    One(Vec<Template>),
    AnyOf(Vec<Vec<Template>>),
}

impl Parts {
    pub(super) fn lists(&self) -> &[Vec<Template>] {
        match self {
            Self::One(list) => std::slice::from_ref(list),
            Self::AnyOf(lists) => lists,
        }
    }
}

impl Verify {
    /// Every template of what is signed.
    pub(super) fn signed_templates(&self) -> impl Iterator<Item = &Template> {
        let parts = self.signed_parts.iter().flat_map(Parts::lists).flatten();
        self.signed.iter().chain(parts)
    }
}

/// How the proof is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Algorithm {
    HmacSha1,
    HmacSha256,
    HmacSha384,
    HmacSha512,
    Md5,
    Sha1,
    Sha256,
    Sha512,
    Ed25519,
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    RsaSha1,
    RsaSha256,
    RsaSha512,
    Token,
    Basic,
    Jwt,
    Postback,
}

/// How the configured text becomes key bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeyForm {
    #[default]
    Utf8,
    Hex,
    Base64,
    Base64url,
    Whsec,
    Pem,
    Spki,
    Sha256,
}

/// Where the signature stands and how it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignaturePlace {
    pub(super) from: Reference,
    #[serde(default)]
    pub(super) encoding: Encoding,
    pub(super) prefix: Option<String>,
    pub(super) separator: Option<String>,
    #[serde(default)]
    pub(super) trim: bool,
    pub(super) pair: Option<String>,
    pub(super) key: Option<String>,
}

/// How signature bytes are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Encoding {
    /// Lower case only.
    #[default]
    Hex,
    /// Upper case only.
    HexUpper,
    Base64,
    Base64url,
    Text,
}

/// The proof's time and how far it may be from now, in seconds, inclusive.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeRule {
    pub(super) from: Reference,
    pub(super) format: TimeFormat,
    pub(super) past: u32,
    pub(super) future: u32,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TimeFormat {
    /// Decimal seconds since 1970.
    Unix,
    /// Decimal milliseconds since 1970.
    UnixMs,
    /// RFC 3339 with an offset.
    #[default]
    Rfc3339,
    /// RFC 2822, as in mails.
    Rfc2822,
}

/// An equality beside the signature.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Require {
    pub(super) left: Reference,
    pub(super) right: Option<Reference>,
    pub(super) equals: Option<String>,
    pub(super) one_of: Option<Reference>,
}

/// Forms of the URL that a sender may have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum UrlForm {
    AsIs,
    WithoutPort,
    DefaultPort,
    EscapedQuotes,
}

/// A key that is in a certificate behind a URL of the request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificate {
    pub(super) url: Reference,
    pub(super) hosts: Vec<String>,
    #[serde(default)]
    pub(super) path_prefix: String,
    #[serde(default)]
    pub(super) path_suffix: String,
    #[serde(default)]
    pub(super) names: Vec<String>,
    #[serde(default = "yes")]
    pub(super) chain: bool,
}

/// A JSON Web Token that proves the request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jwt {
    pub(super) from: Reference,
    pub(super) algorithms: Vec<String>,
    pub(super) keys_url: Option<Template>,
    pub(super) key_request: Option<KeyRequest>,
    #[serde(default)]
    pub(super) issuers: Vec<String>,
    pub(super) audience: Option<Choice>,
    #[serde(default)]
    pub(super) claims: BTreeMap<String, ClaimEntry>,
    pub(super) body_sha256_claim: Option<String>,
    pub(super) max_age: Option<u32>,
    #[serde(default = "yes")]
    pub(super) expires: bool,
    #[serde(default = "sixty")]
    pub(super) leeway: u32,
}

/// What a claim must be.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum ClaimEntry {
    Flag(bool),
    Text(Template),
}

/// An endpoint that is asked for a key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    pub(super) url: Template,
    pub(super) body: Template,
    pub(super) pointer: String,
}

/// Conditions, all of which must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct When {
    pub(super) method: Option<String>,
    pub(super) header: Option<String>,
    pub(super) no_header: Option<String>,
    pub(super) header_is: BTreeMap<String, String>,
    pub(super) header_contains: BTreeMap<String, String>,
    pub(super) query: Option<String>,
    pub(super) json: BTreeMap<String, toml::Value>,
    pub(super) json_has: Vec<String>,
    pub(super) secret_prefix: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) no_content_type: Option<String>,
    pub(super) param: Option<String>,
    pub(super) param_is: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

fn sixty() -> u32 {
    60
}
