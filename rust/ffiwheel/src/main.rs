//! The command line.

use std::env;
use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::{ensure, Result};
use clap::{CommandFactory, Parser, Subcommand};
use ffiwheel::kit;
use ffiwheel::project::Project;
use ffiwheel::verbs;

/// Builds, checks, packs and releases the library. Each verb is also a Make target.
#[derive(Parser)]
#[command(name = "ffiwheel", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make a project for another library: its folder, its files, one commit
    New(verbs::adopt::New),
    /// Put a project into the folder that this runs in
    Init(verbs::adopt::Init),
    /// Replace the kit's files by those of the ffiwheel in .venv
    Update(verbs::update::Options),
    #[command(flatten)]
    Served(Served),
}

/// The verbs that need a project whose kit this program serves.
#[derive(Subcommand)]
enum Served {
    /// Build the library and install the package into .venv, editable
    Dev,
    /// Run the tests on every Python of this machine
    Test,
    /// Check format, lints, and that generated files and the kit are up to date
    Lint,
    /// Format Rust and Python
    Fmt,
    /// Generate the C header, _ffi.py and _ffi.pyi from the Rust source
    Header(verbs::header::Options),
    /// Build the library exactly as for a wheel, into the package's lib folder
    Lib(verbs::lib::Options),
    /// Build, repair, audit and run wheels, into dist/
    Wheels(verbs::wheels::Options),
    /// Run the wheels in dist/, as far as this machine can
    Smoke(verbs::smoke::Options),
    /// Check dist/ against the rules
    Audit(verbs::audit::Options),
    /// Print the table of the rules that `audit` applies
    Rules(verbs::rules::Options),
    /// Print the table of targets
    Targets(verbs::targets::Options),
    /// Report what would build TARGETS here, and what is missing
    Doctor(verbs::Built),
    /// Print the CI jobs for TARGETS as JSON; in GitHub Actions, also write them to GITHUB_OUTPUT
    Matrix(verbs::matrix::Options),
    /// Build the image NAME of docker/images.toml, for BACKEND=docker and cross
    Image(verbs::image::Options),
    /// Install cross into .venv, for BACKEND=cross
    Cross,
    /// Remove build results; keep .venv and the emulators' files
    Clean,
    /// Also remove .venv, and the programs that `make smoke` unpacked
    Distclean,
    /// Install the tools of ci/requirements.txt into .venv
    Venv,
    /// Write the first line of the kit's files anew, where the kit comes from
    #[command(hide = true)]
    Kit,
    /// Set the version in every file that contains it
    Bump(verbs::release::Version),
    /// List what prevents a release
    CheckTag(verbs::release::Tag),
    /// Audit dist/ as a release, and write SHA256SUMS, notes and SBOMs to build/release
    Gather,
    /// Pack the source distribution into dist/
    Sdist(verbs::sdist::Options),
    /// Build TARGETS and the sdist in a second clone, and compare the bytes
    Reproduce(verbs::Built),
    /// Upload dist/ to an index on this machine, and install from it on every Python
    ///
    /// `--jobs <JOBS>` (variable `JOBS`): how many Pythons at a time
    #[command(disable_help_flag = true)]
    Rehearse(verbs::python::Words),
    /// Upload dist/, which must be a release
    ///
    /// `[REPOSITORY]` (variable `REPOSITORY`): pypi, testpypi, or the address of another index;
    /// `--dry-run` (variable `DRY_RUN`): upload nothing
    #[command(disable_help_flag = true)]
    Publish(verbs::python::Words),
    /// Build a released VERSION again from its tag, and compare the bytes
    ///
    /// `<VERSION>` (variable `VERSION`); `[TARGET]...` (variable `TARGETS`): default: host;
    /// `--backend <BACKEND>` (variable `BACKEND`), as for `wheels`; `--repository <REPOSITORY>`
    /// (variable `REPOSITORY`): pypi, testpypi, or an address, default: pypi
    #[command(disable_help_flag = true)]
    VerifyRelease(verbs::python::Words),
}

fn dispatch(verb: &Verb) -> Result<()> {
    match verb {
        Verb::New(options) => verbs::adopt::new(options),
        Verb::Init(options) => verbs::adopt::init(options),
        Verb::Update(options) => verbs::update::run(&Project::find()?, options),
        Verb::Served(verb) => serve(verb),
    }
}

fn serve(verb: &Served) -> Result<()> {
    if cfg!(windows) {
        ensure_runs_on_windows(verb)?;
    }
    let mut project = Project::find()?;
    kit::ensure_served(&project)?;
    match verb {
        Served::Dev => verbs::develop::dev(&project),
        Served::Test => verbs::develop::test(&project),
        Served::Lint => verbs::develop::lint(&project),
        Served::Fmt => verbs::develop::fmt(&project),
        Served::Cross => verbs::develop::cross(&project),
        Served::Clean => verbs::develop::clean(&project),
        Served::Distclean => verbs::develop::distclean(&project),
        Served::Venv => verbs::develop::venv(&project),
        Served::Kit => verbs::develop::kit(&project),
        Served::Header(options) => verbs::header::run(&project, options),
        Served::Lib(options) => verbs::lib::run(&project, options),
        Served::Wheels(options) => verbs::wheels::run(&project, options),
        Served::Smoke(options) => verbs::smoke::run(&project, options),
        Served::Audit(options) => verbs::audit::run(&project, options),
        Served::Rules(options) => verbs::rules::run(&project, options, &Cli::command()),
        Served::Targets(options) => verbs::targets::run(&project, options),
        Served::Doctor(options) => verbs::doctor::run(&project, options),
        Served::Matrix(options) => verbs::matrix::run(&project, options),
        Served::Image(options) => verbs::image::run(&project, options),
        Served::Bump(version) => verbs::release::bump(&mut project, version),
        Served::CheckTag(tag) => verbs::release::check_tag(&project, tag),
        Served::Gather => verbs::release::gather(&project),
        Served::Sdist(options) => verbs::sdist::run(&project, options),
        Served::Reproduce(options) => verbs::python::reproduce(project, options),
        Served::Rehearse(words) => verbs::python::run(project, "rehearse", words),
        Served::Publish(words) => verbs::python::publish(project, words),
        Served::VerifyRelease(words) => verbs::python::run(project, "verify_release", words),
    }
}

/// The other verbs have never run on Windows, and are refused until they have.
fn ensure_runs_on_windows(verb: &Served) -> Result<()> {
    // tests/test_windows.py runs these under wine; CI runs smoke, which needs venv, on Windows.
    let runs = matches!(
        verb,
        Served::Audit(_)
            | Served::Matrix(_)
            | Served::Rules(_)
            | Served::Smoke(_)
            | Served::Targets(_)
            | Served::Venv
    );
    let name = env::args().nth(1).unwrap_or_default();
    ensure!(
        runs,
        "`ffiwheel {name}` does not run on Windows yet: run it on Linux or macOS, or in WSL; \
         `python setup.py bdist_wheel` in python/ builds a wheel here"
    );
    Ok(())
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

/// An empty variable counts as unset. Cargo, for example, would take it for a name.
fn unset_empty_variables() {
    let command = Cli::command();
    let of_arguments = command
        .get_subcommands()
        .flat_map(|verb| verb.get_arguments())
        .filter_map(|argument| argument.get_env());
    let others = [
        "CARGO",
        "CARGO_BUILD_TARGET",
        "CARGO_HOME",
        "CONTAINER_ENGINE",
        "FFIWHEEL_FIND_LINKS",
        "GITHUB_OUTPUT",
        "PYTHON",
        "RUSTC",
    ];
    for name in of_arguments.chain(others.map(OsStr::new)) {
        if env::var_os(name).is_some_and(|value| value.is_empty()) {
            env::remove_var(name);
        }
    }
}

fn main() -> ExitCode {
    restore_toolchain();
    // Archives store file modes, which must not depend on this user's umask.
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    unset_empty_variables();
    match dispatch(&Cli::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
