//! A project for another library: `new` makes its folder, `init` puts it into one that exists.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context, Result};

use super::header;
use crate::files;
use crate::kit;
use crate::make::toolchain;
use crate::pin;
use crate::project::{Project, SETTINGS};
use crate::run::{self, git, run_here};
use crate::say::say;
use crate::template::{self, About, Kind, Names};
use crate::venv;

#[derive(clap::Args)]
pub struct New {
    /// What an index calls the project; its package and its crate are named after it
    #[arg(env = "NAME")]
    name: String,
    /// The folder, which must not exist [default: the name]
    #[arg(env = "DEST")]
    dest: Option<PathBuf>,
    #[command(flatten)]
    choices: Choices,
}

#[derive(clap::Args)]
pub struct Init {
    /// What an index calls the project; its package and its crate are named after it
    #[arg(env = "NAME")]
    name: String,
    /// Only what `python setup.py`, pip and cibuildwheel need: no Makefile, no CI
    #[arg(long)]
    minimal: bool,
    #[command(flatten)]
    choices: Choices,
}

#[derive(clap::Args)]
struct Choices {
    /// What the project is about
    #[arg(long, value_enum, default_value_t = Kind::Gate, env = "KIND")]
    kind: Kind,
    /// A Rust crate that the new one depends on: NAME@VERSION, or a folder of the project
    #[arg(long = "crate", value_name = "CRATE", env = "CRATE")]
    krate: Option<String>,
    /// An SPDX expression
    #[arg(long, default_value = "MIT", env = "LICENSE", value_parser = licence)]
    license: String,
}

impl Choices {
    fn check(&self) -> Result<()> {
        ensure!(
            self.krate.is_none() || self.kind != Kind::Command,
            "--crate is for cargo, and --kind command is for a library that another command builds"
        );
        Ok(())
    }
}

fn licence(text: &str) -> Result<String, String> {
    let known: Vec<&str> = template::licences().collect();
    match known.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("there is a text for each of: {}", known.join(", "))),
    }
}

/// Makes the project, generates what is generated, and commits all of it, once.
pub fn new(options: &New) -> Result<()> {
    options.choices.check()?;
    let names = names(&options.name)?;
    let dest = options
        .dest
        .clone()
        .unwrap_or_else(|| (&options.name).into());
    let here = env::current_dir()?;
    let dest = std::path::absolute(dest)?;
    ensure!(
        fs::symlink_metadata(&dest).is_err(),
        "{} exists: name another folder, or run `ffiwheel init` in it",
        dest.display()
    );
    if let Some(outer) = dest.ancestors().skip(1).find(|up| up.join(".git").exists()) {
        bail!(
            "{} is in the git repository {}: choose a folder outside, or run `ffiwheel init` there",
            dest.display(),
            outer.display()
        );
    }
    let files = contents(&names, &options.choices, true)?;
    let outcome = make(&dest, &files, &options.choices).and_then(|()| commit_all(&dest));
    if outcome.is_err() {
        // Nothing of it was there before.
        let _ = fs::remove_dir_all(&dest);
    }
    let shown = dest.strip_prefix(&here).unwrap_or(&dest).display();
    match outcome? {
        Some(count) => say!("made {shown} with {count} files, in one commit"),
        None => say!("made {shown}, without a commit: git is not installed"),
    }
    say!("next: cd {shown} && make dev");
    Ok(())
}

/// Adds a project to the folder that the program runs in. No file that exists is changed.
pub fn init(options: &Init) -> Result<()> {
    let root = env::current_dir()?;
    let settings = root.join(SETTINGS);
    ensure!(
        !settings.exists(),
        "{} exists: this is a project already. `ffiwheel update` brings its kit up to date",
        settings.display()
    );
    venv::ensure_ours(&root)?;
    options.choices.check()?;
    let names = names(&options.name)?;
    let mut files = contents(&names, &options.choices, !options.minimal)?;
    // Those of the repository are better.
    for name in [
        ".gitignore",
        "README.md",
        "LICENSE",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ] {
        if root.join(name).exists() {
            files.remove(name);
        }
    }
    let there: Vec<&str> = files
        .keys()
        .filter(|name| fs::symlink_metadata(root.join(name)).is_ok())
        .map(String::as_str)
        .collect();
    ensure!(
        there.is_empty(),
        "these exist and would be overwritten: {}; move them away, then run this again",
        there.join(", ")
    );
    // What is not there yet is removed with all that cargo and the header put into it.
    let top = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let is_new = |name: &String| !root.join(name).exists();
    let made: BTreeSet<String> = files.keys().map(|name| top(name)).filter(is_new).collect();
    let beside = [".venv", "build"].map(String::from);
    let beside: Vec<String> = beside.into_iter().filter(is_new).collect();
    let outcome = make(&root, &files, &options.choices);
    if outcome.is_err() {
        for name in files.keys().chain(&made) {
            let _ = crate::files::remove(&root.join(name));
        }
    }
    if options.minimal || outcome.is_err() {
        for name in &beside {
            let _ = crate::files::remove(&root.join(name));
        }
    }
    outcome?;
    for name in files.keys().filter(|name| root.join(name).exists()) {
        say!("wrote {name}");
    }
    Ok(())
}

/// The names that follow from the one given, checked.
fn names(given: &str) -> Result<Names> {
    let python = venv::python()?;
    let code = "import sys; print(' '.join(sys.stdlib_module_names))";
    let output = Command::new(&python).args(["-c", code]).output()?;
    ensure!(
        output.status.success(),
        "{python} failed: {}",
        output.status
    );
    let modules = String::from_utf8(output.stdout)?;
    template::names(given, &modules.split_whitespace().collect::<Vec<_>>())
}

/// Every file that is written, by its path: the author's and the kit's.
fn contents(names: &Names, choices: &Choices, whole: bool) -> Result<BTreeMap<String, String>> {
    let said = git(&env::current_dir()?)
        .args(["config", "user.name"])
        .output();
    let holder = said.map_or(String::new(), |it| {
        String::from_utf8_lossy(&it.stdout).trim().to_owned()
    });
    let holder = match holder.is_empty() {
        true => format!("the authors of {}", names.distribution),
        false => holder,
    };
    let today = super::changelog::today();
    let crate_folder = "rust";
    let about = About {
        kind: choices.kind,
        names,
        licence: &choices.license,
        holder: &holder,
        year: &today[..4],
        kit: kit::VERSION,
        crate_folder,
    };
    let mut found = template::files(&about, whole)?;
    let what = match choices.kind {
        Kind::Gate => kit::For::Gate,
        Kind::CAbi | Kind::Command => kit::For::NoGate,
        Kind::Program => kit::For::Program,
    };
    for file in kit::files(&names.module, crate_folder, what) {
        if whole || file.name != "Makefile" {
            found.insert(file.name, file.contents.to_owned());
        }
    }
    if whole {
        found.insert("ci/requirements.txt".into(), pin::requirements()?);
    }
    Ok(found)
}

fn make(root: &Path, files: &BTreeMap<String, String>, choices: &Choices) -> Result<()> {
    for (name, text) in files {
        files::write(&root.join(name), text)?;
    }
    env::set_current_dir(root)?;
    let mut project = Project::find()?;
    if let Some(krate) = &choices.krate {
        depend(&project, krate, choices.kind)?;
        drop(project); // and its lock: what setup.cfg says has changed
        project = Project::find()?;
    }
    if choices.kind != Kind::Program {
        header::run(&project, &header::Options::default())?;
    }
    Ok(())
}

/// Makes the crate depend on another one, of crates.io or of the project.
fn depend(project: &Project, krate: &str, kind: Kind) -> Result<()> {
    let mut command = toolchain::bare_cargo();
    command.current_dir(&project.rust).arg("add").arg("--quiet");
    let path = project.root.join(krate);
    let local = path.join("Cargo.toml").is_file();
    if local {
        let path = fs::canonicalize(path)?;
        ensure!(
            path.starts_with(fs::canonicalize(&project.root)?),
            "{krate} is outside the project, and an sdist cannot hold it: run `ffiwheel init` in \
             its repository, or name a version, {krate}@1.2"
        );
        command.arg("--path").arg(path);
    } else {
        ensure!(
            krate.contains('@') && !krate.contains('/'),
            "there is no crate in {krate}; one of crates.io is named with its version, \
             NAME@VERSION"
        );
        command.arg(krate);
    }
    run::run(&mut command, &project.build("new").join("log"))
        .with_context(|| format!("cannot depend on {krate}"))?;
    raise_rust_version(project)?;
    if kind == Kind::Program {
        return Ok(()); // The compiler reports no dependency that is unused.
    }
    let name = match local {
        true => name_in(&files::read(&project.root.join(krate).join("Cargo.toml"))?)?,
        false => krate.split('@').next().unwrap_or(krate).to_owned(),
    };
    let name = name.replace('-', "_");
    let source = project.rust.join("src/lib.rs");
    if kind == Kind::CAbi {
        take_header(project, &name)?;
        let text = "//! Exports the functions of another crate, which its C header declares.\n\n";
        return files::write(&source, format!("{text}use {name} as _;\n"));
    }
    let text = files::read(&source)?;
    let start = "use ffi::{";
    let with =
        format!("use {name} as _; // Call it in the functions below, and remove this line.\n\n");
    files::write(&source, text.replacen(start, &(with + start), 1))
}

/// Takes the C header of a crate whose functions are exported, as it is, and has Python import them.
fn take_header(project: &Project, name: &str) -> Result<()> {
    let found = metadata(project)?;
    let package = found
        .packages
        .iter()
        .find(|it| it.name.replace('-', "_") == name);
    let package = package.with_context(|| format!("`cargo metadata` does not list {name}"))?;
    let folder = package.manifest_path.parent().unwrap_or(&project.root);
    let mut headers = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let (path, kind) = entry.map(|it| (it.path(), it.file_type()))?;
            if kind?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "h") {
                headers.push(path);
            }
        }
    }
    let [header] = &headers[..] else {
        bail!(
            "{name} has {} C headers, not one: leave --crate out, and put its header into \
             rust/include",
            headers.len()
        );
    };
    let file = header.file_name().unwrap_or_default().to_string_lossy();
    files::remove(&project.header())?;
    files::write(
        &project.rust.join("include").join(&*file),
        fs::read(header)?,
    )?;
    let settings = project.root.join(SETTINGS);
    let old = format!("header = include/{}.h", project.module);
    let new = format!("header = include/{file}");
    files::write(&settings, files::read(&settings)?.replace(&old, &new))?;
    let module = &project.module;
    let python = "from ._ffi import VERSION as __version__\nfrom ._load import ffi, lib\n\n\
                  __all__ = [\"__version__\", \"ffi\", \"lib\"]\n";
    let python = format!("\"\"\"TODO: what it does.\"\"\"\n\n{python}");
    files::write(&project.package().join("__init__.py"), python)?;
    if let Some(smoke) = project.smoke_test() {
        let test = "print(\"{} is right\")".replace("{}", module);
        files::write(
            &smoke,
            format!("import {module}\n\nassert {module}.lib\n{test}\n"),
        )?;
    }
    Ok(())
}

/// What `cargo metadata` says of the crate's dependencies.
fn metadata(project: &Project) -> Result<Metadata> {
    let folder = project.build("new");
    let out = folder.join("metadata");
    let mut command = toolchain::bare_cargo();
    command.current_dir(&project.rust);
    command.args(["metadata", "--format-version", "1"]);
    run::run_to(&mut command, &folder.join("log"), Some(&out))?;
    serde_json::from_str(&files::read(&out)?).context("cannot read the output of `cargo metadata`")
}

#[derive(serde::Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(serde::Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    rust_version: Option<String>,
}

/// Raises the `rust-version` of the crate to what its dependencies need.
fn raise_rust_version(project: &Project) -> Result<()> {
    let found = metadata(project)?;
    let parts = |version: &String| -> Vec<u32> {
        version.split('.').flat_map(str::parse).collect() // cargo has checked it
    };
    let needed = found.packages.into_iter().flat_map(|it| it.rust_version);
    let Some(needed) = needed.max_by_key(parts) else {
        return Ok(());
    };
    let manifest = project.rust.join("Cargo.toml");
    let text = files::read(&manifest)?;
    let lines = text.lines().map(|line| match line {
        _ if line.starts_with("rust-version = ") => format!("rust-version = {needed:?}\n"),
        _ => format!("{line}\n"),
    });
    files::write(&manifest, lines.collect::<String>())
}

/// What Rust calls the crate of a manifest, whatever its folder is called.
fn name_in(manifest: &str) -> Result<String> {
    let table: toml::Table = toml::from_str(manifest)?;
    let named = ["lib", "package"]
        .iter()
        .find_map(|it| table.get(*it)?.get("name")?.as_str());
    Ok(named.context("cargo has read its name")?.to_owned())
}

/// The number of files in the one commit; None without git.
fn commit_all(root: &Path) -> Result<Option<usize>> {
    if which::which("git").is_err() {
        return Ok(None);
    }
    run_here(git(root).args(["init", "--quiet", "--initial-branch", "main"]))?;
    run_here(git(root).args(["add", "--all"]))?;
    let mut commit = git(root);
    let has_name = git(root)
        .args(["config", "user.email"])
        .output()?
        .status
        .success();
    if !has_name {
        eprintln!(
            "note: git does not know who you are: `git commit --amend --reset-author` after \
                   `git config --global user.name …` and `user.email …`"
        );
        commit.args([
            "-c",
            "user.name=nobody",
            "-c",
            "user.email=nobody@localhost",
        ]);
    }
    run_here(commit.args([
        "commit",
        "--quiet",
        "--message",
        "A project by `ffiwheel new`",
    ]))?;
    let output = git(root).arg("ls-files").output()?;
    Ok(Some(
        String::from_utf8_lossy(&output.stdout).lines().count(),
    ))
}
