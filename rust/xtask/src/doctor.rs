//! What would build each target on this machine, and what is missing.

use anyhow::{ensure, Result};

use crate::build::{self, Std};
use crate::project::Project;
use crate::targets;

pub fn run(project: &Project, words: &[String]) -> Result<()> {
    let toolchain = build::toolchain()?;
    let table = targets::load(project)?;
    let selected = targets::select(&table, words, &toolchain.host)?;
    println!("{}", toolchain.version.lines().next().unwrap_or_default());
    let mut lacking = Vec::new();
    for target in &selected {
        let own = std::slice::from_ref(&target.triple);
        let triples = if target.slices.is_empty() {
            own
        } else {
            &target.slices
        };
        let mut words = Vec::new();
        for triple in triples {
            words.push(match toolchain.std_for(triple) {
                Ok(Std::Installed) => format!("{triple}: the toolchain has its standard library"),
                Ok(Std::Rustup) => format!("{triple}: rustup would add its standard library"),
                Ok(Std::Source) => {
                    format!("{triple}: cargo would build its standard library from source")
                }
                Err(error) => {
                    lacking.push(target.short_name());
                    format!("MISSING: {error:#}")
                }
            });
        }
        println!("{}\n  {}", target.short_name(), words.join("\n  "));
    }
    for tool in ["cargo-zigbuild", "auditwheel", "twine"] {
        println!("{tool}: {}", project.relative(&project.tool(tool)?));
    }
    lacking.dedup();
    ensure!(lacking.is_empty(), "cannot build {}", lacking.join(", "));
    Ok(())
}
