//! A program brings no library along: what its tags do not allow, the judge finds. So only the tags
//! of Linux are to be set, which setup.py cannot know.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::project::Project;
use crate::run::run;
use crate::targets::{System, Target};

/// What it calls in `.venv`: nothing but Python.
pub const TOOLS: &[&str] = &[];

pub fn repair(
    project: &Project,
    target: &Target,
    packed: &Path,
    repaired: &Path,
    log: &Path,
) -> Result<()> {
    fs::create_dir_all(repaired)?;
    match target.system() {
        System::Manylinux | System::Musllinux => {
            let mut command = project.helper("set_platforms")?;
            run(command.args([packed, repaired]).args(&target.tags), log)
        }
        System::Macos | System::Windows => {
            let name = packed.file_name().unwrap_or_default();
            fs::copy(packed, repaired.join(name))?;
            Ok(())
        }
    }
}
