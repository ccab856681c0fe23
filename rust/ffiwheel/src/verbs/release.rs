//! A release: its version, its tag, and what is published with its files.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{ensure, Context, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::audit;
use super::changelog::{dated, notes, today};
use crate::facts::zip;
use crate::files::{self, hex, read, sha256, write};
use crate::make::header;
use crate::make::toolchain;
use crate::name;
use crate::project::{self, Project};
use crate::run;
use crate::say::{self, say};
use crate::targets;

#[derive(clap::Args)]
pub struct Version {
    /// The new version, in cargo's spelling: 1.2.3, 1.2.3-rc.1
    #[arg(env = "VERSION", default_value = "")]
    version: String,
}

#[derive(clap::Args)]
pub struct Tag {
    /// The tag [default: `v` and the version]
    #[arg(env = "TAG", default_value = "")]
    tag: String,
    /// An index that must not have the version: pypi, testpypi, or a URL that takes uploads
    #[arg(long, value_name = "REPOSITORY", env = "REPOSITORY")]
    index: Option<String>,
}

// ---- The version ---------------------------------------------------------------------------

/// Sets the version in Cargo.toml, its lock file, the generated files and the changelog's
/// heading. If one fails, none is changed.
pub fn bump(project: &mut Project, options: &Version) -> Result<()> {
    let version = &options.version;
    let cargo = semver::Version::parse(version).with_context(|| {
        format!("cargo does not accept the version {version:?}: use one like 1.2.3 or 1.2.3-rc.1")
    })?;
    let new = project::python_version(version)?;
    let python = pep440_rs::Version::from_str(&new)?;
    ensure!(
        cargo.pre.is_empty() || python.any_prerelease(),
        "cargo sorts {version} before {}.{}.{}, Python sorts it after, as {new}: use a \
         pre-release like 1.2.3-rc.1",
        cargo.major,
        cargo.minor,
        cargo.patch
    );
    ensure!(
        Some(python) >= pep440_rs::Version::from_str(&project.version).ok(),
        "{new} is older than {}, the version in {}",
        project.version,
        project.relative(&project.place_of_version())
    );
    let mut files = vec![place_of_version(project)?.0];
    if project.command.is_none() {
        files.push(project.lock_file());
    }
    if project.program.is_none() {
        files.extend(header::outputs(project));
    }
    files.extend(changelog(project));
    let followers = followers(project)?;
    for folder in &followers {
        files.extend(["Cargo.toml", "Cargo.lock"].map(|name| folder.join(name)));
    }
    let before = files
        .iter()
        .map(|path| Ok((path, read(path)?)))
        .collect::<Result<Vec<_>>>()?;
    let set = set_version(project, version, new).and_then(|()| {
        let mut followers = followers.iter();
        followers.try_for_each(|folder| set_in_crate(project, folder, version))
    });
    for (path, text) in before {
        if set.is_err() {
            write(path, text)?;
        } else if read(path)? != text {
            say!("changed {}", project.relative(path));
        }
    }
    set?;
    let version = &project.version;
    say!("the version is {version}: commit that, then tag the commit v{version} and push the tag");
    Ok(())
}

fn set_version(project: &mut Project, version: &str, new: String) -> Result<()> {
    if let Some(path) = changelog(project) {
        write(&path, dated(&read(&path)?, &new, &today())?)?;
    }

    let (path, span) = place_of_version(project)?;
    match project.command {
        None => write_version(&path, span, version)?,
        Some(_) => write_version(&path, span, &new)?, // in Python's spelling
    }
    project.version = new;
    if project.command.is_none() {
        update_lock(project, &project.rust)?;
    }
    match project.program {
        Some(_) => Ok(()),
        None => header::run(project, false),
    }
}

/// The changelog, where the project has one.
fn changelog(project: &Project) -> Option<PathBuf> {
    Some(project.root.join("CHANGELOG.md")).filter(|path| path.exists())
}

/// What is published of the version; without a changelog, its name alone.
fn notes_of(project: &Project) -> Result<String> {
    let version = &project.version;
    match changelog(project) {
        Some(path) => notes(&read(&path)?, version).map(str::to_owned),
        None => Ok(format!("{} {version}", project.distribution)),
    }
}

fn write_version(path: &Path, span: Range<usize>, version: &str) -> Result<()> {
    let mut text = read(path)?;
    let quoted = path.extension().is_some_and(|it| it == "toml");
    let new = if quoted {
        format!("{version:?}")
    } else {
        version.to_owned()
    };
    text.replace_range(span, &new);
    write(path, text)
}

fn update_lock(project: &Project, folder: &Path) -> Result<()> {
    let mut cargo = toolchain::cargo(project)?;
    cargo.current_dir(folder).args(["update", "--workspace"]);
    run::run(&mut cargo, &project.build("tag").join("log"))
}

/// The folders of the crates that stand in the crate's own, are no part of it, by `exclude` in
/// setup.cfg, and have its version: they go on having it.
fn followers(project: &Project) -> Result<Vec<PathBuf>> {
    let named = match project.command {
        None => project.settings.get("build_library", "exclude"),
        Some(_) => "",
    };
    let mut found = Vec::new();
    for name in named.split([',', '\n']).map(str::trim) {
        let folder = project.rust.join(name);
        if name.is_empty() || !folder.join("Cargo.lock").is_file() {
            continue;
        }
        let manifest: Manifest = toml::from_str(&read(&folder.join("Cargo.toml"))?)?;
        let version = manifest.package.and_then(|it| it.version);
        let version = version.and_then(|it| project::python_version(it.get_ref().as_str()?).ok());
        if version.as_ref() == Some(&project.version) {
            found.push(folder);
        }
    }
    Ok(found)
}

fn set_in_crate(project: &Project, folder: &Path, version: &str) -> Result<()> {
    let path = folder.join("Cargo.toml");
    let manifest: Manifest = toml::from_str(&read(&path)?)?;
    let place = manifest.package.and_then(|package| package.version);
    let place = place.context("it has had a version")?;
    write_version(&path, place.span(), version)?;
    update_lock(project, folder)
}

#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
    workspace: Option<Workspace>,
}

#[derive(Deserialize)]
struct Workspace {
    package: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    version: Option<Spanned<toml::Value>>,
}

/// The file that says the version, and where: the crate's manifest, its workspace's or, without a
/// crate, setup.cfg.
fn place_of_version(project: &Project) -> Result<(PathBuf, Range<usize>)> {
    if project.command.is_some() {
        let path = project.place_of_version();
        let text = read(&path)?;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let value = line.split_once(['=', ':']);
            let value = value.filter(|(option, _)| option.trim() == "version");
            if let Some((option, value)) = value {
                let start = at + option.len() + 1 + value.len() - value.trim_start().len();
                return Ok((path, start..start + value.trim().len()));
            }
            at += line.len();
        }
        anyhow::bail!("{} has no line `version = …`", path.display());
    }
    let span = |package: Option<Package>| {
        let version = package?.version?;
        version.get_ref().is_str().then(|| version.span())
    };
    let path = project.manifest();
    let own: Manifest = toml::from_str(&read(&path)?)?;
    if let Some(found) = span(own.package) {
        return Ok((path, found));
    }
    let path = project.workspace_manifest();
    let shared: Manifest = toml::from_str(&read(&path)?)?;
    let found = span(shared.workspace.and_then(|it| it.package));
    let found = found.with_context(|| format!("{} has no version", path.display()))?;
    Ok((path, found))
}

// ---- The tag -------------------------------------------------------------------------------

/// Reports everything that prevents releasing this commit under a tag, before anything is built.
pub fn check_tag(project: &Project, options: &Tag) -> Result<()> {
    let version = &project.version;
    let expected = format!("v{version}");
    let tag = match options.tag.is_empty() {
        true => &expected,
        false => &options.tag,
    };
    let mut findings = Vec::new();
    if *tag != expected {
        findings.push(format!(
            "the tag is {tag}, but the version in {} is {version}: tag {expected}, or run `make \
             bump VERSION=…`, commit, and tag that",
            project.relative(&project.place_of_version())
        ));
    }
    let head = git(project, &["rev-parse", "HEAD"])?;
    let reference = format!("refs/tags/{tag}");
    let exists = !git(project, &["for-each-ref", &reference])?.is_empty();
    let commit = format!("{reference}^{{commit}}");
    if exists && git(project, &["rev-parse", "--verify", &commit])? != head {
        findings.push(format!(
            "the tag {tag} points to another commit than HEAD: run `git checkout {tag}`, or set \
             another version with `make bump`"
        ));
    }
    let changed = git(
        project,
        &["status", "--porcelain", "--untracked-files=normal"],
    )?;
    if !changed.is_empty() {
        findings.push(format!(
            "the working tree has uncommitted changes: commit or stash them:\n  {}",
            changed.lines().collect::<Vec<_>>().join("\n  ")
        ));
    }
    if let Err(error) = notes_of(project) {
        findings.push(format!("{error:#}: describe the release there"));
    }
    if project.program.is_none() {
        if let Err(error) = header::run(project, true) {
            findings.push(format!("{error:#}"));
        }
    }
    if project.command.is_none() {
        let mut cargo = toolchain::cargo(project)?;
        cargo
            .current_dir(&project.rust)
            .args(["tree", "--locked", "--depth", "0"]);
        if let Err(error) = run::run(&mut cargo, &project.build("tag").join("log")) {
            findings.push(format!(
                "{} does not match {}: {error:#}",
                project.relative(&project.lock_file()),
                project.relative(&project.manifest())
            ));
        }
    }
    match &options.index {
        None => say!(
            "not checked: whether an index already has {version} (set REPOSITORY=pypi to check)"
        ),
        Some(index) => match is_released(project, index) {
            Ok(None) => {}
            Ok(Some(finding)) => findings.push(finding),
            Err(error) => findings.push(format!("{error:#}")),
        },
    }
    for finding in &findings {
        say!("{finding}");
    }
    ensure!(findings.is_empty(), "{tag} cannot be released: see above");
    say!("{tag} can be built");
    Ok(())
}

/// Why an index does not accept a release of this version: it has one. If it has only some of
/// the files, an earlier release was interrupted.
fn is_released(project: &Project, index: &str) -> Result<Option<String>> {
    let name = name::normalised(&project.distribution);
    let version = &project.version;
    let folder = files::scratch(&project.build("tag"))?;
    let answer = folder.path().join("index.json");
    let mut command = project.helper("index")?;
    command.args([index, &name, version]);
    let log = project.build("tag").join("log");
    run::run_to(&mut command, &log, Some(&answer))?;
    let has: BTreeMap<String, String> = serde_json::from_str(&read(&answer)?)?;
    let table = targets::load(project)?;
    let mut missing = targets::release_files(&table, project);
    missing.retain(|file| !has.contains_key(file));
    if has.is_empty() {
        return Ok(None);
    }
    if missing.is_empty() {
        return Ok(Some(format!(
            "{index} already has {name} {version}, and never accepts the same file name again: run \
             `make bump VERSION=…`"
        )));
    }
    say!(
        "{index} has {} files of {name} {version} and lacks {}: this release completes them",
        has.len(),
        missing.len()
    );
    Ok(None)
}

/// What git prints; a release is a commit.
fn git(project: &Project, words: &[&str]) -> Result<String> {
    let printed = project.git(words)?;
    printed.with_context(|| format!("{} is not a git repository", project.root.display()))
}

// ---- The files -----------------------------------------------------------------------------

/// Audits dist/ as a complete release. Then writes into build/release what is published with
/// it: SHA256SUMS, the notes, and the SBOMs, which the wheels contain, too.
pub fn gather(project: &Project) -> Result<()> {
    let folder = project.build("release");
    let notes = notes_of(project)?;
    audit::run(project, &audit::Options::of_release())?;

    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut sums = String::new();
    let table = targets::load(project)?;
    for name in targets::release_files(&table, project) {
        let path = project.dist().join(&name);
        sums += &format!("{}  {name}\n", sha256(&path)?);
        if let Some(stem) = name.strip_suffix(".whl") {
            let sbom = sbom(&path, &project.module)?;
            write(&folder.join(format!("{stem}.cdx.json")), sbom)?;
        }
    }
    write(&folder.join("notes.md"), format!("{notes}\n"))?;
    let path = folder.join("SHA256SUMS");
    write(&path, &sums)?;
    say!("{}", project.relative(&path));
    say::output(&format!("sums={}", hex(&Sha256::digest(sums))))
}

/// The SBOM of the library, in a wheel that has been judged.
fn sbom(path: &Path, module: &str) -> Result<Vec<u8>> {
    let data = fs::read(path)?;
    let name = format!("/sboms/{module}.cdx.json"); // auditwheel may have added one of its own
    let archive = zip::open(&data)?;
    let member = archive
        .members
        .iter()
        .find(|member| member.name.ends_with(&name))
        .with_context(|| format!("{} has no SBOM", path.display()))?;
    let mut buffer = Vec::new();
    Ok(member.unpack(&data, &mut buffer)?.to_owned())
}
