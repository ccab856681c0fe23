//! The verbs of everyday work. Each calls a few programs, whose output is the terminal's.

use std::fs;
use std::path::PathBuf;

use anyhow::{bail, ensure, Result};

use super::{header, sdist, wheels};
use crate::files;
use crate::kit::{self, State};
use crate::make::toolchain;
use crate::project::Project;
use crate::run::run_here;
use crate::say::say;

/// The version of cross that `make cross` installs, and that BACKEND=cross was tried with.
const CROSS: &str = "0.2.5";

/// Builds the library and installs the package into `.venv`, editable.
pub fn dev(project: &Project) -> Result<()> {
    let mut command = project.command(project.tool("python")?)?;
    command.args(["-m", "pip", "install", "--quiet", "--no-build-isolation"]);
    command
        .args(["--no-deps", "--editable"])
        .arg(&project.python);
    run_here(&mut command)
}

/// Makes an sdist and a wheel, and runs the tests on every Python that is found.
pub fn test(project: &Project) -> Result<()> {
    sdist::run(project, &sdist::Options::default())?;
    wheels::run(project, &wheels::Options::default())?;
    let helpers = project.brought("helpers")?;
    let mut command = project.command(project.tool("python")?)?;
    command
        .env("PYTHONPATH", &helpers)
        .args(["-m", "pytest", "-p", "testing", "--strict-markers", "-rs"])
        .args(["--numprocesses", "auto", "--dist", "worksteal"])
        .arg("--rootdir")
        .arg(&project.root)
        .arg(helpers.join("test_scenarios.py"));
    let own = project.python.join("tests");
    if own.is_dir() {
        command.arg(own);
    }
    run_here(&mut command)
}

/// Checks what the author wrote, what is generated, and the kit.
pub fn lint(project: &Project) -> Result<()> {
    let mut failed = Vec::new();
    let mut check = |name: &str, outcome: Result<()>| {
        if let Err(error) = outcome {
            eprintln!("{name}: {error:#}");
            failed.push(name.to_owned());
        }
    };
    check("the kit", ensure_no_drift(project));
    let of_cargo = [
        &["fmt", "--check"][..],
        &[
            "clippy",
            "--quiet",
            "--locked",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ];
    let by_cargo = project.command.is_none();
    if by_cargo {
        check("rustfmt and clippy", rust_components(project));
    }
    for words in of_cargo.into_iter().filter(|_| by_cargo) {
        check(&format!("cargo {}", words[0]), cargo(project, words));
    }
    for words in [&["format", "--check"][..], &["check"]] {
        check(&format!("ruff {}", words[0]), ruff(project, words));
    }
    if project.program.is_none() {
        check(
            "generated files",
            header::run(project, &header::Options::checking()),
        );
    }
    check("workflows", workflows(project));
    if !failed.is_empty() {
        bail!("lint found something: {}", failed.join(", "));
    }
    Ok(())
}

/// Formats what the author wrote.
pub fn fmt(project: &Project) -> Result<()> {
    if project.command.is_none() {
        rust_components(project)?;
        cargo(project, &["fmt"])?;
    }
    ruff(project, &["format"])?;
    ruff(project, &["check", "--fix-only"])
}

fn ensure_no_drift(project: &Project) -> Result<()> {
    let lines: Vec<String> = kit::drift(project)?
        .iter()
        .map(|(file, state)| {
            let word = match state {
                State::Missing => "is missing",
                State::Foreign => "was edited",
                State::Intact => "is of another version",
            };
            format!("{} {word}", file.name)
        })
        .collect();
    ensure!(
        lines.is_empty(),
        "{}; run `ffiwheel update`",
        lines.join("; ")
    );
    Ok(())
}

/// Adds rustfmt and clippy to a minimal installation of Rust, as GitHub's runners have.
fn rust_components(project: &Project) -> Result<()> {
    let has = |name: &str| -> Result<bool> {
        let mut command = toolchain::cargo(project)?;
        let output = command
            .current_dir(&project.rust)
            .args([name, "--version"])
            .output();
        Ok(output.is_ok_and(|output| output.status.success()))
    };
    if has("fmt")? && has("clippy")? {
        return Ok(());
    }
    let mut command = project.command("rustup")?;
    command.current_dir(&project.rust);
    run_here(command.args(["component", "add", "rustfmt", "clippy"]))
}

/// cargo, in the crate's folder.
fn cargo(project: &Project, words: &[&str]) -> Result<()> {
    let mut command = toolchain::cargo(project)?;
    run_here(command.current_dir(&project.rust).args(words))
}

/// ruff, over the Python files that the author wrote, by the project's settings for it or, where
/// there are none, by those that the kit keeps to.
fn ruff(project: &Project, words: &[&str]) -> Result<()> {
    let theirs: Vec<PathBuf> = kit::of(project)
        .into_iter()
        .map(|file| project.root.join(file.name))
        .chain(["_ffi.py", "_ffi.pyi"].map(|name| project.package().join(name)))
        .collect();
    let mut command = project.command(project.tool("ruff")?)?;
    command.args(words);
    let settings = fs::read_to_string(project.root.join("pyproject.toml")).unwrap_or_default();
    if !settings.contains("[tool.ruff") && !project.root.join("ruff.toml").is_file() {
        // Python 2.7 is not among the versions that ruff knows; 3.7 is its oldest.
        command.args(["--config", "line-length = 100"]);
        command.args(["--config", "target-version = \"py37\""]);
        command.args([
            "--config",
            "lint.select = [\"B\", \"E\", \"F\", \"I\", \"PLE\", \"W\"]",
        ]);
        command.args(["--config", "lint.ignore = [\"B904\"]"]); // `raise … from` is no Python 2.7
    }
    for path in theirs
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "py" || it == "pyi"))
    {
        command.arg("--extend-exclude").arg(path);
    }
    for folder in ["python", "scripts"] {
        if project.root.join(folder).is_dir() {
            command.arg(folder);
        }
    }
    run_here(&mut command)
}

/// The workflows of GitHub Actions, where there are any: their form, and their security.
fn workflows(project: &Project) -> Result<()> {
    let folder = project.root.join(".github");
    if !folder.join("workflows").is_dir() {
        return Ok(());
    }
    let mut zizmor = project.command(project.tool("zizmor")?)?;
    zizmor.args([
        "--quiet",
        "--offline",
        "--pedantic",
        "--no-progress",
        ".github",
    ]);
    run_here(&mut zizmor)?;
    let below = |folder: &str| -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(project.root.join(folder))
            .into_iter()
            .flatten()
        {
            found.push(entry?.path());
        }
        found.sort();
        Ok(found)
    };
    let is_yaml = |path: &PathBuf| {
        path.extension()
            .is_some_and(|it| it == "yml" || it == "yaml")
    };
    let actions = below(".github/actions")?
        .into_iter()
        .map(|path| path.join("action.yml"));
    for (schema, files) in [
        (
            "vendor.github-workflows",
            below(".github/workflows")?
                .into_iter()
                .filter(is_yaml)
                .collect(),
        ),
        (
            "vendor.github-actions",
            actions.filter(|path| path.is_file()).collect(),
        ),
        (
            "vendor.dependabot",
            below(".github")?
                .into_iter()
                .filter(is_yaml)
                .collect::<Vec<_>>(),
        ),
    ] {
        if !files.is_empty() {
            let mut command = project.command(project.tool("check-jsonschema")?)?;
            run_here(
                command
                    .args(["--quiet", "--builtin-schema", schema])
                    .args(files),
            )?;
        }
    }
    Ok(())
}

/// Installs cross into `.venv`.
pub fn cross(project: &Project) -> Result<()> {
    let root = project.root.join(".venv");
    let mut command = toolchain::cargo(project)?;
    command.args([
        "install",
        "--quiet",
        "--locked",
        "--version",
        CROSS,
        "--root",
    ]);
    run_here(command.arg(root).arg("cross"))
}

/// Removes build results.
pub fn clean(project: &Project) -> Result<()> {
    for folder in [
        project.root.join("build"),
        project.dist(),
        project.rust.join("target"),
        project.python.join("build"),
        project.python.join("dist"),
    ] {
        files::remove(&folder)?;
    }
    for entry in fs::read_dir(&project.python)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "egg-info")
        {
            files::remove(&path)?;
        }
    }
    for entry in fs::read_dir(project.package().join("lib"))
        .into_iter()
        .flatten()
    {
        let path = entry?.path();
        if !path.ends_with("README.md") {
            files::remove(&path)?;
        }
    }
    Ok(())
}

/// Removes build results and tools.
pub fn distclean(project: &Project) -> Result<()> {
    clean(project)?;
    files::remove(&project.root.join(".roots"))?;
    files::remove(&project.root.join(".venv"))
}

/// Writes the first lines of the kit's files anew, in the repository that they come from.
pub fn kit(project: &Project) -> Result<()> {
    for name in kit::stamp(project)? {
        say!("wrote {name}");
    }
    Ok(())
}

/// Makes sure that the tools are in `.venv`.
pub fn venv(project: &Project) -> Result<()> {
    project.tool("python").map(drop)
}
