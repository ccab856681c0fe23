//! The source distribution, in dist/.

use anyhow::{ensure, Result};
use clap::builder::FalseyValueParser;

use crate::files;
use crate::make::dist::{check_metadata, kilobytes, publish, remove_published};
use crate::make::sdist;
use crate::project::Project;
use crate::say::say;

#[derive(clap::Args, Default)]
pub struct Options {
    /// Include every crate that Cargo.lock names, so that it builds without a network
    #[arg(long, env = "VENDOR", value_parser = FalseyValueParser::new())]
    vendor: bool,
}

/// Packs the sdist into dist/.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    ensure!(
        !options.vendor || project.command.is_none(),
        "VENDOR=1 packs the crates that Cargo.lock names, and this project's library is built by \
         a command"
    );
    let scratch = files::scratch(&project.build("sdist"))?;
    let mut packed = sdist::pack(project, scratch.path())?;
    if options.vendor {
        packed = sdist::pack_vendored(project, &packed, scratch.path())?;
    }
    check_metadata(project, [&packed])?;
    let path = publish(project, &packed)?;
    remove_published(project, |name| {
        name.ends_with(".tar.gz") && !path.ends_with(name)
    })?;
    say!("{} ({})", project.relative(&path), kilobytes(&path)?);
    Ok(())
}
