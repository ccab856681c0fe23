//! What the judge's rules are: the table in docs/, and what the tools know of platforms.

use std::fs;

use anyhow::{ensure, Result};

use crate::files;
use crate::policy;
use crate::project::Project;
use crate::run;
use crate::say::say;

/// Prints the table of rules, or keeps what is generated equal to its sources.
pub fn run(project: &Project, write: bool, check: bool) -> Result<()> {
    if !write && !check {
        say!("{}", policy::markdown());
        return Ok(());
    }
    // With what the first line of each says.
    let outputs = [
        ("docs/rules.md", "`make rules` writes this file"),
        ("ci/platforms.toml", "by `make rules`"),
    ];
    for (name, mark) in outputs {
        project.ensure_generated(&project.root.join(name), mark)?;
    }
    let mut command = project.command(project.tool("python")?)?;
    command.arg(project.root.join("scripts/platforms.py"));
    let folder = project.build("rules");
    let platforms = folder.join("platforms.toml");
    run::run_to(&mut command, &folder.join("log"), Some(&platforms))?;
    let mut stale = Vec::new();
    let contents = [policy::markdown(), files::read(&platforms)?];
    for ((name, _), contents) in outputs.into_iter().zip(contents) {
        let path = project.root.join(name);
        if fs::read_to_string(&path).is_ok_and(|old| old == contents) {
            continue;
        }
        stale.push(name);
        if write {
            files::write(&path, contents)?;
            say!("wrote {name}");
        }
    }
    ensure!(
        write || stale.is_empty(),
        "out of date: {}; run `make rules`",
        stale.join(", ")
    );
    Ok(())
}
