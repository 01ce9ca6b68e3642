//! What the black-box tests share.

pub mod c2s;
pub mod faulty_server;
pub mod gateway;
pub mod moysklad;
pub mod sign;
pub mod stripe;
pub mod wait;
