//! The project's places and names, and the commands that know them.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::OnceLock;

use anyhow::{bail, ensure, Context, Result};
use pep440_rs::Version;
use toml::{Table, Value};

use crate::data;
use crate::files::{self, read, remove_scratch};
use crate::ini::Ini;
use crate::name;
use crate::run;
use crate::say::say;
use crate::targets::Target;
use crate::venv;

/// What makes a folder a project.
pub const SETTINGS: &str = "python/setup.cfg";

pub struct Project {
    pub root: PathBuf,
    /// The folder of what the library is built from: the crate's, or that of `sources`.
    pub rust: PathBuf,
    /// That folder below `root`, with `/`, as sdists have it; "" for `root` itself.
    pub place: String,
    /// The folder of the crate's lock file: its own, or that of its workspace.
    pub workspace: PathBuf,
    /// The Python project's folder.
    pub python: PathBuf,
    /// The crate's version in Python's spelling, which file names use: 1.0.0rc1 for cargo's
    /// 1.0.0-rc.1. Without a crate, that of setup.cfg.
    pub version: String,
    /// What an index calls the project: setup.cfg's `name`, as it is written there.
    pub distribution: String,
    /// The Python package that a program imports, and the stem of the library inside it: the
    /// first of setup.cfg's `packages`.
    pub module: String,
    /// The crate's library: the stem of the file that cargo builds and of the header, and the
    /// prefix of C symbols.
    pub library: String,
    /// The program that a wheel brings; None for a project of a library.
    pub program: Option<String>,
    /// What builds the library in cargo's place.
    pub command: Option<String>,
    /// The stems of what the command builds beside it: libraries that are loaded first.
    pub libraries: Vec<String>,
    /// The header of a library that has no gate, below `rust`; None where it is generated.
    given_header: Option<String>,
    pub settings: Ini,
    /// What the crate's manifest says of the project, in [package]: description, license, homepage,
    /// repository.
    pub said_by_crate: BTreeMap<&'static str, String>,
    epoch: OnceLock<u64>,
    _lock: File,
}

impl Project {
    /// The project around the working directory. One ffiwheel runs in it at a time.
    pub fn find() -> Result<Project> {
        let here = env::current_dir()?;
        let root = here
            .ancestors()
            .find(|folder| folder.join(SETTINGS).is_file())
            .with_context(|| {
                format!(
                    "{} is not in a project: no folder above it contains {SETTINGS}",
                    here.display()
                )
            })?
            .to_owned();
        let settings = Ini::parse(&read(&root.join(SETTINGS))?)
            .with_context(|| format!("cannot read {SETTINGS}"))?;
        let (distribution, module) = names(&settings)?;
        let program = program(&settings, &distribution)?;
        let said = |option| Some(settings.get("build_library", option)).filter(|it| !it.is_empty());
        let command = said("command").map(str::to_owned);
        let given_header = said("header").map(str::to_owned);
        check_settings(&settings, &module, program.is_some())?;
        let place = match &command {
            None => place_of_crate(settings.get("build_library", "crate"))?,
            Some(_) => place_of_sources(settings.get("build_library", "sources"))?,
        };
        let Crate {
            rust,
            workspace,
            version,
            library,
            said: said_by_crate,
        } = match &command {
            None => Crate::read(&root, &place)?,
            Some(_) => Crate::of_command(&root, &place, &settings)?,
        };
        let library = said("prefix").map_or(library, str::to_owned);
        if let Some(header) = &given_header {
            ensure!(
                rust.join(header).is_file(),
                "there is no {}: `header` below [build_library] in {SETTINGS} names a file in {}",
                rust.join(header).display(),
                if command.is_some() {
                    "`sources`"
                } else {
                    "the crate's folder"
                }
            );
        }
        let build = root.join("build");
        fs::create_dir_all(&build).with_context(|| format!("cannot make {}", build.display()))?;
        let lock = File::create(build.join(".lock"))
            .with_context(|| format!("cannot write to {}", build.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("waiting for another run to finish in {}", root.display());
                lock.lock().context("cannot lock the build folder")?;
            }
            Err(TryLockError::Error(error)) => eprintln!(
                "note: cannot lock {} ({error}): run only one command at a time",
                build.display()
            ),
        }
        remove_scratch(&build);
        Ok(Project {
            python: root.join("python"),
            root,
            rust,
            place,
            workspace,
            version,
            distribution,
            module,
            library,
            program,
            command,
            libraries: listed(&settings, "libraries"),
            given_header,
            settings,
            said_by_crate,
            epoch: OnceLock::new(),
            _lock: lock,
        })
    }

    pub fn package(&self) -> PathBuf {
        self.python.join(&self.module)
    }

    /// The C header.
    pub fn header(&self) -> PathBuf {
        match &self.given_header {
            Some(name) => self.rust.join(name),
            None => self.rust.join(format!("include/{}.h", self.library)),
        }
    }

    /// Whether the crate's gate exports the library's functions, and the header is generated.
    pub fn has_gate(&self) -> bool {
        self.program.is_none() && self.given_header.is_none()
    }

    /// What names the project's version.
    pub fn place_of_version(&self) -> PathBuf {
        match &self.command {
            None => self.manifest(),
            Some(_) => self.root.join(SETTINGS),
        }
    }

    /// The crate's features that setup.cfg adds to its default ones.
    pub fn features(&self) -> Vec<String> {
        listed(&self.settings, "features")
    }

    /// The library at a path, and those that were built beside it.
    pub fn all(&self, target: &Target, library: &Path) -> Vec<PathBuf> {
        let others = self.libraries.iter();
        let others = others.map(|stem| library.with_file_name(target.library_name(stem)));
        iter::once(library.to_owned()).chain(others).collect()
    }

    /// The first part of a wheel's tag, by the rule of python/setup.py: without Python 2 where
    /// `python_requires` excludes it.
    pub fn pythons(&self) -> &'static str {
        let required = self.settings.get("options", "python_requires");
        let is_three = |clause: &str| {
            let clause = clause.trim();
            let version = [">=", ">", "~=", "===", "=="]
                .iter()
                .find_map(|sign| clause.strip_prefix(sign));
            version.is_some_and(|version| version.trim_start().starts_with('3'))
        };
        match required.split(',').any(is_three) {
            true => "py3",
            false => "py2.py3",
        }
    }

    /// The crate's manifest, and the lock file that cargo builds it by.
    pub fn manifest(&self) -> PathBuf {
        self.rust.join("Cargo.toml")
    }

    pub fn workspace_manifest(&self) -> PathBuf {
        self.workspace.join("Cargo.toml")
    }

    pub fn lock_file(&self) -> PathBuf {
        self.workspace.join("Cargo.lock")
    }

    /// What the names of its wheels and sdists begin with.
    pub fn file_stem(&self) -> String {
        format!("{}-{}", name::in_files(&self.distribution), self.version)
    }

    pub fn sdist_name(&self) -> String {
        format!("{}.tar.gz", self.file_stem())
    }

    /// Where what is built for a target is kept, with its log.
    pub fn build(&self, name: &str) -> PathBuf {
        self.root.join("build").join(name)
    }

    /// The path of a file in the build folder, relative to where cargo runs the compiler and that
    /// the linker: a library depends on no folder's name.
    pub fn seen_by_linker(&self, name: &str) -> Result<String> {
        let above = self.workspace.strip_prefix(&self.root)?;
        let up = "../".repeat(above.components().count());
        Ok(format!("{up}build/{name}"))
    }

    pub fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// A program of `.venv`, which is prepared if need be.
    pub fn tool(&self, name: &str) -> Result<PathBuf> {
        let folder = venv::ready(&self.root, || self.or_brought("ci/requirements.txt"))?;
        let path = folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
        ensure!(
            path.is_file(),
            "{} is missing: ci/requirements.txt names no such tool, or .venv is damaged; add it, \
             or remove .venv and run this again",
            self.relative(&path)
        );
        Ok(path)
    }

    /// What setup.py's own modules answer to a program in Python that imports `sources`.
    pub fn ask_setup(&self, program: &str, stdin: Stdio) -> Result<String> {
        let output = self
            .command(self.tool("python")?)?
            .current_dir(&self.python)
            .args(["-I", "-B", "-c"])
            .arg(format!(
                "import sys; sys.path.insert(0, '.'); import sources\n{program}"
            ))
            .stdin(stdin)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", said.trim());
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Fails for a verb that knows only libraries.
    pub fn ensure_library(&self, verb: &str) -> Result<()> {
        match &self.program {
            None => Ok(()),
            Some(program) => bail!(
                "`make {verb}` is for a library, and this project's wheels bring the program \
                 {program}"
            ),
        }
    }

    /// Fails if a verb would overwrite a file that is not generated. The first line of a
    /// generated one contains `mark`.
    pub fn ensure_generated(&self, path: &Path, mark: &str) -> Result<()> {
        let old = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            old => old.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let first = old.split(|&byte| byte == b'\n').next().unwrap_or_default();
        ensure!(
            old.trim_ascii().is_empty() || String::from_utf8_lossy(first).contains(mark),
            "{} would be overwritten, but its first line does not mark it as generated (\
             \u{201c}{mark}\u{201d}): move it away, then run the command again",
            self.relative(path)
        );
        Ok(())
    }

    /// Makes generated files equal to what they are generated from or, without `write`, changes
    /// nothing. The names of those that were out of date.
    pub fn keep(
        &self,
        files: impl IntoIterator<Item = (PathBuf, String)>,
        write: bool,
    ) -> Result<Vec<String>> {
        let mut stale = Vec::new();
        for (path, contents) in files {
            if fs::read_to_string(&path).is_ok_and(|old| old == contents) {
                continue;
            }
            let name = self.relative(&path).to_string();
            if write {
                files::write(&path, contents)?;
                say!("wrote {name}");
            }
            stale.push(name);
        }
        Ok(stale)
    }

    /// A command with the tools of `.venv` first on PATH and the time of the commit in
    /// SOURCE_DATE_EPOCH, so that what it packs does not depend on when it ran.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let mut path = vec![self.tool("python")?.parent().unwrap().to_owned()];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("PATH", env::join_paths(path)?)
            .env("SOURCE_DATE_EPOCH", self.source_date_epoch()?.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_COLOR", "1") // the output goes to log files
            .stdin(Stdio::null());
        if !has_user_cache() && env::var_os("ZIG_GLOBAL_CACHE_DIR").is_none() {
            command.env("ZIG_GLOBAL_CACHE_DIR", self.build("cache"));
        }
        Ok(command)
    }

    /// The Python program of that name in `helpers/`, run by `.venv`'s Python.
    pub fn helper(&self, name: &str) -> Result<Command> {
        let mut command = self.command(self.tool("python")?)?;
        command.arg(self.helper_path(name)?);
        Ok(command)
    }

    /// The file of that helper.
    pub fn helper_path(&self, name: &str) -> Result<PathBuf> {
        let helpers = self.brought("helpers")?;
        Ok(helpers.join(name).with_extension("py"))
    }

    /// The author's test of the package's public API, where there is one.
    pub fn smoke_test(&self) -> Option<PathBuf> {
        Some(self.root.join("scripts/smoke.py")).filter(|path| path.is_file())
    }

    /// A file or folder that the tool brings.
    pub fn brought(&self, name: &str) -> Result<PathBuf> {
        Ok(data::unpacked(&self.root.join("build"))?.join(name))
    }

    /// The project's file of that name or, if there is none, the one that the tool brings.
    pub fn or_brought(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        match path.is_file() {
            true => Ok(path),
            false => self.brought(name),
        }
    }

    /// The date of what is packed, in seconds since 1970: SOURCE_DATE_EPOCH, else the time of
    /// the last commit, else [`ZIP_EPOCH`].
    pub fn source_date_epoch(&self) -> Result<u64> {
        if let Some(seconds) = self.epoch.get() {
            return Ok(*seconds);
        }
        let text = env::var_os("SOURCE_DATE_EPOCH").unwrap_or_default();
        let seconds = match text.is_empty() {
            false => epoch(&text.to_string_lossy())?,
            true => self.time_of_commit()?.unwrap_or(ZIP_EPOCH),
        };
        Ok(*self.epoch.get_or_init(|| seconds.max(ZIP_EPOCH)))
    }

    fn time_of_commit(&self) -> Result<Option<u64>> {
        if self.git(&["rev-parse", "--git-dir"])?.is_none() {
            return Ok(None);
        }
        let head = ["rev-parse", "--quiet", "--verify", "HEAD"];
        if self.git(&head).is_err() {
            return Ok(None); // before the first commit
        }
        // Whatever the user's settings for git's output are.
        let log = ["-c", "log.showSignature=false", "log", "-1", "--format=%ct"];
        let seconds = self.git(&log)?.unwrap_or_default();
        let seconds = seconds.parse();
        Ok(Some(seconds.context("`git log` does not print a time")?))
    }

    /// What git prints, without the line feed at the end; None if the project is not a git
    /// repository itself. It is an error if git is missing or fails.
    pub fn git(&self, words: &[&str]) -> Result<Option<String>> {
        // A repository around the project knows other files, and other commits.
        if !self.root.join(".git").exists() {
            return Ok(None);
        }
        let top = PathBuf::from(self.ask_git(&["rev-parse", "--show-toplevel"])?);
        ensure!(
            fs::canonicalize(&top)? == fs::canonicalize(&self.root)?,
            "git takes {} for no repository, but {}: repair it, or remove it",
            self.root.join(".git").display(),
            top.display()
        );
        self.ask_git(words).map(Some)
    }

    fn ask_git(&self, words: &[&str]) -> Result<String> {
        let output = run::git(&self.root).args(words).output();
        let output = output.with_context(|| {
            format!(
                "cannot run git, but {} is a git repository: install git",
                self.root.display()
            )
        })?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "git fails in {}: {}",
            self.root.display(),
            said.split_whitespace().collect::<Vec<_>>().join(" ")
        );
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }

    pub fn relative<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// The words of an option, by a line or a comma each.
fn listed(settings: &Ini, option: &str) -> Vec<String> {
    let words = settings.get("build_library", option);
    let words = words.split(['\n', ',']).map(str::trim);
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Fails for settings that do not go together, by the rule of python/sources.py.
fn check_settings(settings: &Ini, module: &str, program: bool) -> Result<()> {
    let is_set = |option: &str| !settings.get("build_library", option).is_empty();
    ensure!(
        !is_set("output"),
        "{SETTINGS} sets `output`: a command writes the library to the path in $OUTPUT; remove \
         `output`, and write `command = make OUT=$OUTPUT`, say"
    );
    for (option, other) in [
        ("command", "sources"),
        ("command", "header"),
        ("sources", "command"),
        ("libraries", "command"),
    ] {
        ensure!(
            !is_set(option) || is_set(other),
            "{SETTINGS} sets `{option}` below [build_library], but no `{other}`"
        );
    }
    for option in ["crate", "features", "program"] {
        ensure!(
            !is_set("command") || !is_set(option),
            "{SETTINGS} sets `command` and `{option}`, which is for cargo: remove one of them"
        );
    }
    ensure!(
        !settings.get("build_library", "command").contains('%'),
        "{SETTINGS} sets a `command` with a %, which setuptools would replace: put the command \
         into a script in `sources`, and name that"
    );
    let mut known = vec![module.to_lowercase()];
    for name in listed(settings, "libraries") {
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        ensure!(
            name.bytes().all(in_name) && !known.contains(&name.to_lowercase()),
            "{SETTINGS} names {name} under `libraries`, which is there twice, or not a name: write \
             names of letters, digits and underscores, without lib and .so, and leave out the \
             package's own library, {module}"
        );
        known.push(name.to_lowercase());
    }
    ensure!(
        !program || !(is_set("command") || is_set("header")),
        "{SETTINGS} sets `command` or `header`, which are for a library, and `kind = program`"
    );
    Ok(())
}

/// The folder of `sources` below the project's, with `/`, by the rule of python/sources.py.
fn place_of_sources(named: &str) -> Result<String> {
    let parts: Vec<&str> = named
        .split('/')
        .filter(|it| !matches!(*it, "" | "."))
        .collect();
    let inside = !named.starts_with('/') && !parts.contains(&"..");
    ensure!(
        inside && parts.first().is_some_and(|first| *first != "python"),
        "{SETTINGS} names {named} under `sources`, which is not a folder beside python/: write \
         the folder relative to the project's, as in `sources = c`"
    );
    Ok(parts.join("/"))
}

/// The crate's folder below the project's, with `/`, by the rule of python/sources.py.
fn place_of_crate(named: &str) -> Result<String> {
    let named = if named.is_empty() { "../rust" } else { named };
    let mut place = vec!["python"];
    let inside = !named.starts_with('/')
        && named.split('/').all(|part| match part {
            "" | "." => true,
            ".." => place.pop().is_some(),
            part => {
                place.push(part);
                true
            }
        });
    ensure!(
        inside,
        "{SETTINGS} names {named} under `crate`, which is outside the project: write the crate's \
         folder relative to python/, as in ../rust"
    );
    Ok(place.join("/"))
}

/// What the crate's manifest says.
struct Crate {
    rust: PathBuf,
    workspace: PathBuf,
    version: String,
    library: String,
    said: BTreeMap<&'static str, String>,
}

impl Crate {
    /// What there is to know of sources that are no crate.
    fn of_command(root: &Path, place: &str, settings: &Ini) -> Result<Crate> {
        let rust = root.join(place);
        let said = settings.get("metadata", "version");
        ensure!(
            !said.is_empty(),
            "{SETTINGS} has no version: write `version = 0.1.0` below [metadata]"
        );
        let version = python_version(said).with_context(|| SETTINGS.to_owned())?;
        ensure!(
            version == said,
            "{SETTINGS} has the version {said}, which Python calls {version}: write that"
        );
        Ok(Crate {
            workspace: rust.clone(),
            rust,
            version,
            library: names(settings)?.1,
            said: BTreeMap::new(),
        })
    }

    fn read(root: &Path, place: &str) -> Result<Crate> {
        let rust = root.join(place);
        let path = rust.join("Cargo.toml");
        ensure!(
            path.is_file(),
            "there is no {}: this tool builds the crate that `crate` below [build_library] in \
             {SETTINGS} names, or else the one in rust/; `command` there names another build",
            path.display()
        );
        let manifest = manifest(&path)?;
        let workspace = workspace(root, &rust, &manifest)?;
        let lacks = |what: &str| format!("{} has no `{what}` in [package]", path.display());
        let package = manifest.get("package").and_then(Value::as_table);
        let package = package.with_context(|| format!("{} has no [package]", path.display()))?;
        let name = package.get("name").and_then(Value::as_str);
        let name = name.with_context(|| lacks("name"))?;
        let library = manifest
            .get("lib")
            .and_then(|lib| lib.get("name")?.as_str());
        let library = library.map_or(name.replace('-', "_"), str::to_owned);
        let version = inherited(package, "version", &workspace)?;
        let version = version.with_context(|| lacks("version"))?;
        let version = python_version(&version).with_context(|| format!("{}", path.display()))?;
        let mut said = BTreeMap::new();
        for field in ["description", "license", "homepage", "repository"] {
            if let Some(value) = inherited(package, field, &workspace)? {
                said.insert(field, value);
            }
        }
        Ok(Crate {
            rust,
            workspace,
            version,
            library,
            said,
        })
    }
}

fn manifest(path: &Path) -> Result<Table> {
    toml::from_str(&read(path)?)
        .with_context(|| format!("{} is not a package's manifest", path.display()))
}

/// The folder of the workspace in the project that a crate belongs to, or its own.
/// https://doc.rust-lang.org/cargo/reference/workspaces.html
fn workspace(root: &Path, rust: &Path, own: &Table) -> Result<PathBuf> {
    if own.contains_key("workspace") {
        return Ok(rust.to_owned());
    }
    if let Some(named) = own
        .get("package")
        .and_then(|it| it.get("workspace")?.as_str())
    {
        return Ok(fs::canonicalize(rust.join(named))?);
    }
    for folder in rust.ancestors().skip(1) {
        if !folder.starts_with(root) {
            break;
        }
        let path = folder.join("Cargo.toml");
        if !path.is_file() {
            continue;
        }
        let names = |option: &str| -> Result<Option<bool>> {
            let manifest = manifest(&path)?;
            let Some(workspace) = manifest.get("workspace") else {
                return Ok(None);
            };
            let words = workspace.get(option).and_then(Value::as_array);
            let mut words = words.into_iter().flatten().filter_map(Value::as_str);
            Ok(Some(words.any(|word| rust.starts_with(folder.join(word)))))
        };
        match (names("exclude")?, names("members")?) {
            (Some(false), _) | (_, Some(true)) => return Ok(folder.to_owned()),
            _ => {}
        }
    }
    Ok(rust.to_owned())
}

/// A field of [package], which can be that of the workspace.
fn inherited(package: &Table, field: &str, workspace: &Path) -> Result<Option<String>> {
    let value = match package.get(field) {
        Some(Value::Table(_)) => {
            let manifest = manifest(&workspace.join("Cargo.toml"))?;
            let shared = manifest.get("workspace").and_then(|it| it.get("package"));
            shared.and_then(|it| it.get(field)).cloned()
        }
        other => other.cloned(),
    };
    Ok(value.and_then(|it| it.as_str().map(str::to_owned)))
}

/// The distribution's name, and the package's by the rule of python/sources.py.
fn names(settings: &Ini) -> Result<(String, String)> {
    let distribution = settings.get("metadata", "name");
    ensure!(
        !distribution.is_empty(),
        "{SETTINGS} does not name the project: write `name = <name>` below [metadata]"
    );
    let packages = settings.get("options", "packages");
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    let module = packages.split(|c| !in_name(c)).next().unwrap_or_default();
    ensure!(
        !module.is_empty(),
        "{SETTINGS} names no package: write `packages = <name>` below [options]"
    );
    Ok((distribution.to_owned(), module.to_owned()))
}

/// The program, by the rule of python/sources.py.
fn program(settings: &Ini, distribution: &str) -> Result<Option<String>> {
    let name = match settings.get("build_library", "program") {
        "" => distribution,
        name => name,
    };
    match settings.get("build_library", "kind") {
        "" | "library" => Ok(None),
        "program" => Ok(Some(name.to_owned())),
        kind => bail!(
            "{SETTINGS} has the kind {kind} below [build_library]: write `kind = program` for a \
             wheel with a program, or leave it out for a library"
        ),
    }
}

/// Whether there is a folder below HOME that zig can keep files in.
fn has_user_cache() -> bool {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let folder = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
    // What is not there yet is made.
    let there = folder
        .as_deref()
        .and_then(|folder| folder.ancestors().find(|it| it.exists()));
    cfg!(windows) || there.is_some_and(|folder| tempfile::tempfile_in(folder).is_ok())
}

/// A cargo version in Python's normalised form (PEP 440).
pub fn python_version(version: &str) -> Result<String> {
    let python = Version::from_str(version)
        .with_context(|| format!("{version} is not a valid Python version (PEP 440)"))?;
    ensure!(
        !python.is_local(),
        "PyPI does not accept a version with a `+`, such as {version}"
    );
    Ok(python.to_string())
}

/// 1980-01-01T00:00:00Z, in seconds since 1970: the first moment that a zip file can say.
pub const ZIP_EPOCH: u64 = 315_532_800;

/// 2107-12-31T23:59:59Z: the last one.
const ZIP_END: u64 = 4_354_819_199;

/// The value of SOURCE_DATE_EPOCH. python/setup.py has the same rule, in the same words.
/// https://reproducible-builds.org/specs/source-date-epoch/
fn epoch(text: &str) -> Result<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| digits && *seconds <= ZIP_END);
    seconds.with_context(|| {
        format!(
            "SOURCE_DATE_EPOCH is \"{text}\", which is not a whole number of seconds since 1970, \
             from 0 to {ZIP_END}, the end of 2107{}: set it to what `git log -1 --format=%ct` \
             prints, or unset it",
            if digits && text.len() > 10 {
                " (milliseconds?)"
            } else {
                ""
            }
        )
    })
}
