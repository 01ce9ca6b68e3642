//! The query of a list: `filter`, `limit`, `offset`, `expand`.

use super::entity::Refused;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A list request that was understood.
pub(super) struct List {
    conditions: BTreeMap<String, Vec<String>>,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// Fields by which products can be filtered here.
const FIELDS: [&str; 7] = ["id", "name", "code", "externalCode", "article", "archived", "syncId"];

impl List {
    pub(super) fn read(query: &[(String, String)]) -> Result<Self, Refused> {
        let mut list = Self { conditions: BTreeMap::new(), limit: 1000, offset: 0 };
        for (name, value) in query {
            match &**name {
                "filter" => list.read_filter(value)?,
                "limit" => {
                    list.limit = value
                        .parse()
                        .ok()
                        .filter(|n| (1..=1000).contains(n))
                        .ok_or(Refused::new(400, 1014))?;
                }
                "offset" => list.offset = value.parse().map_err(|_| Refused::new(400, 1014))?,
                // Silently without effect above 100 rows, and this cut of the simulator has nothing to expand.
                "expand" => {}
                _ => return Err(Refused::field(400, 1014, name)),
            }
        }
        Ok(list)
    }

    fn read_filter(&mut self, filter: &str) -> Result<(), Refused> {
        for condition in split(filter) {
            let (field, value) = condition.split_once('=').ok_or(Refused::new(412, 1034))?;
            if field.ends_with(['!', '<', '>', '~']) || value.starts_with('~') || !FIELDS.contains(&field) {
                return Err(Refused::field(412, 1034, field));
            }
            self.conditions.entry(field.to_owned()).or_default().push(value.to_owned());
        }
        Ok(())
    }

    /// One field repeated means "or", different fields mean "and"; archived products show only when asked for.
    pub(super) fn shows(&self, product: &Map<String, Value>) -> bool {
        let archived = product.get("archived") == Some(&Value::Bool(true));
        let hidden =
            archived && !self.conditions.contains_key("archived") && !self.conditions.contains_key("id");
        !hidden
            && self.conditions.iter().all(|(field, wanted)| match product.get(field) {
                Some(Value::String(text)) => wanted.contains(text),
                Some(Value::Bool(flag)) => wanted.contains(&flag.to_string()),
                _ => wanted.iter().any(String::is_empty),
            })
    }
}

/// Conditions are joined by `;`; in a value it is written `\;`.
fn split(filter: &str) -> Vec<String> {
    let mut conditions = vec![String::new()];
    let mut characters = filter.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&';') => {
                conditions.last_mut().unwrap().extend(characters.next());
            }
            ';' => conditions.push(String::new()),
            other => conditions.last_mut().unwrap().push(other),
        }
    }
    conditions.retain(|condition| !condition.is_empty());
    conditions
}
