//! The requirements of a project that uses this program: the tools' and its own, pinned by hash.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::data;
use crate::files::sha256;
use crate::venv;

/// The platforms that the program has wheels for, as pip names them.
const PLATFORMS: [&str; 5] = [
    "manylinux2014_x86_64",
    "manylinux2014_aarch64",
    "macosx_10_12_x86_64",
    "macosx_11_0_arm64",
    "win_amd64",
];

/// ci/requirements.txt: what the program calls, and the program itself in this version, with the
/// hashes of all its wheels. pip finds those, by whatever index, mirror or folder it is configured
/// for.
pub fn requirements() -> Result<String> {
    let version = env!("CARGO_PKG_VERSION");
    let python = venv::python()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path();
    let python = match has_pip(&python) {
        true => PathBuf::from(python),
        false => {
            let made = Command::new(&python)
                .args(["-m", "venv"])
                .arg(path.join("venv"))
                .output()?;
            if !made.status.success() {
                bail!(
                    "{python} cannot make a virtual environment: {}",
                    said(&made.stderr)
                );
            }
            venv::folder(&path.join("venv")).join("python")
        }
    };
    let mut refusal = String::new();
    // This machine's may be one that no index takes: it was built here.
    for platform in PLATFORMS.map(Some).into_iter().chain([None]) {
        let mut pip = venv::pip(&python, "download");
        pip.args(["--no-deps", "--only-binary=:all:", "--dest"])
            .arg(path.join("wheels"));
        if let Some(platform) = platform {
            pip.args(["--platform", platform]);
        }
        pip.arg(format!("ffiwheel=={version}"));
        let output = pip.output().context("cannot run pip")?;
        if !output.status.success() {
            refusal = said(&output.stderr);
        }
    }
    let mut hashes = Vec::new();
    for entry in fs::read_dir(path.join("wheels")).into_iter().flatten() {
        hashes.push(sha256(&entry?.path())?);
    }
    if hashes.is_empty() {
        bail!(
            "the index that pip is configured for has no ffiwheel {version}, which the project \
             would pin: {refusal}"
        );
    }
    hashes.sort();
    let mut text = data::text("ci/requirements.txt").to_owned();
    text += "\n# Runs the verbs.\n";
    text += &format!("ffiwheel=={version}");
    for hash in hashes {
        text += &format!(" \\\n    --hash=sha256:{hash}");
    }
    Ok(text + "\n")
}

fn has_pip(python: &str) -> bool {
    let output = Command::new(python)
        .args(["-m", "pip", "--version"])
        .output();
    output.is_ok_and(|output| output.status.success())
}

/// The last line of what a program said.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text
        .lines()
        .rfind(|line| line.contains("ERROR"))
        .or(text.lines().last());
    line.unwrap_or_default()
        .trim_start_matches("ERROR: ")
        .to_owned()
}
