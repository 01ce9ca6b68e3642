//! The configured providers by name.

/// The configured providers by name.
pub struct Registry {}
