//! One library for one target.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;

use crate::project::{read, run_to, Project};
use crate::targets::Target;

/// The Rust compiler that cargo would use here.
pub struct Toolchain {
    /// `rustc -vV`, whole: what must be equal for a library to be up to date.
    pub version: String,
    pub host: String,
}

pub fn toolchain() -> Result<Toolchain> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc)
        .arg("-vV")
        .output()
        .with_context(|| format!("cannot run {}", Path::new(&rustc).display()))?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    match host {
        Some(host) if output.status.success() => Ok(Toolchain {
            host: host.to_owned(),
            version,
        }),
        _ => bail!(
            "`rustc -vV` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
    }
}

/// The release library, linked by zig against the target's glibc, whatever this
/// machine's glibc is. Cargo decides what is up to date.
pub fn library(project: &Project, target: &Target, folder: &Path) -> Result<PathBuf> {
    let mut command = project.command(project.tool("cargo-zigbuild")?)?;
    command
        .arg("zigbuild")
        .args(["--release", "--target"])
        .arg(format!("{}.{}", target.triple, target.glibc))
        .env_remove("CARGO_BUILD_TARGET");
    artefact(project, &mut command, folder)
}

/// The library of a debug build for this machine: quick, and good enough for what does
/// not depend on target and profile.
pub fn debug_library(project: &Project, folder: &Path) -> Result<PathBuf> {
    artefact(project, cargo(project)?.arg("build"), folder)
}

/// The crate as the compiler sees it after macros, for cbindgen, which expands none.
pub fn expanded(project: &Project, folder: &Path) -> Result<String> {
    let out = folder.join("expanded.rs");
    let mut command = cargo(project)?;
    command
        .args(["rustc", "--lib", "--locked", "--manifest-path"])
        .arg(project.rust.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(folder.join("cargo"))
        .args(["--", "-Zunpretty=expanded"])
        // A stable compiler refuses the option above without it; nothing that is built
        // this way is kept.
        .env("RUSTC_BOOTSTRAP", "1");
    fs::create_dir_all(folder)?;
    run_to(&mut command, &folder.join("log"), Some(&out))?;
    read(&out)
}

fn cargo(project: &Project) -> Result<Command> {
    project.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Runs a cargo build and reads from its messages where the library is.
fn artefact(project: &Project, command: &mut Command, folder: &Path) -> Result<PathBuf> {
    let manifest = project.rust.join("Cargo.toml");
    let out = folder.join("messages.json");
    fs::create_dir_all(folder)?;
    command
        .args(["--lib", "--locked", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(folder.join("cargo"))
        .args(["--message-format", "json-render-diagnostics"]);
    run_to(command, &folder.join("log"), Some(&out))?;
    let mut library = None;
    for line in read(&out)?.lines().filter(|line| line.starts_with('{')) {
        let message: Message =
            serde_json::from_str(line).with_context(|| format!("a message of cargo: {line}"))?;
        if message.reason == "compiler-artifact" && message.manifest_path == manifest {
            library = message.filenames.into_iter().find(|file| {
                let extension = file.extension().unwrap_or_default();
                ["so", "dylib", "dll"]
                    .iter()
                    .any(|known| extension == *known)
            });
        }
    }
    library.with_context(|| {
        format!(
            "cargo built no dynamic library: {} needs `crate-type = [\"cdylib\"]`",
            project.relative(&manifest)
        )
    })
}

/// The fingerprint in a library's file: the digits after `<module>.abi=`.
pub fn fingerprint(project: &Project, library: &Path) -> Result<String> {
    const DIGITS: usize = 16;
    let marker = format!("{}.abi=", project.module);
    let bytes = fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    let mut found: Vec<&[u8]> = bytes
        .windows(marker.len() + DIGITS + 1)
        .filter(|window| window.starts_with(marker.as_bytes()) && window.ends_with(b"\0"))
        .map(|window| &window[marker.len()..marker.len() + DIGITS])
        .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        .collect();
    found.sort_unstable();
    found.dedup();
    ensure!(
        found.len() == 1,
        "{} holds {} ABI fingerprints, not one",
        library.display(),
        found.len()
    );
    Ok(String::from_utf8_lossy(found[0]).into_owned())
}
