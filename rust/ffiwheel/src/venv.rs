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
pub fn ready(root: &Path, requirements: &Path) -> Result<PathBuf> {
    // One thread at a time; other processes wait for the project's lock.
    static READY: Mutex<bool> = Mutex::new(false);
    let mut ready = READY
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = folder(&root.join(".venv"));
    if !*ready {
        let wanted = files::read(requirements)?;
        if fs::read_to_string(root.join(INSTALLED)).ok() != Some(wanted) {
            install(root, requirements)?;
        }
        *ready = true;
    }
    Ok(folder)
}

/// The Python that `.venv` is made with.
pub fn python() -> Result<String> {
    let asked = env::var("PYTHON").ok().filter(|name| !name.is_empty());
    let name = asked.unwrap_or(if cfg!(windows) { "python" } else { "python3" }.to_owned());
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

fn install(root: &Path, requirements: &Path) -> Result<()> {
    ensure_ours(root)?;
    let python = python()?;
    eprintln!("installing the tools into .venv, once");
    let venv = root.join(".venv");
    let log = root.join("build/venv.log");
    let outcome = files::remove(&venv).and_then(|()| {
        files::write(&root.join(INSTALLED), "")?; // It is this program's, also if this is killed.
        let mut command = Command::new(&python);
        run(command.args(["-m", "venv"]).arg(&venv), &log)?;
        let mut pip = Command::new(folder(&venv).join("python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        if let Some(folder) = env::var_os("FFIWHEEL_FIND_LINKS").filter(|it| !it.is_empty()) {
            pip.arg("--find-links").arg(folder);
        }
        pip.args(["--require-hashes", "--requirement"])
            .arg(requirements);
        run(&mut pip, &log)?;
        files::write(&root.join(INSTALLED), files::read(requirements)?)
    });
    if let Err(error) = outcome {
        files::remove(&venv)?;
        bail!(error.context("cannot install the tools into .venv"));
    }
    Ok(())
}
