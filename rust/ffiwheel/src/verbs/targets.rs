//! The table of targets, for people.

use anyhow::{ensure, Context, Result};

use crate::files::read;
use crate::project::Project;
use crate::say::say;
use crate::targets::{load, System, Target};

#[derive(clap::Args)]
pub struct Options {
    /// Write it into README.md and docs/targets.md
    #[arg(long)]
    write: bool,
    /// Fail when these have another table
    #[arg(long, conflicts_with = "write")]
    check: bool,
}

/// What stands above the table in the guide.
const PAGE: &str = "\
<!-- `make rules` writes this file from ci/targets.toml -->
# Targets

`TARGETS` takes triples, platform tags, short names, and the groups `host`, `manylinux`,
`musllinux`, `linux`, `macos`, `windows` and `all`, separated by spaces or commas. The floor is the
oldest system that the wheel runs on. See [Platforms](platforms.md) for how to add a row.

";

/// Prints the table, or keeps its copies in README.md and the guide equal to it.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    const BEGIN: &str = "<!-- `make rules` writes this table -->\n";
    const END: &str = "\n<!-- end of the table -->";
    let table = markdown(&load(project)?);
    if !options.write && !options.check {
        say!("{}", table);
        return Ok(());
    }
    let path = project.root.join("README.md");
    let text = read(&path)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("README.md has no {BEGIN}"))?;
    let (_old, after) = rest
        .split_once(END)
        .with_context(|| format!("README.md has no {END}"))?;
    let text = format!("{before}{BEGIN}{table}{END}{after}");
    let page = project.root.join("docs/targets.md");
    project.ensure_generated(&page, "`make rules` writes this file")?;
    let stale = project.keep(
        [(path, text), (page, PAGE.to_owned() + &table + "\n")],
        options.write,
    )?;
    ensure!(
        options.write || stale.is_empty(),
        "out of date: the table of targets in {}; run `make rules`",
        stale.join(" and ")
    );
    Ok(())
}

/// The table as Markdown, for people.
fn markdown(table: &[Target]) -> String {
    let mut rows = vec![
        "| wheel | floor | triple | short name |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    for target in table {
        let floor = match (target.system(), target.floor()) {
            _ if target.is_for_any_libc() => "any libc".to_owned(),
            (System::Manylinux, Some(floor)) => format!("glibc {floor}"),
            (System::Musllinux, Some(floor)) => format!("musl {floor}"),
            (System::Macos, Some(floor)) => format!("macOS {floor}"),
            _ => "Windows 10".to_owned(),
        };
        rows.push(format!(
            "| `{}` | {floor} | `{}` | `{}` |",
            target.tags.join("."),
            target.triple,
            target.short_name()
        ));
    }
    rows.join("\n")
}
