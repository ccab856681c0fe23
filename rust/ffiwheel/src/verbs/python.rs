//! The verbs that are Python programs: those of the same names in helpers/, which take the words
//! as they are.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};

use crate::project::Project;

#[derive(clap::Args)]
pub struct Words {
    /// `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Becomes the program: the terminal, signals and the exit code are the program's. It may call
/// `make`, and with that this tool, so the project's lock ends here.
pub fn run(project: Project, helper: &str, options: &Words) -> Result<()> {
    let python = project.tool("python")?;
    let mut command = Command::new(&python);
    command
        .arg("-B") // leaves no bytecode beside the helpers
        .arg(project.helper_path(helper)?)
        .args(&options.words)
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
