//! The C header, _ffi.py and _ffi.pyi.

use anyhow::Result;

use crate::make::header;
use crate::project::Project;

#[derive(clap::Args, Default)]
pub struct Options {
    /// Write nothing; fail if a file is out of date
    #[arg(long)]
    check: bool,
}

impl Options {
    pub fn checking() -> Options {
        Options { check: true }
    }
}

pub fn run(project: &Project, options: &Options) -> Result<()> {
    project.ensure_library("header")?;
    header::run(project, options.check)
}
