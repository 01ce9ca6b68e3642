//! Main's lists of images: of many entities with few reads. What is gone is then no row, and not a 404, which are counted.

use super::plan::Image;
use crate::queue::HandlerError;
use crate::sync::moysklad::api::{AccountApi, ApiError, id_of_entity};
use crate::sync::moysklad::settings::EntityKind;
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

/// Entities of one read: what `expand` allows, and as many ids as fit into a URL.
const AT_ONCE: usize = 100;

/// The images of these entities, in main's order. Entities that are gone are not among them.
pub(super) async fn read(
    api: &AccountApi,
    kind: EntityKind,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Image>>, ApiError> {
    let mut lists = HashMap::new();
    for some in ids.chunks(AT_ONCE) {
        let mut filter: Vec<String> = some.iter().map(|id| format!("id={id}")).collect();
        // Whether it hides archived ones from a list of ids is not certain.
        filter.extend(["archived=true".to_owned(), "archived=false".to_owned()]);
        let query =
            [("filter", filter.join(";")), ("limit", AT_ONCE.to_string()), ("expand", "images".to_owned())];
        let path = format!("/entity/{}", kind.keyword());
        let reply = api.get("GET /entity/{type}", &path, &query).await?;
        for row in rows(&reply)? {
            let id = id_of_entity(row)?;
            let images = match &row["images"] {
                Value::Object(images) if images.contains_key("rows") => images_of(&row["images"])?,
                _ if super::has_none(row) => Vec::new(),
                // It was not expanded.
                _ => match one(api, kind, id).await? {
                    Some(images) => images,
                    None => continue,
                },
            };
            lists.insert(id, images);
        }
    }
    Ok(lists)
}

async fn one(api: &AccountApi, kind: EntityKind, id: Uuid) -> Result<Option<Vec<Image>>, ApiError> {
    let path = format!("/entity/{}/{id}/images", kind.keyword());
    match api.get("GET /entity/{type}/{id}/images", &path, &[]).await {
        Err(ApiError::NotFound(_)) => Ok(None),
        reply => images_of(&reply?).map(Some),
    }
}

/// A row that cannot be read must not look as if its image had been removed.
fn images_of(list: &Value) -> Result<Vec<Image>, ApiError> {
    let image = |row: &Value| {
        let unreadable = || HandlerError::Retry("moysklad: a list of images is unreadable".to_owned());
        Image::read(row).ok_or_else(|| unreadable().into())
    };
    rows(list)?.iter().map(image).collect()
}

fn rows(list: &Value) -> Result<&[Value], ApiError> {
    let rows = list["rows"].as_array().map(Vec::as_slice);
    rows.ok_or_else(|| HandlerError::Retry("moysklad: a list came without rows".to_owned()).into())
}
