//! What is known of main without asking: which entities were made, and what they were called.

use uuid::Uuid;

/// The kinds of the catalogue, each before those that refer to it.
pub const KINDS: [&str; 5] = ["productfolder", "product", "service", "variant", "bundle"];

/// An entity of main.
#[derive(Debug, Clone)]
pub struct Slot {
    pub id: Uuid,
    pub alive: bool,
    /// External codes that it had, the present one last.
    pub codes: Vec<String>,
    pub article: Option<String>,
    /// By child: whether its filter accepted it when it was last edited, and whether it ever did.
    pub accepted: Vec<(bool, bool)>,
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
