//! What the fuzz targets share: requests as text, the built-in schemes with secrets, and what must hold of every result.

pub mod holds;
pub mod known;
pub mod own;
pub mod schemes;
pub mod sign;
pub mod testdata;
pub mod wire;
