//! One library, or program, for one target.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::{ensure, Context, Error, Result};
use fat_macho::FatWriter;
use serde::Deserialize;

use super::command;
use super::container::{self, Image};
use super::header;
use super::layout;
use super::linker::{self, Plan};
use super::settings::Settings;
use super::toolchain::{cargo, toolchain, Std, Toolchain};
use crate::facts::{library, platform};
use crate::files::{self, read};
use crate::judge::promise::{self, Place};
use crate::judge::rules;
use crate::project::{self, Project};
use crate::run::{run_to, CommandFailed};
use crate::targets::{self, Backend, Floor, System, Target};

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
        if let (Some(program), Some(backend)) = (&project.program, backend) {
            ensure!(
                matches!(backend, Backend::Cargo | Backend::Zig),
                "{backend:?} builds libraries, in images with an old libc, which the program \
                 {program} does not need: leave BACKEND out"
            );
        }
        ensure!(
            project.command.is_none() || backend != Some(Backend::Cross),
            "cross runs cargo, and this project's library is built by a command: use \
             BACKEND=docker, or leave BACKEND out"
        );
        let settings = Settings::of(project)?;
        if project.command.is_none() {
            settings.check()?;
        }
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
        let backend = self.linker_for(target);
        self.built(target, backend, folder).map_err(|error| {
            match unlinkable(target, backend, &error) {
                Some(reason) => error.context(reason),
                None => error,
            }
        })
    }

    fn built(&self, target: &Target, backend: Backend, folder: &Path) -> Result<PathBuf> {
        let project = self.project;
        if project.command.is_some() {
            let image = match backend {
                Backend::Docker => self.image(target)?,
                _ => None,
            };
            let library = command::library(project, target, backend, image, folder)?;
            for each in project.all(target, &library) {
                check(project, target, &each)?;
            }
            header::check_given(project, target, &library, folder)?;
            return Ok(library);
        }
        let std = match backend {
            Backend::Docker | Backend::Cross => Std::Installed, // the image has it
            _ => {
                let log = folder.join("log");
                self.toolchain.provide_std(&target.triple, project, &log)?
            }
        };
        let image = match backend {
            // The error comes from here, before cross tries to pull the image.
            Backend::Docker | Backend::Cross => self.image(target)?,
            _ => None,
        };
        let mut plan = linker::plan(project, target, backend, image, &self.toolchain, folder)?;
        let command = &mut plan.command;
        command
            .args(["--release", "--target", &plan.triple])
            .env_remove("CARGO_BUILD_TARGET");
        if let (System::Macos, Some(floor)) = (target.system(), target.floor()) {
            command.env("MACOSX_DEPLOYMENT_TARGET", floor.to_string());
        }
        let mut rustflags = std::mem::take(&mut plan.rustflags);
        // Panic messages name source files: those of dependencies, and of the standard library
        // where it is built here, by folders of this machine.
        if std != Std::Source {
            let remap = |folder: &Path| format!("--remap-path-prefix={}/=", folder.display());
            let home = &plan.home;
            let folders = [
                &home.join("registry/src"),
                &home.join("git/checkouts"),
                &plan.root,
            ];
            rustflags.extend(folders.into_iter().map(|folder| remap(folder)));
        }
        self.settings
            .apply(command, &target.triple, rustflags, plan.contained)?;
        if std == Std::Source {
            // The gate needs the first kind of panic; other crates may choose.
            let crates = match project.has_gate() {
                true => "std,panic_unwind",
                false => "std,panic_unwind,panic_abort",
            };
            // Cargo builds the standard library on a stable Rust only with the first one.
            command
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_UNSTABLE_BUILD_STD", crates)
                .env("CARGO_UNSTABLE_TRIM_PATHS", "true")
                .env("CARGO_PROFILE_RELEASE_TRIM_PATHS", "all");
        }
        let library = artefact(project, plan, folder)?;
        check(project, target, &library)?;
        if project.has_gate() {
            layout::check(project, target, &library, folder)?;
        } else if project.program.is_none() {
            header::check_given(project, target, &library, folder)?;
        }
        Ok(library)
    }

    /// One file of the slices' libraries, of each library.
    fn universal(&self, target: &Target, folder: &Path) -> Result<PathBuf> {
        let project = self.project;
        let rows = self.table.iter();
        let slices = rows.filter(|row| target.slices.contains(&row.triple));
        let slices = slices.map(|slice| {
            let library = self.library(slice, &project.build(&slice.triple))?;
            Ok(project.all(slice, &library))
        });
        let slices: Vec<Vec<PathBuf>> = slices.collect::<Result<_>>()?;
        let path = folder.join(target.file_name(project.program.as_deref(), &project.module));
        for (index, path) in project.all(target, &path).iter().enumerate() {
            join(slices.iter().map(|libraries| &libraries[index]), path)?;
        }
        Ok(path)
    }
}

/// Writes a file that has a slice of each file.
fn join<'p>(slices: impl Iterator<Item = &'p PathBuf>, path: &Path) -> Result<()> {
    let mut writer = FatWriter::new();
    for slice in slices {
        let added = writer.add(fs::read(slice)?);
        added.map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    let mut contents = Vec::new();
    let written = writer.write_to(&mut contents);
    written.map_err(|error| anyhow::anyhow!("{error}"))?;
    files::write(path, contents)
}

/// Why a build for macOS failed, where zig's linker cannot do what Apple's can, and what to do.
fn unlinkable(target: &Target, backend: Backend, error: &Error) -> Option<String> {
    if target.system() != System::Macos || backend != Backend::Zig {
        return None;
    }
    // What it says, and what that means.
    const LIMITS: [(&str, &str); 2] = [
        (
            "unable to find system framework",
            "zig has none of macOS's frameworks",
        ),
        (
            ": bad relocation",
            "zig's linker cannot read object files of this compiler for macOS",
        ),
    ];
    let output = &error.downcast_ref::<CommandFailed>()?.output;
    let (_, reason) = LIMITS.iter().find(|(said, _)| output.contains(said))?;
    let name = target.short_name();
    Some(format!(
        "{reason}: build {name} on macOS, with Apple's linker, or leave it out"
    ))
}

/// The error when a backend needs an image that docker/images.toml does not have.
pub fn no_image(target: &Target) -> String {
    format!(
        "there is no image for {} with this BACKEND: leave BACKEND out to build it with zig",
        target.short_name()
    )
}

/// Whether the library needs no more than its tag allows. The rest is audited in the finished
/// wheel.
fn check(project: &Project, target: &Target, path: &Path) -> Result<()> {
    let tags = target.tags.iter();
    let platforms: Vec<_> = tags.filter_map(|tag| platform::platform(tag)).collect();
    let place = Place {
        platforms: &platforms,
        python2: project.pythons() != "py3",
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
        "{} needs more than its tag, {}, allows: {}; or change the row in ci/targets.toml",
        path.display(),
        target.tag(),
        found.join("; ")
    );
    Ok(())
}

/// What the libraries need, for the closing table.
pub fn floor_needed(paths: &[PathBuf]) -> Result<Option<Floor>> {
    let mut needed = None;
    for path in paths {
        let slices = library::read(path)?.into_iter();
        needed = needed.max(slices.filter_map(|slice| slice.version).min());
    }
    Ok(needed)
}

/// The library of a debug build for this machine: quick, and good enough for what does
/// not depend on target and profile.
pub fn debug_library(project: &Project, folder: &Path) -> Result<PathBuf> {
    let host = toolchain(project)?.host;
    if project.command.is_some() {
        let table = targets::load(project)?;
        let target = &targets::select(&table, &[], &host)?[0];
        return command::library(project, target, Backend::Zig, None, folder);
    }
    let mut plan = linker::plain(project, &host, folder)?;
    for_host(project, &host, &mut plan.command)?;
    artefact(project, plan, folder)
}

/// The crate as the compiler sees it after macros, for cbindgen, which expands none.
pub fn expanded(project: &Project, folder: &Path) -> Result<String> {
    let out = folder.join("expanded.rs");
    let mut command = cargo(project)?;
    command
        .current_dir(&project.rust)
        .args(["rustc", "--lib", "--locked", "--target-dir"])
        .arg(folder.join("cargo"));
    for_host(project, &toolchain(project)?.host, &mut command)?;
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
fn for_host(project: &Project, host: &str, command: &mut Command) -> Result<()> {
    command.args(["--target", host]);
    if project.has_gate() {
        command.args(["--config", "profile.dev.panic=\"unwind\""]); // it needs that
    }
    Settings::of(project)?.apply(command, host, Vec::new(), false)
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

/// Runs cargo by a plan, and reads from its messages where the library is.
fn artefact(project: &Project, mut plan: Plan, folder: &Path) -> Result<PathBuf> {
    let scratch = files::scratch(folder)?;
    let out = scratch.path().join("messages.json");
    let command = &mut plan.command;
    command
        // Cargo reads .cargo/config.toml from here upwards.
        .current_dir(&project.rust)
        // The linker writes it into a DLL. The library depends on its sources alone, whatever
        // commit they are in: cargo does not build it again for another date.
        .env("SOURCE_DATE_EPOCH", project::ZIP_EPOCH.to_string())
        .args(match &project.program {
            Some(program) => vec!["--bin", program],
            None => vec!["--lib"],
        })
        .args(["--locked", "--target-dir"])
        .arg(&plan.made)
        .args(["--message-format", "json-render-diagnostics"]);
    if !plan.flags.is_empty() {
        command.arg("--").args(&plan.flags); // cargo rustc
    }
    run_to(command, &folder.join("log"), Some(&out))?;
    let manifest = project.rust.join("Cargo.toml");
    let mut library = None;
    for line in read(&out)?.lines().filter(|line| line.starts_with('{')) {
        let message: Message = serde_json::from_str(line)
            .with_context(|| format!("cannot read cargo's message {line}"))?;
        if message.reason == "compiler-artifact" && plan.outside(message.manifest_path) == manifest
        {
            let made = match project.program {
                Some(_) => Vec::from_iter(message.executable),
                None => message.filenames,
            };
            library = made
                .into_iter()
                .map(|file| plan.outside(file))
                .find(|file| {
                    let extension = file.extension().unwrap_or_default();
                    let mut known = ["so", "dylib", "dll"].iter();
                    project.program.is_some() || known.any(|known| extension == *known)
                })
                .or(library);
        }
    }
    let manifest = project.relative(&manifest);
    library.with_context(|| match &project.program {
        Some(program) => format!("cargo built no program {program}: {manifest} needs a [[bin]]"),
        None => {
            format!("cargo built no dynamic library: {manifest} needs `crate-type = [\"cdylib\"]`")
        }
    })
}
