//! Wheels for the named targets, in dist/.

use anyhow::Result;

use super::Built;
use crate::data;
use crate::files;
use crate::make::library::Builder;
use crate::make::pack::Run;
use crate::make::sdist;
use crate::make::wheels::{check_and_publish, row, Row};
use crate::progress::{self, Progress};
use crate::project::Project;
use crate::say::say;

#[derive(clap::Args, Default)]
pub struct Options {
    #[command(flatten)]
    built: Built,
    /// How many targets to build at a time [default: the number of cores]
    #[arg(short, long, env = "JOBS")]
    jobs: Option<usize>,
    /// Print the result for each target as JSON
    #[arg(long)]
    json: bool,
}

impl Options {
    pub fn of(built: &Built) -> Options {
        Options {
            built: built.clone(),
            ..Options::default()
        }
    }
}

/// Makes a wheel for each target, and prints the results.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let builder = Builder::new(project, options.built.backend)?;
    let mut selected = builder.select(&options.built.targets)?;
    // The table ends with Windows, whose libc zig compiles, in a row, while its cache is empty.
    selected.reverse();
    let scratch = files::scratch(&project.build("sdist"))?;
    let packed = sdist::pack(project, scratch.path())?;
    let tree = sdist::unpack(project, &packed, scratch.path())?;
    let progress = Progress::new(selected.len());
    let run = Run {
        project,
        builder: &builder,
        sdist: &packed,
        tree: &tree,
        progress: &progress,
        judging: &super::audit::context(project)?,
        program: &data::program()?,
    };

    let mut rows = progress::each(&selected, options.jobs, |target| {
        let row = row(&run, target);
        progress.finish(&row.target, row.error.as_deref());
        row
    });
    progress.clear();
    rows.reverse();
    check_and_publish(project, &mut rows)?;

    if options.json {
        say!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&rows);
    }
    progress::ensure_none_failed(
        "no wheel for",
        rows.iter().map(|row| (&*row.target, &row.error)),
    )
}

fn print(rows: &[Row]) {
    let mut lines = vec![["target", "size", "needs", "ran on", "seconds"].map(String::from)];
    for row in rows {
        let stages: Vec<String> = row
            .stages
            .iter()
            .map(|(stage, seconds)| format!("{stage} {seconds:.1}"))
            .collect();
        let mut seconds = stages.join(", ");
        if seconds.is_empty() {
            seconds = "up to date".into();
        }
        lines.push(match &row.record {
            Some(record) => [
                row.target.clone(),
                format!("{} kB", record.size.div_ceil(1000)),
                record.needs.clone().unwrap_or("-".into()),
                record.ran.clone(),
                seconds,
            ],
            None => [
                row.target.clone(),
                "FAILED".into(),
                "-".into(),
                "-".into(),
                seconds,
            ],
        });
    }
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].len())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..4).map(width).collect();
    for [target, size, needs, ran, seconds] in &lines {
        say!(
            "{target:<0$}  {size:>1$}  {needs:>2$}  {ran:<3$}  {seconds}",
            widths[0],
            widths[1],
            widths[2],
            widths[3]
        );
    }
    for record in rows.iter().filter_map(|row| row.record.as_ref()) {
        say!("dist/{}", record.wheel);
    }
}
