//! The part of a table that says what is read from a proven request, and how its sender is answered.

use super::proof_table::{Require, TimeFormat, When};
use super::reference::Reference;
use super::template::{Choice, OneOrMany, Template};
use crate::providers::Replay;
use serde::Deserialize;
use std::collections::BTreeMap;

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
