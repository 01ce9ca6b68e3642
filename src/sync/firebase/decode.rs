//! From the body that Google posted to what the publisher wrote.
//!
//! A body is a Pub/Sub envelope (its fields in `camelCase` or `snake_case`), a CloudEvent in structured mode, a CloudEvent's
//! data in binary mode with the attributes in the event's own envelope, or, from an unwrapping subscription, the bare
//! data. Eventarc delivers Pub/Sub messages as CloudEvents around Pub/Sub envelopes, so one may lie in the other.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

/// Google pads its base64; publishers' libraries that do not are understood too.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Longest data that is looked into, in bytes decoded.
const MAX_DATA: usize = 1 << 20;
/// Most attributes that are looked at; Pub/Sub allows 100.
const MAX_ATTRIBUTES: usize = 200;

/// An envelope cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unopened {
    /// Not base64.
    #[error("the field `{0}` of the envelope is no base64")]
    Base64(&'static str),
    /// Of the wrong type.
    #[error("the field `{0}` of the envelope has not its documented form")]
    Form(&'static str),
}

/// What the publisher wrote.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decoded {
    /// How it came.
    pub(super) by: &'static str,
    /// The data.
    pub(super) data: Data,
    /// Pub/Sub attributes that are text.
    pub(super) attributes: Map<String, Value>,
}

/// The publisher's data.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    /// There is none.
    Absent,
    /// JSON.
    Json(Value),
    /// Anything else, by its length in bytes.
    Bytes(usize),
}

impl Decoded {
    /// Opens a body. `envelope` holds the attributes of a CloudEvent in binary mode.
    pub(super) fn read(body: &[u8], envelope: Option<&str>) -> Result<Self, Unopened> {
        let attributes = Map::new();
        let json = json(body);
        if envelope.is_some_and(is_cloud_event) {
            return Self { by: "CloudEvent", data: data(json, body), attributes }.opened();
        }
        let Some(Value::Object(mut event)) = json else {
            return Ok(Self { by: "unwrapped message", data: data(json, body), attributes });
        };
        if event.contains_key("specversion") {
            let data = structured(&mut event)?;
            return Self { by: "CloudEvent", data, attributes }.opened();
        }
        match pubsub(event)? {
            Ok(decoded) => Ok(decoded),
            Err(bare) => Ok(Self { by: "unwrapped message", data: Data::Json(bare.into()), attributes }),
        }
    }

    /// The Pub/Sub message in a CloudEvent's data, if that is what it is.
    fn opened(self) -> Result<Self, Unopened> {
        let Data::Json(Value::Object(inner)) = self.data else { return Ok(self) };
        Ok(pubsub(inner)?.unwrap_or_else(|bare| Self { data: Data::Json(bare.into()), ..self }))
    }

    /// For operators: what it held, without its content.
    pub(super) fn describe(&self) -> String {
        let data = match &self.data {
            Data::Absent => "no data".to_owned(),
            Data::Json(_) => "JSON data".to_owned(),
            Data::Bytes(length) => format!("{length} bytes of other data"),
        };
        match self.attributes.len() {
            0 => format!("{} with {data}", self.by),
            count => format!("{} with {data} and {count} attributes", self.by),
        }
    }
}

/// Whether an envelope holds the attributes that every CloudEvent has, by their names or by those of their headers.
fn is_cloud_event(envelope: &str) -> bool {
    let attributes = serde_json::from_str(envelope).unwrap_or(Value::Null);
    let all = |names: [&str; 3]| names.iter().all(|name| attributes[name].is_string());
    all(["ce-id", "ce-source", "ce-type"]) || all(["id", "source", "type"])
}

fn json(bytes: &[u8]) -> Option<Value> {
    if bytes.len() > MAX_DATA { None } else { serde_json::from_slice(bytes).ok() }
}

fn data(json: Option<Value>, bytes: &[u8]) -> Data {
    match json {
        Some(json) => Data::Json(json),
        None if bytes.is_empty() => Data::Absent,
        None => Data::Bytes(bytes.len()),
    }
}

/// Data in base64; an absent or empty one is no data.
fn from_base64(field: Option<&Value>, name: &'static str) -> Result<Data, Unopened> {
    let bytes = match field {
        None | Some(Value::Null) => return Ok(Data::Absent),
        Some(Value::String(text)) => BASE64.decode(text).map_err(|_| Unopened::Base64(name))?,
        Some(_) => return Err(Unopened::Form(name)),
    };
    Ok(data(json(&bytes), &bytes))
}

/// The data of a CloudEvent in structured mode (CloudEvents JSON format 1.0, 3.1).
fn structured(event: &mut Map<String, Value>) -> Result<Data, Unopened> {
    match event.remove("data") {
        None | Some(Value::Null) => from_base64(event.get("data_base64"), "data_base64"),
        // JSON within a text, where a publisher calls its data text/plain.
        Some(Value::String(text)) => {
            Ok(Data::Json(serde_json::from_str(&text).unwrap_or(Value::String(text))))
        }
        Some(data) => Ok(Data::Json(data)),
    }
}

/// Opens a Pub/Sub envelope; gives back what is none. A message shows itself by what only Pub/Sub writes: its id beside
/// data or attributes, or the subscription around it.
fn pubsub(mut envelope: Map<String, Value>) -> Result<Result<Decoded, Map<String, Value>>, Unopened> {
    let is_message = |message: &Map<String, Value>, subscribed: bool| {
        let has = |name: &str| message.contains_key(name);
        let id = has("messageId") || has("message_id");
        id && (has("data") || has("attributes") || has("publishTime") || has("publish_time") || subscribed)
    };
    let subscribed = envelope.contains_key("subscription");
    let Some(Value::Object(message)) = envelope.get_mut("message") else { return Ok(Err(envelope)) };
    if !is_message(message, subscribed) {
        return Ok(Err(envelope));
    }
    let mut attributes = match message.remove("attributes") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(attributes)) => attributes,
        Some(_) => return Err(Unopened::Form("message.attributes")),
    };
    attributes.retain(|_, value| value.is_string());
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(Unopened::Form("message.attributes"));
    }
    let data = from_base64(message.get("data"), "message.data")?;
    Ok(Ok(Decoded { by: "Pub/Sub message", data, attributes }))
}

#[cfg(test)]
mod tests;
