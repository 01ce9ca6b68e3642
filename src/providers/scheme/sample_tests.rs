//! Whether a scheme's samples prove themselves.

use super::keys::Kind;
use super::table::KeyForm;
use super::{Scheme, SchemeProvider, Tables};
use crate::providers::{Check, Provider as _, RawRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::Utc;
use secrecy::SecretString;
use std::collections::BTreeMap;

/// A secret of the form that the scheme wants; `None` if only a key pair will do.
fn secret(scheme: &Scheme) -> Option<SecretString> {
    let rules: Vec<_> = scheme.table.verify.iter().map(toml::Spanned::get_ref).collect();
    let rule = rules.iter().find(|rule| {
        rule.when.secret_prefix.is_none() && rule.when.param_is.is_empty() && rule.when.param.is_none()
    })?;
    if rule.certificate.is_some()
        || matches!(rule.algorithm.kind(), Kind::Signature(_) | Kind::Jwt | Kind::Postback)
    {
        return None;
    }
    let bytes = b"0123456789abcdef0123456789abcdef";
    Some(SecretString::from(match rule.secret {
        KeyForm::Hex => hex::encode(bytes),
        KeyForm::Whsec => format!("whsec_{}", STANDARD.encode(bytes)),
        KeyForm::Base64 | KeyForm::Base64url => STANDARD.encode(bytes),
        _ if rule.algorithm.kind() == Kind::Basic => "user:a-long-password".to_owned(),
        _ => "a-secret-of-hookgate".to_owned(),
    }))
}

/// An instance of the scheme that can sign its own samples; `None` if only its sender can.
pub(super) fn trial(
    tables: &Tables,
    name: &str,
    scheme: &Scheme,
) -> Option<Result<SchemeProvider, crate::providers::scheme::SchemeError>> {
    let secret = secret(scheme)?;
    let params = scheme.table.params.iter().filter_map(|(key, entry)| match entry {
        super::table::ParamEntry::Declared(param) if param.required => {
            Some((key.clone(), SecretString::from("example")))
        }
        _ => None,
    });
    let params: BTreeMap<String, SecretString> = params.collect();
    Some(tables.trial(name, &secret, params))
}

pub(super) fn prove(tables: &Tables, name: &str, scheme: &Scheme) -> Result<(), String> {
    let Some(provider) = trial(tables, name, scheme) else { return Ok(()) };
    let provider = provider.map_err(|error| error.to_string())?;
    for event_type in provider.sample_types() {
        one(&provider, event_type).map_err(|error| format!("{event_type}: {error}"))?;
    }
    Ok(())
}

fn one(provider: &SchemeProvider, event_type: &str) -> Result<(), String> {
    let base = "https://hooks.example.com";
    let sample = provider.sample(event_type, base, None, Utc::now()).ok_or("no sample")??;
    let body = Bytes::from(sample.body);
    let names: Vec<String> = sample.headers.iter().map(|header| header.0.to_lowercase()).collect();
    let headers =
        names.iter().zip(&sample.headers).map(|(name, header)| (name.as_str(), header.1.as_bytes()));
    let bases = [base.to_owned()];
    let path = format!("/api/v1/webhooks/{}", provider.name());
    let request = RawRequest {
        method: &sample.method,
        bases: &bases,
        path: &path,
        ..RawRequest::post(&sample.query, headers.collect(), &body)
    };
    let proof =
        provider.verify(&request, &Check::plain(Utc::now())).map_err(|unproven| unproven.to_string())?;
    let parsed = provider.parse(&proof).map_err(|reason| reason.to_string())?;
    let events: Result<Vec<_>, _> = parsed.events.into_iter().collect();
    let events = events.map_err(|part| part.reason.to_string())?;
    let told: Vec<&str> = events.iter().map(|event| event.event_type.as_str()).collect();
    if told.contains(&event_type) { Ok(()) } else { Err(format!("it is read as {told:?}")) }
}
