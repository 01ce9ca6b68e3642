//! Reads of a JSON text only what a table points at; the rest is checked and not kept.
//!
//! It never decides anything alone: what it does not take for plain JSON is read into a tree, as it would be without it.

use super::reference::Reference;
use super::table::{Event, Table};
use super::template::Template;
use crate::providers::json;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// What a table points at, as a tree of the steps that lead there.
#[derive(Debug, Default)]
pub(super) struct Pointers {
    places: Vec<Place>,
    root: Node,
    slots: usize,
}

/// Where the value of a pointer is found.
#[derive(Debug)]
pub(super) struct Place {
    pointer: String,
    /// Of the value that is kept: this one, or one that holds it.
    slot: usize,
    /// The way from there.
    rest: String,
}

/// A value on the way.
#[derive(Debug, Default)]
struct Node {
    /// Where its value is kept, if a pointer ends here. Then nothing below has a node of its own.
    slot: Option<usize>,
    children: Vec<Child>,
}

#[derive(Debug)]
struct Child {
    key: String,
    /// The key as a place in an array, if it can be one.
    index: Option<usize>,
    node: Node,
}

/// The values that were found, by slot.
pub(super) struct Picked(Vec<Option<Value>>);

impl Pointers {
    /// What the events and the conditions of a table point at. A pointer that stands elsewhere is found in the tree.
    pub(super) fn of(table: &Table) -> Self {
        let conditions = table.verify.iter().map(|rule| &rule.get_ref().when);
        let conditions = conditions.chain(table.handshake.iter().map(|rule| &rule.get_ref().when));
        let mut all: Vec<&str> =
            conditions.flat_map(|when| when.json.keys().chain(&when.json_has)).map(String::as_str).collect();
        if let Some(event) = &table.event {
            all.extend(of_event(event.get_ref()));
        }
        Self::new(all)
    }

    fn new(mut all: Vec<&str>) -> Self {
        all.sort_unstable();
        all.dedup();
        let mut pointers = Self::default();
        for pointer in all {
            pointers.add(pointer);
        }
        pointers
    }

    /// Must be called in ascending order, so that a pointer comes before those that begin with it.
    fn add(&mut self, pointer: &str) {
        let mut node = &mut self.root;
        let mut rest = pointer;
        while node.slot.is_none() {
            let Some(behind) = rest.strip_prefix('/') else { break };
            let (step, further) = behind.find('/').map_or((behind, ""), |at| behind.split_at(at));
            rest = further;
            let key = step.replace("~1", "/").replace("~0", "~");
            let at = node.children.iter().position(|child| child.key == key).unwrap_or_else(|| {
                node.children.push(Child { index: index(&key), key, node: Node::default() });
                node.children.len() - 1
            });
            node = &mut node.children[at].node;
        }
        let slot = *node.slot.get_or_insert_with(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.places.push(Place { pointer: pointer.to_owned(), slot, rest: rest.to_owned() });
    }

    /// Reads the text; `None` if it is not plain JSON, which does not mean that it is not JSON.
    pub(super) fn read(&self, text: &[u8]) -> Option<Picked> {
        let text = std::str::from_utf8(text).ok().filter(|text| is_plain(text))?;
        let mut picked = Picked(vec![None; self.slots]);
        let mut reader = serde_json::Deserializer::from_str(text);
        Walk { node: &self.root, picked: &mut picked }.deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        Some(picked)
    }

    /// Where the value of a pointer is found, if it is one of these.
    pub(super) fn place(&self, pointer: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.pointer == pointer)
    }
}

impl Picked {
    /// What was at this place.
    pub(super) fn at(&self, place: &Place) -> Option<&Value> {
        self.0[place.slot].as_ref()?.pointer(&place.rest)
    }
}

fn of_event(event: &Event) -> impl Iterator<Item = &str> {
    let texts = [&event.id, &event.r#type, &event.subject].into_iter().flat_map(|choice| &choice.0);
    let texts = texts.chain(&event.replay_key).flat_map(Template::references);
    let all = texts.chain(event.time.0.iter().map(|time| &time.from)).chain(event.envelope.values());
    all.filter_map(|reference| match reference {
        Reference::Json(pointer) => Some(pointer.as_str()),
        _ => None,
    })
}

/// The place in an array that a step of a pointer names (RFC 6901).
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with(['0', '+']);
    step.parse().ok().filter(|_| plain)
}

/// Whether leaving something out cannot hide a fault that a tree would show: lone surrogates, and the keys by which
/// `serde_json` marks values of its own (they begin with a dollar sign).
fn is_plain(text: &str) -> bool {
    let hides = || ["\\ud", "\\uD", "\\u0024"].into_iter().any(|escape| text.contains(escape));
    let odd = text.contains("\"$") || text.contains("\\u") && hides();
    !odd && !json::too_deep(text.as_bytes())
}

/// Goes down to what is pointed at.
struct Walk<'n, 'p> {
    node: &'n Node,
    picked: &'p mut Picked,
}

impl Walk<'_, '_> {
    /// Of a key that stands twice the last counts, as in a tree.
    fn forget(node: &Node, picked: &mut Picked) {
        if let Some(slot) = node.slot {
            picked.0[slot] = None;
        }
        for child in &node.children {
            Self::forget(&child.node, picked);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        match self.node.slot {
            Some(slot) => {
                self.picked.0[slot] = Some(serde::Deserialize::deserialize(reader)?);
                Ok(())
            }
            None if self.node.children.is_empty() => reader.deserialize_ignored_any(IgnoredAny).map(|_| ()),
            None => reader.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { node, picked } = self;
        while let Some(child) = map.next_key_seed(Key(&node.children))? {
            match child {
                Some(child) => {
                    Walk::forget(&child.node, picked);
                    map.next_value_seed(Walk { node: &child.node, picked: &mut *picked })?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { node, picked } = self;
        for at in 0.. {
            let next = match node.children.iter().find(|child| child.index == Some(at)) {
                Some(child) => list.next_element_seed(Walk { node: &child.node, picked: &mut *picked })?,
                None => list.next_element::<IgnoredAny>()?.map(|_| ()),
            };
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a key; gives the child that it leads to.
struct Key<'n>(&'n [Child]);

impl<'de, 'n> DeserializeSeed<'de> for Key<'n> {
    type Value = Option<&'n Child>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Key<'n> {
    type Value = Option<&'n Child>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        // A number where an object could be: it comes as a map with one key, as `serde_json` writes it.
        if key.starts_with('$') {
            return Err(E::custom("not plain"));
        }
        Ok(self.0.iter().find(|child| child.key == key))
    }
}

#[cfg(test)]
mod tests;
