//! JSON objects in which no key stands twice: of two equal keys one reader takes the first and another the last.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;

/// The object in `json`, if it is one and no object in it, however deep, has a key twice.
pub(super) fn object(json: &[u8]) -> Option<Map<String, Value>> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    Unique.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    match serde_json::from_slice(json).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Looks through a value and keeps nothing of it.
#[derive(Clone, Copy)]
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

macro_rules! plain {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E>(self, _: $type) -> Result<(), E> {
            Ok(())
        })*
    };
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON without repeated keys")
    }

    plain!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !seen.insert(key) {
                return Err(A::Error::custom("a key stands twice"));
            }
            entries.next_value_seed(self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_are_found_at_every_depth() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"c":[{"d":null,"d":true}]}}"#,
            r#"{"a":1.5,"a":1}"#,
        ] {
            assert_eq!(object(json.as_bytes()), None, "{json}");
        }
        let fine = r#"{"a":{"a":1,"b":[1,1.5,-2,1e9,"x",true,null,{"a":{}}]},"b":[]}"#;
        assert_eq!(object(fine.as_bytes()), serde_json::from_str(fine).ok());
    }

    #[test]
    fn only_one_whole_object_is_one() {
        for json in ["", "[]", "1", "null", "\"a\"", "{", "{} {}", "{\"a\":}", "\u{feff}{}"] {
            assert_eq!(object(json.as_bytes()), None, "{json}");
        }
        assert_eq!(object(&[b'{', b'"', 0xff, b'"', b':', b'1', b'}']), None);
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(object(deep.as_bytes()), None);
        assert!(object(b" {} \n").is_some());
    }
}
