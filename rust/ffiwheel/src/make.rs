//! How a wheel is made. wheels.rs has the order of the stages.

pub mod cibuildwheel;
mod command;
pub mod container;
pub mod dist;
pub mod header;
pub mod layout;
pub mod library;
mod linker;
mod names;
pub mod pack;
pub mod repair;
mod sbom;
pub mod sdist;
mod settings;
pub mod toolchain;
mod unwinder;
pub mod wheels;
