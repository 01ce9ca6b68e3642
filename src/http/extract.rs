//! What actix says about a bad path, query or JSON body, as problem+json and without quoting values.

use super::problem::Problem;
use actix_web::error::{JsonPayloadError, QueryPayloadError};
use actix_web::web::{JsonConfig, PathConfig, QueryConfig};

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

pub(super) fn query() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| {
        let detail = match error {
            QueryPayloadError::Deserialize(error) => format!("a query parameter is not acceptable: {error}"),
            _ => "the query cannot be read".to_owned(),
        };
        Problem::BadRequest(detail).into()
    })
}

pub(super) fn path() -> PathConfig {
    // An id of the wrong form is the id of nothing.
    PathConfig::default()
        .error_handler(|_, _| Problem::NotFound("there is nothing of this id".to_owned()).into())
}

/// A query parameter; an empty one counts as absent.
pub(super) fn given(name: &str, value: Option<String>) -> Result<Option<String>, Problem> {
    match value.filter(|text| !text.is_empty()) {
        // Postgres has no such character.
        Some(text) if text.contains('\0') => {
            Err(Problem::BadRequest(format!("`{name}` holds a NUL character")))
        }
        value => Ok(value),
    }
}
