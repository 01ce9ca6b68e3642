//! What the black-box tests share.

pub mod gateway;
pub mod stripe;
pub mod wait;
