//! delvewheel, which may find nothing to do.

use std::path::Path;

use anyhow::{ensure, Result};

use crate::files::sha256;
use crate::make::dist::only;
use crate::project::Project;
use crate::run::run;

/// What it calls in `.venv`.
pub const TOOLS: &[&str] = &["delvewheel"];

pub fn repair(project: &Project, packed: &Path, repaired: &Path, log: &Path) -> Result<()> {
    let mut command = project.command(project.tool("delvewheel")?)?;
    command
        // The library is in the package's lib folder, not beside its modules.
        .args(["repair", "--analyze-existing", "--wheel-dir"])
        .args([repaired, packed]);
    run(&mut command, log)?;
    // delvewheel copies a wheel that lacks nothing. Into another it writes code that helps
    // neither Python 2 nor cffi before 2.0 to find the DLL.
    ensure!(
        sha256(&only(repaired, ".whl")?)? == sha256(packed)?,
        "the library needs a DLL that is not part of Windows, and a wheel for every Python cannot \
         bring one along: link it statically; {} names it",
        project.relative(log)
    );
    Ok(())
}
