//! The images of docker/images.toml.

use anyhow::Result;

use crate::make::container;
use crate::project::Project;

#[derive(clap::Args)]
pub struct Options {
    /// The image's name in docker/images.toml
    #[arg(env = "NAME")]
    name: String,
}

pub fn run(project: &Project, options: &Options) -> Result<()> {
    container::build(project, &options.name)
}
