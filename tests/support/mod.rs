//! What the black-box tests share.

pub mod c2s;
pub mod faulty_server;
pub mod gate;
pub mod gateway;
pub mod inject;
pub mod moysklad;
pub mod nobody;
pub mod observe;
pub mod paypal;
pub mod sign;
pub mod simulator;
pub mod stripe;
pub mod twilio;
pub mod wait;
