//! Templates: text with references in braces.

use super::reference::Reference;
use serde::Deserialize;

/// Text with references in braces; `{{` and `}}` are braces, `{ref?}` may be absent.
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
    /// A value of the request; without it the template does not resolve, unless it is optional.
    Value { reference: Reference, optional: bool },
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
            let (name, optional) =
                rest[..end].strip_suffix('?').map_or((&rest[..end], false), |name| (name, true));
            parts.push(Part::Value { reference: Reference::parse(name)?, optional });
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
                Part::Value { reference, optional } => match value(reference) {
                    Some(value) => rendered.extend_from_slice(&value),
                    None if *optional => {}
                    None => return None,
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
#[derive(Debug, Clone, Default)]
pub(super) struct Choice(pub(super) Vec<Template>);

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> serde::de::Visitor<'de> for OneOrMany {
            type Value = Choice;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a template, or a list of templates")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Choice, E> {
                Template::parse(text).map(|template| Choice(vec![template])).map_err(E::custom)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Choice, A::Error> {
                let mut templates = Vec::new();
                while let Some(template) = list.next_element()? {
                    templates.push(template);
                }
                Ok(Choice(templates))
            }
        }
        deserializer.deserialize_any(OneOrMany)
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
