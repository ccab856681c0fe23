//! What a verb prints.

use std::env;
use std::fs::File;
use std::io::Write;

use anyhow::{Context, Result};

/// Prints a line. If the reader has gone, as `head` does, ends the process quietly.
macro_rules! say {
    ($($words:tt)*) => {
        if std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($words)*))).is_err() {
            std::process::exit(1);
        }
    };
}

pub(crate) use say;

/// Prints NAME=VALUE lines for a later CI job. In a GitHub Actions step they also become the
/// step's outputs.
pub fn output(text: &str) -> Result<()> {
    say!("{text}");
    if let Some(path) = env::var_os("GITHUB_OUTPUT") {
        File::options()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| writeln!(file, "{text}"))
            .with_context(|| format!("cannot write to GITHUB_OUTPUT, {path:?}"))?;
    }
    Ok(())
}
