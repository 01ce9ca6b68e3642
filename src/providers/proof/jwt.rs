//! JSON Web Tokens.

/// Keys by their id.
#[derive(Debug, Default)]
pub struct KeySet;
