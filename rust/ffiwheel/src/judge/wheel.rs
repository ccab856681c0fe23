//! Wheels: the name, and for this project's the members.

use std::collections::BTreeSet;
use std::mem;
use std::str::FromStr;

use pep440_rs::Version;

use super::contents::{is_sbom, parse, Contents};
use super::native::private_path;
use super::promise::{Place, Siblings};
use super::{base_name, rules, Context, Judge};
use crate::facts::library;
use crate::facts::platform::{self, Platform};
use crate::facts::wheel::Name;
use crate::facts::zip::{self, Kind, Member, Trouble};
use crate::name;

impl Judge<'_> {
    pub(super) fn wheel(&mut self, file_name: &str, data: &[u8]) {
        let name = Name::parse(file_name);
        if let Some(name) = &name {
            self.own = self.context.is_own(&name.project);
            self.wheel_name(name);
        } else {
            self.own = self
                .context
                .is_own(file_name.split('-').next().unwrap_or_default());
            let text = "its name is not name-version[-build]-python-abi-platform.whl";
            self.add(&rules::W101, None, text);
        }
        let archive = match zip::open(data) {
            Ok(archive) => archive,
            Err(error) => return self.add(&rules::Z101, None, format!("{error:#}")),
        };
        let mut contents = Contents::default();
        for (member, trouble) in archive.troubles {
            match trouble {
                Trouble::Damaged(text) => {
                    self.add(&rules::Z101, member.as_deref(), text);
                    contents.unreadable.extend(member);
                }
                Trouble::Ambiguous(text) => self.add(&rules::Z103, member.as_deref(), text),
            }
        }
        let members = archive.members;
        self.members(members.iter());
        if self.is_too_large(members.iter().map(|member| member.size), data.len()) {
            return;
        }

        let platforms = platforms(name.as_ref());
        let siblings = Siblings::of(members.iter().map(|it| &*it.name));
        let mut place = Place {
            platforms: &platforms,
            siblings: Some(&siblings),
            python2: name.as_ref().is_some_and(|name| {
                let mut tags = name.pythons.iter();
                tags.any(|tag| tag.starts_with("py2") || tag.starts_with("cp2"))
            }),
            member: "",
        };
        let mut buffer = Vec::new();
        for member in members.iter().filter(|it| it.kind == Kind::File) {
            if member.encrypted {
                contents.unreadable.insert(member.name.clone());
                continue;
            }
            let unpacked = match member.unpack(data, &mut buffer) {
                Ok(unpacked) => unpacked,
                Err(error) => {
                    self.add(&rules::Z101, Some(&member.name), format!("{error:#}"));
                    contents.unreadable.insert(member.name.clone());
                    continue;
                }
            };
            contents.take(member, unpacked, &self.context.module);
            place.member = &member.name;
            if let Some((library, program)) = self.native(unpacked, &place) {
                contents.natives.insert(member.name.clone());
                if library && !program {
                    contents.libraries.push(member.name.clone());
                }
                if self.own {
                    let fingerprints = library::fingerprints(unpacked, &self.context.prefix);
                    contents.fingerprints.extend(fingerprints);
                }
            }
        }
        self.metadata(name.as_ref(), &members, &contents);
        if self.own {
            self.own_members(name.as_ref(), &members, &contents);
        }
        self.judged.package = contents.package;
    }

    pub(super) fn wheel_name(&mut self, name: &Name) {
        let normal = name::in_files(&name.project);
        if name.project != normal {
            let text = format!("its name has {}, normalised {normal}", name.project);
            self.add(&rules::W102, None, text);
        }
        match Version::from_str(&name.version.replace('_', "-")) {
            Ok(version) => {
                let normal = version.to_string().replace('-', "_");
                if normal != name.version {
                    let text =
                        format!("its name has version {}, normalised {normal}", name.version);
                    self.add(&rules::W102, None, text);
                }
            }
            Err(_) => {
                let text = format!("{} is not a version", name.version);
                self.add(&rules::W101, None, text);
            }
        }
        if let Some(build) = &name.build {
            self.add(&rules::W103, None, format!("it has the build tag {build}"));
        }
        for tag in name
            .platforms
            .iter()
            .filter(|tag| !platform::is_on_pypi(tag))
        {
            self.add(&rules::W108, None, format!("PyPI does not accept {tag}"));
        }
        let pythons = &self.context.pythons;
        if (name.pythons.join(".") != *pythons || name.abis != ["none"]) && self.own {
            let tag = format!("{}-{}", name.pythons.join("."), name.abis.join("."));
            self.add(
                &rules::W109,
                None,
                format!("its tag is {tag}, not {pythons}-none"),
            );
        }
        if !self
            .context
            .rows
            .iter()
            .any(|row| row.tags == name.platforms)
        {
            let tags = name.platforms.join(".");
            self.add(
                &rules::W110,
                None,
                format!("no row of ci/targets.toml has the tags {tags}"),
            );
        }
        self.version(&name.version);
    }

    /// This project's wheels: the files, the library, the fingerprint.
    pub(super) fn own_members(
        &mut self,
        name: Option<&Name>,
        members: &[Member],
        contents: &Contents,
    ) {
        if let Some(program) = &self.context.program {
            self.own_program(program, contents);
            return self.own_files(members, contents);
        }
        let module = &self.context.module;
        let row = name.and_then(|name| {
            let mut rows = self.context.rows.iter();
            rows.find(|row| row.tags == name.platforms)
        });
        let natives: Vec<&String> = contents
            .natives
            .iter()
            .filter(|native| !self.is_grafted(native))
            .collect();
        // What it should have; without a row, any of that number.
        let stems = [module].into_iter().chain(&self.context.libraries);
        let expected = match row {
            Some(row) => stems
                .map(|stem| format!("{module}/lib/{}", row.library_name(stem)))
                .collect(),
            None => natives
                .iter()
                .copied()
                .take(stems.count())
                .cloned()
                .collect(),
        };
        let expected: Vec<String> = expected;
        let there = |name: &String| natives.contains(&name) || contents.unreadable.contains(name);
        let missing: Vec<&str> = expected
            .iter()
            .filter(|name| !there(name))
            .map(|name| base_name(name))
            .collect();
        let strays = natives.iter().filter(|native| !expected.contains(native));
        for stray in strays.clone() {
            let text = "the library is expected in the package's lib folder, alone";
            self.add(&rules::L301, Some(stray), text);
        }
        if natives.is_empty() && (row.is_none() || !missing.is_empty()) {
            self.add(&rules::L301, None, "it has no library");
        } else if !missing.is_empty() && strays.count() == 0 {
            let text = format!("it has no {}", missing.join(", no "));
            self.add(&rules::L301, None, text);
        }
        // Where there are several libraries, all of them together have what the header declares.
        for (arch, exports) in mem::take(&mut self.exports) {
            self.missing(&exports, &format!("{arch}: "), None);
        }
        let has_library = !natives.is_empty();
        self.own_files(members, contents);
        if has_library {
            self.own_abi(contents);
        }
    }

    /// That the program is there, alone.
    fn own_program(&mut self, program: &str, contents: &Contents) {
        let Context {
            distribution,
            version,
            ..
        } = self.context;
        let stem = format!("{}-{version}", name::in_files(distribution));
        let place = format!("{stem}.data/scripts/{program}");
        let is_place = |name: &str| name.strip_suffix(".exe").unwrap_or(name) == place;
        let unreadable = contents.unreadable.iter();
        let mut there = contents.natives.iter().chain(unreadable);
        if !there.any(|name| is_place(name)) {
            self.add(&rules::P901, None, format!("it has no {place}"));
        }
        for other in &contents.natives {
            if !is_place(other) || contents.libraries.contains(other) {
                let text = format!("the program {program} is expected, among the scripts, alone");
                self.add(&rules::P901, Some(other), text);
            }
        }
    }

    /// Whether repair has put a file there.
    fn is_grafted(&self, name: &str) -> bool {
        let folders = [
            format!("{}.libs/", name::in_files(&self.context.distribution)),
            format!("{}/.dylibs/", self.context.module),
        ];
        folders.iter().any(|folder| name.starts_with(folder))
    }

    /// That they are all there, no others are, and they are those of the working tree.
    fn own_files(&mut self, members: &[Member], contents: &Contents) {
        let Context {
            distribution,
            module,
            version,
            ..
        } = self.context;
        let info = members.iter().find_map(|member| {
            let folder = member.name.split('/').next()?;
            folder.ends_with(".dist-info").then_some(folder)
        });
        let stem = name::in_files(distribution);
        let info = info.map_or(format!("{stem}-{version}.dist-info"), str::to_owned);
        let mut expected = self.context.package.clone();
        let in_info = self.context.info.iter();
        expected.extend(in_info.map(|file| format!("{info}/{file}")));
        for member in members.iter().filter(|member| member.kind != Kind::Folder) {
            let known = expected.contains(&member.name)
                || is_sbom(&member.name)
                || contents.natives.contains(&member.name)
                || contents.unreadable.contains(&member.name)
                || self.is_grafted(&member.name);
            if !known {
                let text = "it does not belong in the wheel";
                self.add(&rules::R208, Some(&member.name), text);
            }
        }
        for name in expected {
            let there = members.iter().any(|member| member.name == name)
                || contents.unreadable.contains(&name);
            // Other rules are about these.
            let said = name.starts_with(&format!("{info}/licenses/"))
                || ["METADATA", "RECORD", "WHEEL"].contains(&base_name(&name));
            if !there && !said {
                self.add(&rules::R208, Some(&name), "it is missing");
            }
        }
        for (name, (hash, _)) in &contents.files {
            let source = match name.strip_prefix(&format!("{info}/licenses/")) {
                Some(licence) => self.context.sources.get(licence),
                None if self.context.package.contains(name) => self.context.sources.get(name),
                None => None,
            };
            if source
                .copied()
                .flatten()
                .is_some_and(|source| source != *hash)
            {
                let text = "it differs from the working tree";
                self.add(&rules::R210, Some(name), text);
            }
        }
        for (name, text) in contents.texts.iter().filter(|(name, _)| is_sbom(name)) {
            let of_library = base_name(name) == format!("{module}.cdx.json");
            self.judged.has_sbom |= of_library;
            if let Err(error) = self.sbom(text, of_library) {
                self.add(&rules::R209, Some(name), error);
            }
        }
    }

    /// That the library has the ABI that the module expects.
    fn own_abi(&mut self, contents: &Contents) {
        let ffi = format!("{}/_ffi.py", self.context.module);
        let abi = contents.texts.get(&ffi).and_then(|text| {
            let text = String::from_utf8_lossy(text).into_owned();
            let line = text.lines().find_map(|line| line.strip_prefix("ABI = '"))?;
            Some(line.trim_end_matches('\'').to_owned())
        });
        // A library that is not Rust's may offer no fingerprint; the module says so, then.
        let expected = abi.clone().map(|abi| match abi.is_empty() {
            true => BTreeSet::new(),
            false => BTreeSet::from([abi]),
        });
        if expected.as_ref() != Some(&contents.fingerprints) {
            let found: Vec<&str> = contents.fingerprints.iter().map(String::as_str).collect();
            let text = format!(
                "it is for the ABI {:?}, and the library says {:?}",
                abi.unwrap_or_default(),
                found.join(", ")
            );
            self.add(&rules::A603, Some(&ffi), text);
        }
    }

    /// An SBOM; `of_library`: the one that `make wheels` writes.
    pub(super) fn sbom(&self, text: &[u8], of_library: bool) -> Result<(), String> {
        let sbom: serde_json::Value =
            serde_json::from_slice(text).map_err(|error| format!("it is not JSON: {error}"))?;
        if sbom["bomFormat"] != "CycloneDX" {
            return Err("it is not CycloneDX".to_owned());
        }
        let component = &sbom["metadata"]["component"];
        let of = component["version"].as_str().unwrap_or("no version");
        if of_library && parse(of) != parse(&self.context.version) {
            return Err(format!("it is of {of}, not of {}", self.context.version));
        }
        match private_path(text, &self.context.private) {
            Some(path) => Err(format!("it holds the path {path}")),
            None => Ok(()),
        }
    }
}

fn platforms(name: Option<&Name>) -> Vec<Platform> {
    let mut platforms = Vec::new();
    for tag in name.iter().flat_map(|name| &name.platforms) {
        platforms.extend(platform::platform(tag).filter(|it| !platforms.contains(it)));
    }
    platforms
}
