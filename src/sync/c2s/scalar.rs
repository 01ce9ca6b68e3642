//! JSON as upstreams in PHP write it: a number as text, an empty object as `[]`, a missing list as `null`.
//!
//! Nothing is read into a generic value on the way: a part is looked at in place, in the reply's own bytes, and only the
//! fields that a type names are taken.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A text, a number as it is written, or a boolean; anything else reads as absent.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    /// No such value.
    #[default]
    Absent,
    /// A text.
    Text(Cow<'a, str>),
    /// A number's digits.
    Number(&'a str),
    /// `true` or `false`.
    Flag(bool),
}

impl Scalar<'_> {
    /// The text or the number, if it says something: blanks and the phrases for "unknown" do not.
    pub(super) fn text(&self) -> Option<String> {
        let text = match self {
            Self::Text(text) => text.trim(),
            Self::Number(number) => number,
            Self::Absent | Self::Flag(_) => return None,
        };
        let unknown = matches!(
            text.to_lowercase().trim_end_matches('.'),
            "" | "-" | "--" | "null" | "não consta" | "sem informação" | "nao consta" | "sem informacao"
        );
        (!unknown).then(|| text.to_owned())
    }

    /// Whether it says yes.
    pub(super) fn is_yes(&self) -> bool {
        match self {
            Self::Flag(flag) => *flag,
            Self::Text(text) => matches!(text.trim().to_lowercase().as_str(), "sim" | "s" | "true" | "1"),
            Self::Number(number) => *number == "1",
            Self::Absent => false,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match raw.as_bytes().first() {
            Some(b'"') => match serde_json::from_str::<&str>(raw) {
                Ok(text) => Self::Text(text.into()),
                // An escape in it: it cannot be borrowed.
                Err(_) => {
                    serde_json::from_str(raw).map_or(Self::Absent, |text: String| Self::Text(text.into()))
                }
            },
            Some(b'-' | b'0'..=b'9') => Self::Number(raw),
            Some(b't') => Self::Flag(true),
            Some(b'f') => Self::Flag(false),
            _ => Self::Absent,
        })
    }
}

/// An object; anything that is no object, or not one of this form, reads as absent.
pub(super) struct Block<T>(pub(super) Option<T>);

impl<T> Default for Block<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Block<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Ok(Self(raw.starts_with('{').then(|| serde_json::from_str(raw).ok()).flatten()))
    }
}

/// The objects of a list; anything that is no list reads as an empty one.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let blocks: Vec<Block<T>> =
            if raw.starts_with('[') { serde_json::from_str(raw).unwrap_or_default() } else { Vec::new() };
        Ok(Self(blocks.into_iter().filter_map(|block| block.0).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow, default)]
        value: Scalar<'a>,
    }

    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow, default)]
        block: Block<Row<'a>>,
        #[serde(borrow, default)]
        list: List<Row<'a>>,
    }

    fn text(json: &str) -> Option<String> {
        serde_json::from_str::<Row<'_>>(&format!(r#"{{"value":{json}}}"#)).unwrap().value.text()
    }

    #[test]
    fn scalars_of_all_kinds_are_read_and_others_are_absent() {
        assert_eq!(text(r#"" a\u00e7\u00e3o ""#).as_deref(), Some("ação"));
        assert_eq!(text("5000.50").as_deref(), Some("5000.50"));
        for json in ["null", "[1]", r#"{"a":1}"#, r#""""#, r#""Não consta.""#, r#""SEM INFORMAÇÃO""#, "true"]
        {
            assert_eq!(text(json), None, "{json}");
        }
        let yes = |json: &str| serde_json::from_str::<Scalar<'_>>(json).unwrap().is_yes();
        assert!(yes("true") && yes(r#""SIM""#) && yes("1"));
        assert!(!yes("false") && !yes(r#""NÃO""#) && !yes("null"));
    }

    #[test]
    fn a_part_of_another_form_is_absent_and_does_not_spoil_the_rest() {
        let read = |json: &str| {
            let outer: Outer<'_> = serde_json::from_str(json).unwrap();
            let list: Vec<_> = outer.list.0.iter().filter_map(|row| row.value.text()).collect();
            (outer.block.0.and_then(|row| row.value.text()), list.join(","))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read(r#"{"block":{"value":"a","b":[{}]},"list":[{"value":1},2,{"value":3}]}"#),
            (some("a"), "1,3".to_owned())
        );
        assert_eq!(read(r#"{"block":[],"list":{}}"#), (None, String::new()));
        assert_eq!(read(r#"{"block":"x","list":null}"#), (None, String::new()));
        assert_eq!(read("{}"), (None, String::new()));
    }
}
