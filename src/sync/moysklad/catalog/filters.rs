//! Which of main's entities are created in a child.

use crate::sync::moysklad::api::id_of;
use crate::sync::moysklad::settings::{AttributeCondition, Comparison, ProductFilter};
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

/// Whether some condition is about folders, so that main's folders must be known.
pub(super) fn need_folders(filters: &[ProductFilter]) -> bool {
    filters.iter().any(|filter| !matches!(filter, ProductFilter::Attribute(_)))
}

/// Whether the entity meets all conditions. `parents`: the folder in which each folder of main stands.
pub(super) fn accept(
    filters: &[ProductFilter],
    entity: &Value,
    parents: &HashMap<Uuid, Option<Uuid>>,
) -> bool {
    let inside = |folders: &[Uuid]| {
        let mut folder = entity.get("productFolder").and_then(id_of);
        // A cycle cannot be (23001), but a bound costs nothing.
        for _ in 0..100 {
            let Some(id) = folder else { return false };
            if folders.contains(&id) {
                return true;
            }
            folder = parents.get(&id).copied().flatten();
        }
        false
    };
    filters.iter().all(|filter| match filter {
        ProductFilter::FolderIn(folders) => inside(folders),
        ProductFilter::FolderNotIn(folders) => !inside(folders),
        ProductFilter::Attribute(condition) => meets(condition, entity),
    })
}

fn meets(condition: &AttributeCondition, entity: &Value) -> bool {
    let named = |attribute: &&Value| attribute["name"] == *condition.name;
    let value = entity["attributes"].as_array().into_iter().flatten().find(named).map(|one| &one["value"]);
    let value = value.filter(|value| !value.is_null());
    let Some(value) = value else {
        // A box that nobody ticked is not shown.
        let unticked = condition.value == Value::Bool(false);
        return match condition.is {
            Comparison::Unset | Comparison::NotEqual => !(condition.is == Comparison::NotEqual && unticked),
            Comparison::Equal => unticked,
            _ => false,
        };
    };
    // An element of a dictionary is known by its name.
    let value = value.get("name").unwrap_or(value);
    match condition.is {
        Comparison::Set => true,
        Comparison::Unset => false,
        Comparison::Equal => equal(value, &condition.value),
        Comparison::NotEqual => !equal(value, &condition.value),
        Comparison::Contains => match (value.as_str(), condition.value.as_str()) {
            (Some(text), Some(part)) => text.contains(part),
            _ => false,
        },
        Comparison::Less => order(value, &condition.value).is_some_and(std::cmp::Ordering::is_lt),
        Comparison::Greater => order(value, &condition.value).is_some_and(std::cmp::Ordering::is_gt),
    }
}

fn equal(value: &Value, other: &Value) -> bool {
    value == other || order(value, other).is_some_and(std::cmp::Ordering::is_eq)
}

fn order(value: &Value, other: &Value) -> Option<std::cmp::Ordering> {
    if let (Some(value), Some(other)) = (decimal(value), decimal(other)) {
        return Some(value.cmp(&other));
    }
    // Times are written so that their texts sort.
    Some(value.as_str()?.cmp(other.as_str()?))
}

fn decimal(value: &Value) -> Option<Decimal> {
    let text = value.is_number().then(|| value.to_string())?;
    Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attribute(is: Comparison, value: Value) -> ProductFilter {
        ProductFilter::Attribute(AttributeCondition { name: "A".to_owned(), is, value })
    }

    #[test]
    fn a_folder_counts_with_all_below_it() {
        let [top, middle, leaf, other] = [1, 2, 3, 4].map(Uuid::from_u128);
        let parents = HashMap::from([(leaf, Some(middle)), (middle, Some(top)), (top, None), (other, None)]);
        let product =
            json!({"productFolder": {"meta": {"href": format!("https://h/entity/productfolder/{leaf}")}}});
        assert!(accept(&[ProductFilter::FolderIn(vec![top])], &product, &parents));
        assert!(!accept(&[ProductFilter::FolderNotIn(vec![middle])], &product, &parents));
        assert!(accept(&[ProductFilter::FolderNotIn(vec![other])], &product, &parents));
        assert!(!accept(&[ProductFilter::FolderIn(vec![top])], &json!({}), &parents));
    }

    #[test]
    fn attributes_are_compared_by_their_type() {
        let with = |value: Value| json!({"attributes": [{"name": "A", "value": value}]});
        let none = HashMap::new();
        for (filter, entity, expected) in [
            (attribute(Comparison::Equal, json!("x")), with(json!("x")), true),
            (attribute(Comparison::Equal, json!(1)), with(json!(1.0)), true),
            (attribute(Comparison::Equal, json!("Red")), with(json!({"meta": {}, "name": "Red"})), true),
            (attribute(Comparison::NotEqual, json!("x")), json!({}), true),
            (attribute(Comparison::Equal, json!(false)), json!({}), true),
            (attribute(Comparison::NotEqual, json!(false)), json!({}), false),
            (attribute(Comparison::Contains, json!("b")), with(json!("abc")), true),
            (attribute(Comparison::Less, json!(10)), with(json!(9.5)), true),
            (attribute(Comparison::Greater, json!("2026-01-01")), with(json!("2026-02-01 00:00:00")), true),
            (attribute(Comparison::Set, Value::Null), json!({}), false),
            (attribute(Comparison::Unset, Value::Null), json!({}), true),
        ] {
            assert_eq!(
                accept(std::slice::from_ref(&filter), &entity, &none),
                expected,
                "{filter:?} {entity}"
            );
        }
    }
}
