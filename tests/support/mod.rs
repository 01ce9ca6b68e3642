//! What the black-box tests share.

pub mod c2s;
pub mod gateway;
pub mod wait;
