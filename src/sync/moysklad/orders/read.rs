//! Reads documents with all their lines.

use super::super::api::{AccountApi, ApiError};
use crate::queue::HandlerError;
use serde_json::Value;
use uuid::Uuid;

/// Most lines on one page (facts/moysklad.md 4.4).
pub(super) const PAGE: usize = 1000;
/// More lines than any order has: a list that does not end is a defect, and must not fill the memory.
const MOST: usize = 20_000;

/// A document as the API shows it, and all its lines.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) fields: Value,
    pub(super) lines: Vec<Value>,
}

/// Path of a document.
pub(super) fn path(kind: &str, id: Uuid) -> String {
    format!("/entity/{kind}/{id}")
}

/// Reads a document; `None` if it is gone, or in the bin.
pub(super) async fn document(api: &AccountApi, kind: &str, id: Uuid) -> Result<Option<Document>, ApiError> {
    let query = [("expand", "positions".to_owned()), ("limit", "100".to_owned())];
    let mut fields = match api.get("GET /entity/{document}/{id}", &path(kind, id), &query).await {
        Err(ApiError::NotFound(_)) => return Ok(None),
        fields => fields?,
    };
    if fields.get("deleted").is_some_and(|deleted| !deleted.is_null()) {
        return Ok(None);
    }
    let positions = fields["positions"].take();
    let size = positions["meta"]["size"].as_u64().and_then(|size| usize::try_from(size).ok());
    let size = size.ok_or_else(|| unreadable("a document came without its lines"))?;
    // Whether an expanded list holds 100 rows or 1,000 is not documented: what it does not hold is read by pages.
    let mut lines = rows(positions);
    while lines.len() < size && lines.len() < MOST {
        let query = [("limit", PAGE.to_string()), ("offset", lines.len().to_string())];
        let path = format!("{}/positions", path(kind, id));
        let mut page = rows(api.get("GET /entity/{document}/{id}/positions", &path, &query).await?);
        if page.is_empty() {
            break;
        }
        lines.append(&mut page);
    }
    if lines.len() == size {
        Ok(Some(Document { fields, lines }))
    } else {
        Err(unreadable("a document's lines changed while they were read"))
    }
}

fn rows(mut list: Value) -> Vec<Value> {
    match list["rows"].take() {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    }
}

fn unreadable(text: &str) -> ApiError {
    HandlerError::Retry(format!("moysklad: {text}")).into()
}
