//! What is known of main without asking: which entities were made, and what they were called.

use uuid::Uuid;

/// The kinds of the catalogue, each before those that refer to it.
pub const KINDS: [&str; 5] = ["productfolder", "product", "service", "variant", "bundle"];

/// An entity of main.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each says another thing")]
pub struct Slot {
    pub id: Uuid,
    pub alive: bool,
    /// External codes that it had, the present one last.
    pub codes: Vec<String>,
    pub article: Option<String>,
    /// By child: whether its filter accepted it when it was last edited, and whether it ever did.
    pub accepted: Vec<(bool, bool)>,
    /// Stands in documents, maybe: main does not try to delete it, since that would succeed or not by how far the sync is.
    pub sold: bool,
    /// Sold by the package: its packages stay as they are.
    pub packed: bool,
    /// A bundle whose components were changed: the change may still be on its way to a child, where documents lock them.
    pub recomposed: bool,
}

/// A document of a child, as far as what is done to it next depends on that.
#[derive(Debug, Clone, Copy)]
pub struct Paper {
    pub child: usize,
    pub kind: &'static str,
    pub alive: bool,
    /// What people of main may still do to its copy: each edit looks like an echo to the loop breaker.
    pub left_to_main: u8,
}

/// A child's own entity, which the sync must leave alone.
#[derive(Debug, Clone)]
pub struct Own {
    pub child: usize,
    pub kind: &'static str,
    /// None once the child has deleted it.
    pub id: Option<Uuid>,
}

/// All that was made so far.
#[derive(Debug, Default)]
pub struct Book {
    slots: [Vec<Slot>; 5],
    pub own: Vec<Own>,
    /// Every document of any child, in the order of their creation.
    pub papers: Vec<Paper>,
    /// External codes of what children made by hand before main did: their own, if main's was gone too soon.
    pub twins: Vec<(usize, String)>,
    counter: usize,
}

fn place(kind: &str) -> usize {
    KINDS.iter().position(|known| *known == kind).unwrap()
}

impl Book {
    pub fn of(&self, kind: &str) -> &[Slot] {
        &self.slots[place(kind)]
    }

    pub fn of_mut(&mut self, kind: &str) -> &mut Vec<Slot> {
        &mut self.slots[place(kind)]
    }

    pub fn alive(&self, kind: &str) -> Vec<usize> {
        self.matching(kind, |slot| slot.alive)
    }

    pub fn dead(&self, kind: &str) -> Vec<usize> {
        self.matching(kind, |slot| !slot.alive)
    }

    fn matching(&self, kind: &str, wanted: impl Fn(&Slot) -> bool) -> Vec<usize> {
        let slots = self.of(kind).iter().enumerate();
        slots.filter(|(_, slot)| wanted(slot)).map(|(n, _)| n).collect()
    }

    /// A number that nothing else has.
    pub fn next(&mut self) -> usize {
        self.counter += 1;
        self.counter
    }
}
