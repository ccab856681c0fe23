//! Runs commands with their output in a log, and reports those that fail.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{ensure, Context, Result};

/// How much of a failed command's output an error repeats.
const TAIL_LINES: usize = 20;

/// A command that ended with another exit code than 0.
#[derive(Debug)]
pub struct CommandFailed {
    pub status: ExitStatus,
    log: PathBuf,
    /// What it printed. The message has the last lines.
    pub output: String,
}

impl fmt::Display for CommandFailed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (status, log) = (self.status, self.log.display());
        let lines: Vec<&str> = self.output.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  ");
        write!(
            f,
            "a command failed ({status}); the full log is {log}\n  {tail}"
        )
    }
}

impl std::error::Error for CommandFailed {}

/// Runs a command with its output in a log file. When it fails, the error ends with the
/// last lines that it printed.
pub fn run(command: &mut Command, log: &Path) -> Result<()> {
    run_to(command, log, None)
}

/// The same, with standard output in a separate file.
pub fn run_to(command: &mut Command, log: &Path, stdout: Option<&Path>) -> Result<()> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    let begin = file.metadata()?.len();
    writeln!(file, "$ {}", shown(command))?;
    command
        .stdout(match stdout {
            Some(path) => File::create(path)?,
            None => file.try_clone()?,
        })
        .stderr(file.try_clone()?);
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", Path::new(command.get_program()).display()))?;
    if !status.success() {
        let text = fs::read(log)?;
        return Err(CommandFailed {
            status,
            log: log.to_owned(),
            output: String::from_utf8_lossy(&text[begin as usize..]).into_owned(),
        }
        .into());
    }
    Ok(())
}

/// git, for the repository of a folder.
pub fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder);
    // In a git hook these name the repository that the hook is run for.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command with its output, and its colours, on the terminal.
pub fn run_here(command: &mut Command) -> Result<()> {
    command.env_remove("NO_COLOR");
    if let Some(value) = std::env::var_os("NO_COLOR") {
        command.env("NO_COLOR", value); // the user's
    }
    let name = Path::new(command.get_program()).display().to_string();
    let status = command
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}

/// The command as a shell takes it.
fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    // Fails for NUL bytes alone, with which no command runs.
    shlex::try_join(words.iter().map(|word| word.as_ref())).unwrap_or_default()
}
