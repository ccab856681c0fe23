//! How cargo is called for a target, and what links: a plan for each backend.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::container::{self, Image};
use super::header;
use super::settings;
use super::toolchain::{cargo, cargo_home, Toolchain};
use super::unwinder;
use crate::files;
use crate::project::Project;
use crate::targets::{Backend, System, Target};

/// How cargo is called for a target.
pub struct Plan {
    /// The program, and the verb of a build.
    pub command: Command,
    /// The target, as the program takes it.
    pub triple: String,
    /// For the compiler; if there are any, the verb is `rustc`.
    pub flags: Vec<String>,
    /// For the compiler, of every crate.
    pub rustflags: Vec<String>,
    /// Where cargo keeps sources, and where the project is, as the compiler sees them.
    pub home: PathBuf,
    pub root: PathBuf,
    /// Where cargo writes, on this machine.
    pub made: PathBuf,
    /// The names of this machine's folders in the container, if they differ.
    pub mounts: Vec<(&'static str, PathBuf)>,
    /// Whether cargo runs in a container.
    pub contained: bool,
}

impl Plan {
    /// Cargo on this machine, by a command that a backend chooses.
    fn new(project: &Project, triple: &str, folder: &Path, command: Command) -> Result<Plan> {
        Ok(Plan {
            command,
            triple: triple.to_owned(),
            flags: Vec::new(),
            rustflags: Vec::new(),
            home: cargo_home()?,
            root: project.root.clone(),
            made: folder.join("cargo"),
            mounts: Vec::new(),
            contained: false,
        })
    }

    /// What the compiler calls a folder of this machine.
    fn inside(&self, folder: &Path) -> PathBuf {
        let found = self.mounts.iter().find(|(_, outside)| outside == folder);
        found.map_or(folder.to_owned(), |(inside, _)| PathBuf::from(inside))
    }

    /// What this machine calls a path of the compiler's.
    pub fn outside(&self, path: PathBuf) -> PathBuf {
        let found = self.mounts.iter().find_map(|(inside, outside)| {
            let rest = path.strip_prefix(inside).ok()?;
            Some(outside.join(rest))
        });
        found.unwrap_or(path)
    }
}

/// The plan for a target and a backend. `image`: the one that cargo runs in, if it does.
pub fn plan(
    project: &Project,
    target: &Target,
    backend: Backend,
    image: Option<Image>,
    toolchain: &Toolchain,
    folder: &Path,
) -> Result<Plan> {
    let mut plan = match backend {
        // It brings its unwinder.
        Backend::Zig | Backend::Cibuildwheel => return zig(project, target, folder),
        Backend::Cargo => plain(project, &target.triple, folder)?,
        Backend::Docker => docker(project, target, &image.context("no image")?, folder)?,
        Backend::Cross => cross(project, target, toolchain, folder)?,
    };
    if target.system() == System::Musllinux && project.program.is_none() {
        plan.rustflags.push(static_unwinder(&plan)?);
    }
    Ok(plan)
}

/// Cargo itself, with this machine's linker and libc.
pub fn plain(project: &Project, triple: &str, folder: &Path) -> Result<Plan> {
    let mut command = cargo(project)?;
    command.arg("build");
    Plan::new(project, triple, folder, command)
}

fn zig(project: &Project, target: &Target, folder: &Path) -> Result<Plan> {
    let mut command = project.command(project.tool("cargo-zigbuild")?)?;
    // Two that run there for the first time would make the same files, and one would fail.
    if env::var_os("CARGO_ZIGBUILD_CACHE_DIR").is_none() {
        command.env("CARGO_ZIGBUILD_CACHE_DIR", folder.join("zigbuild"));
    }
    let mut plan = Plan::new(project, &target.triple, folder, command)?;
    if let Some(glibc) = target.glibc() {
        // Without it zig would link for a newer one.
        plan.triple = format!("{}.{glibc}", target.triple);
    }
    if target.system() == System::Macos && project.program.is_none() {
        // zig's linker takes no list of exports: what is not to be one must be hidden. Rust's own
        // functions are by `lto = true`.
        for name in ["CFLAGS", "CXXFLAGS"] {
            let given = env::var(name).unwrap_or_default();
            let flags = format!("-fvisibility=hidden {given}");
            plan.command.env(name, flags.trim_end());
        }
    }
    plan.flags = match target.system() {
        // zig brings what rustc would: musl, and the unwinder. rustc's word for a static program
        // that can be loaded anywhere is none of zig's.
        System::Musllinux if project.program.is_some() => {
            ["-Clink-self-contained=no", "-Clink-arg=-pie"]
                .map(String::from)
                .into()
        }
        System::Windows if project.program.is_some() => Vec::new(),
        System::Windows => vec![format!("-Clink-arg={}", exports(project, target, folder)?)],
        System::Manylinux => unwinder::flags(project, target, folder)?,
        System::Musllinux | System::Macos => Vec::new(),
    };
    plan.command.arg(match plan.flags[..] {
        [] => "zigbuild",
        _ => "rustc",
    });
    Ok(plan)
}

fn docker(project: &Project, target: &Target, image: &Image, folder: &Path) -> Result<Plan> {
    fs::create_dir_all(folder)?;
    let mut command = container::command(project, image, folder, &passed_on())?;
    command.args(["cargo", "build"]);
    Ok(Plan {
        home: folder.join("cargo-home"),
        made: folder.join("docker"),
        contained: true,
        ..Plan::new(project, &target.triple, folder, command)?
    })
}

fn cross(project: &Project, target: &Target, toolchain: &Toolchain, folder: &Path) -> Result<Plan> {
    fs::create_dir_all(folder)?;
    let mut command = container::cross(project, &target.triple, &toolchain.sysroot, folder)?;
    command.arg("build");
    let made = folder.join("cross");
    let [crate_inside, made_inside] = container::CROSS_MOUNTS;
    Ok(Plan {
        home: container::CROSS_HOME.into(),
        root: crate_inside.into(),
        mounts: vec![
            (crate_inside, project.workspace.clone()),
            (made_inside, made.clone()),
        ],
        made,
        contained: true,
        ..Plan::new(project, &target.triple, folder, command)?
    })
}

/// The flag with which gcc's unwinder becomes part of a musl library. Rust asks for libgcc_s,
/// which a bare Alpine lacks; what the linker finds by that name first names the static library.
fn static_unwinder(plan: &Plan) -> Result<String> {
    let script = "GROUP ( libgcc_eh.a libgcc.a )\n";
    files::write(&plan.made.join("unwinder/libgcc_s.so"), script)?;
    let seen = plan.inside(&plan.made).join("unwinder");
    Ok(format!("-Lnative={}", seen.display()))
}

/// The environment variables that a container gets.
fn passed_on() -> Vec<String> {
    let mut names: Vec<String> = settings::depended_on().map(|(name, _)| name).collect();
    names.push("SOURCE_DATE_EPOCH".to_owned());
    names
}

/// The list of a DLL's exports. zig ignores the list that rustc passes, and would also export
/// functions of its C library.
fn exports(project: &Project, target: &Target, folder: &Path) -> Result<String> {
    let names: Vec<String> = header::declared(project)?.into_iter().collect();
    let list = format!("EXPORTS\n{}\n", names.join("\n"));
    files::write(&folder.join("exports.def"), list)?;
    project.seen_by_linker(&format!("{}/exports.def", target.triple))
}
