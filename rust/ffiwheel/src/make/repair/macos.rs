//! delocate, on any host.

use std::path::Path;

use anyhow::Result;

use crate::project::Project;
use crate::run::run;

/// What it calls in `.venv`.
pub const TOOLS: &[&str] = &["delocate-wheel"];

pub fn repair(project: &Project, packed: &Path, repaired: &Path, log: &Path) -> Result<()> {
    let mut command = project.helper("delocate_wheel")?;
    command
        .args([packed, repaired])
        // What is grafted has the place that the library names.
        .env_remove("DYLD_LIBRARY_PATH");
    run(&mut command, log)
}
