//! The matrix of CI, from the table.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::container;
use crate::project::{self, Project};
use crate::targets::{self, Backend, Target};

/// Where what needs no other machine is built.
const RUNNER: &str = "ubuntu-24.04";

/// One job that builds a wheel, judges it and runs it where it was built.
#[derive(Serialize)]
struct Build {
    target: String,
    runner: String,
    backend: Backend,
    /// What the builder's containers are made of; empty without containers.
    image: String,
    /// What stands for the platform's machine on that runner; empty on one of its own.
    emulator: String,
}

/// One job that runs the wheels of a runner's own platform there.
#[derive(Serialize)]
struct Native {
    runner: String,
    /// Their names, for TARGETS.
    targets: String,
}

/// What `strategy: matrix` takes.
#[derive(Serialize)]
struct Matrix<Row> {
    include: Vec<Row>,
}

/// Prints both matrices, each as a name, `=` and one line of JSON; in a step of GitHub's they
/// become the step's outputs, too.
pub fn run(project: &Project, words: &[String], backend: Option<Backend>) -> Result<()> {
    let table = targets::load(project)?;
    let selected = targets::select(&table, words, "")?;
    let mut rows = Vec::new();
    let mut native: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for target in &selected {
        let row = build(project, target, backend)?;
        for runner in target.native.iter().filter(|runner| **runner != row.runner) {
            native.entry(runner).or_default().push(target.short_name());
        }
        rows.push(row);
    }
    let native = native.into_iter().map(|(runner, targets)| Native {
        runner: runner.to_owned(),
        targets: targets.join(" "),
    });
    let native = Matrix {
        include: native.collect(),
    };
    let text = format!(
        "build={}\nnative={}",
        serde_json::to_string(&Matrix { include: rows })?,
        serde_json::to_string(&native)?
    );
    project::output(&text)
}

fn build(project: &Project, target: &Target, backend: Option<Backend>) -> Result<Build> {
    let backend = backend.or(target.ci).unwrap_or(Backend::Zig);
    // In a container, and for nothing else, the machine's own architecture counts.
    let own = matches!(backend, Backend::Docker | Backend::Cibuildwheel);
    let runner = match target.native.first() {
        Some(runner) if own => runner.clone(),
        _ => RUNNER.to_owned(),
    };
    let image = match (backend, &target.image) {
        (Backend::Cross, _) => container::cross_base(project, &target.triple)?,
        (Backend::Docker | Backend::Cibuildwheel, Some(name)) => container::base(project, name)?,
        _ => None,
    };
    let emulator = match target.native.contains(&runner) {
        true => None,
        false => target.runner.clone(),
    };
    Ok(Build {
        target: target.short_name(),
        runner,
        backend,
        image: image.unwrap_or_default(),
        emulator: emulator.unwrap_or_default(),
    })
}
