//! What the black-box tests share.

pub mod gateway;
pub mod sign;
pub mod wait;
