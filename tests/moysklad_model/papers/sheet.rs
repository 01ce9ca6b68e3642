//! What people did to one document, as far as that decides what main shall have.

use uuid::Uuid;

/// What a document and its copy are known by: a word of their description.
pub fn tag_of(n: usize) -> String {
    format!("order-{n}.")
}

/// A document of a child.
#[derive(Debug, Clone)]
pub struct Sheet {
    pub child: usize,
    pub kind: &'static str,
    pub id: Uuid,
    /// States that the child has given it, the first at its creation.
    pub states: Vec<&'static str>,
    /// States that people of main have given its present copy.
    pub main_states: Vec<&'static str>,
    /// Lines that people of main have added to its present copy.
    pub main_lines: usize,
    /// Main's copy, once that was there.
    pub seen: Option<Uuid>,
    /// Main has deleted its copy, and nothing has changed in the child since then.
    pub copy_deleted: bool,
    /// Main has deleted its copy at any time.
    pub was_deleted: bool,
}

impl Sheet {
    pub fn new(child: usize, kind: &'static str, id: Uuid, state: &'static str) -> Self {
        Self {
            child,
            kind,
            id,
            states: vec![state],
            main_states: Vec::new(),
            main_lines: 0,
            seen: None,
            copy_deleted: false,
            was_deleted: false,
        }
    }

    /// Main has a copy, or does not have one.
    pub fn look(&mut self, copy: Option<Uuid>) {
        self.seen = self.seen.or(copy);
    }

    /// People of main have deleted its copy.
    pub fn delete_copy(&mut self) {
        self.main_states.clear();
        self.main_lines = 0;
        self.seen = None;
        self.copy_deleted = true;
        self.was_deleted = true;
    }
}
