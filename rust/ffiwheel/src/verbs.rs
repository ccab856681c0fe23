//! One file per verb: its arguments, what it does, and what it prints.

use crate::targets::Backend;

/// What is built, and by what.
#[derive(clap::Args, Clone, Default)]
pub struct Built {
    /// Triples, tags, short names or groups, separated by spaces or commas [default: host]
    #[arg(env = "TARGETS")]
    targets: Vec<String>,
    /// The backend [default: zig; cargo for macOS on macOS]
    #[arg(short, long, env = "BACKEND")]
    backend: Option<Backend>,
}

pub mod adopt;
pub mod audit;
mod changelog;
pub mod develop;
pub mod doctor;
pub mod header;
pub mod image;
pub mod lib;
pub mod matrix;
pub mod python;
pub mod reference;
pub mod release;
pub mod rules;
pub mod sdist;
pub mod smoke;
pub mod targets;
pub mod update;
pub mod wheels;
