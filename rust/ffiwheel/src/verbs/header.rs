//! The C header, _ffi.py and _ffi.pyi.

use anyhow::Result;

use crate::make::header;
use crate::project::Project;

#[derive(clap::Args)]
pub struct Options {
    /// Write nothing; fail if a file is out of date
    #[arg(long)]
    check: bool,
}

pub fn run(project: &Project, options: &Options) -> Result<()> {
    header::run(project, options.check)
}
