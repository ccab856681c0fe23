//! How a wheel comes about. wheels.rs is the order.

pub mod cibuildwheel;
pub mod container;
pub mod dist;
pub mod header;
pub mod layout;
pub mod library;
mod linker;
mod names;
mod pack;
pub mod repair;
mod sbom;
pub mod sdist;
mod settings;
pub mod toolchain;
mod unwinder;
pub mod wheels;
