//! The Rust that cargo uses here, and the standard library that it has for a target.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

use crate::project::Project;
use crate::run::run;

/// The Rust that cargo would use here.
pub struct Toolchain {
    /// `rustc -vV`, whole: what must be equal for a library to be up to date.
    pub version: String,
    pub host: String,
    pub sysroot: PathBuf,
}

/// A program of Rust's, chosen as Rust users expect: CARGO, RUSTC, else rustup or PATH.
fn rust_program(variable: &str, name: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| name.into())
}

/// The one that cargo uses for the library's crate. Where a command builds, none is needed, and the
/// host is the one of setup.py.
pub fn toolchain(project: &Project) -> Result<Toolchain> {
    if project.command.is_some() {
        const ASK: &str = "import platform_tag; print(platform_tag.of_interpreter().triple)";
        return Ok(Toolchain {
            host: project.ask_setup(ASK, Stdio::null())?.trim().to_owned(),
            sysroot: PathBuf::new(),
            version: String::new(),
        });
    }
    let rustc = |arguments: &[&str]| rustc(&project.rust, arguments);
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(Toolchain {
        host: host.context("`rustc -vV` reports no host")?.to_owned(),
        sysroot: rustc(&["--print", "sysroot"])?.trim().into(),
        version,
    })
}

/// What rustc answers for the crate in a folder.
pub fn rustc(rust: &Path, arguments: &[&str]) -> Result<String> {
    let rustc = rust_program("RUSTC", "rustc");
    let name = Path::new(&rustc).display();
    let output = Command::new(&rustc)
        // rustup reads rust-toolchain.toml from here upwards.
        .current_dir(rust)
        .env("RUSTUP_AUTO_INSTALL", "0") // A build downloads no toolchain unasked.
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() || !said.contains("' is not installed"),
        "the toolchain for {} is not installed: {}; run `rustup toolchain install` there, or \
         select another with RUSTUP_TOOLCHAIN",
        rust.display(),
        said.lines().next().unwrap_or_default()
    );
    ensure!(
        output.status.success(),
        "`{name} {}` failed: {}",
        arguments.join(" "),
        said.trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Where the standard library for a target comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Std {
    /// The toolchain has it.
    Installed,
    /// rustup can add it to the toolchain.
    Rustup,
    /// The toolchain has its source: cargo builds it, once a target.
    Source,
}

/// Which toolchain rustup chooses for the crate, and why; None where there is no rustup.
pub fn chosen(project: &Project) -> Option<String> {
    let mut command = Command::new("rustup");
    command.args(["show", "active-toolchain"]);
    let output = command.current_dir(&project.rust).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !said.trim().is_empty()).then(|| said.trim().to_owned())
}

impl Toolchain {
    pub fn std_for(&self, triple: &str) -> Result<Std> {
        if self.has_std(triple) {
            Ok(Std::Installed)
        } else if self.rustup_name().is_some() {
            Ok(Std::Rustup)
        } else {
            self.source_std(triple)
        }
    }

    fn has_std(&self, triple: &str) -> bool {
        let folder = self.sysroot.join("lib/rustlib").join(triple).join("lib");
        fs::read_dir(folder).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
            })
        })
    }

    /// The toolchain's name, when rustup manages it.
    fn rustup_name(&self) -> Option<&str> {
        let folder = self.sysroot.parent()?;
        (folder.ends_with("toolchains") && folder.parent()?.join("settings.toml").is_file())
            .then(|| self.sysroot.file_name()?.to_str())?
    }

    fn source_std(&self, triple: &str) -> Result<Std> {
        ensure!(
            self.sysroot
                .join("lib/rustlib/src/rust/library/Cargo.lock")
                .is_file(),
            "there is no standard library for {triple} in {}: run `rustup target add {triple}`, \
             or `rustup component add rust-src` so that cargo builds it, \
             or select a toolchain that has either, with RUSTUP_TOOLCHAIN, or with CARGO and RUSTC",
            self.sysroot.display()
        );
        Ok(Std::Source)
    }

    /// Makes sure that cargo finds, or can build, a standard library.
    pub fn provide_std(&self, triple: &str, project: &Project, log: &Path) -> Result<Std> {
        match self.std_for(triple)? {
            Std::Rustup => {
                let mut command = project.command("rustup")?;
                command.args([
                    "target",
                    "add",
                    "--toolchain",
                    self.rustup_name().unwrap(),
                    triple,
                ]);
                match run(&mut command, log) {
                    Ok(()) => Ok(Std::Installed),
                    Err(error) => self
                        .source_std(triple)
                        .map_err(|lacking| error.context(lacking)),
                }
            }
            other => Ok(other),
        }
    }
}

/// https://doc.rust-lang.org/cargo/guide/cargo-home.html
pub fn cargo_home() -> Result<PathBuf> {
    let home = || Some(env::home_dir()?.join(".cargo"));
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .context("cannot find cargo's home folder: set CARGO_HOME or HOME")
}

/// cargo without the tools of `.venv` on its PATH.
pub fn bare_cargo() -> Command {
    Command::new(rust_program("CARGO", "cargo"))
}

pub fn cargo(project: &Project) -> Result<Command> {
    project.command(rust_program("CARGO", "cargo"))
}

/// What zig calls a target of Rust's: architecture, system, ABI.
pub fn zig_target(triple: &str) -> String {
    let (arch, system) = triple.split_once('-').unwrap_or((triple, ""));
    let arch = match arch {
        "i386" | "i586" | "i686" => "x86",
        "armv7" | "thumbv7neon" => "arm",
        "riscv64gc" => "riscv64",
        other => other,
    };
    let system = match system
        .split_once('-')
        .map_or(system, |(_vendor, rest)| rest)
    {
        "darwin" => "macos",
        "windows-gnullvm" | "windows-msvc" => "windows-gnu", // one C ABI
        other => other,
    };
    format!("{arch}-{system}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zigs_names_of_targets() {
        let names = [
            ("armv7-unknown-linux-musleabihf", "arm-linux-musleabihf"),
            ("i686-pc-windows-gnullvm", "x86-windows-gnu"),
            ("i586-unknown-linux-gnu", "x86-linux-gnu"),
            ("aarch64-apple-darwin", "aarch64-macos"),
            ("s390x-unknown-linux-gnu", "s390x-linux-gnu"),
        ];
        for (rust, zig) in names {
            assert_eq!(zig_target(rust), zig);
        }
    }
}
