//! Pieces of JSON that entities are made of, and why a body is refused.

use serde_json::{Number, Value, json};
use uuid::Uuid;

/// A status and an error body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) code: u32,
    pub(super) parameter: Option<String>,
}

impl Refused {
    pub(super) fn new(status: u16, code: u32) -> Self {
        Self { status, code, parameter: None }
    }

    pub(super) fn field(status: u16, code: u32, parameter: &str) -> Self {
        Self { status, code, parameter: Some(parameter.to_owned()) }
    }

    pub(super) fn body(&self) -> Value {
        let mut error = json!({
            "error": "Ошибка", "code": self.code,
            "moreInfo": format!("https://dev.moysklad.ru/doc/api/remap/1.2/#error_{}", self.code),
        });
        if let Some(parameter) = &self.parameter {
            error["parameter"] = parameter.as_str().into();
        }
        json!({ "errors": [error] })
    }
}

pub(super) fn reference(base: &str, kind: &str, id: Uuid) -> Value {
    let path = if kind == "pricetype" { "context/companysettings" } else { "entity" };
    let href = format!("{base}/{path}/{kind}/{id}");
    json!({"meta": {"href": href, "type": kind, "mediaType": "application/json"}})
}

pub(super) fn id_of(reference: &Value) -> Option<Uuid> {
    reference["meta"]["href"].as_str()?.rsplit('/').next()?.parse().ok()
}

/// Numbers are shown as floats, without a loss of digits.
pub(super) fn float(number: &Number) -> Value {
    let text = number.to_string();
    let text = if text.contains(['.', 'e', 'E']) { text } else { format!("{text}.0") };
    serde_json::from_str(&text).unwrap()
}

/// Moscow's time, UTC+3 all year, with milliseconds and without a zone.
pub(super) fn moscow_now() -> String {
    (chrono::Utc::now() + chrono::Duration::hours(3)).format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// 22 characters, as `Cf0ehavIglre6sMX-J2rR2`.
pub(super) fn random_code() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes())
}

pub(super) fn check_barcodes(barcodes: &[Value]) -> Result<(), Refused> {
    let known = ["ean13", "ean8", "code128", "gtin", "upc"];
    let good = |barcode: &Value| {
        let Value::Object(fields) = barcode else { return false };
        fields.len() == 1 && fields.iter().all(|(name, value)| known.contains(&&**name) && value.is_string())
    };
    if barcodes.iter().all(good) { Ok(()) } else { Err(Refused::field(412, 2016, "barcodes")) }
}

/// Every `meta` object in a body.
pub(super) fn references(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("meta").cloned());
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Every UUID in a text.
pub(super) fn uuids(text: &str) -> impl Iterator<Item = Uuid> {
    let words = text.split(|character: char| !character.is_ascii_hexdigit() && character != '-');
    words.filter(|word| word.len() == 36).filter_map(|word| word.parse().ok())
}
