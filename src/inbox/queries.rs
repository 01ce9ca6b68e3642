//! Reading and steering stored events.
