//! The kit: the files that an author's project has from this program, in the program's version.
//!
//! The first line of each names the kit's version and a digest of the rest, so that `update` can
//! tell a file that it wrote from one that was edited.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{ensure, Context, Result};
use semver::Version;
use sha2::{Digest, Sha256};

use crate::files::{self, hex};
use crate::project::Project;

/// (path in a project, contents).
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/kit.rs"));

/// The version of the kit, which is the program's.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the first line of a file of the kit contains.
const MARK: &str = "ffiwheel kit ";
const ADVICE: &str = "`ffiwheel update` replaces this file; use settings";

/// A file of the kit.
pub struct File {
    /// Relative to the project's folder, with slashes.
    pub name: String,
    pub contents: &'static str,
}

/// In the package of a program, in place of what loads a library.
const PROGRAM: &str = "python/{package}/_program.py";
/// Where it stands in the repository that the kit comes from.
const PROGRAM_SOURCE: &str = "rust/ffiwheel/package/ffiwheel/_program.py";

/// What the wheels of a project bring.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    Program,
    /// A library, with a gate or without one.
    Gate,
    NoGate,
}

fn is_for(name: &str, what: For) -> bool {
    match name {
        PROGRAM => what == For::Program,
        "python/{package}/_native.py" => what == For::Gate,
        _ if name.starts_with("{crate}/") => what == For::Gate,
        _ if name.starts_with("python/{package}/") => what != For::Program,
        _ => true,
    }
}

/// The kit's files for a project whose package and crate have these folders.
pub fn files(package: &str, crate_folder: &str, what: For) -> Vec<File> {
    FILES
        .iter()
        .filter(|(name, _)| is_for(name, what))
        .map(|(name, contents)| File {
            name: name
                .replace("{package}", package)
                .replace("{crate}", crate_folder),
            contents,
        })
        .collect()
}

/// The kit's files for this project.
pub fn of(project: &Project) -> Vec<File> {
    let folder = project.relative(&project.rust).to_string();
    let what = match (&project.program, project.has_gate()) {
        (Some(_), _) => For::Program,
        (None, true) => For::Gate,
        (None, false) => For::NoGate,
    };
    files(&project.module, &folder.replace('\\', "/"), what)
}

/// What stands where a file of the kit belongs.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    Missing,
    /// Its own digest fits: as some version of the kit has it.
    Intact,
    /// Edited, or not of the kit at all.
    Foreign,
}

fn state(path: &Path) -> Result<State> {
    let old = match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::Missing),
        old => old.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let old = String::from_utf8_lossy(&old).replace("\r\n", "\n");
    let (first, rest) = old.split_once('\n').unwrap_or((&old, ""));
    let intact = first
        .split_once(MARK)
        .is_some_and(|(_, words)| words.split([' ', ':']).nth(1) == Some(&digest(rest)));
    Ok(if intact {
        State::Intact
    } else {
        State::Foreign
    })
}

/// The digest of what follows the first line.
fn digest(rest: &str) -> String {
    hex(&Sha256::digest(rest))[..16].to_owned()
}

/// A file's text with the first line that it must have.
pub fn stamped(name: &str, text: &str) -> String {
    let rest = match text.split_once('\n') {
        Some((first, rest)) if first.contains(MARK) => rest,
        _ => text,
    };
    let comment = if name.ends_with(".rs") { "//" } else { "#" };
    format!(
        "{comment} {MARK}{VERSION} {}: {ADVICE}\n{rest}",
        digest(rest)
    )
}

fn own() -> Version {
    Version::from_str(VERSION).expect("cargo has read it")
}

/// The kit's version that a project's settings name, if any.
fn version_of(project: &Project) -> Result<Option<Version>> {
    let text = project.settings.get("build_library", "kit");
    if text.is_empty() {
        return Ok(None);
    }
    let version = Version::from_str(text).with_context(|| {
        format!("python/setup.cfg: `kit = {text}` is not a version: restore that line")
    })?;
    Ok(Some(version))
}

/// Fails if this program is too old for the project. The kit's version, if settings name one.
pub fn ensure_not_newer(project: &Project) -> Result<Option<Version>> {
    let theirs = version_of(project)?;
    if let Some(theirs) = &theirs {
        ensure!(
            *theirs <= own(),
            "the project's kit has the version {theirs}, and this is ffiwheel {VERSION}: install \
             ffiwheel {theirs} or later"
        );
    }
    Ok(theirs)
}

/// Fails if this program is too old for the project, or too new.
pub fn ensure_served(project: &Project) -> Result<()> {
    let Some(theirs) = ensure_not_newer(project)? else {
        return Ok(());
    };
    let own = own();
    ensure!(
        theirs.major == own.major,
        "the project's kit has the version {theirs}, which ffiwheel {own} does not serve: run \
         `ffiwheel update`, or install ffiwheel {}.*",
        theirs.major
    );
    Ok(())
}

/// The kit's files that the project does not have as they are here, each with what is there: an
/// intact one is of another version.
pub fn drift(project: &Project) -> Result<Vec<(File, State)>> {
    let mut found = Vec::new();
    for file in of(project) {
        let path = project.root.join(&file.name);
        let state = state(&path)?;
        let without_make = state == State::Missing && file.name == "Makefile";
        let same = state == State::Intact && files::read(&path)? == file.contents;
        if !same && !without_make {
            found.push((file, state));
        }
    }
    Ok(found)
}

/// Writes the first lines of the kit's files anew in the repository that the kit comes from.
pub fn stamp(project: &Project) -> Result<Vec<String>> {
    let mut changed = Vec::new();
    let mut contents: Vec<(PathBuf, String)> = Vec::new();
    let names = of(project).into_iter().map(|file| file.name);
    for name in names.chain([PROGRAM_SOURCE.to_owned()]) {
        let path = project.root.join(&name);
        let text = files::read(&path)?;
        let new = stamped(&name, &text);
        if new != text {
            contents.push((path, new));
            changed.push(name);
        }
    }
    for (path, text) in contents {
        files::write(&path, text)?;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_kit_is_told_from_an_edited_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.rs");
        assert_eq!(state(&path).unwrap(), State::Missing);
        let text = stamped("x.rs", "//! Text.\n\nfn f() {}\n");
        assert!(
            text.starts_with(&format!("// ffiwheel kit {VERSION} ")),
            "{text}"
        );
        assert_eq!(stamped("x.rs", &text), text);
        for (contents, expected) in [
            (text.clone(), State::Intact),
            (text.replace('\n', "\r\n"), State::Intact),
            (text.replace("f()", "g()"), State::Foreign),
            (text.clone() + "\n", State::Foreign),
            (text.replacen(VERSION, "0.0.0-other", 1), State::Intact),
            ("//! Text.\n\nfn f() {}\n".to_owned(), State::Foreign),
            (String::new(), State::Foreign),
        ] {
            fs::write(&path, &contents).unwrap();
            assert_eq!(state(&path).unwrap(), expected, "{contents:?}");
        }
    }

    #[test]
    fn the_embedded_files_are_stamped() {
        for (name, contents) in FILES {
            assert_eq!(stamped(name, contents), *contents, "{name}: run `make kit`");
        }
    }
}
