//! The pipeline tool of the Makefile's verbs. Dispatch only.

mod build;
mod container;
mod doctor;
mod facts;
mod files;
#[cfg(test)]
mod fuzz;
mod header;
mod judge;
mod layout;
mod matrix;
mod names;
mod pipeline;
mod progress;
mod project;
mod release;
mod run;
mod say;
mod sbom;
mod settings;
mod smoke;
mod targets;
mod unwinder;
mod verbs;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use pipeline::Options;
use project::Project;
use targets::Backend;
use verbs::{audit, rules};

/// Builds, checks and packs the library. Each verb has a Make target of its name.
#[derive(Parser)]
#[command(name = "xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Generate the C header, _ffi.py and _ffi.pyi from the Rust source
    Header {
        /// Change nothing; fail when a file is out of date
        #[arg(long)]
        check: bool,
    },
    /// Build the library and put it into the package's lib folder
    Lib {
        /// The target triple; this machine's when none is named
        target: Option<String>,
        /// What calls cargo [default: zig; cargo for macOS on macOS]
        #[arg(short, long)]
        backend: Option<Backend>,
    },
    /// Build, repair, check and run wheels, into dist/
    Wheels {
        /// Triples, tags, short names or groups, separated by spaces or commas [default: host]
        targets: Vec<String>,
        /// How many targets to build at a time [default: the number of cores]
        #[arg(short, long)]
        jobs: Option<usize>,
        /// Print what came of each target as JSON
        #[arg(long)]
        json: bool,
        /// What calls cargo [default: zig; cargo for macOS on macOS]
        #[arg(short, long)]
        backend: Option<Backend>,
    },
    /// Run the wheels of dist/, each as far as this machine can
    Smoke {
        /// Triples, tags, short names or groups [default: every wheel in dist/]
        targets: Vec<String>,
        /// How many wheels to run at a time [default: the number of cores]
        #[arg(short, long)]
        jobs: Option<usize>,
        /// Print what came of each wheel as JSON
        #[arg(long)]
        json: bool,
    },
    /// Judge wheels, sdists and libraries
    Audit {
        /// The files to judge, anybody's [default: all in dist/]
        files: Vec<PathBuf>,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
        /// Judge dist/ as the set of files that a release is, too
        #[arg(long, conflicts_with = "files")]
        release: bool,
        /// Say what a code stands for, and no more
        #[arg(long, value_name = "CODE", conflicts_with_all = ["files", "json", "release"])]
        explain: Option<String>,
    },
    /// Print the table of the rules of `audit`
    Rules {
        /// Write docs/rules.md and ci/platforms.toml
        #[arg(long)]
        write: bool,
        /// Fail when they are out of date
        #[arg(long, conflicts_with = "write")]
        check: bool,
    },
    /// Print the table of targets
    Targets {
        /// Write it into README.md
        #[arg(long)]
        write: bool,
        /// Fail when README.md has another table
        #[arg(long, conflicts_with = "write")]
        check: bool,
    },
    /// Say what would build each target here, and what is missing
    Doctor {
        /// Triples, tags, short names or groups [default: host]
        targets: Vec<String>,
        /// What calls cargo [default: zig; cargo for macOS on macOS]
        #[arg(short, long)]
        backend: Option<Backend>,
    },
    /// Print the jobs of CI, as JSON; for GitHub, into GITHUB_OUTPUT
    Matrix {
        /// What CI builds
        targets: Vec<String>,
        /// By what, instead of what the table says
        #[arg(short, long)]
        backend: Option<Backend>,
    },
    /// Build the image that BACKEND=docker runs cargo in
    Image {
        /// Its name in docker/images.toml
        name: String,
    },
    /// Set the version, everywhere that it stands
    Bump {
        /// As cargo writes it: 1.2.3, 1.2.3-rc.1
        version: String,
    },
    /// Say whether this commit can be released under a tag
    CheckTag {
        /// The tag [default: `v` and the version]
        #[arg(default_value = "")]
        tag: String,
        /// An index that must not have the version: pypi, testpypi, or a URL that takes uploads
        #[arg(long, value_name = "REPOSITORY")]
        index: Option<String>,
    },
    /// Judge dist/ as a release, and write what is published beside it into build/release
    Gather,
    /// Pack the source distribution, into dist/
    Sdist {
        /// With every crate that rust/Cargo.lock names, so that it builds without a network
        #[arg(long)]
        vendor: bool,
    },
}

fn dispatch(cli: Cli) -> Result<()> {
    let mut project = Project::find()?;
    match cli.verb {
        Verb::Header { check } => header::run(&project, check),
        Verb::Lib { target, backend } => pipeline::lib(&project, target.as_deref(), backend),
        Verb::Wheels {
            targets,
            jobs,
            json,
            backend,
        } => {
            let options = Options {
                jobs,
                json,
                backend,
            };
            pipeline::wheels(&project, &targets, &options)
        }
        Verb::Smoke {
            targets,
            jobs,
            json,
        } => smoke::run(&project, &targets, &smoke::Options { jobs, json }),
        Verb::Audit {
            files,
            json,
            release,
            explain,
        } => match explain {
            Some(code) => audit::explain(&code),
            None => audit::run(&project, &files, &audit::Options { json, release }),
        },
        Verb::Rules { write, check } => rules::run(&project, write, check),
        Verb::Targets { write, check } => targets::show(&project, write, check),
        Verb::Doctor { targets, backend } => doctor::run(&project, &targets, backend),
        Verb::Matrix { targets, backend } => matrix::run(&project, &targets, backend),
        Verb::Image { name } => container::build(&project, &name),
        Verb::Bump { version } => release::bump(&mut project, &version),
        Verb::CheckTag { tag, index } => release::check_tag(&project, &tag, index.as_deref()),
        Verb::Gather => release::gather(&project),
        Verb::Sdist { vendor } => pipeline::sdist(&project, vendor),
    }
}

/// Undoes what `cargo run` does to the environment: it names its own cargo, and rustup its own
/// toolchain, for all that runs below. The Makefile says what the user has asked for.
fn restore_toolchain() {
    for (variable, asked) in [
        ("CARGO", "ASKED_CARGO"),
        ("RUSTUP_TOOLCHAIN", "ASKED_TOOLCHAIN"),
    ] {
        match env::var_os(asked) {
            Some(value) if value.is_empty() || value == "cargo" => env::remove_var(variable),
            Some(value) => env::set_var(variable, value),
            None => {}
        }
    }
}

fn main() -> ExitCode {
    restore_toolchain();
    // What is packed carries modes: they must not be this user's.
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // An empty variable is an unset one, which cargo, say, would take for a name.
    for name in [
        "CARGO",
        "CARGO_BUILD_TARGET",
        "CARGO_HOME",
        "CONTAINER_ENGINE",
        "GITHUB_OUTPUT",
        "RUSTC",
    ] {
        if env::var_os(name).is_some_and(|value| value.is_empty()) {
            env::remove_var(name);
        }
    }
    match dispatch(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
