//! What the black-box tests share.

pub mod gateway;
pub mod wait;
