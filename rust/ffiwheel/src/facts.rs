//! What files say of themselves. Bytes become facts; what is allowed is decided elsewhere.

pub mod bounds;
pub mod header;
pub mod library;
pub mod platform;
pub mod sdist;
pub mod wheel;
pub mod zip;
