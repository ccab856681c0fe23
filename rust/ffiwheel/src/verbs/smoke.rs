//! Runs the wheels in dist/, each as far as this machine can.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{bail, ensure, Context, Result};
use serde::Serialize;

use crate::files::{self, read};
use crate::make::toolchain;
use crate::progress::{self, Progress};
use crate::project::Project;
use crate::run::{self, CommandFailed};
use crate::say::say;
use crate::targets::{self, Target};

/// How much of a wheel ran, best first; the runners' lines begin with these words, which
/// helpers/runners/protocol.py has, too.
const LEVELS: [&str; 3] = ["installed", "functions only", "program only"];

/// Nothing ran the wheel: only its bytes were read.
const STATIC_ONLY: &str = "static only";

/// A runner's exit code for "this machine lacks what it needs".
const NOTHING_RAN: i32 = 77;

/// The result for one wheel.
#[derive(Serialize)]
struct Row {
    target: String,
    wheel: String,
    level: &'static str,
    /// What ran it.
    ran: Vec<String>,
    /// What did not run it, and why.
    skipped: Vec<String>,
    seconds: f64,
    error: Option<String>,
}

#[derive(clap::Args)]
pub struct Options {
    /// Triples, tags, short names or groups [default: every wheel in dist/]
    #[arg(env = "TARGETS")]
    targets: Vec<String>,
    /// How many wheels to run at a time [default: the number of cores]
    #[arg(short, long, env = "JOBS")]
    jobs: Option<usize>,
    /// Print the result for each wheel as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the wheels for the named targets, or every wheel in dist/ if none is named.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let host = toolchain::toolchain(project)?.host;
    let table = targets::load(project)?;
    let wheels = wheels(project, &table, &options.targets, &host)?;
    let progress = Progress::new(wheels.len());
    let rows = progress::each(&wheels, options.jobs, |(target, wheel)| {
        progress.stage(&target.short_name(), "run");
        let row = row(project, target, wheel, &host);
        progress.finish(&row.target, row.error.as_deref());
        row
    });
    progress.clear();
    if options.json {
        say!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&rows);
    }
    progress::ensure_none_failed(
        "smoke test failed for",
        rows.iter().map(|row| (&*row.target, &row.error)),
    )
}

/// The wheels of dist/, with their rows, in the table's order.
fn wheels(
    project: &Project,
    table: &[Target],
    words: &[String],
    host: &str,
) -> Result<Vec<(Target, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(project.dist()).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            files.push(path);
        }
    }
    let all = words.iter().all(|word| word.trim().is_empty());
    let selected = if all {
        table.to_vec()
    } else {
        targets::select(table, words, host)?
    };
    let mut wheels = Vec::new();
    for target in selected {
        let end = format!("-{}.whl", target.tags.join("."));
        let mut found: Vec<PathBuf> = files
            .extract_if(.., |path| path.to_string_lossy().ends_with(&end))
            .collect();
        match found.len() {
            0 if all => {}
            0 => bail!(
                "dist/ has no wheel for {0}: run `make wheels TARGETS={0}`",
                target.short_name()
            ),
            1 => wheels.push((target, found.remove(0))),
            _ => bail!("dist/ has several wheels *{end}: remove all but one"),
        }
    }
    if let (true, Some(path)) = (all, files.first()) {
        bail!(
            "{} matches no row of ci/targets.toml: remove it, or add a row",
            project.relative(path)
        );
    }
    ensure!(!wheels.is_empty(), "dist/ has no wheels: run `make wheels`");
    Ok(wheels)
}

fn row(project: &Project, target: &Target, wheel: &Path, host: &str) -> Row {
    let begin = Instant::now();
    let mut row = Row {
        target: target.short_name(),
        wheel: project.relative(wheel).to_string(),
        level: STATIC_ONLY,
        ran: Vec::new(),
        skipped: Vec::new(),
        seconds: 0.0,
        error: None,
    };
    if let Err(error) = call_runner(project, target, wheel, host, &mut row) {
        row.error = Some(format!("{error:#}"));
    }
    row.seconds = begin.elapsed().as_secs_f64();
    row
}

fn call_runner(
    project: &Project,
    target: &Target,
    wheel: &Path,
    host: &str,
    row: &mut Row,
) -> Result<()> {
    let folder = project.build(&target.triple);
    let scratch = files::scratch(&folder)?;
    let (log, out) = (folder.join("smoke.log"), scratch.path().join("out"));
    let _ = fs::remove_file(&log);
    // A wheel for this machine's platform runs on this machine's Pythons.
    let runner = match &target.runner {
        Some(runner) if !target.is_native(host) => runner,
        _ => "host",
    };
    let mut command = project.helper("run_wheel")?;
    command
        .args(runner.split_whitespace())
        .arg(wheel)
        .env("TMPDIR", scratch.path());
    let result = run::run_to(&mut command, &log, Some(&out));
    for line in read(&out)?.lines() {
        let (level, what) = line
            .split_once('\t')
            .with_context(|| format!("unexpected output of the runner {runner}: {line:?}"))?;
        match LEVELS.iter().position(|known| *known == level) {
            Some(rank) => {
                let best = LEVELS.iter().position(|known| *known == row.level);
                if best.is_none_or(|best| rank < best) {
                    row.level = LEVELS[rank];
                }
                row.ran.push(what.to_owned());
            }
            None => row.skipped.push(what.to_owned()),
        }
    }
    let nothing_ran = |error: &CommandFailed| error.status.code() == Some(NOTHING_RAN);
    match result {
        Err(error) if !error.downcast_ref().is_some_and(nothing_ran) => Err(error),
        _ => Ok(()),
    }
}

fn print(rows: &[Row]) {
    let width = |cell: fn(&Row) -> usize| rows.iter().map(cell).max().unwrap_or(0);
    let targets = width(|row| row.target.len());
    let levels = width(|row| row.level.len());
    for row in rows {
        let level = match row.error {
            Some(_) => "FAILED",
            None => row.level,
        };
        say!(
            "{:<targets$}  {level:<levels$}  {:>5.1} s  {}",
            row.target,
            row.seconds,
            row.ran.join(", ")
        );
        for reason in &row.skipped {
            say!("{:<targets$}  not run: {reason}", "");
        }
    }
    let count = |level| {
        rows.iter()
            .filter(|row| row.error.is_none() && row.level == level)
            .count()
    };
    let mut words: Vec<String> = LEVELS
        .into_iter()
        .chain([STATIC_ONLY])
        .map(|level| (count(level), level))
        .filter(|(count, _)| *count > 0)
        .map(|(count, level)| format!("{count} {level}"))
        .collect();
    let failed = rows.iter().filter(|row| row.error.is_some()).count();
    if failed > 0 {
        words.push(format!("{failed} FAILED"));
    }
    let wheels = if rows.len() == 1 { "wheel" } else { "wheels" };
    say!("{} {wheels}: {}", rows.len(), words.join(", "));
}
