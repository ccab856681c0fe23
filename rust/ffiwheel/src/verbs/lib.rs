//! Builds the library for the package's lib folder.

use anyhow::{bail, Result};

use crate::make::library::Builder;
use crate::project::Project;
use crate::run;
use crate::say::say;
use crate::targets::Backend;

#[derive(clap::Args)]
pub struct Options {
    /// The target triple [default: this machine's]
    target: Option<String>,
    /// The backend [default: zig; cargo for macOS on macOS]
    #[arg(short, long, env = "BACKEND")]
    backend: Option<Backend>,
}

/// Builds the library exactly as for a wheel, and puts it into the package's lib folder.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    project.ensure_library("lib")?;
    let builder = Builder::new(project, options.backend)?;
    let words: Vec<String> = options.target.clone().into_iter().collect();
    let selected = builder.select(&words)?;
    let [target] = &selected[..] else {
        bail!("the lib folder holds one library: name exactly one target");
    };
    let folder = project.build(&target.triple);
    eprintln!("{}: build", target.triple);
    let library = builder.library(target, &folder)?;
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
    run::run(&mut command, &folder.join("log"))?;
    let folder = project.package().join("lib");
    let placed = folder.join(target.library_name(&project.module));
    for path in project.all(target, &placed) {
        say!("{}", project.relative(&path));
    }
    Ok(())
}
