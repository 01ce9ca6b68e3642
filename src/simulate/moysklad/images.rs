//! Pictures of goods: added as base64, downloaded through a link that works for a minute.

use super::account::{Account, Entity, Image};
use super::json::{self, id_of};
use super::refused::Refused;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

/// Images of one entity (51006).
const MOST: usize = 10;

impl Account {
    /// The whole list anew: known ones by `meta`, new ones by content.
    pub(super) fn replace_images(&self, entity: &mut Entity, items: &[Value]) -> Result<(), Refused> {
        if items.len() > MOST {
            return Err(Refused::field(412, 51006, "images"));
        }
        let old = std::mem::take(&mut entity.images);
        for item in items {
            if item.get("content").is_some() {
                self.add_image(entity, item, &old)?;
                continue;
            }
            let id = id_of(item).ok_or(Refused::field(412, 51001, "content"))?;
            let kept = old.iter().find(|image| image.id == id).cloned();
            entity.images.push(kept.ok_or_else(Refused::unknown)?);
        }
        Ok(())
    }

    /// One more picture; the same name and content has the same id as before, and may be there more than once.
    pub(super) fn add_image(&self, entity: &mut Entity, item: &Value, old: &[Image]) -> Result<(), Refused> {
        let filename = item["filename"].as_str().filter(|name| !name.is_empty());
        let filename = filename.ok_or(Refused::field(412, 51005, "filename"))?;
        let content = item["content"].as_str().filter(|content| !content.is_empty());
        let content = content.ok_or(Refused::field(412, 51001, "content"))?;
        let content = STANDARD.decode(content).ok().filter(|content| is_picture(content));
        let content = bytes::Bytes::from(content.ok_or(Refused::field(412, 51002, "content"))?);
        if content.len() > self.rules.most_image_bytes {
            return Err(Refused::field(412, 51004, "content"));
        }
        if entity.images.len() >= MOST {
            return Err(Refused::field(412, 51006, "images"));
        }
        let same = |image: &&Image| image.filename == filename && image.content == content;
        let image = match entity.images.iter().chain(old).find(same) {
            Some(known) => known.clone(),
            None => {
                Image { id: self.mint(), filename: filename.to_owned(), content, updated: json::moscow_now() }
            }
        };
        entity.images.push(image);
        Ok(())
    }

    /// Takes out the first picture with this id.
    pub(super) fn drop_image(entity: &mut Entity, id: Option<Uuid>) -> Result<(), Refused> {
        let place = entity.images.iter().position(|image| Some(image.id) == id);
        entity.images.remove(place.ok_or_else(|| Refused::empty(404))?);
        Ok(())
    }

    pub(super) fn show_image(&self, entity: &Entity, image: &Image) -> Value {
        let href = format!("{}/images/{}", self.href(entity.kind.keyword, entity.id), image.id);
        let download = format!("{}/download/{}", self.base, image.id);
        let mut shown = json::meta(&href, "image");
        shown["meta"]["downloadHref"] = download.as_str().into();
        shown["title"] = image.filename.split('.').next().unwrap_or_default().into();
        shown["filename"] = image.filename.as_str().into();
        shown["size"] = image.content.len().into();
        shown["updated"] = image.updated.as_str().into();
        for small in ["miniature", "tiny"] {
            shown[small] = json!({
                "href": format!("{download}?miniature=true"), "type": "image", "mediaType": "image/png",
                "downloadHref": format!("{download}?miniature=true"),
            });
        }
        shown
    }

    /// The picture with this id.
    pub(super) fn image(&self, id: Uuid) -> Result<&Image, Refused> {
        let mut all = self.entities.values().flat_map(|entity| &entity.images);
        all.find(|image| image.id == id).ok_or_else(Refused::unknown)
    }
}

/// What begins as a jpg or png does.
fn is_picture(content: &[u8]) -> bool {
    content.starts_with(b"\x89PNG\r\n\x1a\n") || content.starts_with(b"\xff\xd8\xff")
}
