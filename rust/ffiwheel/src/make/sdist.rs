//! The source distribution.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Result};

use super::dist::only;
use super::toolchain;
use crate::files::{self, read};
use crate::project::Project;
use crate::run::{self, run_to};

/// Makes the sdist in a folder: what dist/ gets, and what wheels are made of.
pub fn pack(project: &Project, folder: &Path) -> Result<PathBuf> {
    let ffi = project.package().join("_ffi.py");
    ensure!(
        project.program.is_some()
            || read(&ffi)?.contains(&format!("VERSION = '{}'", project.version)),
        "{} is stale: {} says version {}; run `make header`",
        project.relative(&ffi),
        project.relative(&project.place_of_version()),
        project.version
    );
    setup(project, &project.python, folder)
}

fn setup(project: &Project, tree: &Path, folder: &Path) -> Result<PathBuf> {
    let mut command = project.command(project.tool("python")?)?;
    command
        .current_dir(tree)
        .args(["setup.py", "--quiet", "sdist", "--formats", "gztar"])
        .arg("--dist-dir")
        .arg(folder);
    run::run(&mut command, &project.build("sdist").join("log"))?;
    let sdist = only(folder, ".tar.gz")?;
    let expected = project.sdist_name();
    ensure!(
        sdist.file_name() == Some(expected.as_ref()),
        "setup.py made {} instead of {expected}: a release's version is that of Cargo.toml; \
         remove `tag_build` and `tag_date` from [egg_info] in python/setup.cfg",
        sdist.file_name().unwrap_or_default().display()
    );
    Ok(sdist)
}

/// The sdist with `vendor` in the crate, and with cargo's settings for it in a separate file above the
/// crate, which leaves the crate's .cargo/config.toml as it is.
pub fn pack_vendored(project: &Project, plain: &Path, folder: &Path) -> Result<PathBuf> {
    let tree = unpack(project, plain, folder)?;
    let settings = folder.join("vendor.toml");
    let vendor = Path::new(&project.place).join("vendor");
    let mut command = toolchain::cargo(project)?;
    command
        .current_dir(&tree)
        // A mirror that is configured here is used; its name is not packed.
        .args(["vendor", "--locked", "--respect-source-config"])
        .arg("--manifest-path")
        .arg(Path::new(&project.place).join("Cargo.toml"))
        .arg(&vendor);
    let log = project.build("sdist").join("log");
    run_to(&mut command, &log, Some(&settings))?;
    if !tree.join(vendor).is_dir() {
        eprintln!(
            "{} names no other crate: the plain sdist builds without a network",
            project.relative(&project.lock_file())
        );
        return Ok(plain.to_owned());
    }
    let text = read(&settings)?;
    files::write(&tree.join(".cargo/config.toml"), text)?;
    setup(project, &tree, &folder.join("vendored"))
}

/// The sdist as a folder, of which every wheel is packed.
pub fn unpack(project: &Project, sdist: &Path, folder: &Path) -> Result<PathBuf> {
    let mut command = project.command(project.tool("python")?)?;
    command.args(["-m", "tarfile", "-e"]).args([sdist, folder]);
    run::run(&mut command, &project.build("sdist").join("log"))?;
    Ok(folder.join(project.file_stem()))
}
