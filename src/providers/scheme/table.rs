//! The tables as they stand in TOML; docs/providers.md is their reference.

use super::reference::Reference;
use super::template::{Choice, OneOrMany, Template};
use crate::providers::Replay;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use toml::Spanned;
use url::Url;

/// A provider's table: a built-in scheme, or `[providers.NAME]` with its secrets and, perhaps, a scheme of its own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Table {
    pub(super) title: Option<String>,
    pub(super) docs: Option<String>,
    pub(super) note: Option<String>,
    pub(super) secret_help: Option<String>,
    pub(super) secret_env: Vec<String>,
    pub(super) secretless: bool,
    pub(super) params: BTreeMap<String, ParamEntry>,
    pub(super) verify: Vec<Spanned<Verify>>,
    pub(super) event: Option<Spanned<Event>>,
    pub(super) handshake: Vec<Spanned<Handshake>>,
    pub(super) reply: Option<Reply>,
    pub(super) sample: Vec<Sample>,
    pub(super) scheme: Option<Spanned<String>>,
    pub(super) secret: Option<SecretString>,
    pub(super) secrets: Vec<SecretEntry>,
    pub(super) allow_ips: Vec<Network>,
    pub(super) requests_per_second: Option<NonZeroU32>,
    pub(super) max_body_bytes: Option<usize>,
    pub(super) url: Option<PublicUrl>,
    pub(super) replay: Option<Replay>,
    pub(super) tolerance_seconds: Option<u32>,
    pub(super) learn_secret: bool,
}

/// A network in CIDR, or one address.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Network(pub(super) IpNet);

impl TryFrom<String> for Network {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| "not a network such as 203.0.113.0/24")
    }
}

/// The URL as registered with a provider, as text: it may be signed to the letter.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PublicUrl(pub(super) String);

impl TryFrom<String> for PublicUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Self(text)),
            _ => Err("not an http or https URL"),
        }
    }
}

/// A secret alone, or with a name of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum SecretEntry {
    Named { id: String, value: SecretString },
    Plain(SecretString),
}

/// In a scheme: what may be configured. In an instance: its value.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum ParamEntry {
    Value(SecretString),
    Declared(Param),
}

/// A parameter of a scheme.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Param {
    pub(super) help: String,
    pub(super) required: bool,
    pub(super) secret: bool,
    pub(super) env: Vec<String>,
    pub(super) default: Option<String>,
}

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

/// What an event is called.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) each: OneOrMany<String>,
    pub(super) id: Choice,
    pub(super) r#type: Choice,
    #[serde(default)]
    pub(super) subject: Choice,
    #[serde(default)]
    pub(super) time: OneOrMany<EventTime>,
    #[serde(default)]
    pub(super) format: Format,
    pub(super) r#in: Option<Reference>,
    #[serde(default)]
    pub(super) envelope: BTreeMap<String, Reference>,
    #[serde(default)]
    pub(super) replay: Replay,
    pub(super) replay_key: Option<Template>,
}

/// When an event happened.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventTime {
    pub(super) from: Reference,
    #[serde(default)]
    pub(super) format: TimeFormat,
}

/// What the body must be to be readable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Json,
    Form,
    Any,
}

/// A request that only sets things up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Handshake {
    #[serde(default)]
    pub(super) when: When,
    #[serde(default)]
    pub(super) proof: HandshakeProof,
    pub(super) learn: Option<Reference>,
    pub(super) refuse: Option<u16>,
    #[serde(default)]
    pub(super) reply: HandshakeReply,
}

/// What shows that a handshake is genuine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(untagged)]
pub(super) enum HandshakeProof {
    #[default]
    Unsaid,
    Word(HandshakeWord),
    Equal(Require),
}

/// A word for what shows that a handshake is genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum HandshakeWord {
    None,
    Signature,
}

/// The answer to a handshake.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HandshakeReply {
    pub(super) status: Option<u16>,
    pub(super) headers: BTreeMap<String, Template>,
    pub(super) body: Option<Template>,
}

/// The answer to a delivery.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Reply {
    pub(super) status: Option<u16>,
    pub(super) body: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) bare_errors: bool,
}

/// A sample for `hookgate send`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sample {
    pub(super) r#type: String,
    pub(super) method: Option<String>,
    pub(super) query: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) body: String,
}

fn yes() -> bool {
    true
}

fn sixty() -> u32 {
    60
}
