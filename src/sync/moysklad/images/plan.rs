//! What of main's images the child has already, and what is to be brought. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Images of one entity (error 51006).
pub(super) const MOST: usize = 10;

/// An image as main's list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Image {
    /// The same name and content have the same id, so that an id may come twice.
    pub(super) id: Uuid,
    pub(super) filename: String,
    /// In bytes.
    pub(super) size: u64,
    pub(super) updated: String,
    /// Where its content can be asked for.
    #[serde(skip)]
    pub(super) download: String,
}

impl Image {
    /// Reads a row of the list; `None` if it is no image.
    pub(super) fn read(row: &Value) -> Option<Self> {
        let text = |name: &str| row[name].as_str().filter(|text| !text.is_empty());
        Some(Self {
            id: crate::sync::moysklad::api::id_of(row)?,
            // MoySklad takes none without a name (51005).
            filename: text("filename").or_else(|| text("title")).unwrap_or("image").to_owned(),
            size: row["size"].as_u64().unwrap_or_default(),
            updated: text("updated").unwrap_or_default().to_owned(),
            download: row["meta"]["downloadHref"].as_str()?.to_owned(),
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.filename, self.id, self.size, &self.updated)
            == (&other.filename, other.id, other.size, &other.updated)
    }
}

/// One of main's images and what became of it in the child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copied {
    pub(super) image: Image,
    pub(super) state: State,
}

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// The child has it.
    Have {
        /// Its id there.
        child: Uuid,
        /// Of its content.
        hash: String,
    },
    /// It cannot be had or the child does not take it, and will not until main has another one.
    Refused(String),
    /// It is to be brought.
    #[serde(skip)]
    Waiting,
}

/// What is to be made of an entity's images.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// In main's order.
    pub(super) slots: Vec<Copied>,
    /// What was copied and is not among them: one with the same content may be.
    spare: Vec<Copied>,
    /// The child's images as they were left; `None`: a request was sent whose end is not known.
    there: Option<Vec<Uuid>>,
}

impl Plan {
    /// For main's images, at most [`MOST`], when these were copied.
    pub(super) fn new(main: &[Image], copied: &[Copied]) -> Self {
        let mut spare = copied.to_vec();
        let slots = main
            .iter()
            .take(MOST)
            .map(|image| {
                let known = spare.iter().position(|old| old.image.is_same(image));
                let state = known.map_or(State::Waiting, |at| spare.remove(at).state);
                Copied { image: image.clone(), state }
            })
            .collect();
        Self { slots, spare, there: Some(children(copied)) }
    }

    /// The child may have other images beside or instead of these: it is to be given the list in any case.
    pub(super) fn with_doubt(self) -> Self {
        Self { there: None, ..self }
    }

    /// The first that is to be brought.
    pub(super) fn next(&self) -> Option<usize> {
        self.slots.iter().position(|slot| slot.state == State::Waiting)
    }

    /// Whether the child's images are what main's are, as far as the child takes them.
    pub(super) fn is_in_step(&self) -> bool {
        self.there.as_ref() == Some(&children(&self.slots))
    }

    /// Takes what was copied for this one if it has the same name and content: then only what main says of it is new.
    pub(super) fn adopt(&mut self, at: usize, hash: &str) -> bool {
        let Some(slot) = self.slots.get_mut(at) else { return false };
        let same = |old: &Copied| {
            let had = matches!(&old.state, State::Have { hash: other, .. } if other == hash);
            had && old.image.filename == slot.image.filename
        };
        let Some(found) = self.spare.iter().position(same) else { return false };
        slot.state = self.spare.remove(found).state;
        true
    }

    /// The child has not what it was believed to have: all is to be brought again. False if nothing was believed.
    pub(super) fn doubt(&mut self) -> bool {
        let mut doubted = false;
        for slot in &mut self.slots {
            if matches!(slot.state, State::Have { .. }) {
                slot.state = State::Waiting;
                doubted = true;
            }
        }
        self.spare.clear();
        doubted
    }

    /// The child's images are these now.
    pub(super) fn wrote(&mut self) {
        self.there = Some(children(&self.slots));
    }

    /// What is settled, to be remembered.
    pub(super) fn settled(&self) -> Vec<Copied> {
        self.slots.iter().filter(|slot| slot.state != State::Waiting).cloned().collect()
    }

    /// What the child does not take, by place and reason.
    pub(super) fn refusals(&self) -> Vec<String> {
        let told = |(at, slot): (usize, &Copied)| match &slot.state {
            State::Refused(why) => Some(format!("image {}: {why}", at + 1)),
            _ => None,
        };
        self.slots.iter().enumerate().filter_map(told).collect()
    }
}

fn children(slots: &[Copied]) -> Vec<Uuid> {
    let child = |slot: &Copied| match slot.state {
        State::Have { child, .. } => Some(child),
        _ => None,
    };
    slots.iter().filter_map(child).collect()
}

/// By which equal contents are known.
pub(super) fn hash(content: &[u8]) -> String {
    hex::encode(&Sha256::digest(content)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn image(id: u128, filename: &str) -> Image {
        Image {
            id: Uuid::from_u128(id),
            filename: filename.to_owned(),
            size: 5,
            updated: "2026-11-23 01:00:00.000".to_owned(),
            download: String::new(),
        }
    }

    fn had(id: u128, filename: &str, child: u128) -> Copied {
        let state = State::Have { child: Uuid::from_u128(child), hash: format!("hash {id}") };
        Copied { image: image(id, filename), state }
    }

    #[test]
    fn what_was_copied_needs_nothing() {
        let copied = [had(1, "a", 11), had(2, "b", 12)];
        let plan = Plan::new(&[image(1, "a"), image(2, "b")], &copied);
        assert!(plan.next().is_none() && plan.is_in_step());
        assert_eq!(plan.settled(), copied);
        assert!(Plan::new(&[], &[]).is_in_step());
        assert!(!Plan::new(&[], &[]).with_doubt().is_in_step());
        let mut doubted = Plan::new(&[image(1, "a"), image(2, "b")], &copied).with_doubt();
        assert!(doubted.next().is_none() && !doubted.is_in_step());
        doubted.wrote();
        assert!(doubted.is_in_step());
    }

    #[test]
    fn another_order_a_removal_and_an_addition_are_seen() {
        let copied = [had(1, "a", 11), had(2, "b", 12)];
        let turned = Plan::new(&[image(2, "b"), image(1, "a")], &copied);
        assert!(turned.next().is_none() && !turned.is_in_step());
        assert!(!Plan::new(&[image(2, "b")], &copied).is_in_step());
        assert!(!Plan::new(&[], &copied).is_in_step());
        let more = Plan::new(&[image(3, "c"), image(1, "a"), image(2, "b")], &copied);
        assert_eq!(more.next(), Some(0));
        // The same picture twice is two.
        let twice = Plan::new(&[image(1, "a"), image(1, "a")], &copied[..1]);
        assert_eq!(twice.next(), Some(1));
    }

    #[test]
    fn the_same_content_under_another_id_is_not_brought_again_unless_its_name_is_another() {
        let copied = [had(1, "a", 11)];
        let mut plan = Plan::new(&[image(7, "a")], &copied);
        assert_eq!(plan.next(), Some(0));
        assert!(!plan.clone().adopt(0, "hash 2"));
        assert!(plan.adopt(0, "hash 1") && plan.is_in_step() && plan.next().is_none());
        let mut renamed = Plan::new(&[image(7, "b")], &copied);
        assert!(!renamed.adopt(0, "hash 1"));
    }

    #[test]
    fn what_the_child_refused_is_not_tried_again_until_main_has_another() {
        let refused = Copied { image: image(1, "a"), state: State::Refused("too large".to_owned()) };
        let copied = [refused, had(2, "b", 12)];
        let mut plan = Plan::new(&[image(1, "a"), image(2, "b")], &copied);
        assert!(plan.next().is_none() && plan.is_in_step());
        assert_eq!(plan.refusals(), ["image 1: too large"]);
        assert!(plan.doubt());
        assert_eq!(plan.next(), Some(1));
        let mut newer = image(1, "a");
        newer.updated = "2026-11-23 02:00:00.000".to_owned();
        assert_eq!(Plan::new(&[newer], &copied).next(), Some(0));
    }

    #[test]
    fn what_is_remembered_is_read_again() {
        let refused = Copied { image: image(1, "a"), state: State::Refused("too large".to_owned()) };
        let copied = vec![refused, had(2, "b", 12)];
        let stored = serde_json::to_value(&copied).unwrap();
        assert_eq!(serde_json::from_value::<Vec<Copied>>(stored).unwrap(), copied);
    }

    #[test]
    fn more_than_ten_are_never_brought() {
        let many: Vec<Image> = (0..12).map(|id| image(id, "a")).collect();
        assert_eq!(Plan::new(&many, &[]).slots.len(), MOST);
    }

    #[test]
    fn a_row_of_the_list_is_read() {
        let href = format!("https://h/entity/product/{}/images/{}", Uuid::from_u128(1), Uuid::from_u128(2));
        let row = json!({
            "meta": {"href": href, "type": "image", "downloadHref": "https://h/download/x"},
            "title": "bird", "filename": "bird.png", "size": 14052, "updated": "2019-01-24 16:55:24.567",
        });
        let image = Image::read(&row).unwrap();
        assert_eq!((image.id, &*image.filename, image.size), (Uuid::from_u128(2), "bird.png", 14052));
        assert_eq!(image.download, "https://h/download/x");
        assert!(Image::read(&json!({"filename": "x"})).is_none());
    }
}
