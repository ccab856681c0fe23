//! The stages in order: build, pack, repair, check, run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use serde::{Deserialize, Serialize};

use crate::build::{self, Toolchain};
use crate::project::{self, read, sha256, Inputs, Project};
use crate::targets::{self, Target};

/// Builds the library as wheels carry it, and puts it into the package's lib folder.
pub fn lib(project: &Project, target: Option<&str>) -> Result<()> {
    let toolchain = build::toolchain()?;
    let words: Vec<String> = target.map(str::to_owned).into_iter().collect();
    for target in targets::select(&targets::load(project)?, &words, &toolchain.host)? {
        let folder = project.root.join("build").join(&target.triple);
        eprintln!("{}: build", target.triple);
        let library = build::library(project, &target, &folder)?;
        let mut command = project.command(project.tool("python")?)?;
        command
            .current_dir(&project.python)
            .args([
                "setup.py",
                "--quiet",
                "build_library",
                "--inplace",
                "--library",
            ])
            .arg(&library)
            .env("CARGO_BUILD_TARGET", &target.triple);
        project::run(&mut command, &folder.join("log"))?;
        let placed = project
            .package()
            .join("lib")
            .join(library.file_name().unwrap());
        println!("{}", project.relative(&placed));
    }
    Ok(())
}

/// Packs the sdist into dist/.
pub fn sdist(project: &Project) -> Result<()> {
    let sdist = pack_sdist(project)?;
    let mut command = project.command(project.tool("twine")?)?;
    command.args(["check", "--strict"]).arg(&sdist);
    project::run(&mut command, &project.root.join("build/sdist/log"))?;
    let path = publish(project, &sdist, |name| name.ends_with(".tar.gz"))?;
    println!("{} ({})", project.relative(&path), kilobytes(&path)?);
    Ok(())
}

/// The sdist, in the build folder: what dist/ gets, and what wheels are made of.
fn pack_sdist(project: &Project) -> Result<PathBuf> {
    let ffi = project.package().join("_ffi.py");
    ensure!(
        read(&ffi)?.contains(&format!("VERSION = '{}'", project.version)),
        "{} is stale: rust/Cargo.toml says version {}; run `make header`",
        project.relative(&ffi),
        project.version
    );
    let folder = project.root.join("build/sdist");
    fresh(&folder)?;
    let mut command = project.command(project.tool("python")?)?;
    command
        .current_dir(&project.python)
        .args([
            "setup.py",
            "--quiet",
            "sdist",
            "--formats",
            "gztar",
            "--dist-dir",
        ])
        .arg(&folder);
    project::run(&mut command, &folder.join("log"))?;
    only(&folder, ".tar.gz")
}

/// What a finished wheel was made of, beside the build; never in the wheel.
#[derive(Serialize, Deserialize)]
struct Record {
    inputs: String,
    wheel: String,
    sha256: String,
    ran: String,
}

struct Row {
    target: Target,
    record: Record,
    size: String,
    /// Each stage that ran, with its time; none when the wheel was up to date.
    stages: Vec<(&'static str, Duration)>,
}

/// Makes a wheel for each of the targets, and prints what came of it.
pub fn wheels(project: &Project, words: &[String]) -> Result<()> {
    let toolchain = build::toolchain()?;
    let selected = targets::select(&targets::load(project)?, words, &toolchain.host)?;
    let sdist = pack_sdist(project)?;
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for target in selected {
        match wheel(project, &target, &toolchain, &sdist) {
            Ok(row) => rows.push(row),
            Err(error) => {
                eprintln!("error: {}: {error:#}", target.triple);
                failed.push(target.triple);
            }
        }
    }
    print(&rows);
    ensure!(failed.is_empty(), "no wheel for {}", failed.join(", "));
    Ok(())
}

fn wheel(project: &Project, target: &Target, toolchain: &Toolchain, sdist: &Path) -> Result<Row> {
    let folder = project.root.join("build").join(&target.triple);
    fs::create_dir_all(&folder)?;
    let inputs = inputs(project, target, toolchain, sdist)?;
    let record_path = folder.join("wheel.json");
    let mut stages = Vec::new();

    let up_to_date = fs::read(&record_path)
        .ok()
        .and_then(|text| serde_json::from_slice::<Record>(&text).ok())
        .filter(|record| record.inputs == inputs)
        .filter(|record| {
            sha256(&project.dist().join(&record.wheel)).is_ok_and(|sum| sum == record.sha256)
        });
    let record = match up_to_date {
        Some(record) => record,
        None => {
            let (wheel, ran) = make(project, target, toolchain, sdist, &folder, &mut stages)?;
            let path = publish(project, &wheel, |name| {
                name.ends_with(&format!("-{}.whl", target.tags.join(".")))
            })?;
            let record = Record {
                inputs,
                wheel: path.file_name().unwrap().to_string_lossy().into_owned(),
                sha256: sha256(&path)?,
                ran,
            };
            project::write(&record_path, serde_json::to_string_pretty(&record)?)?;
            record
        }
    };
    Ok(Row {
        size: kilobytes(&project.dist().join(&record.wheel))?,
        target: target.clone(),
        record,
        stages,
    })
}

/// Everything that a wheel's bytes and its checks depend on.
fn inputs(
    project: &Project,
    target: &Target,
    toolchain: &Toolchain,
    sdist: &Path,
) -> Result<String> {
    let mut inputs = Inputs::default();
    inputs.text(&format!("{target:?}"));
    inputs.text(&toolchain.version);
    inputs.text(&sha256(sdist)?);
    for path in ["rust/xtask/src", "scripts", "ci/requirements.txt"] {
        inputs.path(&project.root.join(path))?;
    }
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.ends_with("RUSTFLAGS") || name.starts_with("CARGO_PROFILE_") {
            inputs.text(&format!("{name}={value:?}"));
        }
    }
    Ok(inputs.digest())
}

/// The stages. Each leaves its result in a folder of its own, made anew. Returns the
/// finished wheel, and what it was run on.
fn make(
    project: &Project,
    target: &Target,
    toolchain: &Toolchain,
    sdist: &Path,
    folder: &Path,
    stages: &mut Vec<(&'static str, Duration)>,
) -> Result<(PathBuf, String)> {
    let log = folder.join("log");
    let _ = fs::remove_file(&log);
    let mut last = Instant::now();
    let mut begin = |stage: &'static str| {
        if let Some((_, time)) = stages.last_mut() {
            *time = last.elapsed();
        }
        last = Instant::now();
        if stage != "end" {
            eprintln!("{}: {stage}", target.triple);
            stages.push((stage, Duration::ZERO));
        }
    };

    begin("build");
    let library = build::library(project, target, folder)?;

    begin("pack");
    let tree = folder.join("tree");
    fresh(&tree)?;
    let python = project.tool("python")?;
    let mut command = project.command(&python)?;
    command.args(["-m", "tarfile", "-e"]).args([sdist, &tree]);
    project::run(&mut command, &log)?;
    let packed = folder.join("packed");
    fresh(&packed)?;
    let mut command = project.command(&python)?;
    command
        .current_dir(tree.join(format!("{}-{}", project.module, project.version)))
        .args(["setup.py", "--quiet", "build_library", "--library"])
        .arg(&library)
        .args(["bdist_wheel", "--dist-dir"])
        .arg(&packed)
        .env("CARGO_BUILD_TARGET", &target.triple);
    project::run(&mut command, &log)?;
    let wheel = only(&packed, ".whl")?;

    begin("repair");
    let repaired = folder.join("repaired");
    fresh(&repaired)?;
    let mut command = project.command(project.tool("auditwheel")?)?;
    command
        // auditwheel would name the oldest platform whose symbols suffice; Rust's floor
        // is the older bound of what is true.
        .args([
            "repair",
            "--plat",
            target.tag(),
            "--only-plat",
            "--wheel-dir",
        ])
        .args([&repaired, &wheel]);
    project::run(&mut command, &log)?;
    let wheel = only(&repaired, ".whl")?;
    let expected = format!(
        "{}-{}-py2.py3-none-{}.whl",
        project.module,
        project.version,
        target.tags.join(".")
    );
    ensure!(
        wheel.file_name() == Some(expected.as_ref()),
        "the repaired wheel is {}, and ci/targets.toml says {expected}",
        project.relative(&wheel)
    );

    begin("check");
    let mut command = project.command(project.tool("auditwheel")?)?;
    project::run(command.arg("show").arg(&wheel), &log)?;
    let mut command = project.command(project.tool("twine")?)?;
    project::run(command.args(["check", "--strict"]).arg(&wheel), &log)?;

    begin("run");
    let ran = if target.triple == toolchain.host {
        run_on_venv(project, &wheel, folder, &log)?
    } else {
        "not run".to_owned()
    };
    begin("end");
    Ok((wheel, ran))
}

/// Installs the wheel into a folder and runs it on `.venv`'s Python.
fn run_on_venv(project: &Project, wheel: &Path, folder: &Path, log: &Path) -> Result<String> {
    let installed = folder.join("installed");
    fresh(&installed)?;
    let python = project.tool("python")?;
    let mut command = project.command(&python)?;
    command
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
        ])
        .args([&installed, wheel]);
    project::run(&mut command, log)?;
    let out = folder.join("run.txt");
    let mut command = project.command(&python)?;
    command
        .current_dir(folder)
        .arg(project.root.join("scripts/smoke.py"))
        .env("PYTHONPATH", &installed);
    project::run_to(&mut command, log, Some(&out))?;
    let said = read(&out)?;
    let (_, python) = said
        .trim()
        .rsplit_once(" runs on ")
        .with_context(|| format!("scripts/smoke.py said {said:?}"))?;
    Ok(python.to_owned())
}

/// Moves a copy into dist/ under its name, and removes the files there that it replaces:
/// this project's, for which `replaces` is true.
fn publish(project: &Project, file: &Path, replaces: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let path = project.dist().join(&name);
    let contents = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    project::write(&path, contents)?;
    for entry in fs::read_dir(project.dist())? {
        let other = entry?.file_name().to_string_lossy().into_owned();
        if other != name && other.starts_with(&format!("{}-", project.module)) && replaces(&other) {
            fs::remove_file(project.dist().join(other))?;
        }
    }
    Ok(path)
}

fn print(rows: &[Row]) {
    for row in rows {
        let total: Duration = row.stages.iter().map(|(_, time)| *time).sum();
        let stages: Vec<String> = row
            .stages
            .iter()
            .map(|(stage, time)| format!("{stage} {:.1}", time.as_secs_f64()))
            .collect();
        println!("dist/{}", row.record.wheel);
        println!(
            "  {}  {}  glibc {}  ran on: {}  {}",
            row.target.triple,
            row.size,
            row.target.glibc,
            row.record.ran,
            if stages.is_empty() {
                "up to date".to_owned()
            } else {
                format!("{:.1} s ({})", total.as_secs_f64(), stages.join(", "))
            }
        );
    }
}

fn kilobytes(path: &Path) -> Result<String> {
    Ok(format!("{} kB", fs::metadata(path)?.len().div_ceil(1000)))
}

/// The folder, empty.
fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// The one file in a folder whose name ends so.
fn only(folder: &Path, end: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        count => bail!("{} holds {count} files *{end}, not one", folder.display()),
    }
}
