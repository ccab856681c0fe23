//! The verbs that are Python programs: those of the same names in helpers/, which take the words
//! as they are.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{audit, sdist, wheels, Built};
use crate::project::Project;

#[derive(clap::Args)]
pub struct Words {
    /// `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Checks dist/ as a release, then uploads it.
pub fn publish(project: Project, options: &Words) -> Result<()> {
    if !options
        .words
        .iter()
        .any(|word| word == "--help" || word == "-h")
    {
        audit::run(&project, &audit::Options::of_release())?;
    }
    run(project, "publish", options)
}

/// Builds here, then in a second clone, and compares.
pub fn reproduce(project: Project, built: &Built) -> Result<()> {
    sdist::run(&project, &sdist::Options::default())?;
    wheels::run(&project, &wheels::Options::of(built))?;
    let mut words: Vec<OsString> = Vec::new();
    if let Some(backend) = built.backend {
        let name = backend.to_possible_value().expect("none is hidden");
        words.extend(["--backend".into(), name.get_name().into()]);
    }
    words.extend(built.targets.iter().map(OsString::from));
    if built.targets.is_empty() {
        words.push("host".into());
    }
    run(project, "reproduce", &Words { words })
}

/// Becomes the program: the terminal, signals and the exit code are the program's. It may call
/// `make`, and with that this tool, so the project's lock ends here.
pub fn run(project: Project, helper: &str, options: &Words) -> Result<()> {
    let python = project.tool("python")?;
    let program = env::current_exe().context("this program does not know its own file")?;
    let mut command = Command::new(&python);
    command
        .arg("-B") // leaves no bytecode beside the helpers
        .arg(project.helper_path(helper)?)
        .args(&options.words)
        .env("FFIWHEEL", program) // for the verbs that it runs
        .current_dir(&project.root);
    drop(project);
    let failed = || format!("cannot run {}", python.display());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        Err(command.exec()).with_context(failed)
    }
    #[cfg(not(unix))]
    {
        let status = command.status().with_context(failed)?;
        std::process::exit(status.code().unwrap_or(1))
    }
}
