//! A release: its version, its tag, and what is published beside its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{bail, ensure, Context, Result};
use pep440_rs::Version;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use crate::build;
use crate::facts::{sdist, wheel};
use crate::files::{self, hex, read, sha256, write};
use crate::header;
use crate::project::{self, Project};
use crate::run;
use crate::say::{self, say};
use crate::targets;
use crate::verbs::audit;

const UNRELEASED: &str = "Unreleased";

// ---- The version ---------------------------------------------------------------------------

/// Sets the version: in rust/Cargo.toml and its lock file, in what is generated from them, and
/// as the heading of the changelog. All of it, or nothing when it fails.
pub fn bump(project: &mut Project, version: &str) -> Result<()> {
    let cargo = semver::Version::parse(version).with_context(|| {
        format!("cargo takes no version {version:?}; it is like 1.2.3 or 1.2.3-rc.1")
    })?;
    let new = project::python_version(version)?;
    let python = Version::from_str(&new)?;
    ensure!(
        cargo.pre.is_empty() || python.any_prerelease(),
        "to cargo {version} comes before {}.{}.{}, to Python after it, as {new}",
        cargo.major,
        cargo.minor,
        cargo.patch
    );
    ensure!(
        Some(python) >= Version::from_str(&project.version).ok(),
        "{new} is older than {}, the version that rust/Cargo.toml has",
        project.version
    );
    let package = project.package();
    let header = format!("include/{}.h", project.module);
    let files = [
        project.rust.join("Cargo.toml"),
        project.rust.join("Cargo.lock"),
        project.rust.join(header),
        package.join("_ffi.py"),
        package.join("_ffi.pyi"),
        project.root.join("CHANGELOG.md"),
    ];
    let before = files
        .iter()
        .map(|path| Ok((path, read(path)?)))
        .collect::<Result<Vec<_>>>()?;
    let set = set_version(project, version, new);
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
    #[derive(Deserialize)]
    struct Manifest {
        package: Package,
    }
    #[derive(Deserialize)]
    struct Package {
        version: Spanned<String>,
    }
    let path = project.root.join("CHANGELOG.md");
    write(&path, dated(&read(&path)?, &new, &today())?)?;

    let path = project.rust.join("Cargo.toml");
    let mut text = read(&path)?;
    let manifest: Manifest = toml::from_str(&text)?;
    text.replace_range(manifest.package.version.span(), &format!("{version:?}"));
    write(&path, text)?;
    project.version = new;

    let mut cargo = build::cargo(project)?;
    cargo
        .current_dir(&project.rust)
        .args(["update", "--workspace"]);
    run::run(&mut cargo, &project.build("tag").join("log"))?;
    header::run(project, false)
}

/// The date in UTC, as 2026-01-31.
fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let [year, month, day, ..] = sdist::date(now.map_or(0, |time| time.as_secs()));
    format!("{year}-{month:02}-{day:02}")
}

// ---- The changelog -------------------------------------------------------------------------

/// The sections of a changelog: the first word of the heading, its line, and the text below,
/// which is empty where it says nothing.
fn sections(text: &str) -> Vec<(&str, &str, &str)> {
    let marks = text.match_indices("## ").map(|(at, _)| at);
    let starts: Vec<usize> = marks
        .filter(|at| text[..*at].is_empty() || text[..*at].ends_with('\n'))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let sections = starts.iter().zip(ends).map(|(start, end)| {
        let section = &text[*start..end];
        let (heading, notes) = section.split_once('\n').unwrap_or((section, ""));
        let word = heading[3..].split_whitespace().next().unwrap_or_default();
        let says = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
        (
            word.trim_matches(['[', ']']),
            heading.trim_end(),
            if notes.lines().any(says) {
                notes.trim()
            } else {
                ""
            },
        )
    });
    sections.collect()
}

/// What the changelog says of a version.
fn notes<'a>(changelog: &'a str, version: &str) -> Result<&'a str> {
    let found = sections(changelog);
    let (_, heading, notes) = found
        .iter()
        .find(|(word, ..)| *word == version)
        .with_context(|| format!("CHANGELOG.md has no section `## {version}`"))?;
    ensure!(!notes.is_empty(), "CHANGELOG.md has nothing in `{heading}`");
    Ok(notes)
}

/// The changelog with what is unreleased as that of a version.
fn dated(changelog: &str, version: &str, today: &str) -> Result<String> {
    let found = sections(changelog);
    let unreleased = found
        .iter()
        .find(|(word, ..)| word.eq_ignore_ascii_case(UNRELEASED));
    match unreleased {
        // A second run of the verb, or the first version of all.
        None if notes(changelog, version).is_ok() => Ok(changelog.to_owned()),
        None => bail!("CHANGELOG.md has no section `## {UNRELEASED}`: write there what changed"),
        Some((_, heading, "")) => {
            bail!("CHANGELOG.md has nothing in `{heading}`: write there what changed")
        }
        Some(_) if found.iter().any(|(word, ..)| *word == version) => {
            bail!("CHANGELOG.md has a section `## {version}` already, beside `## {UNRELEASED}`")
        }
        Some((_, heading, _)) => {
            let start = heading.as_ptr() as usize - changelog.as_ptr() as usize;
            let mut text = changelog.to_owned();
            let range = start..start + heading.len();
            text.replace_range(range, &format!("## {version} - {today}"));
            Ok(text)
        }
    }
}

// ---- The tag -------------------------------------------------------------------------------

/// Says all that stands against releasing this commit under a tag, before anything is built.
pub fn check_tag(project: &Project, tag: &str, index: Option<&str>) -> Result<()> {
    let version = &project.version;
    let expected = format!("v{version}");
    let tag = if tag.is_empty() { &expected } else { tag };
    let mut findings = Vec::new();
    if tag != expected {
        findings.push(format!(
            "the tag is {tag}, and the version in rust/Cargo.toml is {version}: tag {expected}, \
             or run `make bump VERSION=…`, commit, and tag that"
        ));
    }
    let head = git(project, &["rev-parse", "HEAD"])?;
    let reference = format!("refs/tags/{tag}");
    let exists = !git(project, &["for-each-ref", &reference])?.is_empty();
    let commit = format!("{reference}^{{commit}}");
    if exists && git(project, &["rev-parse", "--verify", &commit])? != head {
        findings.push(format!(
            "the tag {tag} is of another commit than HEAD: run `git checkout {tag}`, or choose \
             another version with `make bump`"
        ));
    }
    let changed = git(
        project,
        &["status", "--porcelain", "--untracked-files=normal"],
    )?;
    if !changed.is_empty() {
        findings.push(format!(
            "the working tree is not what is committed: commit these, or stash them:\n  {}",
            changed.lines().collect::<Vec<_>>().join("\n  ")
        ));
    }
    if let Err(error) = read(&project.root.join("CHANGELOG.md"))
        .and_then(|changelog| notes(&changelog, version).map(drop))
    {
        findings.push(format!("{error:#}: write what users should know of it"));
    }
    if let Err(error) = header::run(project, true) {
        findings.push(format!("{error:#}"));
    }
    let mut cargo = build::cargo(project)?;
    cargo
        .current_dir(&project.rust)
        .args(["tree", "--locked", "--depth", "0"]);
    if let Err(error) = run::run(&mut cargo, &project.build("tag").join("log")) {
        findings.push(format!(
            "rust/Cargo.lock does not fit rust/Cargo.toml: {error:#}"
        ));
    }
    match index {
        None => say!("not asked: whether an index has {version} (REPOSITORY=pypi asks)"),
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

/// Why an index takes no release of this version: it has one. What it has in part is a release
/// that did not come to its end.
fn is_released(project: &Project, index: &str) -> Result<Option<String>> {
    let name = wheel::normalised(&project.module);
    let version = &project.version;
    let folder = files::scratch(&project.build("tag"))?;
    let answer = folder.path().join("index.json");
    let mut command = project.command(project.tool("python")?)?;
    command
        .arg(project.root.join("scripts/index.py"))
        .args([index, &name, version]);
    let log = project.build("tag").join("log");
    run::run_to(&mut command, &log, Some(&answer))?;
    let has: BTreeMap<String, String> = serde_json::from_str(&read(&answer)?)?;
    let table = targets::load(project)?;
    let mut missing = targets::release_files(&table, &project.module, version);
    missing.retain(|file| !has.contains_key(file));
    if has.is_empty() {
        return Ok(None);
    }
    if missing.is_empty() {
        return Ok(Some(format!(
            "{index} has {name} {version} already, and an index never takes a file again: run \
             `make bump VERSION=…`"
        )));
    }
    say!(
        "{index} has {} files of {name} {version}, and lacks {}: that release goes on",
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

/// Judges dist/ as the whole of a release. Then writes into build/release what is published
/// beside it: SHA256SUMS, the notes, and the SBOMs, which lie in the wheels too.
pub fn gather(project: &Project) -> Result<()> {
    let folder = project.build("release");
    let changelog = read(&project.root.join("CHANGELOG.md"))?;
    let notes = notes(&changelog, &project.version)?;
    let options = audit::Options {
        json: false,
        release: true,
    };
    audit::run(project, &[], &options)?;

    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut sums = String::new();
    let table = targets::load(project)?;
    for name in targets::release_files(&table, &project.module, &project.version) {
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
    let archive = wheel::open(&data)?;
    let member = archive
        .members
        .iter()
        .find(|member| member.name.ends_with(&name))
        .with_context(|| format!("{} has no SBOM", path.display()))?;
    let mut buffer = Vec::new();
    Ok(member.unpack(&data, &mut buffer)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\n## [Unreleased]\n\n- New.\n\n### Fixed\n- Old.\n\n\
                             ## 1.1.0 - 2026-01-31\n## 1.0.0\nFirst.\n";

    #[test]
    fn a_changelog_has_sections() {
        let words: Vec<&str> = sections(CHANGELOG).iter().map(|it| it.0).collect();
        assert_eq!(words, ["Unreleased", "1.1.0", "1.0.0"]);
        assert_eq!(notes(CHANGELOG, "1.0.0").unwrap(), "First.");
        let error = |version| notes(CHANGELOG, version).unwrap_err().to_string();
        assert!(error("1.1.0").contains("nothing in `## 1.1.0 - 2026-01-31`"));
        assert!(error("1.1").contains("no section `## 1.1`"));
        // Subheadings say nothing.
        let bare = "## 1.0.0\n\n### Added\n\n### Fixed\n";
        assert!(notes(bare, "1.0.0").is_err());
        assert_eq!(sections("").len(), 0);
        assert_eq!(sections("## 1.0.0")[0], ("1.0.0", "## 1.0.0", ""));
    }

    #[test]
    fn what_is_unreleased_becomes_a_version() {
        let text = dated(CHANGELOG, "1.2.0", "2026-02-28").unwrap();
        assert_eq!(
            notes(&text, "1.2.0").unwrap(),
            "- New.\n\n### Fixed\n- Old."
        );
        assert_eq!(
            text.replace("1.2.0 - 2026-02-28", "[Unreleased]"),
            CHANGELOG
        );
        // Once more.
        assert_eq!(dated(&text, "1.2.0", "2026-03-01").unwrap(), text);
        let windows = dated("## Unreleased\r\n- New.\r\n", "1.2.0", "2026-02-28").unwrap();
        assert_eq!(windows, "## 1.2.0 - 2026-02-28\r\n- New.\r\n");
        let error = |text: &str, version| dated(text, version, "").unwrap_err().to_string();
        assert!(error(&text, "1.3.0").contains("no section `## Unreleased`"));
        assert!(error("## Unreleased\n\n## 1.0.0\nA.\n", "1.1.0").contains("nothing in"));
        assert!(error(CHANGELOG, "1.0.0").contains("already"));
    }
}
