//! Source distributions.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use pep440_rs::Version;
use sha2::{Digest, Sha256};

use super::{rules, Judge};
use crate::facts::bounds;
use crate::facts::sdist;
use crate::facts::wheel::Headers;
use crate::facts::zip::Kind;
use crate::name;

impl Judge<'_> {
    pub(super) fn sdist(&mut self, stem: &str, data: &[u8]) {
        let (project, version) = stem.rsplit_once('-').unwrap_or((stem, ""));
        self.own = self.context.is_own(project);
        let normal = name::in_files(project);
        let canonical = Version::from_str(version).map(|version| version.to_string());
        // Names were not normalised before PEP 625.
        if version.is_empty() || canonical.is_err() || (self.own && project != normal) {
            let text = format!("its name is not {normal}-<version>.tar.gz");
            self.add(&rules::S701, None, text);
        }
        self.version(version);
        let size = data.len() as u64;
        let most =
            (size * bounds::HIGHEST_RATIO).clamp(bounds::RATIO_COUNTS_FROM, bounds::LARGEST_MEMBER);
        let tar = match sdist::inflate(data, most) {
            Ok(Some(tar)) => tar,
            Ok(None) => {
                let text = format!("it unpacks to more than {most} bytes from {size}");
                return self.add(&rules::Z102, None, text);
            }
            Err(error) => return self.add(&rules::Z101, None, format!("{error:#}")),
        };
        let members = match sdist::members(&tar) {
            Ok(members) => members,
            Err(error) => return self.add(&rules::Z101, None, format!("{error:#}")),
        };
        self.members(members.iter().map(|(member, _)| member));
        let mut files = BTreeMap::new();
        let mut outside = None;
        for (member, contents) in &members {
            let name = member.name.strip_prefix("./").unwrap_or(&member.name);
            match name.split_once('/') {
                Some((folder, rest)) if name::normalised(folder) == name::normalised(stem) => {
                    if member.kind == Kind::File {
                        files.insert(rest.to_owned(), *contents);
                    }
                }
                _ if member.kind == Kind::Folder => {}
                _ => outside = outside.or(Some(&*member.name)),
            }
        }
        if let Some(name) = outside {
            self.add(
                &rules::S701,
                Some(name),
                format!("it is not in the folder {stem}"),
            );
        }
        match files.get("PKG-INFO") {
            None => self.add(&rules::S702, Some("PKG-INFO"), "it is missing"),
            Some(text) => {
                let headers = Headers::parse(&String::from_utf8_lossy(text));
                self.same_project(&rules::S702, "PKG-INFO", &headers, project, version);
                let has = |file: &str| files.contains_key(file);
                self.licences(&rules::S705, "PKG-INFO", &headers, has);
                self.pythons("PKG-INFO", &headers);
                self.same_metadata(&rules::S708, "PKG-INFO", &headers);
            }
        }
        if self.own {
            self.own_sources(&files);
        }
    }

    pub(super) fn own_sources(&mut self, files: &BTreeMap<String, &[u8]>) {
        let context = self.context;
        let lock = below(&context.workspace, "Cargo.lock");
        for name in files.keys() {
            // `make sdist` writes the one; the others come with a vendored sdist.
            let generated = ["PKG-INFO", ".cargo/config.toml"].contains(&&**name)
                || name.starts_with(&below(&context.crate_folder, "vendor/"));
            let beside = context.beside.contains(name) && is_named(name, files);
            if !context.sources.contains_key(name) && !beside && !generated {
                self.add(&rules::S703, Some(name), "it does not belong in the sdist");
            }
        }
        for name in context
            .sources
            .keys()
            .filter(|name| !files.contains_key(*name))
        {
            let said = context.licences.contains(name)
                || [&below(&context.crate_folder, "Cargo.toml"), &lock].contains(&name);
            if !said {
                self.add(&rules::S703, Some(name), "it is missing");
            }
        }
        if !context.command && !files.contains_key(&lock) {
            self.add(&rules::S706, Some(&lock), "it is missing");
        }
        let (crates, lacking) = match context.command {
            true => Default::default(),
            false => local_crates(&[&context.crate_folder, &context.workspace], files),
        };
        for (path, text) in lacking {
            self.add(&rules::S706, Some(&path), text);
        }
        for name in &context.beside {
            let of_crate = |folder: &String| {
                let rest = name.strip_prefix(&format!("{folder}/"));
                rest.is_some_and(|rest| !rest.split('/').any(|part| part.starts_with('.')))
            };
            if crates.iter().any(of_crate) && !files.contains_key(name) {
                self.add(&rules::S703, Some(name), "it is missing");
            }
        }
        for (name, contents) in files {
            self.judged
                .package
                .insert(name.clone(), Sha256::digest(contents).into());
        }
    }
}

/// What a crate consists of in the folder that holds the whole project, as python/sources.py has
/// it.
const OF_A_PACKAGE: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    "rust-toolchain",
    "rust-toolchain.toml",
    ".cargo",
    "src",
    "include",
    "vendor",
];

/// A name in a folder of the sdist.
fn below(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

/// Whether a manifest or source in an sdist names the file, or a folder that it is in; or whether
/// it is part of another crate: a workspace is packed with all its members.
fn is_named(name: &str, files: &BTreeMap<String, &[u8]>) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    let mut above = Path::new(name).ancestors().skip(1);
    let has_manifest = |folder: &str| files.contains_key(&below(folder, "Cargo.toml"));
    let in_crate = above.any(|folder| match folder.to_str() {
        Some("") => OF_A_PACKAGE.contains(&first) && has_manifest(""),
        folder => folder.is_some_and(has_manifest),
    });
    in_crate
        || name.ends_with("Cargo.toml")
        || files.iter().any(|(path, text)| {
            (path.ends_with(".rs") || path.ends_with("Cargo.toml"))
                && memchr::memmem::find_iter(text, first.as_bytes())
                    .any(|at| at > 0 && b"/\"'".contains(&text[at - 1]))
        })
}

/// The folders in an sdist of the first crates and of the local crates that they need, and what
/// of them is not there: a manifest's path, and in what way.
fn local_crates(
    first: &[&String],
    files: &BTreeMap<String, &[u8]>,
) -> (Vec<String>, Vec<(String, String)>) {
    let mut crates: Vec<String> = first.iter().map(|folder| folder.to_string()).collect();
    crates.dedup();
    let mut lacking = Vec::new();
    let mut next = 0;
    while let Some(folder) = crates.get(next).cloned() {
        next += 1;
        let path = below(&folder, "Cargo.toml");
        let Some(text) = files.get(&path) else {
            lacking.push((path, "it is missing".to_owned()));
            continue;
        };
        let manifest: toml::Table = match toml::from_str(&String::from_utf8_lossy(text)) {
            Ok(manifest) => manifest,
            Err(error) => {
                lacking.push((path, error.to_string()));
                continue;
            }
        };
        for named in paths_to_crates(&manifest) {
            let mut parts: Vec<&str> = folder.split_terminator('/').collect();
            let inside = named.split('/').all(|part| match part {
                "" | "." => true,
                ".." => parts.pop().is_some(),
                part => {
                    parts.push(part);
                    true
                }
            });
            let needed = parts.join("/");
            let manifest = below(&needed, "Cargo.toml");
            if !inside || named.starts_with('/') || !files.contains_key(&manifest) {
                let text = format!("it needs {named}, which is not in the sdist");
                lacking.push((path.clone(), text));
            } else if !crates.contains(&needed) {
                crates.push(needed);
            }
        }
    }
    (crates, lacking)
}

fn paths_to_crates(manifest: &toml::Table) -> Vec<&str> {
    let mut found = Vec::new();
    let mut tables = vec![manifest];
    while let Some(table) = tables.pop() {
        for (key, value) in table {
            let toml::Value::Table(inner) = value else {
                continue;
            };
            tables.push(inner);
            if key.ends_with("dependencies") {
                let dependencies = inner.values().filter_map(toml::Value::as_table);
                found.extend(dependencies.filter_map(|it| it.get("path")?.as_str()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_a_manifest_lead_somewhere() {
        let manifest = "[dependencies]\na = { path = 'near' }\nb = { path = '../far' }\n\
                        [target.'cfg(unix)'.dev-dependencies]\nc = { path = 'gone' }\n";
        let beside = "dependencies.d = { path = '../../beside' }\ndependencies.e.path = '/e'";
        let files = [
            ("rust/Cargo.toml", manifest),
            ("rust/near/Cargo.toml", beside),
            (
                "beside/Cargo.toml",
                "dependencies.near.path = '../rust/near'",
            ),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes()));
        let (crates, lacking) = local_crates(&[&"rust".to_owned()], &BTreeMap::from(files));
        assert_eq!(crates, ["rust", "rust/near", "beside"]);
        let mut found: Vec<&str> = lacking.iter().map(|(_, text)| &**text).collect();
        found.sort();
        let expected =
            ["../far", "/e", "gone"].map(|it| format!("it needs {it}, which is not in the sdist"));
        assert_eq!(found, expected);
    }
}
