//! A file a verb: what it does with its arguments, and what it prints.

pub mod audit;
pub mod rules;
