//! The values of one request, found when a reference asks for them.

use super::pointers::{Picked, Pointers};
use super::reference::{Reference, Text};
use crate::providers::proof::{self, Hash};
use crate::providers::{RawRequest, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Values of an instance's parameters.
pub(super) type Params = BTreeMap<String, SecretString>;

/// Most form fields that are looked at.
const MAX_FIELDS: usize = 1000;

/// A request and what was read of it so far.
pub(super) struct Scene<'a> {
    pub(super) request: &'a RawRequest<'a>,
    pub(super) params: &'a Params,
    pointers: &'a Pointers,
    /// The JSON text that `json:` points into, where it is not the body.
    inner: OnceCell<Bytes>,
    picked: OnceCell<Option<Picked>>,
    tree: OnceCell<Option<Value>>,
    form: OnceCell<Vec<(String, String)>>,
}

/// What changes from one look at the request to the next.
#[derive(Clone, Copy, Default)]
pub(super) struct Moment<'a> {
    /// The item of a batch, and its place.
    pub(super) item: Option<(usize, &'a Value)>,
    /// The element that holds the item's list.
    pub(super) around: Option<&'a Value>,
    /// A signature's pairs.
    pub(super) pairs: &'a [(&'a str, &'a str)],
    /// Text of the proof's time.
    pub(super) time: Option<&'a str>,
    /// The secret that is being tried.
    pub(super) secret: Option<&'a SecretString>,
    /// The form of the URL that is being tried.
    pub(super) url: Option<&'a str>,
    /// The key that a token names.
    pub(super) kid: Option<&'a str>,
}

impl<'a> Scene<'a> {
    /// `pointers`: what is asked for mostly; anything else is found as well, but costs a tree of the whole body.
    pub(super) fn new(request: &'a RawRequest<'a>, params: &'a Params, pointers: &'a Pointers) -> Self {
        let (inner, picked, tree) = Default::default();
        Self { request, params, pointers, inner, picked, tree, form: OnceCell::new() }
    }

    /// Lets `json:` point into this text instead of the body. Only before the first look at either.
    pub(super) fn look_into(&self, text: Bytes) {
        if self.picked.get().is_none() && self.tree.get().is_none() {
            let _ = self.inner.set(text);
        }
    }

    /// The body as a tree of JSON, if it is JSON.
    pub(super) fn json(&self) -> Option<&Value> {
        self.tree.get_or_init(|| read_json(self.text_of_json())).as_ref()
    }

    /// Whether the body is JSON.
    pub(super) fn is_json(&self) -> bool {
        self.picked().is_some() || self.json().is_some()
    }

    /// What is at this pointer in the body.
    pub(super) fn json_at(&self, pointer: &str) -> Option<&Value> {
        if let Some(place) = self.pointers.place(pointer)
            && let Some(picked) = self.picked()
        {
            return picked.at(place);
        }
        self.json()?.pointer(pointer)
    }

    fn picked(&self) -> Option<&Picked> {
        self.picked.get_or_init(|| self.pointers.read(self.text_of_json())).as_ref()
    }

    fn text_of_json(&self) -> &[u8] {
        self.inner.get().map_or(&self.request.body[..], |text| &text[..])
    }

    /// Whether the body says that it is a form.
    pub(super) fn is_form(&self) -> bool {
        let kind = self.request.header("content-type").unwrap_or_default();
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    }

    /// The fields of a form body in their order; none if it does not say that it is a form: a text inside JSON can look
    /// like fields.
    pub(super) fn form(&self) -> &[(String, String)] {
        self.form.get_or_init(|| {
            let body: &[u8] = if self.is_form() { self.request.body } else { &[] };
            let fields = url::form_urlencoded::parse(body).take(MAX_FIELDS);
            fields.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
        })
    }

    /// The value of a reference; `None` if it is absent or stands more than once.
    pub(super) fn value(&'a self, reference: &Reference, at: Moment<'a>) -> Option<Cow<'a, [u8]>> {
        let request = self.request;
        Some(match reference {
            Reference::Header(name) => Cow::Borrowed(request.header(name)?),
            Reference::Headers(name) => {
                let mut lines =
                    request.headers.iter().filter(|line| line.0 == name).map(|line| line.1).peekable();
                lines.peek()?;
                Cow::Owned(lines.collect::<Vec<_>>().join(&b','))
            }
            Reference::HeaderPrefix(_) => return None,
            Reference::Query(name) => owned(request.query_parameter(name)?),
            Reference::Form(name) => {
                let mut values = self.form().iter().filter(|field| field.0 == *name);
                match (values.next(), values.next()) {
                    (Some(field), None) => Cow::Borrowed(field.1.as_bytes()),
                    _ => return None,
                }
            }
            // A body that is no form would be left out of what is signed.
            Reference::FormSorted if !self.is_form() && !request.body.is_empty() => return None,
            Reference::FormSorted => Cow::Owned(sorted(self.form())),
            Reference::Json(pointer) => scalar(self.json_at(pointer)?)?,
            Reference::Item(pointer) => scalar(at.item?.1.pointer(pointer)?)?,
            Reference::Around(pointer) => scalar(at.around?.pointer(pointer)?)?,
            Reference::Unique => owned(Uuid::now_v7().to_string()),
            Reference::JsonKeyBeside(name) => {
                Cow::Borrowed(self.json()?.as_object()?.keys().find(|key| *key != name)?.as_bytes())
            }
            Reference::Signature(name) => {
                let mut values = at.pairs.iter().filter(|pair| pair.0 == name);
                match (values.next(), values.next()) {
                    (Some(pair), None) => Cow::Borrowed(pair.1.as_bytes()),
                    _ => return None,
                }
            }
            Reference::Time => Cow::Borrowed(at.time?.as_bytes()),
            Reference::Body => Cow::Borrowed(&request.body[..]),
            Reference::BodyHash(hash, text) => owned(write(&proof::digest(*hash, request.body), *text)),
            Reference::BodyCrc32 => owned(crc32fast::hash(request.body).to_string()),
            Reference::Method => Cow::Borrowed(request.method.as_bytes()),
            Reference::Url => Cow::Borrowed(at.url?.as_bytes()),
            Reference::UrlDecoded => owned(super::urls::decode_some(at.url?)),
            Reference::Path => Cow::Borrowed(request.path.as_bytes()),
            Reference::PathToken => Cow::Borrowed(request.path_token?.as_bytes()),
            Reference::Index => owned(at.item?.0.to_string()),
            Reference::Secret => Cow::Borrowed(at.secret?.expose_secret().as_bytes()),
            Reference::Param(name) => Cow::Borrowed(self.params.get(name)?.expose_secret().as_bytes()),
            Reference::KeyId => Cow::Borrowed(at.kid?.as_bytes()),
            Reference::Hmac(text, inner) => {
                let key = at.secret?.expose_secret().as_bytes();
                owned(write(&proof::hmac(Hash::Sha256, key, &self.value(inner, at)?), *text))
            }
            Reference::Sha256(inner) => {
                owned(hex::encode(proof::digest(Hash::Sha256, &self.value(inner, at)?)))
            }
            Reference::Base64Decoded(inner) => Cow::Owned(STANDARD.decode(self.value(inner, at)?).ok()?),
            Reference::JsonString(inner) => {
                let value = self.value(inner, at)?;
                owned(serde_json::to_string(std::str::from_utf8(&value).ok()?).ok()?)
            }
        })
    }

    /// The value of a reference as text.
    pub(super) fn text(&'a self, reference: &Reference, at: Moment<'a>) -> Option<Cow<'a, str>> {
        match self.value(reference, at)? {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        }
    }

    /// A template's text.
    pub(super) fn render(&'a self, template: &super::template::Template, at: Moment<'a>) -> Option<Vec<u8>> {
        template.render(|reference| self.value(reference, at))
    }

    /// The text of the first template that resolves to some.
    pub(super) fn first(&'a self, choice: &super::template::Choice, at: Moment<'a>) -> Option<String> {
        choice.0.iter().find_map(|template| {
            String::from_utf8(self.render(template, at)?).ok().filter(|text| !text.is_empty())
        })
    }
}

fn read_json(text: &[u8]) -> Option<Value> {
    if json::too_deep(text) {
        return None;
    }
    serde_json::from_slice(text).ok()
}

fn owned<'a>(text: String) -> Cow<'a, [u8]> {
    Cow::Owned(text.into_bytes())
}

/// Text as it is, a number as it was written, anything else as JSON; null counts as absent.
fn scalar(value: &Value) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text.as_bytes())),
        other => Some(owned(other.to_string())),
    }
}

pub(super) fn write(bytes: &[u8], text: Text) -> String {
    match text {
        Text::Hex => hex::encode(bytes),
        Text::Base64 => STANDARD.encode(bytes),
    }
}

/// Twilio's rule (twilio-python's and twilio-node's request validators): names in code-point order, each followed by
/// its value; the values of a repeated name are de-duplicated and sorted, with the name before each.
fn sorted(form: &[(String, String)]) -> Vec<u8> {
    let mut fields: Vec<&(String, String)> = form.iter().collect();
    fields.sort();
    fields.dedup();
    fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]).flatten().copied().collect()
}
