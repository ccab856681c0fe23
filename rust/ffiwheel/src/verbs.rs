//! One file per verb: its arguments, what it does, and what it prints.

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
