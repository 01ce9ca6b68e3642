//! The tables as they stand in TOML; docs/providers.md is their reference. How a request is proven is in `proof_table`, what
//! is read from it in `event_table`.

pub(super) use super::event_table::*;
pub(super) use super::proof_table::*;

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
