//! Images and containers, through Docker's command line or a compatible one.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;

use crate::data;
use crate::files::read;
use crate::project::Project;
use crate::run;
use crate::say::say;

/// docker/images.toml
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Images {
    rust: String,
    /// Of a platform's own machine, by name.
    base: BTreeMap<String, String>,
    /// Of an x86_64 machine with a linker for the target, by triple.
    cross: BTreeMap<String, String>,
}

/// The tool's images, with what the project adds and sets otherwise.
fn images(project: &Project) -> Result<Images> {
    let mut images: Images = toml::from_str(data::IMAGES)?;
    let path = project.root.join("docker/images.toml");
    if !path.exists() {
        return Ok(images);
    }
    let own: Images = toml::from_str(&read(&path)?)
        .with_context(|| format!("{} is not a valid table of images", project.relative(&path)))?;
    if !own.rust.is_empty() {
        images.rust = own.rust;
    }
    images.base.extend(own.base);
    images.cross.extend(own.cross);
    Ok(images)
}

/// The name in which [`build`] and [`image`] know the image that cross runs for a target.
pub fn name_for_cross(triple: &str) -> String {
    format!("cross-{triple}")
}

/// The official image that the image of that name is built on.
pub fn base(project: &Project, name: &str) -> Result<Option<String>> {
    Ok(images(project)?.base.remove(name))
}

/// The cross image that the image for a target is built on.
pub fn cross_base(project: &Project, triple: &str) -> Result<Option<String>> {
    Ok(images(project)?.cross.remove(triple))
}

/// What engines call the image of that name. It contains nothing of a project, so all share it;
/// and no engine looks for that name on the network.
fn tag(name: &str) -> String {
    format!("localhost/{name}")
}

/// Whether a program of that name is on PATH.
fn on_path(name: &str) -> bool {
    which::which(name).is_ok()
}

/// CONTAINER_ENGINE, else docker, else podman.
pub fn engine() -> OsString {
    env::var_os("CONTAINER_ENGINE").unwrap_or_else(|| {
        match !on_path("docker") && on_path("podman") {
            true => "podman",
            false => "docker",
        }
        .into()
    })
}

/// Its output, without the line feed at the end.
fn ask(words: &[&str]) -> Result<String> {
    let engine = engine();
    let name = Path::new(&engine).display();
    let output = Command::new(&engine)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .with_context(|| {
            format!("cannot run {name}: install it, or set CONTAINER_ENGINE to another engine")
        })?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The engine's description of itself, if it is installed and works.
fn engine_info() -> Result<String> {
    ask(&["info"]).with_context(|| {
        format!(
            "{} does not respond: start it, or set CONTAINER_ENGINE to another engine",
            Path::new(&engine()).display()
        )
    })
}

/// An image that is there.
#[derive(Clone)]
pub struct Image {
    pub tag: String,
    /// `rustc -vV` in it.
    pub rustc: String,
}

/// The image of that name, asked for once.
pub fn image(project: &Project, name: &str) -> Result<Image> {
    static KNOWN: Mutex<BTreeMap<String, Image>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    let tag = tag(name);
    if let Some(image) = known.get(&tag) {
        return Ok(image.clone());
    }
    let wanted = images(project)?.rust;
    engine_info()?;
    ask(&["image", "inspect", &tag])
        .with_context(|| format!("there is no image {tag}: run `make image NAME={name}`"))?;
    let rustc = ask(&["run", "--rm", "--network", "none", &tag, "rustc", "-vV"])
        .with_context(|| format!("the image {tag} cannot be run, or has no Rust"))?;
    ensure!(
        rustc.starts_with(&format!("rustc {wanted} ")),
        "the image {tag} has {}, but docker/images.toml requires {wanted}: \
         run `make image NAME={name}`",
        rustc.lines().next().unwrap_or("no Rust")
    );
    let image = Image {
        tag: tag.clone(),
        rustc,
    };
    known.insert(tag, image.clone());
    Ok(image)
}

/// A command that runs in the image as this user. The project is mounted read-only; the command
/// can write only to `folder`. `variables` are passed on.
pub fn command(
    project: &Project,
    image: &Image,
    folder: &Path,
    variables: &[String],
) -> Result<Command> {
    let mut command = project.command(engine())?;
    command.args(["run", "--rm", "--init", "--read-only", "--tmpfs", "/tmp"]);
    command.args(["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]);
    // Where SELinux confines containers, they may not read what is mounted.
    command.args(["--security-opt", "label=disable"]);
    #[cfg(unix)]
    {
        let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
        let own = format!("{}:{}", user.as_raw(), group.as_raw());
        let info = engine_info()?;
        let says = |line: &str| info.lines().any(|other| other.trim() == line);
        if says("rootless: true") {
            // podman, by whatever name: without it, another user of this machine runs there.
            command.args(["--user", &own, "--userns", "keep-id"]);
        } else if says("rootless") {
            // Docker, whose root is who started the engine.
            command.args(["--user", "0:0"]);
        } else {
            command.args(["--user", &own]);
        }
    }
    for (path, mode) in [(project.root.as_path(), ",readonly"), (folder, "")] {
        let path = path.display();
        command
            .arg("--mount")
            .arg(format!("type=bind,source={path},target={path}{mode}"));
    }
    command.arg("--workdir").arg(&project.rust);
    command.arg("--env").arg(format!(
        "CARGO_HOME={}",
        folder.join("cargo-home").display()
    ));
    for name in variables {
        command.args(["--env", name]);
    }
    command.arg(&image.tag);
    Ok(command)
}

/// What cross calls the crate's folder and the target folder.
pub const CROSS_MOUNTS: [&str; 2] = ["/project", "/target"];

/// What cross calls CARGO_HOME.
pub const CROSS_HOME: &str = "/cargo";

/// Whether cross is there, and what it calls.
pub fn check_cross(project: &Project) -> Result<()> {
    ensure!(
        project.tool("cross").is_ok() || on_path("cross"),
        "BACKEND=cross needs cross, which is not installed: run `make cross`"
    );
    ensure!(
        on_path("rustup"),
        "cross needs rustup, which is not installed: see https://rustup.rs"
    );
    Ok(())
}

/// A command for cross, to which cargo's arguments are added. It builds with the image's Rust,
/// whatever is installed here, and cannot add a toolchain to rustup or change one.
///
/// `sysroot`: of this machine's Rust, which cross mounts behind the image's.
pub fn cross(project: &Project, triple: &str, sysroot: &Path, folder: &Path) -> Result<Command> {
    check_cross(project)?;
    // cross 0.2.5 looks for the toolchain in the output of `rustup toolchain list`, by the last
    // part of its sysroot, and adds it where it isn't listed as such: it reads neither
    // "name (active, default)" nor a toolchain by another name. So it gets a private list.
    let rustup = folder.join("rustup");
    let toolchains = rustup.join("toolchains");
    let name = sysroot
        .file_name()
        .context("rustc's sysroot has no folder name")?;
    let _ = fs::remove_dir_all(&rustup);
    fs::create_dir_all(&toolchains)?;
    // `rustup toolchain link` refuses names that could be official ones.
    #[cfg(unix)]
    std::os::unix::fs::symlink(sysroot, toolchains.join(name))?;
    #[cfg(windows)]
    std::os::windows::fs::symlink_dir(sysroot, toolchains.join(name))?;
    let mut path = vec![sysroot.join("bin")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut command = project.command(project.tool("cross").unwrap_or("cross".into()))?;
    command
        .env("PATH", env::join_paths(path)?)
        .env("RUSTUP_HOME", &rustup)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("CROSS_CUSTOM_TOOLCHAIN", "1")
        // These come before what a configuration file says. We pin images so that updating cross
        // cannot raise the minimum libc.
        .env(
            format!("CROSS_TARGET_{triple}_IMAGE")
                .replace('-', "_")
                .to_uppercase(),
            tag(&name_for_cross(triple)),
        )
        .env("CROSS_BUILD_ENV_PASSTHROUGH", "SOURCE_DATE_EPOCH")
        .env_remove("CROSS_CONFIG")
        .env("CROSS_CONTAINER_ENGINE", engine())
        .env("CARGO_HOME", folder.join("cargo-home"))
        .env("XARGO_HOME", folder.join("cargo-home/xargo"));
    let own = project.root.join("ci/Cross.toml");
    if own.exists() {
        command.env("CROSS_CONFIG", own);
    }
    Ok(command)
}

/// Builds an image of docker/images.toml.
pub fn build(project: &Project, name: &str) -> Result<()> {
    let images = images(project)?;
    let cross = name.strip_prefix("cross-");
    let base = match cross {
        Some(triple) => images.cross.get(triple),
        None => images.base.get(name),
    };
    let Some(base) = base else {
        let mut known: Vec<String> = images.base.keys().cloned().collect();
        known.extend(images.cross.keys().map(|triple| name_for_cross(triple)));
        bail!(
            "docker/images.toml has no image {name:?}; it has {}",
            known.join(", ")
        );
    };
    engine_info()?;
    let tag = tag(name);
    let log = project.build("image").join(format!("{name}.log"));
    let _ = fs::remove_file(&log);
    eprintln!("{tag}: from {base}");
    let mut command = project.command(engine())?;
    command
        .args(["build", "--tag", &tag])
        .args(["--build-arg", &format!("BASE_IMAGE={base}")])
        .args(["--build-arg", &format!("RUST_VERSION={}", images.rust)])
        .args(["--build-arg", &format!("TARGET={}", cross.unwrap_or(""))])
        .arg(project.brought("docker")?);
    run::run(&mut command, &log)?;
    say!("{tag}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Cross {
        target: BTreeMap<String, CrossTarget>,
    }

    #[derive(Deserialize)]
    struct CrossTarget {
        image: String,
    }

    #[test]
    fn cross_by_hand_uses_the_same_images() {
        let images: Images = toml::from_str(data::IMAGES).unwrap();
        let cross: Cross = toml::from_str(include_str!("../../../../ci/Cross.toml")).unwrap();
        let expected: Vec<_> = images
            .cross
            .keys()
            .map(|triple| (triple.clone(), tag(&name_for_cross(triple))))
            .collect();
        let configured: Vec<_> = cross
            .target
            .into_iter()
            .map(|(triple, target)| (triple, target.image))
            .collect();
        assert_eq!(configured, expected);
    }
}
