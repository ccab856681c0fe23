//! Reports what would build each target on this machine, and what is missing.

use anyhow::{ensure, Result};

use super::Built;
use crate::make::container;
use crate::make::library::Builder;
use crate::make::repair;
use crate::make::toolchain::{self, Std};
use crate::project::Project;
use crate::say::say;
use crate::targets::Backend;

pub fn run(project: &Project, built: &Built) -> Result<()> {
    let builder = Builder::new(project, built.backend)?;
    let rust = &builder.toolchain;
    let selected = builder.select(&built.targets)?;
    match &project.command {
        Some(command) => say!("built by `{command}`"),
        None => {
            say!("{}", rust.version.lines().next().unwrap_or_default());
            if let Some(chosen) = toolchain::chosen(project) {
                say!("rustup's toolchain: {chosen}");
            }
        }
    }
    let mut lacking = Vec::new();
    for target in &selected {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        let zig = match project.command {
            Some(_) => "python-zig",
            None => "cargo-zigbuild",
        };
        let mut tools = match builder.backend_for(target) {
            Backend::Cargo | Backend::Docker | Backend::Cross => vec![],
            Backend::Zig => vec![zig],
            Backend::Cibuildwheel => vec![zig, "cibuildwheel"],
        };
        tools.extend(repair::tools(project, target.system()));
        tools.push("twine");
        for tool in tools {
            match project.tool(tool) {
                Ok(_) => found.push(tool.to_owned()),
                Err(error) => missing.push(error.to_string()),
            }
        }
        let backend = builder.backend_for(target);
        let needs_std =
            project.command.is_none() && !matches!(backend, Backend::Docker | Backend::Cross);
        match builder.image(target) {
            Ok(image) => found.extend(image.map(|image| format!("image {}", image.tag))),
            Err(error) => missing.push(format!("{error:#}")),
        }
        if backend == Backend::Cross {
            match container::check_cross(project) {
                Ok(()) => found.push("cross".to_owned()),
                Err(error) => missing.push(error.to_string()),
            }
        }
        let own = std::slice::from_ref(&target.triple);
        let triples = if target.slices.is_empty() {
            own
        } else {
            &target.slices
        };
        for triple in triples.iter().filter(|_| needs_std) {
            match rust.std_for(triple) {
                Ok(Std::Installed) => found.push(format!("standard library for {triple}")),
                Ok(Std::Rustup) => found.push(format!("rustup, for {triple}")),
                Ok(Std::Source) => found.push(format!("standard library's source, for {triple}")),
                Err(error) => missing.push(error.to_string()),
            }
        }
        say!("{:<20} {}", target.short_name(), found.join(", "));
        for reason in &missing {
            say!("  MISSING: {reason}");
        }
        if !missing.is_empty() {
            lacking.push(target.short_name());
        }
    }
    ensure!(lacking.is_empty(), "cannot build {}", lacking.join(", "));
    Ok(())
}
