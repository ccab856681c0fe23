//! delocate, as repairwheel brings it to any host.

use std::path::Path;

use anyhow::Result;

use crate::project::Project;
use crate::run::run;

pub fn repair(project: &Project, packed: &Path, repaired: &Path, log: &Path) -> Result<()> {
    let mut command = project.command(project.tool("repairwheel")?)?;
    command
        .args(["--no-sys-paths", "--output-dir"])
        .args([repaired, packed])
        .env("PYTHONHASHSEED", "0"); // It writes tags in the order of a set.
    run(&mut command, log)
}
