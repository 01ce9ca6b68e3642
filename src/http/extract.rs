//! What actix says about a bad path, query or JSON body, as problem+json and without quoting values.

use super::problem::Problem;
use actix_web::dev::Payload;
use actix_web::error::{JsonPayloadError, QueryPayloadError};
use actix_web::web::{self, JsonConfig, PathConfig};
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use std::future::{Ready, ready};
use url::form_urlencoded;

/// Longest JSON body of the admin API.
const MAX_JSON: usize = 256 << 10;

pub(super) fn json() -> JsonConfig {
    JsonConfig::default().limit(MAX_JSON).content_type_required(false).error_handler(|error, _| {
        match error {
            JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
                Problem::TooLarge { max: MAX_JSON }
            }
            JsonPayloadError::Deserialize(error) => Problem::BadRequest(describe(&error)),
            _ => Problem::BadRequest("the body cannot be read as JSON".to_owned()),
        }
        .into()
    })
}

/// The parser's message where it names only fields; the place where it would quote a value.
fn describe(error: &serde_json::Error) -> String {
    let message = error.to_string();
    if message.starts_with("missing field") || message.starts_with("unknown field") {
        return message;
    }
    format!("the JSON is not acceptable at line {}, column {}", error.line(), error.column())
}

/// Query parameters. An empty one counts as absent, so that a form can be sent as it is.
#[derive(Debug)]
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned> Parameters<T> {
    pub(super) fn read(query: &str) -> Result<Self, Problem> {
        let mut given = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            // Postgres has no such character.
            if value.contains('\0') {
                return Err(Problem::BadRequest(format!("`{name}` holds a NUL character")));
            }
            given.append_pair(&name, &value);
        }
        match web::Query::<T>::from_query(&given.finish()) {
            Ok(read) => Ok(Self(read.into_inner())),
            Err(QueryPayloadError::Deserialize(error)) => {
                Err(Problem::BadRequest(format!("a query parameter is not acceptable: {error}")))
            }
            Err(_) => Err(Problem::BadRequest("the query cannot be read".to_owned())),
        }
    }
}

impl<T: DeserializeOwned> FromRequest for Parameters<T> {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(request.query_string()).map_err(Into::into))
    }
}

pub(super) fn path() -> PathConfig {
    // An id of the wrong form is the id of nothing.
    PathConfig::default()
        .error_handler(|_, _| Problem::NotFound("there is nothing of this id".to_owned()).into())
}
