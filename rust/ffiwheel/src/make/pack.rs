//! A wheel of the sdist's tree and a library.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::dist::{copy_tree, only};
use super::library::Builder;
use super::sbom;
use crate::files;
use crate::judge;
use crate::progress::Progress;
use crate::project::Project;
use crate::run;
use crate::targets::Target;

/// What all the targets' stages share.
pub struct Run<'a> {
    pub project: &'a Project,
    pub builder: &'a Builder<'a>,
    pub sdist: &'a Path,
    /// The sdist, unpacked.
    pub tree: &'a Path,
    pub progress: &'a Progress,
    pub judging: &'a judge::Context,
    /// The digest of this program.
    pub program: &'a str,
}

/// A wheel of the sdist's tree and the library, with the tag that setup.py reads from it.
pub fn pack(
    run: &Run,
    target: &Target,
    library: &Path,
    folder: &Path,
    log: &Path,
) -> Result<PathBuf> {
    let tree = folder.join("tree");
    copy_tree(run.tree, &tree)?;
    let sbom = write_sbom(run, target, folder)?;
    let packed = folder.join("packed");
    let mut command = run.project.command(run.project.tool("python")?)?;
    command
        .current_dir(&tree)
        .args(["setup.py", "--quiet", "build_library", "--library"])
        .arg(library)
        .arg("--sbom")
        .arg(&sbom)
        .args(["bdist_wheel", "--dist-dir"])
        .arg(&packed)
        .env("CARGO_BUILD_TARGET", &target.triple);
    run::run(&mut command, log)?;
    only(&packed, ".whl")
}

pub fn write_sbom(run: &Run, target: &Target, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(format!("{}.cdx.json", run.project.module));
    let text = sbom::of(run.project, target, &run.builder.rustc(target)?, folder)?;
    files::write(&path, text)?;
    Ok(path)
}
