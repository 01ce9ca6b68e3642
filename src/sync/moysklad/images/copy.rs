//! Brings one entity's images to the child.
//!
//! Safe to run twice and to be cut off anywhere: every request holds the whole list, known images by their `meta`, new ones
//! by their content; what a request has settled is remembered at once.

use super::download::{Lost, MOST_BYTES};
use super::pending;
use super::plan::{Image, Plan, State, hash};
use super::refusals::{advised, fault};
use crate::queue::HandlerError;
use crate::sync::moysklad::api::{AccountApi, ApiError, id_of};
use crate::sync::moysklad::loops;
use crate::sync::moysklad::mappings::Key;
use crate::sync::moysklad::work::{Work, broken};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::header::LOCATION;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

/// Bytes of content that go together into one request, unless one image alone is larger.
const TOGETHER: usize = 4 << 20;
/// Links that are asked for before an image is left for later: each works for a minute.
const LINKS: usize = 2;

/// What became of an entity's images.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// The child had them, as far as it takes them.
    InStep,
    /// The child has main's list now: so many were uploaded.
    Written(usize),
    /// A loop breaker holds the child's entity until then.
    Held(DateTime<Utc>),
}

/// One entity on its way.
pub(super) struct Copy<'a> {
    pub(super) cx: &'a Work,
    pub(super) main: &'a AccountApi,
    pub(super) child: &'a AccountApi,
    pub(super) key: Key,
    pub(super) child_id: Uuid,
    pub(super) plan: Plan,
    /// Whether the child's list was changed.
    pub(super) written: bool,
}

/// A content that waits for its request.
struct Upload {
    /// Its place among main's images.
    at: usize,
    hash: String,
    base64: String,
}

impl Copy<'_> {
    /// Makes the child's images main's. An error that names no single image concerns all of them.
    pub(super) async fn run(&mut self) -> Result<Copied, ApiError> {
        if self.plan.next().is_none() && self.plan.is_in_step() {
            return Ok(Copied::InStep);
        }
        let mut conn = self.cx.conn().await?;
        let (child, keyword, id) = (self.child.id(), self.key.entity_type, self.child_id);
        let held = loops::may_write(&mut conn, child, keyword, &[id]).await?;
        drop(conn);
        if let Some(until) = held.get(&id) {
            return Ok(Copied::Held(*until));
        }
        match self.bring().await {
            // Somebody removed an image from the child that was to be kept: all are brought again, once.
            Err(ApiError::NotFound(_)) if self.plan.doubt() => self.bring().await,
            result => result,
        }
    }

    async fn bring(&mut self) -> Result<Copied, ApiError> {
        let mut uploads: Vec<Upload> = Vec::new();
        let (mut waiting, mut uploaded) = (0, 0);
        for at in 0..self.plan.slots.len() {
            if self.plan.slots[at].state != State::Waiting {
                continue;
            }
            let content = match self.content(&self.plan.slots[at].image).await? {
                Ok(content) => content,
                Err(why) => {
                    self.plan.slots[at].state = State::Refused(why);
                    continue;
                }
            };
            let hash = hash(&content);
            if self.plan.adopt(at, &hash) {
                continue;
            }
            if waiting > 0 && waiting + content.len() > TOGETHER {
                uploaded += self.send(std::mem::take(&mut uploads)).await?;
                waiting = 0;
            }
            waiting += content.len();
            uploads.push(Upload { at, hash, base64: STANDARD.encode(&content) });
        }
        if !uploads.is_empty() {
            uploaded += self.send(uploads).await?;
        }
        if !self.plan.is_in_step() {
            self.send(Vec::new()).await?;
        }
        self.remember().await?;
        Ok(if self.written { Copied::Written(uploaded) } else { Copied::InStep })
    }

    /// Sends these together; if one of them is at fault, each alone. Gives how many were taken.
    async fn send(&mut self, mut uploads: Vec<Upload>) -> Result<usize, ApiError> {
        let refused = match self.put(&mut uploads).await {
            Ok(()) => return Ok(uploads.len()),
            Err(error) => fault(&error).ok_or_else(|| advised(error))?,
        };
        match uploads.as_slice() {
            [] => Err(HandlerError::GiveUp(format!("the child takes no list of images: {refused}")).into()),
            [one] => {
                self.plan.slots[one.at].state = State::Refused(refused);
                Ok(0)
            }
            _ => {
                let mut taken = 0;
                for one in uploads {
                    taken += Box::pin(self.send(vec![one])).await?;
                }
                Ok(taken)
            }
        }
    }

    /// Gives the child its list: what it has and is to keep, and these.
    async fn put(&mut self, uploads: &mut [Upload]) -> Result<(), ApiError> {
        let path = format!("/entity/{}/{}", self.key.entity_type, self.child_id);
        let mut body = Vec::new();
        let mut places = Vec::new();
        for (at, slot) in self.plan.slots.iter().enumerate() {
            match &slot.state {
                State::Have { child, .. } => {
                    let href = format!("{}{path}/images/{child}", self.child.base());
                    body.push(
                        json!({"meta": {"href": href, "type": "image", "mediaType": "application/json"}}),
                    );
                    places.push((at, None));
                }
                State::Waiting => {
                    if let Some(upload) = uploads.iter().position(|upload| upload.at == at) {
                        let content = std::mem::take(&mut uploads[upload].base64);
                        body.push(json!({"filename": slot.image.filename, "content": content}));
                        places.push((at, Some(upload)));
                    }
                }
                State::Refused(_) => {}
            }
        }
        let mut conn = self.cx.conn().await?;
        loops::wrote(&mut conn, self.child.id(), self.key.entity_type, &[self.child_id]).await?;
        pending::doubt(&mut conn, self.key).await.map_err(broken)?;
        drop(conn);
        let mut body = Value::Array(body);
        let reply = if places.is_empty() {
            // Of the list itself it is not written that it may be empty; of the field it is (facts/moysklad.md 5.1).
            let nothing = json!({"images": []});
            self.child.update("PUT /entity/{type}/{id}", &path, &nothing).await.map(|_| json!([]))
        } else {
            let route = "POST /entity/{type}/{id}/images";
            self.child.post_once(route, &format!("{path}/images"), &body).await
        };
        let ids = reply.and_then(|reply| ids_of(&reply, &self.plan, &places));
        let ids = match ids {
            Ok(ids) => ids,
            Err(error) => {
                for (index, (_, upload)) in places.iter().enumerate() {
                    if let (Some(upload), Value::String(content)) = (upload, body[index]["content"].take()) {
                        uploads[*upload].base64 = content;
                    }
                }
                return Err(error);
            }
        };
        for ((at, upload), child) in places.into_iter().zip(ids) {
            if let Some(upload) = upload {
                self.plan.slots[at].state = State::Have { child, hash: uploads[upload].hash.clone() };
            }
        }
        self.plan.wrote();
        self.written = true;
        self.remember().await
    }

    async fn remember(&self) -> Result<(), ApiError> {
        let settled = self.plan.settled();
        let mut conn = self.cx.conn().await?;
        pending::remember(&mut conn, self.key, self.child_id, &settled).await.map_err(broken)
    }

    /// The content of one of main's images, or why it is not brought.
    async fn content(&self, image: &Image) -> Result<Result<Bytes, String>, ApiError> {
        if image.size > MOST_BYTES as u64 {
            return Ok(Err(Lost::TooLong.to_string()));
        }
        let recent = &self.cx.images.recent;
        match recent.get(self.main.id(), image, self.download(image)).await {
            Ok(content) => Ok(Ok(content)),
            Err(Missing::Refused(why)) => Ok(Err(why)),
            Err(Missing::Failed(error)) => Err(error),
        }
    }

    async fn download(&self, image: &Image) -> Result<Bytes, Missing> {
        let mut lost = Lost::Broken;
        for _ in 0..LINKS {
            let content = match self.link(image).await? {
                Link::To(link) => self.cx.images.fetch(&link).await,
                Link::Content(content) => Ok(content),
            };
            lost = match content {
                Ok(content) if content.is_empty() => return Err(Missing::Refused("it is empty".to_owned())),
                Ok(content) => return Ok(content),
                Err(lost @ Lost::TooLong) => return Err(Missing::Refused(lost.to_string())),
                Err(lost @ Lost::Place) => {
                    let text = format!("an image of main: {lost}");
                    return Err(ApiError::from(HandlerError::GiveUp(text)).into());
                }
                Err(lost) => lost,
            };
        }
        Err(ApiError::from(HandlerError::Retry(format!("an image of main: {lost}"))).into())
    }

    /// Where its content is for the next minute. Only MoySklad itself is asked with the token.
    async fn link(&self, image: &Image) -> Result<Link, ApiError> {
        let odd = || HandlerError::Retry("moysklad: an image came without a readable link".to_owned());
        let own = image.download.strip_prefix(self.main.base());
        let Some(path) = own.filter(|path| path.starts_with('/') && !path.contains(['?', '#'])) else {
            return Ok(Link::To(Url::parse(&image.download).map_err(|_| odd())?));
        };
        let reply = match self.main.download(path).await {
            // It was removed a moment ago, and main's list must be read anew.
            Err(ApiError::NotFound(text)) => return Err(HandlerError::Retry(text).into()),
            reply => reply?,
        };
        if reply.status < 300 {
            return Ok(Link::Content(reply.body));
        }
        let location = reply.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let base = Url::parse(self.main.base()).map_err(|_| odd())?;
        Ok(Link::To(location.and_then(|location| base.join(location).ok()).ok_or_else(odd)?))
    }
}

/// Why there is no content.
enum Missing {
    /// There will be none.
    Refused(String),
    Failed(ApiError),
}

impl From<ApiError> for Missing {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

/// Where a content is.
enum Link {
    To(Url),
    Content(Bytes),
}

/// The child's ids of what was sent, in its order. Should the child show equal images as one, they are found by name.
fn ids_of(reply: &Value, plan: &Plan, places: &[(usize, Option<usize>)]) -> Result<Vec<Uuid>, ApiError> {
    let odd = || HandlerError::Retry("moysklad: POST of images answered another list".to_owned());
    let rows = reply.as_array().or_else(|| reply["rows"].as_array()).ok_or_else(odd)?;
    let same_length = rows.len() == places.len();
    let row = |(index, (at, _)): (usize, &(usize, Option<usize>))| {
        let name = &plan.slots[*at].image.filename;
        let found = if same_length {
            rows.get(index)
        } else {
            rows.iter().find(|row| row["filename"] == name.as_str())
        };
        found.and_then(id_of).ok_or_else(|| odd().into())
    };
    places.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_by_place_or_by_name() {
        let image = |id: u128, filename: &str| Image {
            id: Uuid::from_u128(id),
            filename: filename.to_owned(),
            size: 1,
            updated: String::new(),
            download: String::new(),
        };
        let row = |id: u128, filename: &str| {
            let href = format!("https://h/entity/product/x/images/{}", Uuid::from_u128(id));
            json!({"meta": {"href": href}, "filename": filename})
        };
        let plan = Plan::new(&[image(1, "a"), image(1, "a"), image(2, "b")], &[]);
        let places = [(0, Some(0)), (1, Some(1)), (2, Some(2))];
        let ids = |rows: Value| ids_of(&rows, &plan, &places).ok();
        let [one, two] = [11, 12].map(Uuid::from_u128);
        assert_eq!(ids(json!([row(11, "a"), row(11, "a"), row(12, "b")])).unwrap(), [one, one, two]);
        assert_eq!(ids(json!([row(11, "a"), row(12, "b")])).unwrap(), [one, one, two]);
        assert!(ids(json!([row(11, "a")])).is_none() && ids(json!({})).is_none());
    }
}
