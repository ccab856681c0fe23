//! The command line.

use std::env;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use ffiwheel::project::Project;
use ffiwheel::verbs;

/// Builds, checks, packs and releases the library. Each verb is also a Make target.
#[derive(Parser)]
#[command(name = "ffiwheel", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Generate the C header, _ffi.py and _ffi.pyi from the Rust source
    Header(verbs::header::Options),
    /// Build the library into the package's lib folder
    Lib(verbs::lib::Options),
    /// Build, repair, audit and run wheels, into dist/
    Wheels(verbs::wheels::Options),
    /// Run the wheels in dist/, each as far as this machine can
    Smoke(verbs::smoke::Options),
    /// Check wheels, sdists and libraries against the rules
    Audit(verbs::audit::Options),
    /// Print the table of the rules that `audit` applies
    Rules(verbs::rules::Options),
    /// Print the table of targets
    Targets(verbs::targets::Options),
    /// Report what would build each target here, and what is missing
    Doctor(verbs::doctor::Options),
    /// Print the CI jobs as JSON; in GitHub Actions, also write them to GITHUB_OUTPUT
    Matrix(verbs::matrix::Options),
    /// Build the image that BACKEND=docker runs cargo in
    Image(verbs::image::Options),
    /// Set the version in every file that contains it
    Bump(verbs::release::Version),
    /// Report whether this commit can be released under a tag
    CheckTag(verbs::release::Tag),
    /// Audit dist/ as a release, and write what is published with it into build/release
    Gather,
    /// Pack the source distribution into dist/
    Sdist(verbs::sdist::Options),
    /// Build the commit again in a second clone, and compare the bytes with dist/
    #[command(disable_help_flag = true)]
    Reproduce(verbs::python::Words),
    /// Upload dist/ to an index on this machine, and install from it on every Python
    #[command(disable_help_flag = true)]
    Rehearse(verbs::python::Words),
    /// Upload dist/ to an index
    #[command(disable_help_flag = true)]
    Publish(verbs::python::Words),
    /// Build a released version again from its tag, and compare the bytes
    #[command(disable_help_flag = true)]
    VerifyRelease(verbs::python::Words),
}

fn dispatch(verb: &Verb) -> Result<()> {
    let mut project = Project::find()?;
    match verb {
        Verb::Header(options) => verbs::header::run(&project, options),
        Verb::Lib(options) => verbs::lib::run(&project, options),
        Verb::Wheels(options) => verbs::wheels::run(&project, options),
        Verb::Smoke(options) => verbs::smoke::run(&project, options),
        Verb::Audit(options) => verbs::audit::run(&project, options),
        Verb::Rules(options) => verbs::rules::run(&project, options),
        Verb::Targets(options) => verbs::targets::run(&project, options),
        Verb::Doctor(options) => verbs::doctor::run(&project, options),
        Verb::Matrix(options) => verbs::matrix::run(&project, options),
        Verb::Image(options) => verbs::image::run(&project, options),
        Verb::Bump(version) => verbs::release::bump(&mut project, version),
        Verb::CheckTag(tag) => verbs::release::check_tag(&project, tag),
        Verb::Gather => verbs::release::gather(&project),
        Verb::Sdist(options) => verbs::sdist::run(&project, options),
        Verb::Reproduce(words) => verbs::python::run(project, "reproduce", words),
        Verb::Rehearse(words) => verbs::python::run(project, "rehearse", words),
        Verb::Publish(words) => verbs::python::run(project, "publish", words),
        Verb::VerifyRelease(words) => verbs::python::run(project, "verify_release", words),
    }
}

/// Undoes what `cargo run` does to the environment: cargo sets CARGO, and rustup sets
/// RUSTUP_TOOLCHAIN, for every child process. The Makefile passes on what the user asked for.
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
    // Archives store file modes, which must not depend on this user's umask.
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // An empty variable counts as unset. Cargo, for example, would take it for a name.
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
    match dispatch(&Cli::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
