//! A wheel as cibuildwheel packs, repairs and tests it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::container;
use super::dist::{copy_tree, wheel_of};
use super::library::no_image;
use super::pack::{write_sbom, Run};
use crate::files::{self, read};
use crate::project::Project;
use crate::run;
use crate::targets::{System, Target};

/// The official image, which has every Python; none for a system without containers.
pub fn image(project: &Project, target: &Target) -> Result<Option<String>> {
    if !matches!(target.system(), System::Manylinux | System::Musllinux) {
        return Ok(None);
    }
    let image = match &target.image {
        Some(name) => container::base(project, name)?,
        None => None,
    };
    image.map(Some).with_context(|| no_image(target))
}

/// cibuildwheel's settings: the project's, else the tool's.
pub fn configuration(project: &Project) -> Result<PathBuf> {
    project.or_brought("ci/cibuildwheel.toml")
}

/// A wheel of the sdist's tree and the library, as cibuildwheel packs and repairs it, run on
/// every Python that it offers for the platform; CIBW_BUILD and CIBW_SKIP choose among them.
pub fn wheel(
    run: &Run,
    target: &Target,
    library: &Path,
    folder: &Path,
    log: &Path,
) -> Result<PathBuf> {
    let project = run.project;
    // The part of the project that the container sees: `python`, and the smoke tests beside it.
    let root = folder.join("project");
    let tree = root.join("python");
    copy_tree(run.tree, &tree)?;
    let scripts = root.join("scripts");
    fs::create_dir_all(&scripts)?;
    fs::copy(
        project.helper_path("smoke_gate")?,
        scripts.join("smoke_gate.py"),
    )?;
    let mut test = format!(
        "python {{project}}/scripts/smoke_gate.py {}",
        project.module
    );
    if let Some(smoke) = project.smoke_test() {
        fs::copy(smoke, scripts.join("smoke.py"))?;
        test += " && python {project}/scripts/smoke.py";
    }
    let built = tree.join("built");
    fs::create_dir_all(&built)?;
    let name = target.library_name(&project.module);
    let copied = project.all(target, &built.join(&name));
    for (path, copy) in project.all(target, library).iter().zip(&copied) {
        fs::copy(path, copy)?;
    }
    write_sbom(run, target, &built)?;
    let section = "[build_library]\n";
    let ready = format!(
        "{section}library = built/{name}\nsbom = built/{}.cdx.json\n",
        project.module
    );
    let settings = read(&tree.join("setup.cfg"))?;
    let settings = match project.settings.has("build_library") {
        true => settings.replacen(section, &ready, 1),
        false => format!("{settings}\n{ready}"),
    };
    files::write(&tree.join("setup.cfg"), settings)?;

    let machine = target.machine();
    let (platform, machine) = match target.system() {
        System::Windows if machine.is_empty() => ("windows", "x86".to_owned()), // win32
        System::Windows => ("windows", machine.to_uppercase()),
        System::Macos => ("macos", machine.to_owned()),
        System::Manylinux | System::Musllinux => ("linux", machine.to_owned()),
    };
    let wheelhouse = folder.join("wheelhouse");
    let mut command = project.command(project.tool("cibuildwheel")?)?;
    command
        .current_dir(&root)
        .args(["--platform", platform, "--archs", &machine, "--config-file"])
        .arg(configuration(project)?)
        .arg("--output-dir")
        .arg(&wheelhouse)
        .arg("python")
        // ci/cibuildwheel.toml passes it to the repair.
        .env("WHEEL_PLAT", target.tag())
        .env("CIBW_TEST_COMMAND", test);
    if let Some(image) = image(project, target)? {
        let (libc, other) = match target.system() {
            System::Musllinux => ("musllinux", "manylinux"),
            _ => ("manylinux", "musllinux"),
        };
        let variable = format!("CIBW_{libc}_{machine}_IMAGE").to_uppercase();
        let skip = env::var("CIBW_SKIP").unwrap_or_default();
        command
            .env(variable, image)
            .env("CIBW_SKIP", format!("{skip} *-{other}_*").trim())
            .env("CIBW_CONTAINER_ENGINE", container::engine());
    }
    run::run(&mut command, log)?;
    wheel_of(project, target, &wheelhouse)
}
