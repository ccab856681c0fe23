//! METADATA, WHEEL, RECORD and PKG-INFO, against the name and the members.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};

use super::archive::is_plain;
use super::contents::{parse, Contents};
use super::rules::{self, Rule};
use super::{base_name, Judge};
use crate::facts::bounds;
use crate::facts::wheel::{self, Headers, Name};
use crate::facts::zip::{Kind, Member};
use crate::ini::Ini;
use crate::name;

/// Whose project it is, by setup.cfg or by METADATA: {what: its values}, in one spelling for
/// all versions of the metadata.
#[derive(Default, PartialEq)]
pub struct Metadata(BTreeMap<&'static str, BTreeSet<String>>);

impl Metadata {
    /// By pyproject.toml, setup.cfg and, for what that leaves out, the crate's manifest; and where
    /// the last two contradict each other.
    pub fn declared(
        pyproject: &str,
        settings: &Ini,
        manifest: &BTreeMap<&'static str, String>,
    ) -> (Metadata, Vec<String>) {
        let mut said = Metadata::default();
        let pyproject: toml::Table = toml::from_str(pyproject).unwrap_or_default();
        if pyproject.contains_key("project") {
            return (said, Vec::new()); // setuptools takes it from there
        }
        for (section, option, what) in [
            ("metadata", "description", "summary"),
            ("metadata", "summary", "summary"),
            ("metadata", "license", "licence"),
            ("metadata", "license_expression", "licence"),
            ("metadata", "author", "author"),
            ("metadata", "url", "address"),
            ("metadata", "home_page", "address"),
            ("metadata", "home-page", "address"),
            ("options", "python_requires", "Requires-Python"),
        ] {
            let lines = settings.get(section, option).lines();
            lines.for_each(|value| said.add(what, value));
        }
        for line in settings.get("metadata", "project_urls").lines() {
            let (_label, address) = line.split_once('=').unwrap_or_default();
            said.add("address", address);
        }
        let mut contradictions = Vec::new();
        let by_settings = said.0.clone();
        for (field, what) in [
            ("description", "summary"),
            ("license", "licence"),
            ("homepage", "address"),
            ("repository", "address"),
        ] {
            match (manifest.get(field), by_settings.get(what)) {
                (Some(value), None) => said.add(what, value),
                (Some(value), Some(others)) if !others.contains(value.trim()) => {
                    let others: Vec<&str> = others.iter().map(String::as_str).collect();
                    contradictions.push(format!(
                        "its {what} is {:?} in setup.cfg, but {value:?} in Cargo.toml ({field})",
                        others.join(", ")
                    ));
                }
                _ => {}
            }
        }
        (said, contradictions)
    }

    fn of(headers: &Headers) -> Metadata {
        let mut said = Metadata::default();
        for (header, what) in [
            ("summary", "summary"),
            ("license", "licence"),
            ("license-expression", "licence"),
            ("author", "author"),
            ("home-page", "address"),
            ("requires-python", "Requires-Python"),
        ] {
            headers.all(header).for_each(|value| said.add(what, value));
        }
        for value in headers.all("project-url") {
            let (_label, address) = value.split_once(',').unwrap_or_default();
            said.add("address", address);
        }
        said
    }

    fn add(&mut self, what: &'static str, value: &str) {
        let values = self.0.entry(what).or_default();
        match what {
            "Requires-Python" => values.extend(value.split(',').map(|it| it.replace(' ', ""))),
            _ => drop(values.insert(value.trim().to_owned())),
        }
        // Old versions of setuptools write UNKNOWN for nothing.
        values.retain(|value| !value.is_empty() && value != "UNKNOWN");
        if values.is_empty() {
            self.0.remove(what);
        }
    }
}

impl Judge<'_> {
    /// METADATA, WHEEL and RECORD, against the name and the members.
    pub(super) fn metadata(
        &mut self,
        name: Option<&Name>,
        members: &[Member],
        contents: &Contents,
    ) {
        let folders: BTreeSet<&str> = members
            .iter()
            .filter_map(|member| member.name.split('/').next())
            .filter(|folder| folder.ends_with(".dist-info"))
            .collect();
        let mut found = folders.iter();
        let (Some(info), None) = (found.next(), found.next()) else {
            let text = format!("it has {} .dist-info folders", folders.len());
            return self.add(&rules::W113, None, text);
        };
        if let Some(name) = name {
            let stem = info.strip_suffix(".dist-info").unwrap_or_default();
            let wanted = format!("{}-{}", name.project, name.version);
            if name::normalised(stem) != name::normalised(&wanted) {
                let text = format!("it should be {wanted}.dist-info");
                self.add(&rules::W113, Some(info), text);
            }
        }
        let mut file = |file: &str| {
            let path = format!("{info}/{file}");
            let text = contents.texts.get(&path);
            if text.is_none() && !contents.unreadable.contains(&path) {
                self.add(&rules::W113, Some(&path), "it is missing, or far too large");
            }
            text.map(|text| String::from_utf8_lossy(text).into_owned())
        };
        let (metadata, wheel_file, record) = (file("METADATA"), file("WHEEL"), file("RECORD"));

        if let Some(text) = &metadata {
            self.metadata_file(info, text, name, members, contents);
        }
        if let Some(text) = &wheel_file {
            self.wheel_file(info, text, name, contents);
        }
        if record.is_some() {
            self.record(info, members, contents);
        }
    }

    fn metadata_file(
        &mut self,
        info: &str,
        text: &str,
        name: Option<&Name>,
        members: &[Member],
        contents: &Contents,
    ) {
        let headers = Headers::parse(text);
        let path = format!("{info}/METADATA");
        if let Some(name) = name {
            self.same_project(&rules::W106, &path, &headers, &name.project, &name.version);
        }
        let names: BTreeSet<&String> = members
            .iter()
            .map(|member| &member.name)
            .chain(&contents.unreadable)
            .collect();
        let has = |file: &str| {
            let base = base_name(file);
            let places = [format!("licenses/{file}"), file.to_owned(), base.to_owned()];
            let mut places = places.iter().map(|place| format!("{info}/{place}"));
            places.any(|place| names.contains(&place))
        };
        self.licences(&rules::W111, &path, &headers, has);
        self.pythons(&path, &headers);
        self.same_metadata(&rules::W114, &path, &headers);
    }

    fn wheel_file(&mut self, info: &str, text: &str, name: Option<&Name>, contents: &Contents) {
        let headers = Headers::parse(text);
        let path = format!("{info}/WHEEL");
        let tags: BTreeSet<String> = headers.all("tag").map(str::to_owned).collect();
        if let Some(name) = name {
            let (said, named) = (tags, name.tags());
            let list = |tags: Vec<&String>| match &tags[..] {
                [] => "none".to_owned(),
                tags => tags
                    .iter()
                    .map(|tag| tag.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            if said != named {
                let text = format!(
                    "its tags that the name lacks: {}; tags of the name that it lacks: {}",
                    list(said.difference(&named).collect()),
                    list(named.difference(&said).collect())
                );
                self.add(&rules::W104, Some(&path), text);
            }
            let pure = headers
                .first("root-is-purelib")
                .eq_ignore_ascii_case("true");
            let any = name.platforms == ["any"];
            if pure && (!contents.libraries.is_empty() || !any) {
                let text = "it says Root-Is-Purelib: true, but the wheel is for a platform";
                self.add(&rules::W105, Some(&path), text);
            } else if let (Some(library), true) = (contents.libraries.first(), any) {
                let text = "it is native code, but the wheel's tag says any platform";
                self.add(&rules::W105, Some(library), text);
            }
        }
    }

    pub(super) fn same_project(
        &mut self,
        rule: &'static Rule,
        path: &str,
        headers: &Headers,
        project: &str,
        version: &str,
    ) {
        let (said_name, said_version) = (headers.first("name"), headers.first("version"));
        if name::normalised(said_name) != name::normalised(project) {
            let text =
                format!("it names the project {said_name:?}, but the file name says {project}");
            self.add(rule, Some(path), text);
        }
        if parse(said_version).is_none() || parse(said_version) != parse(version) {
            let text = format!("it has version {said_version:?}, but the file name says {version}");
            self.add(rule, Some(path), text);
        }
    }

    pub(super) fn same_metadata(&mut self, rule: &'static Rule, path: &str, headers: &Headers) {
        let context = self.context;
        let (declared, said) = (&context.metadata.0, Metadata::of(headers).0);
        if self.own {
            for text in &context.contradictions {
                self.add(&rules::W115, Some(path), text.clone());
            }
            self.leftovers(path, &said);
        }
        if declared.is_empty() {
            return;
        }
        let both: BTreeSet<_> = declared.keys().chain(said.keys()).collect();
        for what in both {
            let [ours, its] = [declared.get(what), said.get(what)].map(|values| {
                let values: Vec<_> = values.into_iter().flatten().map(String::as_str).collect();
                values.join(", ")
            });
            if ours != its {
                let text =
                    format!("its {what} is {its:?}, but {ours:?} in setup.cfg or Cargo.toml");
                self.add(rule, Some(path), text);
            }
        }
    }

    /// What `new` writes to be replaced, and what stands in many an example.
    fn leftovers(&mut self, path: &str, said: &BTreeMap<&'static str, BTreeSet<String>>) {
        for (what, value) in said
            .iter()
            .flat_map(|(what, values)| values.iter().map(move |it| (what, it)))
        {
            let reserved = ["//example.", "@example.", ".example."]
                .iter()
                .any(|it| value.contains(it));
            let left = match *what {
                "summary" => value.to_uppercase().starts_with("TODO"),
                "address" | "author" => reserved,
                _ => false,
            };
            if left {
                self.add(&rules::W116, Some(path), format!("its {what} is {value:?}"));
            }
        }
    }

    pub(super) fn licences(
        &mut self,
        rule: &'static Rule,
        path: &str,
        headers: &Headers,
        has: impl Fn(&str) -> bool,
    ) {
        for file in headers.all("license-file").filter(|file| !has(file)) {
            self.add(
                rule,
                Some(path),
                format!("its License-File {file} is missing"),
            );
        }
        if self.own && headers.all("license-file").next().is_none() {
            self.add(rule, Some(path), "it names no License-File");
        }
    }

    pub(super) fn pythons(&mut self, path: &str, headers: &Headers) {
        let required = headers.first("requires-python");
        if required.is_empty() {
            return;
        }
        let short = required.len() <= bounds::LONGEST_SPECIFIER;
        let parsed = short.then(|| VersionSpecifiers::from_str(required).ok());
        let Some(required) = parsed.flatten() else {
            let text = format!("its Requires-Python {required:?} cannot be read");
            return self.add(&rules::W112, Some(path), text);
        };
        // There are a few hundred in all.
        for classifier in headers.all("classifier").take(1000) {
            let Some(python) = classifier.strip_prefix("Programming Language :: Python :: ") else {
                continue;
            };
            let numbers: Option<Vec<u64>> = python
                .split('.')
                .map(|number| number.parse().ok())
                .collect();
            let allows = |release: [u64; 3]| required.contains(&Version::new(release));
            let allowed = match numbers.as_deref() {
                // Some minor or patch release will do; there have been fewer than these.
                Some(&[major]) => {
                    (0..40).any(|minor| allows([major, minor, 0]) || allows([major, minor, 40]))
                }
                Some(&[major, minor]) => (0..40).any(|patch| allows([major, minor, patch])),
                _ => true,
            };
            if !allowed {
                let text =
                    format!("a classifier names Python {python}, which Requires-Python excludes");
                self.add(&rules::W112, Some(path), text);
            }
        }
    }

    pub(super) fn record(&mut self, info: &str, members: &[Member], contents: &Contents) {
        let path = format!("{info}/RECORD");
        let text = &contents.texts[&path];
        let entries = match wheel::record(text) {
            Ok(entries) => entries,
            Err(error) => return self.add(&rules::R201, Some(&path), format!("{error:#}")),
        };
        let mut listed = BTreeSet::new();
        for entry in &entries {
            let name = Some(&*entry.name);
            if !is_plain(&entry.name) {
                self.add(
                    &rules::R206,
                    name,
                    "RECORD names it, but it is not a plain relative name",
                );
            }
            if !listed.insert(&*entry.name) {
                self.add(&rules::R206, name, "RECORD names it twice");
                continue;
            }
            let Some((sha256, size)) = contents.files.get(&entry.name) else {
                if !contents.unreadable.contains(&entry.name) {
                    self.add(&rules::R203, name, "RECORD names it, but it is missing");
                }
                continue;
            };
            if entry.name == path {
                if !entry.hash.is_empty() {
                    self.add(&rules::R204, name, "a file cannot hold its own hash");
                }
                continue;
            }
            let sha256 = wheel::recorded(sha256);
            match entry.hash.split_once('=') {
                Some(("sha256", hash)) => {
                    // Padding is not allowed, and harmless.
                    if hash.trim_end_matches('=') != &sha256["sha256=".len()..] {
                        self.add(&rules::R204, name, format!("its hash is {sha256}"));
                    }
                }
                // Stronger ones are allowed, and nobody uses them.
                Some(("sha384" | "sha512", _)) => {}
                _ => {
                    let text = format!("its hash in RECORD is {:?}, not SHA-256", entry.hash);
                    self.add(&rules::R204, name, text);
                }
            }
            // The specification lets it be empty.
            if entry.size != size.to_string() && (self.own || !entry.size.is_empty()) {
                let text = format!("its size is {size}, but {:?} in RECORD", entry.size);
                self.add(&rules::R205, name, text);
            }
        }
        // Signatures of RECORD, which nobody makes any more, cannot be in it.
        let exempt = [format!("{path}.jws"), format!("{path}.p7s")];
        for member in members.iter().filter(|member| member.kind != Kind::Folder) {
            if !listed.contains(&*member.name) && !exempt.contains(&member.name) {
                self.add(&rules::R202, Some(&member.name), "RECORD does not name it");
            }
        }
    }
}
