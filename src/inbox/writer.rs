//! The group-commit writer.

/// The way in for events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox {}
