//! One library for one target.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::{ensure, Context, Result};
use fat_macho::FatWriter;
use serde::Deserialize;

use crate::container::{self, Image};
use crate::facts::{header, library, platform};
use crate::files::{self, read};
use crate::judge::promise::{self, Place};
use crate::judge::rules;
use crate::layout;
use crate::project::{self, Project};
use crate::run::{run, run_to};
use crate::settings::{self, Settings};
use crate::targets::{self, Backend, Floor, System, Target};
use crate::unwinder;

/// The Rust that cargo would use here.
pub struct Toolchain {
    /// `rustc -vV`, whole: what must be equal for a library to be up to date.
    pub version: String,
    pub host: String,
    sysroot: PathBuf,
}

/// A program of Rust's, chosen as Rust users expect: CARGO, RUSTC, else rustup or PATH.
fn rust_program(variable: &str, name: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| name.into())
}

/// The one that cargo uses for the library's crate.
pub fn toolchain(project: &Project) -> Result<Toolchain> {
    let rustc = |arguments: &[&str]| rustc(&project.rust, arguments);
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(Toolchain {
        host: host.context("`rustc -vV` names no host")?.to_owned(),
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
         choose another by RUSTUP_TOOLCHAIN",
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
            self.sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").is_file(),
            "there is no standard library for {triple} in {}: run `rustup target add {triple}`, \
             or `rustup component add rust-src` so that cargo builds it, \
             or choose a toolchain that has one of the two by RUSTUP_TOOLCHAIN, or by CARGO and RUSTC",
            self.sysroot.display()
        );
        Ok(Std::Source)
    }

    /// Makes sure that cargo finds, or can build, a standard library.
    fn provide_std(&self, triple: &str, project: &Project, log: &Path) -> Result<Std> {
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

/// What the builds of all targets share.
pub struct Builder<'a> {
    project: &'a Project,
    table: Vec<Target>,
    pub toolchain: Toolchain,
    /// None is the target's own.
    backend: Option<Backend>,
    settings: Settings,
}

impl<'a> Builder<'a> {
    pub fn new(project: &'a Project, backend: Option<Backend>) -> Result<Builder<'a>> {
        let settings = Settings::of(project)?;
        settings.check()?;
        Ok(Builder {
            project,
            table: targets::load(project)?,
            toolchain: toolchain(project)?,
            backend,
            settings,
        })
    }

    /// The rows that the words name; this machine's for no word.
    pub fn select(&self, words: &[String]) -> Result<Vec<Target>> {
        targets::select(&self.table, words, &self.toolchain.host)
    }

    pub fn backend_for(&self, target: &Target) -> Backend {
        self.backend.unwrap_or(Self::default_backend(target))
    }

    fn default_backend(target: &Target) -> Backend {
        // Apple's own tools link for both architectures and for old systems.
        match target.system() == System::Macos && cfg!(target_os = "macos") {
            true => Backend::Cargo,
            false => Backend::Zig,
        }
    }

    /// What calls cargo.
    fn linker_for(&self, target: &Target) -> Backend {
        match self.backend_for(target) {
            Backend::Cibuildwheel => Self::default_backend(target),
            backend => backend,
        }
    }

    /// `rustc -vV` of what builds for the target.
    pub fn rustc(&self, target: &Target) -> Result<String> {
        Ok(match self.image(target)? {
            Some(image) => image.rustc,
            None => self.toolchain.version.clone(),
        })
    }

    /// The image that cargo runs in for the target; none where it runs here.
    pub fn image(&self, target: &Target) -> Result<Option<Image>> {
        let name = match self.backend_for(target) {
            Backend::Cargo | Backend::Zig | Backend::Cibuildwheel => return Ok(None),
            Backend::Cross => container::cross_base(self.project, &target.triple)?
                .map(|_| container::name_for_cross(&target.triple)),
            Backend::Docker => target.image.clone(),
        };
        container::image(self.project, &name.with_context(|| no_image(target))?).map(Some)
    }

    /// The release library for a target, checked against the target's floor. `folder` keeps
    /// the log, and what cargo built before.
    pub fn library(&self, target: &Target, folder: &Path) -> Result<PathBuf> {
        if !target.slices.is_empty() {
            return self.universal(target, folder);
        }
        // The same library can be wanted for itself and as a slice, on two threads.
        static BUILDING: Mutex<BTreeMap<String, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());
        let turn = BUILDING
            .lock()
            .unwrap()
            .entry(target.triple.clone())
            .or_default()
            .clone();
        let _turn = turn.lock().unwrap();
        let project = self.project;
        let backend = self.linker_for(target);
        let std = match backend {
            Backend::Docker | Backend::Cross => Std::Installed, // the image has it
            _ => {
                let log = folder.join("log");
                self.toolchain.provide_std(&target.triple, project, &log)?
            }
        };
        // Where the sources are, as the compiler sees it, and where cargo writes.
        let (mut home, mut root) = (cargo_home()?, project.root.clone());
        let mut made = folder.join("cargo");
        let mut mounts = Vec::new();
        let mut triple = target.triple.clone();
        let mut flags = Vec::new();
        let mut command = match backend {
            Backend::Docker => {
                home = folder.join("cargo-home");
                made = folder.join("docker");
                fs::create_dir_all(folder)?;
                let image = self.image(target)?.context("no image")?;
                let mut command = container::command(project, &image, folder, &passed_on())?;
                command.args(["cargo", "build"]);
                command
            }
            Backend::Cross => {
                made = folder.join("cross");
                let [crate_inside, made_inside] = container::CROSS_MOUNTS;
                mounts = vec![(crate_inside, &*project.rust), (made_inside, &*made)];
                home = container::CROSS_HOME.into();
                root = crate_inside.into();
                fs::create_dir_all(folder)?;
                self.image(target)?; // an error of ours, where cross would try to pull it
                let mut command = container::cross(project, &self.toolchain.sysroot, folder)?;
                command.arg("build");
                command
            }
            Backend::Cargo => {
                let mut command = cargo(project)?;
                command.arg("build");
                command
            }
            Backend::Zig | Backend::Cibuildwheel => {
                if let (System::Manylinux, Some(floor)) = (target.system(), target.floor()) {
                    // Without it zig would link for a newer glibc.
                    let glibc = target.zig_glibc.clone().unwrap_or(floor.to_string());
                    triple = format!("{triple}.{glibc}");
                }
                let mut command = project.command(project.tool("cargo-zigbuild")?)?;
                if target.system() == System::Windows {
                    command.arg("rustc");
                    flags.push(format!("-Clink-arg={}", exports(project, target, folder)?));
                } else if target.system() == System::Manylinux {
                    command.arg("rustc");
                    flags.extend(unwinder::flags(project, target, folder)?);
                } else {
                    command.arg("zigbuild");
                }
                command
            }
        };
        command
            .args(["--release", "--target", &triple])
            .env_remove("CARGO_BUILD_TARGET");
        if let (System::Macos, Some(floor)) = (target.system(), target.floor()) {
            command.env("MACOSX_DEPLOYMENT_TARGET", floor.to_string());
        }
        let mut rustflags: Vec<String> = Vec::new();
        let by_gcc = !matches!(backend, Backend::Zig | Backend::Cibuildwheel);
        if target.system() == System::Musllinux && by_gcc {
            let inside = mounts.iter().find(|(_, outside)| *outside == made);
            let seen = inside.map_or(made.clone(), |(inside, _)| PathBuf::from(inside));
            rustflags.push(static_unwinder(&made, &seen)?);
        }
        // Panic messages name source files: those of dependencies, and of the standard library
        // where it is built here, by folders of this machine.
        if std != Std::Source {
            let remap = |folder: PathBuf| format!("--remap-path-prefix={}/=", folder.display());
            let folders = [home.join("registry/src"), home.join("git/checkouts"), root];
            rustflags.extend(folders.into_iter().map(remap));
        }
        let inside = matches!(backend, Backend::Docker | Backend::Cross);
        self.settings
            .apply(&mut command, &target.triple, rustflags, inside)?;
        if std == Std::Source {
            // Cargo builds the standard library on a stable Rust only with the first one.
            command
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_unwind")
                .env("CARGO_UNSTABLE_TRIM_PATHS", "true")
                .env("CARGO_PROFILE_RELEASE_TRIM_PATHS", "all");
        }
        let library = artefact(project, &mut command, &flags, folder, &made, &mounts)?;
        check(target, &library)?;
        layout::check(project, target, &library, folder)?;
        Ok(library)
    }

    /// One file of the slices' libraries.
    fn universal(&self, target: &Target, folder: &Path) -> Result<PathBuf> {
        let mut writer = FatWriter::new();
        for slice in self
            .table
            .iter()
            .filter(|row| target.slices.contains(&row.triple))
        {
            let library = self.library(slice, &self.project.build(&slice.triple))?;
            writer
                .add(fs::read(library)?)
                .map_err(|error| anyhow::anyhow!("{error}"))?;
        }
        let path = folder.join(target.library_name(&self.project.module));
        let mut contents = Vec::new();
        writer
            .write_to(&mut contents)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        files::write(&path, contents)?;
        Ok(path)
    }
}

/// The flag with which gcc's unwinder becomes part of a musl library. Rust asks for libgcc_s,
/// which a bare Alpine lacks; what the linker finds by that name first, in the folder `made`,
/// which the compiler calls `seen`, names the static library. zig has an unwinder of its own.
fn static_unwinder(made: &Path, seen: &Path) -> Result<String> {
    let script = "GROUP ( libgcc_eh.a libgcc.a )\n";
    files::write(&made.join("unwinder/libgcc_s.so"), script)?;
    Ok(format!("-Lnative={}", seen.join("unwinder").display()))
}

/// What to say where a backend needs an image that docker/images.toml does not have.
pub fn no_image(target: &Target) -> String {
    format!(
        "{} has no image for this BACKEND: leave it out, and zig builds it",
        target.short_name()
    )
}

/// What a container is told of the environment.
fn passed_on() -> Vec<String> {
    let mut names: Vec<String> = settings::depended_on().map(|(name, _)| name).collect();
    names.push("SOURCE_DATE_EPOCH".to_owned());
    names
}

/// https://doc.rust-lang.org/cargo/guide/cargo-home.html
pub fn cargo_home() -> Result<PathBuf> {
    let home = || Some(env::home_dir()?.join(".cargo"));
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .context("neither CARGO_HOME nor HOME says where cargo keeps sources")
}

/// The list of a DLL's exports, relative to the crate's folder, where the linker runs. rustc
/// gives zig one as well, of which zig takes no notice: it would export what it finds in its
/// own C library, too.
fn exports(project: &Project, target: &Target, folder: &Path) -> Result<String> {
    let header = format!("include/{}.h", project.module);
    let names = header::functions(&read(&project.rust.join(header))?, &project.module);
    let names: Vec<String> = names.into_iter().collect();
    let list = format!("EXPORTS\n{}\n", names.join("\n"));
    files::write(&folder.join("exports.def"), list)?;
    Ok(format!("../build/{}/exports.def", target.triple))
}

/// Whether the library needs no more than its target promises. The rest is judged in the
/// finished wheel.
fn check(target: &Target, path: &Path) -> Result<()> {
    let platforms: Vec<_> = platform::platform(target.tag()).into_iter().collect();
    let place = Place {
        platforms: &platforms,
        python2: true,
        ..Place::default()
    };
    let found: Vec<String> = promise::needs(&library::read(path)?, &place)
        .into_iter()
        // Repair brings along what it links against.
        .filter(|(rule, _)| *rule != &rules::D401)
        .map(|(rule, text)| format!("{text}; {}", rule.remedy))
        .collect();
    ensure!(
        found.is_empty(),
        "{} does not keep what its tag, {}, promises: {}; or change the row in ci/targets.toml",
        path.display(),
        target.tag(),
        found.join("; ")
    );
    Ok(())
}

/// What the library needs, for the closing table.
pub fn floor_needed(path: &Path) -> Result<Option<Floor>> {
    Ok(library::read(path)?
        .into_iter()
        .filter_map(|slice| slice.version)
        .min())
}

/// The library of a debug build for this machine: quick, and good enough for what does
/// not depend on target and profile.
pub fn debug_library(project: &Project, folder: &Path) -> Result<PathBuf> {
    let made = folder.join("cargo");
    let mut command = cargo(project)?;
    command.arg("build");
    for_host(project, &mut command)?;
    artefact(project, &mut command, &[], folder, &made, &[])
}

/// The crate as the compiler sees it after macros, for cbindgen, which expands none.
pub fn expanded(project: &Project, folder: &Path) -> Result<String> {
    let out = folder.join("expanded.rs");
    let mut command = cargo(project)?;
    command
        .current_dir(&project.rust)
        .args(["rustc", "--lib", "--locked", "--target-dir"])
        .arg(folder.join("cargo"));
    for_host(project, &mut command)?;
    command
        .args(["--", "-Zunpretty=expanded"])
        // A stable compiler refuses the option above without it; nothing that is built
        // this way is kept.
        .env("RUSTC_BOOTSTRAP", "1");
    fs::create_dir_all(folder)?;
    run_to(&mut command, &folder.join("log"), Some(&out))?;
    read(&out)
}

/// Has cargo build for this machine, whatever its settings elsewhere are.
fn for_host(project: &Project, command: &mut Command) -> Result<()> {
    let host = toolchain(project)?.host;
    command.args(["--target", &host]);
    command.args(["--config", "profile.dev.panic=\"unwind\""]); // the gate needs it
    Settings::of(project)?.apply(command, &host, Vec::new(), false)
}

pub fn cargo(project: &Project) -> Result<Command> {
    project.command(rust_program("CARGO", "cargo"))
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Runs a cargo build, with `flags` for the compiler, in the target folder `made`, and reads
/// from its messages where the library is. `mounts`: what cargo calls folders of this
/// machine, when it runs in a container.
fn artefact(
    project: &Project,
    command: &mut Command,
    flags: &[String],
    folder: &Path,
    made: &Path,
    mounts: &[(&str, &Path)],
) -> Result<PathBuf> {
    let scratch = files::scratch(folder)?;
    let out = scratch.path().join("messages.json");
    command
        // Cargo reads .cargo/config.toml from here upwards.
        .current_dir(&project.rust)
        // The linker writes it into a DLL. The library depends on its sources alone, whatever
        // commit they are in: cargo does not build it again for another date.
        .env("SOURCE_DATE_EPOCH", project::ZIP_EPOCH.to_string())
        .args(["--lib", "--locked", "--target-dir"])
        .arg(made)
        .args(["--message-format", "json-render-diagnostics"]);
    if !flags.is_empty() {
        command.arg("--").args(flags); // cargo rustc
    }
    run_to(command, &folder.join("log"), Some(&out))?;
    let outside = |path: PathBuf| {
        let found = mounts.iter().find_map(|(inside, outside)| {
            let rest = path.strip_prefix(inside).ok()?;
            Some(outside.join(rest))
        });
        found.unwrap_or(path)
    };
    let manifest = project.rust.join("Cargo.toml");
    let mut library = None;
    for line in read(&out)?.lines().filter(|line| line.starts_with('{')) {
        let message: Message =
            serde_json::from_str(line).with_context(|| format!("a message of cargo: {line}"))?;
        if message.reason == "compiler-artifact" && outside(message.manifest_path) == manifest {
            library = message.filenames.into_iter().map(outside).find(|file| {
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
