//! Templates: text with references in braces.

use super::reference::Reference;
use serde::Deserialize;

/// Text with references in braces; `{{` and `}}` are braces, `{ref?}` may be absent, `{ref!}` must be there and is not
/// written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template {
    pub(super) parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Stands as it is.
    Text(String),
    /// A value of the request.
    Value { reference: Reference, presence: Presence },
}

/// What the absence of a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Without it the template does not resolve.
    Needed,
    /// It may be absent.
    Optional,
    /// Without it the template does not resolve; it is not written.
    Guard,
}

impl Template {
    /// Reads a template; the error names what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err("a `}` closes nothing; write `}}` for a brace".to_owned());
            }
            let Some(end) = rest.find('}') else {
                return Err("a `{` is not closed; write `{{` for a brace".to_owned());
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            let name = &rest[..end];
            let (name, presence) = match name.as_bytes().last() {
                Some(b'?') => (&name[..end - 1], Presence::Optional),
                Some(b'!') => (&name[..end - 1], Presence::Guard),
                _ => (name, Presence::Needed),
            };
            parts.push(Part::Value { reference: Reference::parse(name)?, presence });
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// Fills in the values; `None` if one that must be there is absent.
    pub(super) fn render<'v>(
        &self,
        value: impl Fn(&Reference) -> Option<std::borrow::Cow<'v, [u8]>>,
    ) -> Option<Vec<u8>> {
        let mut rendered = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => rendered.extend_from_slice(text.as_bytes()),
                Part::Value { reference, presence } => match (value(reference), presence) {
                    (Some(_), Presence::Guard) | (None, Presence::Optional) => {}
                    (Some(value), _) => rendered.extend_from_slice(&value),
                    (None, _) => return None,
                },
            }
        }
        Some(rendered)
    }

    /// The values that it is made of.
    pub(super) fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { reference, .. } => Some(reference),
            Part::Text(_) => None,
        })
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

/// One template, or several of which the first that resolves counts.
pub(super) type Choice = OneOrMany<Template>;

/// One of something, or a list of them.
#[derive(Debug, Clone)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for List<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("one, or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(serde::de::value::StrDeserializer::new(text)).map(|one| OneOrMany(vec![one]))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(|one| OneOrMany(vec![one]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMany(all))
            }
        }
        deserializer.deserialize_any(List(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn render(text: &str) -> Option<String> {
        let template = Template::parse(text).unwrap();
        let rendered = template.render(|reference| match reference {
            Reference::Header(name) if name == "a" => Some(Cow::Borrowed(b"1")),
            _ => None,
        })?;
        Some(String::from_utf8(rendered).unwrap())
    }

    #[test]
    fn values_are_filled_in_and_braces_kept() {
        assert_eq!(render("x{header:A}y").as_deref(), Some("x1y"));
        assert_eq!(render("{{{header:a}}}").as_deref(), Some("{1}"));
        assert_eq!(render("x{header:b?}y").as_deref(), Some("xy"));
        assert_eq!(render("x{header:b}y"), None);
        assert_eq!(render("x{header:a!}y").as_deref(), Some("xy"));
        assert_eq!(render("x{header:b!}y"), None);
        assert_eq!(render("").as_deref(), Some(""));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [("{body", "not closed"), ("body}", "closes nothing"), ("{bode}", "no reference")]
        {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_plain_text_stays(text in ".{0,80}") {
            let _ = Template::parse(&text);
            let escaped = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(render(&escaped), Some(text));
        }
    }
}
