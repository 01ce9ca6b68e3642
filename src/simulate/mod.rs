//! Other people's APIs on a loopback port, for tests and for staging without real accounts.
//!
//! A simulator is as strict as the original. What no correct client does is noted as a violation besides being
//! answered as the original answers it.

pub mod moysklad;
