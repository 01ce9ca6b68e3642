//! Whether a product that the API shows is what we would write.

use super::api::id_of;
use rust_decimal::Decimal;
use serde_json::{Map, Number, Value};

/// Whether writing `fields` would change nothing.
pub(super) fn holds(fields: &Map<String, Value>, product: &Value) -> bool {
    fields.iter().all(|(name, ours)| match (&**name, ours) {
        ("salePrices", Value::Array(prices)) => holds_prices(prices, &product["salePrices"]),
        ("attributes", Value::Array(ours)) => holds_attributes(ours, &product["attributes"]),
        // Not shown in full; who writes them reads them.
        ("components", _) => true,
        ("characteristics", Value::Array(ours)) => {
            let theirs = product["characteristics"].as_array();
            let there = |one: &&Value| {
                theirs
                    .into_iter()
                    .flatten()
                    .any(|other| other["name"] == one["name"] && other["value"] == one["value"])
            };
            ours.len() == theirs.map_or(0, Vec::len) && ours.iter().all(|one| there(&one))
        }
        _ => same(ours, product.get(name)),
    })
}

/// Sale prices are merged by their type: those that are not ours do not count.
fn holds_prices(ours: &[Value], theirs: &Value) -> bool {
    ours.iter().all(|price| {
        let of_type = |other: &&Value| id_of(&other["priceType"]) == id_of(&price["priceType"]);
        same(price, theirs.as_array().into_iter().flatten().find(of_type))
    })
}

/// Attributes are merged by their id.
fn holds_attributes(ours: &[Value], theirs: &Value) -> bool {
    ours.iter().all(|attribute| {
        let same_one = |other: &&Value| id_of(other) == id_of(attribute);
        let there = theirs.as_array().into_iter().flatten().find(same_one);
        same(&attribute["value"], there.and_then(|there| there.get("value")))
    })
}

/// Whether what we would send is what is there. MoySklad does not show what is empty.
fn same(ours: &Value, theirs: Option<&Value>) -> bool {
    let theirs = theirs.unwrap_or(&Value::Null);
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => same_number(ours, theirs),
        (Value::Number(ours), Value::Null) => same_number(ours, &0.into()),
        (Value::String(ours), Value::Null) => ours.is_empty(),
        (Value::Bool(ours), Value::Null) => !ours,
        (Value::Array(ours), Value::Null) => ours.is_empty(),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, Some(theirs)))
        }
        (Value::Object(fields), Value::Object(_)) if fields.contains_key("meta") => {
            id_of(ours).is_some() && id_of(ours) == id_of(theirs)
        }
        (Value::Object(fields), Value::Object(other)) => {
            fields.iter().all(|(name, ours)| same(ours, other.get(name)))
        }
        _ => ours == theirs,
    }
}

/// Whether this is the number 0, or nothing.
pub(super) fn is_zero(value: &Value) -> bool {
    same(&0.into(), Some(value))
}

/// Whether both are the same number, however it is written.
pub(super) fn is_same_number(ours: &Value, theirs: &Value) -> bool {
    same(ours, Some(theirs))
}

/// `100` and `100.0` are one price.
fn same_number(ours: &Number, theirs: &Number) -> bool {
    let decimal = |number: &Number| {
        let text = number.to_string();
        Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok()
    };
    ours == theirs || decimal(ours).is_some_and(|ours| decimal(theirs) == Some(ours))
}
