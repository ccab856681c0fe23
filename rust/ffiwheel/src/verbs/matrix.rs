//! The jobs of CI, from the table of targets.

use std::collections::BTreeMap;

use anyhow::{bail, Result};
use serde::Serialize;

use crate::make::container;
use crate::project::Project;
use crate::say;
use crate::targets::{self, Backend, Runner, Target};

/// One job that builds a wheel, audits it, and runs it on the same runner.
#[derive(Serialize)]
struct Build {
    target: String,
    runner: String,
    backend: Backend,
    /// The base image of the containers that build; empty without containers.
    image: String,
    /// What emulates the platform on that runner; empty if it needs no emulation.
    emulator: String,
    /// The versions that actions/setup-python installs, one a line. Each of them runs the wheel
    /// if the runner is of the wheel's platform.
    pythons: String,
}

/// One job that runs the wheels of a runner's own platform there.
#[derive(Serialize)]
struct Native {
    runner: String,
    /// Their names, for TARGETS.
    targets: String,
    pythons: String,
}

/// What `strategy: matrix` takes.
#[derive(Serialize)]
struct Matrix<Row> {
    include: Vec<Row>,
}

#[derive(clap::Args)]
pub struct Options {
    /// Triples, tags, short names or groups to build
    #[arg(env = "TARGETS")]
    targets: Vec<String>,
    /// The backend, instead of the table's
    #[arg(short, long, env = "BACKEND")]
    backend: Option<Backend>,
}

/// Prints both matrices, each as `name=` and one line of JSON. In a GitHub Actions step they also
/// become the step's outputs.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    if let (Some(program), Some(Backend::Docker | Backend::Cross | Backend::Cibuildwheel)) =
        (&project.program, options.backend)
    {
        bail!("zig or cargo builds the program {program}: leave BACKEND out");
    }
    let table = targets::load(project)?;
    let runners = targets::runners(project)?;
    let selected = targets::select(&table, &options.targets, "")?;
    let mut rows = Vec::new();
    let mut native: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for target in &selected {
        let row = build(project, target, options.backend, &runners)?;
        for runner in target.native.iter().filter(|runner| **runner != row.runner) {
            native.entry(runner).or_default().push(target.short_name());
        }
        rows.push(row);
    }
    let native = native.into_iter().map(|(name, targets)| Native {
        runner: name.to_owned(),
        targets: targets.join(" "),
        pythons: lines(&named(&runners, name).pythons),
    });
    let native = Matrix {
        include: native.collect(),
    };
    let text = format!(
        "build={}\nnative={}",
        serde_json::to_string(&Matrix { include: rows })?,
        serde_json::to_string(&native)?
    );
    say::output(&text)
}

/// [`targets::load`] has checked that there is one.
fn named<'a>(runners: &'a [Runner], name: &str) -> &'a Runner {
    let found = runners.iter().find(|runner| runner.name == name);
    found.expect("the table names it")
}

fn lines(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join("\n")
}

fn build(
    project: &Project,
    target: &Target,
    backend: Option<Backend>,
    runners: &[Runner],
) -> Result<Build> {
    let backend = backend.or(target.ci).unwrap_or(Backend::Zig);
    // In a container, and for nothing else, the machine's own architecture counts.
    let own = matches!(backend, Backend::Docker | Backend::Cibuildwheel);
    let runner = match target.native.first() {
        Some(name) if own => named(runners, name),
        _ => &runners[0],
    };
    let image = match (backend, &target.image) {
        (Backend::Cross, _) => container::cross_base(project, &target.triple)?,
        (Backend::Docker | Backend::Cibuildwheel, Some(name)) => container::base(project, name)?,
        _ => None,
    };
    let emulator = match target.native.contains(&runner.name) {
        true => None,
        false => target.runner.clone(),
    };
    let pythons = match target.is_native(&runner.host) {
        true => &runner.pythons,
        false => runner.pythons.split_whitespace().last().unwrap_or(""),
    };
    Ok(Build {
        target: target.short_name(),
        runner: runner.name.clone(),
        backend,
        image: image.unwrap_or_default(),
        emulator: emulator.unwrap_or_default(),
        pythons: lines(pythons),
    })
}
