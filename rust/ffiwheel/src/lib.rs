//! A library with a C ABI becomes wheels for every platform.
//!
//! The arrows run one way: the verbs, how a wheel is made, the judge, facts, and what all of
//! them stand on. The judge needs no project.

mod data;
pub mod facts;
mod files;
mod ini;
pub mod judge;
pub mod kit;
mod make;
mod name;
mod pin;
mod progress;
pub mod project;
mod run;
mod say;
mod targets;
mod template;
mod venv;
pub mod verbs;
