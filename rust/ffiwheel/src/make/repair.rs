//! Repairs a wheel: copies in the libraries that it links against, and sets the tags of the
//! target's row. One file per system.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::dist::wheel_of;
use crate::project::Project;
use crate::targets::{System, Target};

mod linux;
mod macos;
mod program;
mod windows;

/// The repaired wheel, in a folder of its own below `folder`.
pub fn repair(
    project: &Project,
    target: &Target,
    packed: &Path,
    folder: &Path,
    log: &Path,
) -> Result<PathBuf> {
    let repaired = folder.join("repaired");
    if project.program.is_some() {
        program::repair(project, target, packed, &repaired, log)?;
        return wheel_of(project, target, &repaired);
    }
    match target.system() {
        System::Manylinux | System::Musllinux => {
            linux::repair(project, target, packed, &repaired, log)?
        }
        System::Macos => macos::repair(project, packed, &repaired, log)?,
        System::Windows => windows::repair(project, packed, &repaired, log)?,
    }
    wheel_of(project, target, &repaired)
}

/// The programs of `.venv` that a repair needs.
pub fn tools(project: &Project, system: System) -> &'static [&'static str] {
    if project.program.is_some() {
        return program::TOOLS;
    }
    match system {
        System::Manylinux | System::Musllinux => linux::TOOLS,
        System::Macos => macos::TOOLS,
        System::Windows => windows::TOOLS,
    }
}
