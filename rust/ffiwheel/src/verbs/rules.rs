//! The pages about the verbs and about the judge's rules in docs/, and the data about platforms
//! that the latter use.

use anyhow::{ensure, Result};
use clap::Command;

use super::reference;
use crate::files;
use crate::judge::rules::{Scope, RULES};
use crate::project::Project;
use crate::run;
use crate::say::say;

#[derive(clap::Args)]
pub struct Options {
    /// Write docs/rules.md, docs/verbs.md and ci/platforms.toml
    #[arg(long)]
    write: bool,
    /// Write nothing; fail if they are out of date
    #[arg(long, conflicts_with = "write")]
    check: bool,
}

/// Prints the table of rules, or keeps what is generated equal to its sources. `command`: the
/// program's.
pub fn run(project: &Project, options: &Options, command: &Command) -> Result<()> {
    if !options.write && !options.check {
        say!("{}", markdown());
        return Ok(());
    }
    // With what the first line of each says.
    let outputs = [
        ("docs/rules.md", "`make rules` writes this file"),
        ("docs/verbs.md", "`make rules` writes this file"),
        ("ci/platforms.toml", "by `make rules`"),
    ];
    for (name, mark) in outputs {
        project.ensure_generated(&project.root.join(name), mark)?;
    }
    let mut helper = project.helper("platforms")?;
    let folder = project.build("rules");
    let platforms = folder.join("platforms.toml");
    run::run_to(&mut helper, &folder.join("log"), Some(&platforms))?;
    let paths = outputs.map(|(name, _)| project.root.join(name));
    let contents = [
        markdown(),
        reference::markdown(command),
        files::read(&platforms)?,
    ];
    let stale = project.keep(paths.into_iter().zip(contents), options.write)?;
    ensure!(
        options.write || stale.is_empty(),
        "out of date: {}; run `make rules`",
        stale.join(", ")
    );
    Ok(())
}

/// The table of rules, as Markdown.
fn markdown() -> String {
    let groups = [
        ('F', "The file"),
        ('Z', "Archives: wheels and sdists"),
        ('W', "A wheel's name and metadata"),
        ('R', "A wheel's members"),
        ('L', "Libraries and programs, against the tag"),
        ('D', "Dependencies"),
        ('H', "Hardening"),
        ('P', "Programs"),
        ('A', "The ABI"),
        ('S', "The sdist"),
        ('X', "The complete release (`make audit RELEASE=1`)"),
    ];
    let mut text = String::from(
        "<!-- `make rules` writes this file from rust/ffiwheel/src/judge/rules.rs -->\n\
         # The rules of `make audit`\n\n\
         In this project's files every finding is an error. In other files, findings of\n\
         the rules marked *advice* are warnings, and the rules marked *own* and *release* are\n\
         not applied. Until it is released (`make audit RELEASE=1`), what the latter find here\n\
         is a warning. `make audit EXPLAIN=CODE` says why a rule exists, how to comply, and\n\
         where it comes from.\n",
    );
    for (letter, title) in groups {
        text += &format!("\n## {title}\n\n| code | for | rule |\n|---|---|---|\n");
        for rule in RULES.iter().filter(|rule| rule.code.starts_with(letter)) {
            let scope = match rule.scope {
                Scope::All => "all",
                Scope::Advice => "advice",
                Scope::Own => "own",
                Scope::Release => "release",
            };
            text += &format!("| {} | {scope} | {} |\n", rule.code, rule.rule);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_is_one_rule_and_says_all_of_it() {
        let codes: BTreeSet<&str> = RULES.iter().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), RULES.len());
        let text = markdown();
        for rule in RULES {
            assert!(
                text.contains(&format!("| {} |", rule.code)),
                "{}",
                rule.code
            );
            for field in [rule.rule, rule.why, rule.remedy, rule.source] {
                assert!(!field.is_empty() && !field.ends_with('.'), "{}", rule.code);
            }
        }
    }
}
