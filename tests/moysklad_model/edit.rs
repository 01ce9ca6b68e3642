//! Edits, said in words that are the same in every run, and what a person does to make them.

mod body;
mod catalog;
mod children;
mod orders;

pub use orders::{Line, OrderEdit, Sold};

use super::settings::Change;
use super::world::World;
use hookgate::simulate::moysklad::Refused;
use serde::Serialize;
use serde_json::{Map, Value};

/// Fields of a body: plain ones as they are, references by number or name.
pub type Fields = Map<String, Value>;

/// Why an edit had no effect.
#[derive(Debug)]
struct NotDone(String);

impl NotDone {
    fn missing() -> Self {
        Self("not there".to_owned())
    }
}

impl From<Refused> for NotDone {
    fn from(refused: Refused) -> Self {
        Self(format!("refused {}/{}", refused.status, refused.code))
    }
}

/// One thing that somebody does. Entities of main are told by kind and number, in the order of their creation.
#[derive(Debug, Clone, Serialize)]
pub enum Edit {
    /// One notification, however many there are.
    Create(&'static str, Vec<Fields>),
    Update(&'static str, Vec<(usize, Fields)>),
    Delete(&'static str, Vec<usize>),
    /// Takes a part out of a bundle, by its place among them.
    DropComponent(usize, usize),
    /// A child makes by hand what main is about to make.
    Twin(usize, Fields),
    /// A child sets what main does not have.
    Touch {
        child: usize,
        kind: &'static str,
        slot: usize,
        field: &'static str,
        value: Value,
    },
    /// A child deletes what came from main.
    DeleteSynced(usize, &'static str, usize),
    CreateOwn(usize, &'static str, String),
    ChangeOwn(usize, String),
    DeleteOwn(usize),
    /// To the document with this number.
    Order(usize, OrderEdit),
    /// An operator changes a child's settings.
    Settings(usize, Change),
    /// The gateway is killed and starts again.
    Crash,
}

impl Edit {
    /// Whether it is about this entity of main.
    pub fn concerns(&self, kind: &str, slot: usize) -> bool {
        match self {
            Self::Update(of, changes) => *of == kind && changes.iter().any(|(n, _)| *n == slot),
            Self::Delete(of, slots) => *of == kind && slots.contains(&slot),
            Self::DropComponent(n, _) => kind == "bundle" && *n == slot,
            Self::Touch { kind: of, slot: n, .. } | Self::DeleteSynced(_, of, n) => *of == kind && *n == slot,
            Self::Order(n, _) => kind == super::papers::ORDER && *n == slot,
            _ => false,
        }
    }
}

/// An edit that was made, and why it had no effect, if it had none.
pub struct Made {
    pub edit: Edit,
    why: Option<String>,
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", serde_json::to_string(&self.edit).unwrap_or_default())?;
        self.why.as_ref().map_or(Ok(()), |why| write!(f, " -> {why}"))
    }
}

impl World {
    /// Makes the edit; what is refused, or not there yet, is noted and left.
    pub fn apply(&mut self, edit: Edit) {
        let told = edit.clone();
        let outcome = match edit {
            Edit::Create(kind, bodies) => self.create(kind, &bodies),
            Edit::Update(kind, changes) => self.update(kind, &changes),
            Edit::Delete(kind, slots) => self.delete(kind, &slots),
            Edit::DropComponent(bundle, place) => self.drop_component(bundle, place),
            Edit::Twin(child, fields) => {
                let body = self.body("product", &fields);
                self.book.twins.push((child, body["externalCode"].as_str().unwrap().to_owned()));
                let made = self.sim.person(self.children[child].account).create("product", &body);
                made.map(|_| ()).map_err(NotDone::from)
            }
            Edit::Touch { child, kind, slot, field, value } => self.touch(child, kind, slot, field, value),
            Edit::DeleteSynced(child, kind, slot) => self.delete_synced(child, kind, slot),
            Edit::CreateOwn(child, kind, name) => self.create_own(child, kind, &name),
            Edit::ChangeOwn(n, text) => self.edit_own(n, &text),
            Edit::DeleteOwn(n) => self.delete_own(n),
            Edit::Order(n, edit) => self.edit_order(n, &edit),
            // Made where there is time to wait: `change_settings`.
            Edit::Settings(..) => Ok(()),
            Edit::Crash => {
                self.crash();
                Ok(())
            }
        };
        let why = outcome.err().map(|NotDone(why)| why);
        self.log.push(Made { edit: told, why });
    }

    /// Takes an edit into the log that was made elsewhere.
    pub fn note(&mut self, edit: Edit) {
        self.log.push(Made { edit, why: None });
    }
}
