//! Conditions on a request: which way to prove it, which handshake it is.

use super::scene::Scene;
use super::table::When;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

impl When {
    /// Whether all conditions hold for this request and this secret.
    pub(super) fn holds(&self, scene: &Scene<'_>, secret: Option<&SecretString>) -> bool {
        let request = scene.request;
        let header = |name: &str| {
            let name = name.to_ascii_lowercase();
            request
                .headers
                .iter()
                .find(|line| line.0 == name)
                .and_then(|line| std::str::from_utf8(line.1).ok())
        };
        let has = |name: &str| {
            let name = name.to_ascii_lowercase();
            request.headers.iter().any(|line| line.0 == name)
        };
        let content_type = || header("content-type").map(essence).unwrap_or_default();
        self.method.as_ref().is_none_or(|method| request.method.eq_ignore_ascii_case(method))
            && self.header.as_ref().is_none_or(|name| has(name))
            && self.no_header.as_ref().is_none_or(|name| !has(name))
            && self
                .header_is
                .iter()
                .all(|(name, value)| header(name).is_some_and(|given| essence(given) == value.to_lowercase()))
            && self
                .header_contains
                .iter()
                .all(|(name, part)| header(name).is_some_and(|given| given.contains(part.as_str())))
            && self.query.as_ref().is_none_or(|name| request.query_parameter(name).is_some())
            && self.content_type.as_ref().is_none_or(|wanted| content_type() == wanted.to_lowercase())
            && self.no_content_type.as_ref().is_none_or(|refused| content_type() != refused.to_lowercase())
            && self.secret_prefix.as_ref().is_none_or(|prefix| {
                secret.is_some_and(|secret| secret.expose_secret().starts_with(prefix.as_str()))
            })
            && self.param.as_ref().is_none_or(|name| scene.params.contains_key(name))
            && self.param_is.iter().all(|(name, value)| {
                scene.params.get(name).is_some_and(|given| given.expose_secret() == value)
            })
            && self.json.iter().all(|(pointer, wanted)| {
                let found = scene.json_at(pointer);
                found.is_some_and(|found| same(found, wanted))
            })
            && self.json_has.iter().all(|pointer| {
                let found = scene.json_at(pointer);
                found.is_some_and(|found| !found.is_null())
            })
    }

    /// Whether a condition has no effect on the choice, so that it always holds.
    pub(super) fn always(&self) -> bool {
        self.method.is_none()
            && self.header.is_none()
            && self.no_header.is_none()
            && self.header_is.is_empty()
            && self.header_contains.is_empty()
            && self.query.is_none()
            && self.json.is_empty()
            && self.json_has.is_empty()
            && self.secret_prefix.is_none()
            && self.content_type.is_none()
            && self.no_content_type.is_none()
            && self.param.is_none()
            && self.param_is.is_empty()
    }
}

/// A header's value without its parameters, in lower case.
fn essence(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_lowercase()
}

fn same(found: &Value, wanted: &toml::Value) -> bool {
    match wanted {
        toml::Value::String(text) => found.as_str() == Some(text),
        toml::Value::Integer(number) => found.as_i64() == Some(*number),
        toml::Value::Boolean(flag) => found.as_bool() == Some(*flag),
        _ => false,
    }
}
