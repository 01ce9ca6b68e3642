//! References: the names of values in a request, as tables write them (docs/providers.md lists them all).

use crate::providers::proof::Hash;
use serde::Deserialize;

/// The name of one value of a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Reference {
    /// A header that stands once.
    Header(String),
    /// All lines of a header, joined with a comma.
    Headers(String),
    /// All headers whose name begins so; only where signatures are looked for.
    HeaderPrefix(String),
    /// A decoded query parameter.
    Query(String),
    /// A decoded form field.
    Form(String),
    /// All form fields, sorted and joined Twilio's way.
    FormSorted,
    /// JSON pointer into the body.
    Json(String),
    /// First key at the top of the body that is not this one.
    JsonKeyBeside(String),
    /// JSON pointer into the current item.
    Item(String),
    /// JSON pointer into the element that holds the current item's list.
    Around(String),
    /// A value of a signature made of pairs.
    Signature(String),
    /// Text of the proof's time.
    Time,
    /// Raw body.
    Body,
    /// Hash of the raw body.
    BodyHash(Hash, Text),
    /// CRC-32 of the raw body, unsigned decimal.
    BodyCrc32,
    /// Request method.
    Method,
    /// Public URL with its query.
    Url,
    /// Public URL with `HubSpot`'s set of escapes decoded.
    UrlDecoded,
    /// Path without the query.
    Path,
    /// Last segment of the route with a token.
    PathToken,
    /// Place of the item in its batch.
    Index,
    /// An id that nobody has had before.
    Unique,
    /// The configured secret.
    Secret,
    /// A configured parameter.
    Param(String),
    /// Id of the key that a token names.
    KeyId,
    /// HMAC-SHA256 of another value under the first secret.
    Hmac(Text, Box<Reference>),
    /// SHA-256 of another value, in hex.
    Sha256(Box<Reference>),
    /// Another value, decoded from base64.
    Base64Decoded(Box<Reference>),
    /// Another value as a JSON string with its quotes.
    JsonString(Box<Reference>),
}

/// Most references that are made of one another; each is a call further down the stack.
const MAX_NESTING: usize = 8;

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// Lower-case hex.
    Hex,
    /// Standard base64.
    Base64,
}

impl Reference {
    /// Reads a reference; the error names what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::nested(text, MAX_NESTING)
    }

    fn nested(text: &str, deeper: usize) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').map_or((text, None), |(kind, name)| (kind, Some(name)));
        let named = |make: fn(String) -> Self| match name {
            Some(name) if !name.is_empty() => Ok(make(name.to_owned())),
            _ => Err(format!("`{kind}:` needs a name behind it")),
        };
        let pointer = |make: fn(String) -> Self| match name {
            Some(name) if name.is_empty() || name.starts_with('/') => Ok(make(name.to_owned())),
            _ => Err(format!("`{kind}:` needs a JSON pointer such as `/data/id` behind it")),
        };
        let inner = || match name {
            Some(_) if deeper == 0 => Err(format!("more than {MAX_NESTING} references in one another")),
            Some(name) => Self::nested(name, deeper - 1).map(Box::new),
            None => Err(format!("`{kind}:` needs a reference behind it")),
        };
        match kind {
            "header" => named(|name| Self::Header(name.to_ascii_lowercase())),
            "headers" => named(|name| Self::Headers(name.to_ascii_lowercase())),
            "header_prefix" => named(|name| Self::HeaderPrefix(name.to_ascii_lowercase())),
            "query" => named(Self::Query),
            "form" => named(Self::Form),
            "json" => pointer(Self::Json),
            "item" => pointer(Self::Item),
            "around" => pointer(Self::Around),
            "json_key_beside" => {
                pointer(|pointer| Self::JsonKeyBeside(pointer.trim_start_matches('/').to_owned()))
            }
            "signature" => named(Self::Signature),
            "param" => named(Self::Param),
            "hmac_sha256_hex" => Ok(Self::Hmac(Text::Hex, inner()?)),
            "hmac_sha256_base64" => Ok(Self::Hmac(Text::Base64, inner()?)),
            "sha256_hex" => Ok(Self::Sha256(inner()?)),
            "base64_decoded" => Ok(Self::Base64Decoded(inner()?)),
            "json_string" => Ok(Self::JsonString(inner()?)),
            _ if name.is_some() => Err(format!("there is no reference `{kind}:…`")),
            "form_sorted" => Ok(Self::FormSorted),
            "time" => Ok(Self::Time),
            "body" => Ok(Self::Body),
            "body_sha256" => Ok(Self::BodyHash(Hash::Sha256, Text::Hex)),
            "body_sha256_base64" => Ok(Self::BodyHash(Hash::Sha256, Text::Base64)),
            "body_md5" => Ok(Self::BodyHash(Hash::Md5, Text::Hex)),
            "body_crc32" => Ok(Self::BodyCrc32),
            "method" => Ok(Self::Method),
            "url" => Ok(Self::Url),
            "url_decoded" => Ok(Self::UrlDecoded),
            "path" => Ok(Self::Path),
            "path_token" => Ok(Self::PathToken),
            "index" => Ok(Self::Index),
            "secret" => Ok(Self::Secret),
            "kid" => Ok(Self::KeyId),
            "unique" => Ok(Self::Unique),
            _ => Err(format!("there is no reference `{kind}`")),
        }
    }

    /// Whether this value, or one that it is made of, fits `test`.
    pub(super) fn involves(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        let inner = match self {
            Self::Hmac(_, inner)
            | Self::Sha256(inner)
            | Self::Base64Decoded(inner)
            | Self::JsonString(inner) => Some(inner),
            _ => None,
        };
        test(self) || inner.is_some_and(|inner| inner.involves(test))
    }
}

/// As tables write it.
impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Headers(name) => write!(f, "headers:{name}"),
            Self::HeaderPrefix(name) => write!(f, "header_prefix:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Form(name) => write!(f, "form:{name}"),
            Self::Json(pointer) => write!(f, "json:{pointer}"),
            Self::JsonKeyBeside(name) => write!(f, "json_key_beside:/{name}"),
            Self::Item(pointer) => write!(f, "item:{pointer}"),
            Self::Around(pointer) => write!(f, "around:{pointer}"),
            Self::Unique => f.write_str("unique"),
            Self::Signature(name) => write!(f, "signature:{name}"),
            Self::Param(name) => write!(f, "param:{name}"),
            Self::FormSorted => f.write_str("form_sorted"),
            Self::Time => f.write_str("time"),
            Self::Body => f.write_str("body"),
            Self::BodyHash(Hash::Md5, _) => f.write_str("body_md5"),
            Self::BodyHash(_, Text::Hex) => f.write_str("body_sha256"),
            Self::BodyHash(_, Text::Base64) => f.write_str("body_sha256_base64"),
            Self::BodyCrc32 => f.write_str("body_crc32"),
            Self::Method => f.write_str("method"),
            Self::Url => f.write_str("url"),
            Self::UrlDecoded => f.write_str("url_decoded"),
            Self::Path => f.write_str("path"),
            Self::PathToken => f.write_str("path_token"),
            Self::Index => f.write_str("index"),
            Self::Secret => f.write_str("secret"),
            Self::KeyId => f.write_str("kid"),
            Self::Hmac(Text::Hex, inner) => write!(f, "hmac_sha256_hex:{inner}"),
            Self::Hmac(Text::Base64, inner) => write!(f, "hmac_sha256_base64:{inner}"),
            Self::Sha256(inner) => write!(f, "sha256_hex:{inner}"),
            Self::Base64Decoded(inner) => write!(f, "base64_decoded:{inner}"),
            Self::JsonString(inner) => write!(f, "json_string:{inner}"),
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_are_read_and_mistakes_named() {
        assert_eq!(Reference::parse("header:X-Sig"), Ok(Reference::Header("x-sig".to_owned())));
        assert_eq!(Reference::parse("json:"), Ok(Reference::Json(String::new())));
        assert!(matches!(Reference::parse("hmac_sha256_hex:json:/a"), Ok(Reference::Hmac(Text::Hex, _))));
        for (text, part) in [
            ("header", "needs a name"),
            ("header:", "needs a name"),
            ("json:a", "JSON pointer"),
            ("cookie:a", "no reference `cookie:…`"),
            ("bodie", "no reference `bodie`"),
            ("body:x", "no reference `body:…`"),
            ("sha256_hex", "needs a reference"),
            (&("sha256_hex:".repeat(100_000) + "body"), "in one another"),
        ] {
            let error = Reference::parse(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(Reference::parse(&("sha256_hex:".repeat(MAX_NESTING) + "body")).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(text in "[a-z_0-9:/A-Z]{0,60}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = Reference::parse(&text);
        }
    }
}
