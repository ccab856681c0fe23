//! The table of targets: read, validate, select.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{bail, ensure, Context, Result};
use serde::{Deserialize, Serialize};

use crate::data;
use crate::files::read;
use crate::project::Project;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub triple: String,
    /// The platform tags of the wheel, in the order of its file name.
    pub tags: Vec<String>,
    /// The targets whose libraries become one file.
    #[serde(default)]
    pub slices: Vec<String>,
    /// The glibc that zig links for, if it does not support one as old as the floor.
    pub zig_glibc: Option<String>,
    /// The image in docker/images.toml that cargo runs in with the backend docker.
    pub image: Option<String>,
    /// The backend in CI; zig by default.
    #[serde(default)]
    pub ci: Option<Backend>,
    /// The GitHub runners that can run the library without emulation, by name.
    #[serde(default)]
    pub native: Vec<String>,
    /// The file in helpers/runners/ that runs the wheel elsewhere, and its arguments.
    pub runner: Option<String>,
    /// What the row for glibc was called that became part of this one: see [`for_programs`].
    #[serde(skip)]
    also: Vec<String>,
}

/// A GitHub-hosted runner.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runner {
    pub name: String,
    /// Its host triple.
    pub host: String,
    /// The versions that actions/setup-python installs; the tools run on the last one.
    pub pythons: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    target: Vec<Target>,
    #[serde(default)]
    github: Vec<Runner>,
    /// In a project's table: the rows that the project has wheels for, if not all.
    #[serde(default)]
    only: Vec<String>,
}

/// The kinds of platform tags: https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Manylinux,
    Musllinux,
    Macos,
    Windows,
}

/// What builds the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// cargo itself, with this machine's linker and libc
    Cargo,
    /// cargo-zigbuild: zig links, for any target and for an old glibc
    Zig,
    /// cargo in a container of the target's image, which `make image` builds
    Docker,
    /// cross, in the project's image, which `make image` builds
    Cross,
    /// zig or cargo builds; cibuildwheel packs, repairs and tests in the official image
    Cibuildwheel,
}

const GROUPS: [(&str, &[System]); 6] = [
    ("manylinux", &[System::Manylinux]),
    ("musllinux", &[System::Musllinux]),
    ("linux", &[System::Manylinux, System::Musllinux]),
    ("macos", &[System::Macos]),
    ("windows", &[System::Windows]),
    (
        "all",
        &[
            System::Manylinux,
            System::Musllinux,
            System::Macos,
            System::Windows,
        ],
    ),
];

/// The oldest version of the system's library that a wheel's library may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Floor(pub u32, pub u32);

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Target {
    /// The tag that says the floor.
    pub fn tag(&self) -> &str {
        self.tags.last().expect("load() refuses a row without tags")
    }

    pub fn system(&self) -> System {
        match self.tag() {
            tag if tag.starts_with("manylinux") => System::Manylinux,
            tag if tag.starts_with("musllinux") => System::Musllinux,
            tag if tag.starts_with("macosx") => System::Macos,
            _ => System::Windows,
        }
    }

    /// The floor in the tag; Windows tags have none.
    pub fn floor(&self) -> Option<Floor> {
        let mut words = self.tag().split('_').skip(1);
        let floor = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (self.system() != System::Windows).then_some(Floor(floor.0, floor.1))
    }

    /// The glibc that zig links for; None for other systems.
    pub fn glibc(&self) -> Option<String> {
        let floor = self
            .floor()
            .filter(|_| self.system() == System::Manylinux)?;
        Some(self.zig_glibc.clone().unwrap_or(floor.to_string()))
    }

    /// Whether one file serves the systems with glibc and those with musl.
    pub fn is_for_any_libc(&self) -> bool {
        !self.also.is_empty()
    }

    /// The tag without its version: manylinux_x86_64, macosx_arm64, win32; linux_x86_64 for any
    /// libc.
    pub fn short_name(&self) -> String {
        let system = match self.is_for_any_libc() {
            true => "linux",
            false => self.tag().split('_').next().unwrap_or_default(),
        };
        match self.machine() {
            "" => system.to_owned(),
            machine => format!("{system}_{machine}"),
        }
    }

    /// What the tag calls the architecture: x86_64, arm64, universal2; nothing in win32.
    pub fn machine(&self) -> &str {
        let words = if self.floor().is_some() { 3 } else { 1 };
        self.tag().splitn(words + 1, '_').nth(words).unwrap_or("")
    }

    /// What no other row is called.
    fn names(&self) -> impl Iterator<Item = &String> {
        self.tags.iter().chain([&self.triple])
    }

    pub fn is_called(&self, name: &str) -> bool {
        self.triple == name
            || self.short_name() == name
            || self.tags.iter().chain(&self.also).any(|it| it == name)
    }

    /// Whether a machine of that triple can run the library without emulation.
    pub fn is_native(&self, host: &str) -> bool {
        // Rust for Windows is of two ABIs, and the same for Python.
        let machine = |triple: &str| match triple.split_once("-pc-windows-") {
            Some((architecture, _)) => format!("{architecture}-pc-windows"),
            None => triple.to_owned(),
        };
        let mut others = self.slices.iter().chain(&self.also);
        machine(&self.triple) == machine(host) || others.any(|other| other == host)
    }

    pub fn wheel_name(&self, project: &Project) -> String {
        let (stem, pythons) = (project.file_stem(), project.pythons());
        format!("{stem}-{pythons}-none-{}.whl", self.tags.join("."))
    }

    /// The file name of the program, or of the library by that stem.
    pub fn file_name(&self, program: Option<&str>, stem: &str) -> String {
        match (program, self.system()) {
            (None, _) => self.library_name(stem),
            (Some(program), System::Windows) => format!("{program}.exe"),
            (Some(program), _) => program.to_owned(),
        }
    }

    pub fn library_name(&self, stem: &str) -> String {
        match self.system() {
            System::Manylinux | System::Musllinux => format!("lib{stem}.so"),
            System::Macos => format!("lib{stem}.dylib"),
            System::Windows => format!("{stem}.dll"),
        }
    }
}

pub fn load(project: &Project) -> Result<Vec<Target>> {
    Ok(table(project)?.target)
}

/// The GitHub-hosted runners. Jobs that need no particular one use the first.
pub fn runners(project: &Project) -> Result<Vec<Runner>> {
    Ok(table(project)?.github)
}

/// The tool's table, with what the project's adds and replaces.
fn table(project: &Project) -> Result<Table> {
    let path = project.root.join("ci/targets.toml");
    let of_program = project.program.is_some();
    match path.exists() {
        true => parse(&read(&path)?, of_program).with_context(|| format!("{}", path.display())),
        false => parse("", of_program),
    }
}

/// The tool's table, changed by the text of a project's.
fn parse(text: &str, of_program: bool) -> Result<Table> {
    let own: Table = toml::from_str(text)?;
    check_names(&own.target)?;
    let mut table: Table = toml::from_str(data::TARGETS)?;
    for row in own.target {
        // With another triple, too, it is for what its tags name.
        let replaced = |other: &Target| row.names().any(|name| other.is_called(name));
        let place = table.target.iter().position(replaced);
        table.target.retain(|other| !replaced(other));
        let end = table.target.len();
        table.target.insert(place.unwrap_or(end), row);
    }
    for runner in own.github {
        let mut known = table.github.iter_mut();
        match known.find(|other| other.name == runner.name) {
            Some(other) => *other = runner,
            None => table.github.push(runner),
        }
    }
    if of_program {
        table.target = for_programs(table.target);
    }
    if !own.only.is_empty() {
        table.target = select(&table.target, &own.only, "").context("only")?;
    }
    check_references(&table)?;
    Ok(table)
}

/// The rows of a program. Linked statically with musl, it runs whatever libc a system has: the rows
/// for glibc and for musl of one machine become one, which all their names select.
fn for_programs(rows: Vec<Target>) -> Vec<Target> {
    let (mut of_musl, others): (Vec<Target>, Vec<Target>) = rows
        .into_iter()
        .partition(|row| row.system() == System::Musllinux);
    let mut merged = Vec::new();
    for mut row in others {
        let same = |musl: &Target| musl.machine() == row.machine();
        let place = match row.system() {
            System::Manylinux => of_musl.iter().position(same),
            _ => None,
        };
        if let Some(place) = place {
            let musl = of_musl.remove(place);
            row.also = vec![row.short_name(), musl.short_name(), row.triple];
            row.tags.extend(musl.tags);
            row.triple = musl.triple;
            row.zig_glibc = None;
            row.runner = match (&row.runner, &musl.runner) {
                (Some(one), Some(other)) if one.replace("debian ", "musl ") == *other => {
                    Some(one.replace("debian ", "linux "))
                }
                _ => row.runner,
            };
        }
        merged.push(row);
    }
    merged.extend(of_musl);
    for row in &mut merged {
        // Neither an old libc nor a Python's image is needed.
        (row.ci, row.image) = (None, None);
    }
    merged
}

fn check_names(rows: &[Target]) -> Result<()> {
    for target in rows {
        let triple = &target.triple;
        ensure!(!target.tags.is_empty(), "{triple} has no tags");
        ensure!(
            target.system() == System::Windows || target.floor().is_some(),
            "{triple}: {} says no floor",
            target.tag()
        );
    }
    for name in rows.iter().flat_map(Target::names) {
        let called = rows.iter().filter(|other| other.is_called(name));
        ensure!(called.count() == 1, "two rows are called {name}");
    }
    Ok(())
}

fn check_references(table: &Table) -> Result<()> {
    for target in &table.target {
        let triple = &target.triple;
        for slice in &target.slices {
            ensure!(
                table
                    .target
                    .iter()
                    .any(|other| other.triple == *slice && other.slices.is_empty()),
                "{triple} is made of {slice}, which has no row"
            );
        }
        for name in &target.native {
            ensure!(
                table.github.iter().any(|runner| runner.name == *name),
                "{triple} is native on {name}, but no [[github]] table has that name"
            );
        }
    }
    Ok(())
}

/// The names of a release's files.
pub fn release_files(table: &[Target], project: &Project) -> BTreeSet<String> {
    let wheels = table.iter().map(|target| target.wheel_name(project));
    wheels.chain([project.sdist_name()]).collect()
}

/// The rows that the words name, in the table's order; the host's row if there is none. A word
/// may contain several names.
pub fn select(table: &[Target], words: &[String], host: &str) -> Result<Vec<Target>> {
    let mut names: Vec<&str> = words
        .iter()
        .flat_map(|word| word.split([',', ' ', '\n', '\t']))
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        names.push("host");
    }
    let mut selected = vec![false; table.len()];
    let mut unknown = Vec::new();
    for name in names {
        let group = GROUPS.iter().find(|(group, _)| *group == name);
        let mut found = false;
        for (target, selected) in table.iter().zip(&mut selected) {
            let wanted = match group {
                Some((_, systems)) => {
                    let glibc = target.is_for_any_libc() && systems.contains(&System::Manylinux);
                    glibc || systems.contains(&target.system())
                }
                None if name == "host" => target.slices.is_empty() && target.is_native(host),
                None => target.is_called(name),
            };
            found |= wanted;
            *selected |= wanted;
        }
        if !found {
            unknown.push(match name {
                "host" => format!("no row in ci/targets.toml is for this machine, {host}"),
                _ => format!("no such target: {name}{}", nearest(table, name)),
            });
        }
    }
    if !unknown.is_empty() {
        bail!("{}; `make targets` lists them", unknown.join("; "));
    }
    Ok(table
        .iter()
        .zip(selected)
        .filter(|(_, selected)| *selected)
        .map(|(target, _)| target.clone())
        .collect())
}

/// ` (did you mean …?)`, when there is something that the name resembles.
fn nearest(table: &[Target], name: &str) -> String {
    let mut known: Vec<String> = GROUPS.iter().map(|(group, _)| group.to_string()).collect();
    known.push("host".into());
    for target in table {
        known.push(target.triple.clone());
        known.push(target.short_name());
    }
    let mut near: Vec<(f64, String)> = known
        .into_iter()
        .map(|other| (strsim::jaro_winkler(name, &other), other))
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.truncate(3);
    if near.is_empty() {
        return String::new();
    }
    let names: Vec<String> = near.into_iter().map(|(_, name)| name).collect();
    format!(" (did you mean {}?)", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Target> {
        parse("", false).unwrap().target
    }

    fn triples(own: &str) -> Vec<String> {
        let rows = parse(own, false).unwrap().target;
        rows.into_iter().map(|row| row.triple).collect()
    }

    #[test]
    fn a_project_adds_and_replaces_rows() {
        let brought = triples("");
        assert_eq!(triples(data::TARGETS), brought);
        let added = "[[target]]\ntriple = 'sparc-x'\ntags = ['manylinux_2_17_sparc']\n";
        assert_eq!(triples(added), [&brought[..], &["sparc-x".into()]].concat());

        let replaced = parse("[[target]]\ntriple = 'i586'\ntags = ['win32']", false).unwrap();
        let place = brought
            .iter()
            .position(|triple| triple.starts_with("i686-pc-"));
        let row = &replaced.target[place.unwrap()];
        assert_eq!((&*row.triple, &row.runner), ("i586", &None));
        assert_eq!(replaced.target.len(), brought.len());

        let runner = "name = 'ubuntu-24.04'\nhost = 'h'\npythons = '3.9'";
        let changed = parse(&format!("[[github]]\n{runner}"), false).unwrap();
        assert_eq!(changed.github[0].host, "h");
        assert_eq!(changed.github.len(), parse("", false).unwrap().github.len());

        assert_eq!(
            triples(&format!("only = ['manylinux_sparc', 'win32']\n{added}")),
            ["i686-pc-windows-gnullvm", "sparc-x"]
        );
    }

    fn selected(words: &[&str]) -> Result<Vec<String>> {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        Ok(select(&table(), &words, "x86_64-unknown-linux-gnu")?
            .into_iter()
            .map(|target| target.short_name())
            .collect())
    }

    #[test]
    fn a_programs_rows_for_glibc_and_musl_are_one() {
        let select = |own: &str, words: &[&str]| -> Vec<String> {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            let table = parse(own, true).unwrap().target;
            let rows = select(&table, &words, "x86_64-unknown-linux-gnu").unwrap();
            rows.iter().map(Target::short_name).collect()
        };
        for name in [
            "host",
            "linux_x86_64",
            "manylinux_x86_64",
            "musllinux_x86_64",
            "x86_64-unknown-linux-gnu",
            "x86_64-unknown-linux-musl",
            "manylinux2014_x86_64",
        ] {
            assert_eq!(select("", &[name]), ["linux_x86_64"], "{name}");
            let only = format!("only = ['{name}']");
            assert!(name == "host" || select(&only, &["all"]) == ["linux_x86_64"]);
        }
        assert_eq!(select("", &["manylinux"]), select("", &["musllinux"]));
        let rows = parse("", true).unwrap().target;
        assert_eq!(rows.len(), table().len() - select("", &["musllinux"]).len());
        let row = &rows[0];
        assert_eq!(row.triple, "x86_64-unknown-linux-musl");
        assert_eq!(
            row.tags.join("."),
            "manylinux2014_x86_64.manylinux_2_17_x86_64.musllinux_1_2_x86_64"
        );
        assert_eq!(row.runner.as_deref(), Some("linux amd64"));
        let tags = "manylinux_2_17_sparc";
        let own = format!("[[target]]\ntriple = 'sparc-x'\ntags = ['{tags}']\n");
        assert_eq!(select(&own, &[tags]), ["manylinux_sparc"]);
    }

    #[test]
    fn words_are_split_and_not_repeated() {
        assert_eq!(selected(&[]).unwrap(), ["manylinux_x86_64"]);
        assert_eq!(
            selected(&["win32,macosx_arm64 win32", "host"]).unwrap(),
            ["manylinux_x86_64", "macosx_arm64", "win32"]
        );
    }

    #[test]
    fn a_target_has_a_triple_tags_and_a_short_name() {
        for name in [
            "s390x-unknown-linux-gnu",
            "manylinux2014_s390x",
            "manylinux_2_17_s390x",
            "manylinux_s390x",
        ] {
            assert_eq!(selected(&[name]).unwrap(), ["manylinux_s390x"]);
        }
    }

    #[test]
    fn groups_cover_the_table() {
        let count = |group| selected(&[group]).unwrap().len();
        assert_eq!(count("manylinux") + count("musllinux"), count("linux"));
        assert_eq!(
            count("linux") + count("macos") + count("windows"),
            count("all")
        );
        assert_eq!(count("all"), table().len());
    }

    #[test]
    fn every_unknown_name_is_reported_with_the_nearest() {
        let error = selected(&["win_amd46,host", "sparc"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no such target: win_amd46 (did you mean win_amd64"),
            "{error}"
        );
        assert!(error.contains("no such target: sparc;"), "{error}");
    }

    #[test]
    fn floors_are_in_the_tags() {
        let table = table();
        let floor = |name: &str| {
            let target = table.iter().find(|target| target.is_called(name)).unwrap();
            target.floor()
        };
        assert_eq!(floor("manylinux_riscv64"), Some(Floor(2, 31)));
        assert_eq!(floor("musllinux_i686"), Some(Floor(1, 2)));
        assert_eq!(floor("macosx_universal2"), Some(Floor(10, 12)));
        assert_eq!(floor("win_arm64"), None);
    }

    #[test]
    fn machines_are_in_the_tags() {
        let machines: Vec<String> = table().iter().map(|row| row.machine().to_owned()).collect();
        for machine in ["x86_64", "armv7l", "universal2", "amd64", "arm64", ""] {
            assert!(machines.contains(&machine.to_owned()), "{machine}");
        }
    }

    #[test]
    fn a_bad_row_is_refused() {
        for (row, reason) in [
            ("triple = 'a'\ntags = []", "has no tags"),
            ("triple = 'a'\ntags = ['manylinux_x']", "says no floor"),
            (
                "triple = 'a'\ntags = ['win32']\nslices = ['b']",
                "has no row",
            ),
            ("triple = 'a'\ntag = 'win32'", "unknown field"),
            (
                "triple = 'a'\ntags = ['win32']\nnative = ['b']",
                "no [[github]] table",
            ),
            (
                "triple = 'a'\ntags = ['win32']\n[[target]]\ntriple = 'b'\ntags = ['win32']",
                "two rows are called win32",
            ),
        ] {
            let error = parse(&format!("[[target]]\n{row}\n"), false).err().unwrap();
            assert!(format!("{error:#}").contains(reason), "{error:#}");
        }
    }
}
