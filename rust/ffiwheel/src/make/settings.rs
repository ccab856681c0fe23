//! Which cargo settings a library is built with: those of the repository, and no others.
//!
//! Cargo joins what it finds in `.cargo/config.toml` of every folder above the crate, in
//! CARGO_HOME and in the environment: https://doc.rust-lang.org/cargo/reference/config.html

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};
use cargo_platform::{Cfg, Platform};
use toml::{Table, Value};

use super::toolchain;
use crate::files::read;
use crate::project::Project;

/// If it is set, and not empty, this machine's settings count as well: a distribution has its
/// flags, and a developer may try some.
const LOCAL: &str = "LOCAL_SETTINGS";

fn local() -> bool {
    env::var_os(LOCAL).is_some_and(|value| !value.is_empty())
}

pub struct Settings {
    /// The crate's folder.
    rust: PathBuf,
    /// Those of the crate that setup.cfg adds to its default ones.
    features: Vec<String>,
    /// The package's name, and the library's; None for a program.
    library: Option<String>,
    /// The repository's flags for the compiler, by triple or `cfg(…)`; "" is for every target.
    flags: BTreeMap<String, Vec<String>>,
    /// Settings from elsewhere that would change what is built, and are ignored.
    left_out: Vec<String>,
    /// The same, where cargo has no way to ignore them.
    refused: Vec<String>,
}

impl Settings {
    pub fn of(project: &Project) -> Result<Settings> {
        let mut settings = Settings {
            rust: project.rust.clone(),
            features: project.features(),
            library: match project.program {
                Some(_) => None,
                None => Some(project.module.clone()),
            },
            flags: BTreeMap::new(),
            left_out: Vec::new(),
            refused: Vec::new(),
        };
        for (name, value) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if is_personal(&name) && !value.is_empty() {
                settings.left_out.push(format!("{name} in the environment"));
            }
        }
        let mut files = Vec::new();
        let mut folders: Vec<PathBuf> = project.rust.ancestors().map(Path::to_owned).collect();
        folders.reverse(); // what is nearer comes later in a list of flags
        for folder in folders {
            add_file(&folder.join(".cargo"), &mut files)?;
        }
        add_file(&toolchain::cargo_home()?, &mut files)?;
        for (path, table) in files {
            if path.starts_with(&project.root) {
                settings.add_flags(&table);
            } else {
                settings.add_foreign(&path, &table);
            }
        }
        Ok(settings)
    }

    fn add_flags(&mut self, table: &Table) {
        let mut add = |platform: &str, settings: &Value| {
            let flags = self.flags.entry(platform.to_owned()).or_default();
            match settings.get("rustflags") {
                Some(Value::String(text)) => {
                    flags.extend(text.split_whitespace().map(str::to_owned))
                }
                Some(Value::Array(words)) => {
                    flags.extend(words.iter().filter_map(Value::as_str).map(str::to_owned))
                }
                _ => {}
            }
        };
        if let Some(settings) = table.get("build") {
            add("", settings);
        }
        for (platform, settings) in table
            .get("target")
            .and_then(Value::as_table)
            .into_iter()
            .flatten()
        {
            add(platform, settings);
        }
    }

    fn add_foreign(&mut self, path: &Path, table: &Table) {
        let path = path.display();
        for (name, value) in table {
            let keys = value.as_table().into_iter().flatten();
            match name.as_str() {
                // How cargo works, and where it gets crates from: the lock file says which.
                "alias"
                | "cache"
                | "cargo-new"
                | "credential-alias"
                | "doc"
                | "future-incompat-report"
                | "http"
                | "include"
                | "install"
                | "net"
                | "registries"
                | "registry"
                | "resolver"
                | "source"
                | "term" => {}
                "build" => {
                    for (key, _) in keys {
                        match key.as_str() {
                            "rustflags" => self.left_out.push(format!("build.rustflags in {path}")),
                            // The other one would be asked for its version.
                            "rustc" => self.refused.push(format!("build.rustc in {path}")),
                            // `--target`, `--target-dir` and the environment overrule the rest
                            // that could matter.
                            _ => {}
                        }
                    }
                }
                "target" => {
                    for (platform, settings) in keys {
                        for (key, _) in settings.as_table().into_iter().flatten() {
                            let found = format!("target.{platform}.{key} in {path}");
                            match key.as_str() {
                                "linker" | "runner" | "rustdocflags" => {}
                                "rustflags" => self.left_out.push(found),
                                _ => self.refused.push(found),
                            }
                        }
                    }
                }
                "profile" => {
                    let release = value.get("release").and_then(Value::as_table);
                    for (key, _) in release.into_iter().flatten() {
                        self.refused
                            .push(format!("profile.release.{key} in {path}"));
                    }
                }
                _ if value.is_table() => {
                    let found = keys.map(|(key, _)| format!("{name}.{key} in {path}"));
                    self.refused.extend(found);
                }
                _ => self.refused.push(format!("{name} in {path}")),
            }
        }
    }

    /// Reports what is ignored, and refuses what cannot be.
    pub fn check(&self) -> Result<()> {
        if local() {
            let found = [&self.left_out[..], &self.refused].concat();
            if !found.is_empty() {
                eprintln!(
                    "note: because of {LOCAL}, this build also uses {}",
                    found.join(", ")
                );
            }
            return Ok(());
        }
        if !self.left_out.is_empty() {
            eprintln!(
                "note: only the repository's settings for cargo are used; ignored: {} \
                 ({LOCAL}=1 uses them)",
                self.left_out.join(", ")
            );
        }
        ensure!(
            self.refused.is_empty(),
            "cargo would use settings from outside the repository that change what is built: {}; \
             remove them, move them to {}, or set {LOCAL}=1 to build with them",
            self.refused.join(", "),
            self.rust.join(".cargo/config.toml").display()
        );
        Ok(())
    }

    /// Gives a cargo command the repository's flags for a target, and these, and keeps what
    /// else would change the build from it. `inside`: cargo runs in a container, which sees
    /// the environment that it is given, and no file outside the repository.
    pub fn apply(
        &self,
        command: &mut Command,
        triple: &str,
        more: Vec<String>,
        inside: bool,
    ) -> Result<()> {
        command.args(
            self.features
                .iter()
                .map(|name| format!("--features={name}")),
        );
        let mut more = [needed_flags(triple, self.library.as_deref()), more].concat();
        command.env_remove("RUSTFLAGS");
        command.env_remove("CARGO_ENCODED_RUSTFLAGS");
        if local() {
            more.extend(flags_of_environment());
        } else {
            let names = env::vars_os().map(|(name, _)| name);
            for name in names.filter(|name| is_personal(&name.to_string_lossy())) {
                command.env_remove(name);
            }
            command.env("CARGO_INCREMENTAL", "0");
        }
        if local() || inside {
            // Joined to what cargo finds for the target. Nobody has flags by this key.
            let key = "target.'cfg(all())'.rustflags";
            command.args(["--config", &format!("{key}={more:?}")]);
        } else {
            let mut flags = self.flags_for(triple)?;
            flags.extend(more);
            // It comes before all other flags, wherever they are from.
            command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        }
        Ok(())
    }

    /// The repository's flags for a target, as cargo puts them together.
    fn flags_for(&self, triple: &str) -> Result<Vec<String>> {
        let cfgs: Vec<Cfg> = toolchain::rustc(&self.rust, &["--print", "cfg", "--target", triple])?
            .lines()
            .map(|line| {
                line.parse()
                    .with_context(|| format!("`rustc --print cfg`: {line}"))
            })
            .collect::<Result<_>>()?;
        let mut found = Vec::new();
        let mut platforms: Vec<_> = self.flags.iter().filter(|it| !it.0.is_empty()).collect();
        platforms.sort_by_key(|it| it.0.starts_with("cfg("));
        for (platform, flags) in platforms {
            let parsed: Platform = platform
                .parse()
                .with_context(|| format!("target.{platform} in the repository's settings"))?;
            if parsed.matches(triple, &cfgs) {
                found.extend_from_slice(flags);
            }
        }
        if found.is_empty() {
            found.extend(self.flags.get("").cloned().unwrap_or_default());
        }
        Ok(found)
    }
}

/// What the compiler needs to build the library of that name for a target, which
/// python/build_library.py gives it, too; or a program.
fn needed_flags(triple: &str, library: Option<&str>) -> Vec<String> {
    let musl = triple.contains("-linux-musl");
    let flag = match library {
        // So it runs whatever the system's libc is. Rust's default may change.
        None if musl => "target-feature=+crt-static".to_owned(),
        // Else cargo builds programs only, and leaves the cdylib out.
        Some(_) if musl => "target-feature=-crt-static".to_owned(),
        // Else it has its path on the machine that built it.
        Some(name) if triple.ends_with("-apple-darwin") => {
            format!("link-arg=-Wl,-install_name,@rpath/lib{name}.dylib")
        }
        _ => return Vec::new(),
    };
    vec!["-C".to_owned(), flag]
}

/// Whether a variable of the environment changes what cargo builds. CARGO_TARGET_<T>_LINKER
/// does not: a linker is a tool of the machine, as a compiler for C is.
fn is_personal(name: &str) -> bool {
    [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_RUSTC",
    ]
    .contains(&name)
        || name.starts_with("CARGO_TARGET_") && name.ends_with("_RUSTFLAGS")
        || name.starts_with("CARGO_PROFILE_RELEASE_")
        || name.starts_with("CARGO_UNSTABLE_")
}

/// The variables that a build depends on.
pub fn depended_on() -> impl Iterator<Item = (String, OsString)> {
    let named = env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value));
    named.filter(|(name, _)| name == LOCAL || local() && is_personal(name))
}

fn flags_of_environment() -> Vec<String> {
    let flags = |name, separator: fn(char) -> bool| {
        let text = env::var(name).ok()?;
        let words = text.split(separator).filter(|word| !word.is_empty());
        Some(words.map(str::to_owned).collect())
    };
    flags("CARGO_ENCODED_RUSTFLAGS", |c| c == '\x1f')
        .or_else(|| flags("RUSTFLAGS", char::is_whitespace))
        .unwrap_or_default()
}

/// Adds the settings in a folder that cargo reads, after those that they include.
fn add_file(folder: &Path, files: &mut Vec<(PathBuf, Table)>) -> Result<()> {
    // Cargo prefers the older name.
    let names = ["config", "config.toml"].map(|name| folder.join(name));
    match names.into_iter().find(|path| path.is_file()) {
        Some(path) => add_included(path, files),
        None => Ok(()),
    }
}

fn add_included(path: PathBuf, files: &mut Vec<(PathBuf, Table)>) -> Result<()> {
    if files.iter().any(|(known, _)| *known == path) {
        return Ok(()); // CARGO_HOME is often a folder above
    }
    let table: Table = toml::from_str(&read(&path)?)
        .with_context(|| format!("{} is not a valid cargo configuration file", path.display()))?;
    let include = table.get("include").cloned();
    let at = files.len();
    files.push((path.clone(), table));
    let included = match include {
        Some(Value::Array(included)) => included,
        Some(one) => vec![one],
        None => vec![],
    };
    for one in included {
        let name = one.get("path").unwrap_or(&one).as_str().unwrap_or_default();
        let other = path.with_file_name(name);
        if other.is_file() {
            add_included(other, files)?;
        }
    }
    let own = files.remove(at);
    files.push(own);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_the_flags_of_the_repository() {
        let mut settings = Settings {
            rust: PathBuf::from("."),
            features: Vec::new(),
            library: Some("example".into()),
            flags: BTreeMap::new(),
            left_out: Vec::new(),
            refused: Vec::new(),
        };
        let text =
            "build.rustflags = '-D  warnings'\ntarget.x86_64-apple-darwin.rustflags = ['a b']\n\
                    target.'cfg(target_vendor = \"apple\")'.rustflags = ['c']";
        settings.add_flags(&toml::from_str(text).unwrap());
        let flags = |triple| settings.flags_for(triple).unwrap();
        assert_eq!(flags("aarch64-apple-darwin"), ["c"]);
        assert_eq!(flags("x86_64-apple-darwin"), ["a b", "c"]);
        // Cargo takes these where nothing else is said.
        assert_eq!(flags("x86_64-unknown-linux-gnu"), ["-D", "warnings"]);
    }

    #[test]
    fn a_target_has_the_flags_that_it_needs() {
        let flags = |triple| needed_flags(triple, Some("m")).join(" ");
        let name = "-C link-arg=-Wl,-install_name,@rpath/libm.dylib";
        assert_eq!(flags("aarch64-apple-darwin"), name);
        let musl = flags("armv7-unknown-linux-musleabihf");
        assert_eq!(musl, "-C target-feature=-crt-static");
        assert_eq!(flags("x86_64-unknown-linux-gnu"), "");
        let of_program = |triple| needed_flags(triple, None).join(" ");
        let musl = of_program("x86_64-unknown-linux-musl");
        assert_eq!(musl, "-C target-feature=+crt-static");
        assert_eq!(of_program("aarch64-apple-darwin"), "");
    }
}
