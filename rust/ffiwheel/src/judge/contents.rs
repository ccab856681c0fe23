//! What of a wheel's contents the rules look at once they have gone by.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use pep440_rs::Version;
use sha2::{Digest, Sha256};

use super::{rules, Judge};
use crate::facts::bounds;
use crate::facts::zip::Member;

/// What of a wheel's contents the rules look at once they have gone by.
#[derive(Default)]
pub(super) struct Contents {
    /// Each file's SHA-256 and size.
    pub(super) files: BTreeMap<String, ([u8; 32], u64)>,
    pub(super) texts: BTreeMap<String, Vec<u8>>,
    /// How long they are together.
    held: usize,
    pub(super) unreadable: BTreeSet<String>,
    /// Native files, and those of them that are libraries.
    pub(super) natives: BTreeSet<String>,
    pub(super) libraries: Vec<String>,
    pub(super) fingerprints: BTreeSet<String>,
    pub(super) package: BTreeMap<String, [u8; 32]>,
}

impl Contents {
    pub(super) fn take(&mut self, member: &Member, contents: &[u8], module: &str) {
        let hash = Sha256::digest(contents).into();
        let in_info = member
            .name
            .split('/')
            .next()
            .is_some_and(|folder| folder.ends_with(".dist-info"));
        let wanted = in_info && ["METADATA", "RECORD", "WHEEL"].contains(&base_name(&member.name));
        let ffi = member.name == format!("{module}/_ffi.py");
        if (wanted || ffi || is_sbom(&member.name))
            && self.held + contents.len() <= bounds::LONGEST_TEXT
        {
            self.held += contents.len();
            self.texts.insert(member.name.clone(), contents.to_vec());
        }
        let in_package = member.name.starts_with(&format!("{module}/"));
        if in_package && !member.name.contains("/lib/") {
            self.package.insert(member.name.clone(), hash);
        }
        self.files
            .insert(member.name.clone(), (hash, contents.len() as u64));
    }
}

pub fn base_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

/// https://peps.python.org/pep-0770/, by the ending that CycloneDX recommends
pub(super) fn is_sbom(name: &str) -> bool {
    let mut parts = name.split('/');
    let info = parts.next().unwrap_or_default();
    info.ends_with(".dist-info") && parts.next() == Some("sboms") && name.ends_with(".cdx.json")
}

/// A version, as file names, metadata or cargo spell it, for comparison.
pub(super) fn parse(version: &str) -> Option<Version> {
    Version::from_str(&version.replace('_', "-")).ok()
}

impl Judge<'_> {
    pub(super) fn version(&mut self, version: &str) {
        if parse(version) != parse(&self.context.version) {
            let text = format!(
                "its version is {version}, but Cargo.toml says {}",
                self.context.version
            );
            self.add(&rules::W107, None, text);
        }
    }
}
