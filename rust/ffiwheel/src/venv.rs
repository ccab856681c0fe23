//! `.venv`, with the tools that the verbs call. The kit's Makefile does the same.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{bail, ensure, Result};

use crate::files;
use crate::run::run;

/// Where a virtual environment has its programs.
pub fn folder(venv: &Path) -> PathBuf {
    venv.join(if cfg!(windows) { "Scripts" } else { "bin" })
}

/// A copy of the requirements that are installed there. What has none is not this program's.
const INSTALLED: &str = ".venv/installed";

/// Fails if there is a `.venv` that somebody else made.
pub fn ensure_ours(root: &Path) -> Result<()> {
    let venv = root.join(".venv");
    ensure!(
        fs::symlink_metadata(&venv).is_err() || root.join(INSTALLED).exists(),
        "{} is an environment that ffiwheel has not made, and it needs that folder for its tools: \
         move it away, or remove it",
        venv.display()
    );
    Ok(())
}

/// The oldest Python that the tools need.
const PYTHON: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";

/// The folder of the tools' programs. They are installed if they are missing, or if the
/// requirements are others than those of the last time: `.venv/installed` is a copy of them.
pub fn ready(root: &Path, requirements: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
    // One thread at a time; other processes wait for the project's lock.
    static READY: Mutex<bool> = Mutex::new(false);
    let mut ready = READY
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = folder(&root.join(".venv"));
    if !*ready {
        let requirements = requirements()?;
        let wanted = files::read(&requirements)?;
        if fs::read_to_string(root.join(INSTALLED)).ok().as_ref() != Some(&wanted) {
            install(root, &requirements, wanted)?;
        }
        *ready = true;
    }
    Ok(folder)
}

/// The Python that `.venv` is made with.
pub fn python() -> Result<String> {
    let usual = if cfg!(windows) { "python" } else { "python3" };
    let name = env::var("PYTHON").unwrap_or(usual.to_owned());
    let found = Command::new(&name)
        .args(["-c", PYTHON])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    ensure!(
        found.is_ok_and(|status| status.success()),
        "{name} is not Python 3.10 or later with the module venv: install it (Debian, Ubuntu: apt \
         install python3-venv), or name another one in PYTHON"
    );
    Ok(name)
}

/// A verb of pip's that installs or downloads, also from the folder in FFIWHEEL_FIND_LINKS.
pub fn pip(python: &Path, verb: &str) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", verb, "--quiet", "--disable-pip-version-check"]);
    if let Some(links) = env::var_os("FFIWHEEL_FIND_LINKS") {
        pip.arg("--find-links").arg(links);
    }
    pip
}

fn install(root: &Path, requirements: &Path, text: String) -> Result<()> {
    ensure_ours(root)?;
    let python = python()?;
    eprintln!("installing the tools into .venv, once");
    let venv = root.join(".venv");
    let log = root.join("build/venv.log");
    let outcome = files::remove(&venv).and_then(|()| {
        files::write(&root.join(INSTALLED), "")?; // It is this program's, also if this is killed.
        let mut command = Command::new(&python);
        run(command.args(["-m", "venv"]).arg(&venv), &log)?;
        let mut pip = pip(&folder(&venv).join("python"), "install");
        pip.args(["--require-hashes", "--requirement"])
            .arg(requirements);
        run(&mut pip, &log)?;
        files::write(&root.join(INSTALLED), text)
    });
    if let Err(error) = outcome {
        files::remove(&venv)?;
        bail!(error.context("cannot install the tools into .venv"));
    }
    Ok(())
}
