//! Pieces of JSON that entities are made of.

use rust_decimal::Decimal;
use serde_json::{Map, Number, Value, json};
use uuid::Uuid;

/// An object as a map; the entries of anything else are none.
pub(super) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// `{"meta": {…}}` of a thing at `href`.
pub(super) fn meta(href: &str, kind: &str) -> Value {
    json!({"meta": {"href": href, "type": kind, "mediaType": "application/json"}})
}

/// The id at the end of a reference's href.
pub(super) fn id_of(reference: &Value) -> Option<Uuid> {
    let href = reference.get("meta")?.get("href")?.as_str()?;
    href.split(['?', '#']).next()?.trim_end_matches('/').rsplit('/').next()?.parse().ok()
}

/// Numbers are shown as floats, without a loss of digits.
pub(super) fn float(number: &Number) -> Value {
    let text = number.to_string();
    let text = if text.contains(['.', 'e', 'E']) { text } else { format!("{text}.0") };
    serde_json::from_str(&text).unwrap_or_else(|_| Value::Number(number.clone()))
}

/// A decimal as the API writes numbers.
pub(super) fn decimal_value(decimal: Decimal) -> Value {
    let text = decimal.normalize().to_string();
    let text = if text.contains('.') { text } else { format!("{text}.0") };
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// The number of a field; what is missing is nothing.
pub(super) fn decimal(value: Option<&Value>) -> Decimal {
    let Some(Value::Number(number)) = value else { return Decimal::ZERO };
    let text = number.to_string();
    text.parse().or_else(|_| Decimal::from_scientific(&text)).unwrap_or_default()
}

/// Moscow's time, UTC+3 all year, with milliseconds and without a zone.
pub(super) fn moscow_now() -> String {
    (chrono::Utc::now() + chrono::Duration::hours(3)).format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// A time as the API writes it, from one with or without seconds or milliseconds.
pub(super) fn full_time(text: &str) -> Option<String> {
    let full = match text.len() {
        10 => format!("{text} 00:00:00.000"),
        16 => format!("{text}:00.000"),
        19 => format!("{text}.000"),
        23 => text.to_owned(),
        _ => return None,
    };
    chrono::NaiveDateTime::parse_from_str(&full, "%Y-%m-%d %H:%M:%S%.3f").is_ok().then_some(full)
}

/// 22 characters, as `Cf0ehavIglre6sMX-J2rR2`.
pub(super) fn random_code() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes())
}

/// A number of the range that is free for a company's own use, with its check digit.
pub(super) fn random_ean13() -> String {
    let digits = format!("20{:010}", Uuid::new_v4().as_u128() % 10_000_000_000);
    let sum: u32 = digits
        .bytes()
        .enumerate()
        .map(|(index, digit)| u32::from(digit - b'0') * if index % 2 == 0 { 1 } else { 3 })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// Every `meta` object in a body.
pub(super) fn references<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("meta"));
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

/// How deep arrays and objects are nested; a plain value is 0.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What is empty is not stored, and so not shown.
pub(super) fn set_or_clear(fields: &mut Map<String, Value>, name: &str, value: &Value) {
    let empty = value.is_null() || value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty);
    if empty {
        fields.shift_remove(name);
    } else {
        fields.insert(name.to_owned(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ean13_has_its_check_digit() {
        for _ in 0..100 {
            let code = random_ean13();
            assert_eq!(code.len(), 13);
            let sum: u32 = code
                .bytes()
                .enumerate()
                .map(|(index, digit)| u32::from(digit - b'0') * if index % 2 == 0 { 1 } else { 3 })
                .sum();
            assert_eq!(sum % 10, 0, "{code}");
        }
    }

    #[test]
    fn times_are_completed_and_nonsense_is_refused() {
        assert_eq!(full_time("2026-01-23 10:44").as_deref(), Some("2026-01-23 10:44:00.000"));
        assert_eq!(full_time("2026-01-23 10:44:23").as_deref(), Some("2026-01-23 10:44:23.000"));
        assert_eq!(full_time("2026-13-23 10:44:23"), None);
        assert_eq!(full_time("yesterday"), None);
    }

    #[test]
    fn numbers_keep_their_digits() {
        let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        assert_eq!(float(&number("346347237000")).to_string(), "346347237000.0");
        assert_eq!(float(&number("12345.678901234567890123")).to_string(), "12345.678901234567890123");
        assert_eq!(decimal_value("111100.00".parse().unwrap()).to_string(), "111100.0");
    }
}
