//! MoySklad accounts: which main account each child follows, and the sealed tokens.
//!
//! An [`Account`] holds no token, so it cannot leak one; [`Credentials`] are for the sync alone.

mod hooks;
mod model;
mod queries;

pub use hooks::{ensure_hook_token, forget_hook_token, has_hook_token, hook_token, hook_tokens, set_own_uid};
pub use model::{Account, AccountChange, AccountError, Role, Status};
pub(super) use queries::{Credentials, credentials, place, suspend};
pub use queries::{children, find, list, put, remove};
