//! The stages in order: build, pack, repair, check, run.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{ensure, Context, Result};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::cibuildwheel;
use super::dist::{check_metadata, publish, remove_published};
use super::library;
use super::pack::{self, Run};
use super::repair;
use crate::files::{self, read, sha256, Inputs};
use crate::judge::rules::Severity;
use crate::judge::{self, Finding};
use crate::project::Project;
use crate::run;
use crate::targets::{Backend, Target};

/// What a finished wheel was made from. It is kept in the build folder, never in the wheel.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    inputs: String,
    pub wheel: String,
    sha256: String,
    /// In bytes.
    pub size: u64,
    /// What the library needs of the system: at most what the tag allows.
    pub needs: Option<String>,
    pub ran: String,
}

/// The result for one target.
#[derive(Serialize)]
pub struct Row {
    pub target: String,
    triple: String,
    #[serde(flatten)]
    pub record: Option<Record>,
    /// The seconds of each stage that ran; none when the wheel was up to date.
    pub stages: Vec<(&'static str, f64)>,
    pub error: Option<String>,
    #[serde(skip)]
    made: Option<Made>,
}

/// A finished wheel, until it is in dist/.
pub struct Made {
    wheel: PathBuf,
    needs: Option<String>,
    ran: String,
    _scratch: TempDir,
}

/// Makes the wheel for a target, if it is not up to date.
pub fn row(run: &Run, target: &Target) -> Row {
    let mut stages = Vec::new();
    let (record, made, error) = match wheel(run, target, &mut stages) {
        Ok((record, made)) => (Some(record), made, None),
        Err(error) => (None, None, Some(format!("{error:#}"))),
    };
    Row {
        target: target.short_name(),
        triple: target.triple.clone(),
        record,
        stages,
        error,
        made,
    }
}

fn record_path(project: &Project, triple: &str) -> PathBuf {
    project.build(triple).join("wheel.json")
}

/// The record of the wheel that is in dist/, if it is up to date; else of a new one, with
/// that.
fn wheel(
    run: &Run,
    target: &Target,
    stages: &mut Vec<(&'static str, f64)>,
) -> Result<(Record, Option<Made>)> {
    let project = run.project;
    let folder = project.build(&target.triple);
    let _ = fs::remove_file(folder.join("log"));
    // Whatever fails from here on, no wheel of older sources stays.
    let remove_older = || {
        remove_published(project, |name| {
            name.ends_with(&format!("-{}.whl", target.tags.join(".")))
        })
    };
    if run.builder.backend_for(target) == Backend::Cibuildwheel {
        cibuildwheel::image(project, target)?; // Fails before anything is built.
    }
    // Cargo alone knows what a library is built of; when nothing has changed, it is quick.
    let library = stage(run, target, "build", stages, || {
        run.builder.library(target, &folder)
    });
    if library.is_err() {
        remove_older()?;
    }
    let library = library?;
    let inputs = inputs(run, target, &library)?;
    if let Some(record) = fs::read(record_path(project, &target.triple))
        .ok()
        .and_then(|text| serde_json::from_slice::<Record>(&text).ok())
        .filter(|record| record.inputs == inputs)
        .filter(|record| {
            sha256(&project.dist().join(&record.wheel)).is_ok_and(|sum| sum == record.sha256)
        })
    {
        stages.clear();
        return Ok((record, None));
    }
    remove_older()?;
    let made = make(run, target, &library, stages)?;
    let record = Record {
        inputs,
        wheel: made
            .wheel
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned(),
        sha256: sha256(&made.wheel)?,
        size: fs::metadata(&made.wheel)?.len(),
        needs: made.needs.clone(),
        ran: made.ran.clone(),
    };
    Ok((record, Some(made)))
}

/// Checks the metadata of all the new wheels, in one run of twine, and puts them into dist/.
pub fn check_and_publish(project: &Project, rows: &mut [Row]) -> Result<()> {
    if rows.iter().all(|row| row.made.is_none()) {
        return Ok(());
    }
    let wheels = rows.iter().filter_map(|row| row.made.as_ref());
    check_metadata(project, wheels.map(|made| &made.wheel))?;
    for row in rows {
        if let (Some(made), Some(record)) = (row.made.take(), &row.record) {
            publish(project, &made.wheel)?;
            let text = serde_json::to_string_pretty(record)?;
            files::write(&record_path(project, &row.triple), text)?;
        }
    }
    Ok(())
}

/// Everything that a wheel's bytes and its checks depend on.
fn inputs(run: &Run, target: &Target, library: &Path) -> Result<String> {
    let mut inputs = Inputs::default();
    for path in run.project.all(target, library) {
        inputs.text(&sha256(&path)?);
    }
    inputs.text(&format!("{target:?}"));
    inputs.text(&format!("{:?}", run.builder.backend_for(target)));
    inputs.text(&run.builder.rustc(target)?);
    if run.builder.backend_for(target) == Backend::Cibuildwheel {
        inputs.path(&cibuildwheel::configuration(run.project)?)?;
        inputs.text(&format!("{:?}", cibuildwheel::image(run.project, target)?));
        for name in ["CIBW_BUILD", "CIBW_SKIP"] {
            inputs.text(&format!("{:?}", env::var_os(name)));
        }
    }
    inputs.text(&sha256(run.sdist)?);
    inputs.text(run.program);
    match run.project.smoke_test() {
        Some(path) => inputs.path(&path)?,
        None => inputs.text("no smoke test"),
    }
    inputs.path(&run.project.or_brought("ci/requirements.txt")?)?;
    Ok(inputs.digest())
}

/// Runs a stage, shows it, and says how long it took.
fn stage<T>(
    run: &Run,
    target: &Target,
    name: &'static str,
    stages: &mut Vec<(&'static str, f64)>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    run.progress.stage(&target.short_name(), name);
    let begin = Instant::now();
    let result = work();
    stages.push((name, begin.elapsed().as_secs_f64()));
    result
}

/// The stages after the build. Each writes its result to a separate folder; all are removed with
/// the value.
fn make(
    run: &Run,
    target: &Target,
    library: &Path,
    stages: &mut Vec<(&'static str, f64)>,
) -> Result<Made> {
    let project = run.project;
    let folder = project.build(&target.triple);
    let scratch = files::scratch(&folder)?;
    let log = folder.join("log");
    let wheel = if run.builder.backend_for(target) == Backend::Cibuildwheel {
        stage(run, target, "cibuildwheel", stages, || {
            cibuildwheel::wheel(run, target, library, scratch.path(), &log)
        })?
    } else {
        let packed = stage(run, target, "pack", stages, || {
            pack::pack(run, target, library, scratch.path(), &log)
        })?;
        stage(run, target, "repair", stages, || {
            repair::repair(project, target, &packed, scratch.path(), &log)
        })?
    };
    stage(run, target, "audit", stages, || {
        let (errors, warnings): (Vec<Finding>, _) = findings(&wheel, run.judging)?
            .into_iter()
            .partition(|finding| finding.severity == Severity::Error);
        for warning in warnings {
            let name = target.short_name();
            run.progress.note(&format!("{name}: {warning}"));
        }
        let errors: Vec<String> = errors.iter().map(Finding::to_string).collect();
        ensure!(errors.is_empty(), "{}", errors.join("\n  "));
        Ok(())
    })?;
    let ran = match target.is_native(&run.builder.toolchain.host) {
        true => stage(run, target, "run", stages, || {
            run_on_venv(project, &wheel, scratch.path(), &log)
        })?,
        false => "not run".to_owned(),
    };
    let needs = library::floor_needed(&project.all(target, library))?;
    let needs = needs.map(|floor| floor.to_string());
    Ok(Made {
        wheel,
        needs,
        ran,
        _scratch: scratch,
    })
}

/// Installs the wheel into a folder and runs it on `.venv`'s Python.
fn run_on_venv(project: &Project, wheel: &Path, folder: &Path, log: &Path) -> Result<String> {
    let installed = folder.join("installed");
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
    run::run(&mut command, log)?;
    let out = folder.join("run.txt");
    let test = |script: &Path| -> Result<Command> {
        let mut command = project.command(&python)?;
        command
            .current_dir(folder)
            .arg(script)
            .env("PYTHONPATH", &installed);
        Ok(command)
    };
    let mut gate = match &project.program {
        None => test(&project.helper_path("smoke_gate")?)?,
        Some(program) => {
            let mut gate = test(&project.helper_path("smoke_program")?)?;
            gate.args([&project.distribution, program]);
            gate
        }
    };
    run::run_to(gate.arg(&project.module), log, Some(&out))?;
    if let Some(smoke) = project.smoke_test() {
        run::run(&mut test(&smoke)?, log)?;
    }
    let said = read(&out)?;
    let (_, python) = said
        .trim()
        .rsplit_once(" runs on ")
        .with_context(|| format!("unexpected output of the smoke test: {said:?}"))?;
    Ok(python.to_owned())
}

/// What the judge finds in one of this project's wheels.
fn findings(wheel: &Path, context: &judge::Context) -> Result<Vec<Finding>> {
    let data = fs::read(wheel).with_context(|| format!("cannot read {}", wheel.display()))?;
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    Ok(judge::judge(&name, &data, context).findings)
}
