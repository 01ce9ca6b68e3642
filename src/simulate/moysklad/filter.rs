//! The filter of a list. Source: facts/moysklad.md, section 4.5.

use super::account::{Account, Entity};
use super::json::{decimal, full_time, id_of};
use super::kind::{Field, Kind};
use super::refused::Refused;
use serde_json::Value;
use uuid::Uuid;

/// How a condition compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    StartsWith,
    EndsWith,
}

/// Longer ones first.
const OPERATORS: [(&str, Operator); 9] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("~=", Operator::StartsWith),
    ("=~", Operator::EndsWith),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Contains),
];

/// References by which lists can be filtered.
const REFERENCES: [&str; 15] = [
    "agent",
    "ownAgent",
    "owner",
    "group",
    "parent",
    "contract",
    "project",
    "organization",
    "store",
    "agentStore",
    "supplier",
    "retailStore",
    "productFolder",
    "state",
    "product",
];

/// Conditions on one field.
#[derive(Debug)]
struct Condition {
    field: String,
    tests: Vec<(Operator, String)>,
}

/// A filter that was understood.
#[derive(Debug, Default)]
pub(super) struct Filter {
    conditions: Vec<Condition>,
}

impl Filter {
    pub(super) fn read(text: &str) -> Result<Self, Refused> {
        let mut filter = Self::default();
        for condition in split(text) {
            let start = condition.find(['=', '!', '<', '>', '~']).ok_or(Refused::new(412, 1034))?;
            let (field, rest) = condition.split_at(start);
            let found =
                OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)));
            let (operator, value) = found.ok_or(Refused::field(412, 1034, field))?;
            let known = filter.conditions.iter_mut().find(|known| known.field == field);
            match known {
                Some(known) => known.tests.push((operator, value.to_owned())),
                None => filter
                    .conditions
                    .push(Condition { field: field.to_owned(), tests: vec![(operator, value.to_owned())] }),
            }
        }
        for condition in &filter.conditions {
            let has = |wanted: &[Operator]| condition.tests.iter().any(|test| wanted.contains(&test.0));
            let unequal = [
                Operator::NotEqual,
                Operator::Less,
                Operator::LessOrEqual,
                Operator::Greater,
                Operator::GreaterOrEqual,
            ];
            if has(&[Operator::Equal]) && has(&unequal) {
                return Err(Refused::field(412, 1034, &condition.field));
            }
        }
        Ok(filter)
    }

    fn names(&self, field: &str) -> bool {
        self.conditions.iter().any(|condition| condition.field == field)
    }

    /// Ids that are asked for, when nothing else is.
    pub(super) fn only_ids(&self) -> Option<Vec<Uuid>> {
        let [condition] = self.conditions.as_slice() else { return None };
        if condition.field != "id" || condition.tests.iter().any(|test| test.0 != Operator::Equal) {
            return None;
        }
        Some(condition.tests.iter().filter_map(|test| test.1.parse().ok()).collect())
    }

    /// Refuses fields by which this kind cannot be filtered (1034).
    pub(super) fn check(&self, kind: &Kind, account: &Account) -> Result<(), Refused> {
        for Condition { field, tests } in &self.conditions {
            if let Some(path) = field.strip_prefix(account.base.as_str()) {
                let id = path.rsplit('/').next().and_then(|id| id.parse::<Uuid>().ok());
                let known = account.attributes_of(kind).iter().any(|attribute| Some(attribute.id) == id);
                if !known {
                    return Err(Refused::field(412, 1034, field));
                }
                continue;
            }
            let good = match field.as_str() {
                "id" | "updated" | "accountId" | "externalCode" => true,
                "archived" => kind.archives,
                "syncId" => kind.has_sync_id,
                "pathName" | "productFolder" => kind.has(Field::Reference(&["productfolder"])),
                "productid" => kind.keyword == "variant",
                "name" => kind.keyword == "variant" || kind.field("name").is_some(),
                "barcode" | "type" => kind.has(Field::Barcodes),
                "created" | "deleted" | "isDeleted" | "sum" | "state.name" | "assortment" => kind.is_document,
                name if REFERENCES.contains(&name) => kind.field(name).is_some(),
                name => matches!(
                    kind.field(name),
                    Some(
                        Field::Text(_)
                            | Field::Bool
                            | Field::Flag
                            | Field::Int
                            | Field::Float
                            | Field::Minute
                            | Field::Enum(_)
                    )
                ),
            };
            if !good {
                return Err(Refused::field(412, 1034, field));
            }
            for (operator, value) in tests {
                let is_time = matches!(field.as_str(), "updated" | "created" | "deleted" | "moment");
                if is_time && !value.is_empty() && full_time(value).is_none() {
                    return Err(Refused::field(412, 1035, field));
                }
                let is_text = matches!(kind.field(field), Some(Field::Text(_))) || field == "name";
                let fuzzy =
                    matches!(operator, Operator::Contains | Operator::StartsWith | Operator::EndsWith);
                if fuzzy && !is_text && field != "pathName" && !field.contains("://") {
                    return Err(Refused::field(412, 1034, field));
                }
            }
        }
        Ok(())
    }

    /// Whether a list shows this entity. What is archived, or in the bin, shows only when asked for.
    pub(super) fn shows(&self, account: &Account, entity: &Entity) -> bool {
        let archived = entity.fields.get("archived") == Some(&Value::Bool(true));
        if archived && entity.kind.archives && !self.names("archived") && !self.names("id") {
            return false;
        }
        if Account::is_in_bin(entity) && !self.names("isDeleted") {
            return false;
        }
        self.conditions.iter().all(|condition| condition.holds(account, entity))
    }
}

impl Condition {
    fn holds(&self, account: &Account, entity: &Entity) -> bool {
        // Hundreds of codes are looked up in thousands of products: without a copy of each.
        let is_lookup = matches!(self.field.as_str(), "code" | "externalCode" | "article" | "syncId")
            && self.tests.iter().all(|test| test.0 == Operator::Equal);
        if is_lookup {
            let own = entity.fields.get(&self.field).and_then(Value::as_str).unwrap_or_default();
            return self.tests.iter().any(|test| test.1 == own);
        }
        let values = self.values(account, entity);
        let holds = |(operator, wanted): &(Operator, String)| match operator {
            Operator::NotEqual => !values.iter().any(|value| compare(value, Operator::Equal, wanted)),
            Operator::Equal if wanted.is_empty() => values.is_empty(),
            operator => values.iter().any(|value| compare(value, *operator, wanted)),
        };
        // One field repeated with `=` means "or", anything else "and".
        let (equal, others): (Vec<_>, Vec<_>) = self.tests.iter().partition(|test| test.0 == Operator::Equal);
        (equal.is_empty() || equal.iter().any(|test| holds(test))) && others.iter().all(|test| holds(test))
    }

    /// What the entity has in this field; nothing where it is unset.
    fn values(&self, account: &Account, entity: &Entity) -> Vec<Value> {
        let fields = &entity.fields;
        let text = |text: String| if text.is_empty() { vec![] } else { vec![Value::String(text)] };
        match self.field.as_str() {
            "id" => vec![entity.id.to_string().into()],
            "accountId" => vec![account.id.to_string().into()],
            "type" => vec![entity.kind.keyword.into()],
            "name" => text(account.name_of(entity)),
            "productid" => {
                fields.get("product").and_then(id_of).map(|id| id.to_string().into()).into_iter().collect()
            }
            "archived" => vec![fields.get("archived").cloned().unwrap_or(false.into())],
            "isDeleted" => vec![Account::is_in_bin(entity).into()],
            "barcode" => {
                let barcodes = fields.get("barcodes").and_then(Value::as_array).into_iter().flatten();
                barcodes.filter_map(|barcode| barcode.as_object()?.values().next().cloned()).collect()
            }
            "pathName" => account.show(entity)["pathName"].as_str().map(Into::into).into_iter().collect(),
            "sum" => account.show(entity).get("sum").cloned().into_iter().collect(),
            "assortment" => {
                entity.parts.iter().filter_map(|part| part.fields.get("assortment").cloned()).collect()
            }
            "state.name" => {
                let id = fields.get("state").and_then(id_of);
                let states = account.states.get(entity.kind.keyword).into_iter().flatten();
                states.filter(|state| Some(state.id) == id).map(|state| state.name.as_str().into()).collect()
            }
            href if href.contains("://") => {
                let id = href.rsplit('/').next().unwrap_or_default();
                let own = fields.get("attributes").and_then(Value::as_array).into_iter().flatten();
                own.filter(|value| value["id"] == id)
                    .filter_map(|value| value.get("value").cloned())
                    .collect()
            }
            name => fields.get(name).cloned().into_iter().collect(),
        }
    }
}

fn compare(value: &Value, operator: Operator, wanted: &str) -> bool {
    use std::cmp::Ordering;
    let order = match value {
        Value::String(text) => {
            // A time may be written without milliseconds.
            let full = if text.len() == 23 { full_time(wanted) } else { None };
            let wanted = full.as_deref().unwrap_or(wanted);
            let (lower, sought) = (text.to_lowercase(), wanted.to_lowercase());
            match operator {
                Operator::Contains => return lower.contains(&sought),
                Operator::StartsWith => return lower.starts_with(&sought),
                Operator::EndsWith => return lower.ends_with(&sought),
                _ => text.as_str().cmp(wanted),
            }
        }
        Value::Number(_) => {
            let Ok(wanted) = wanted.parse::<rust_decimal::Decimal>() else { return false };
            decimal(Some(value)).cmp(&wanted)
        }
        Value::Bool(flag) => flag.to_string().as_str().cmp(wanted),
        Value::Object(_) => {
            let href = value["meta"]["href"].as_str().unwrap_or_default();
            href.cmp(wanted)
        }
        _ => return false,
    };
    match operator {
        Operator::Equal => order == Ordering::Equal,
        Operator::Less => order == Ordering::Less,
        Operator::LessOrEqual => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        Operator::GreaterOrEqual => order != Ordering::Less,
        _ => false,
    }
}

/// Conditions are joined by `;`; in a value it is written `\;`.
fn split(filter: &str) -> Vec<String> {
    let mut conditions = Vec::new();
    let mut condition = String::new();
    let mut characters = filter.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&';') => condition.extend(characters.next()),
            ';' => conditions.push(std::mem::take(&mut condition)),
            other => condition.push(other),
        }
    }
    conditions.push(condition);
    conditions.retain(|condition| !condition.is_empty());
    conditions
}
