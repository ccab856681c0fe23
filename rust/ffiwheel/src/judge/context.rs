//! What a file does not say of itself: this project, this machine, the time.

use std::collections::{BTreeMap, BTreeSet};

use super::metadata::Metadata;
use crate::name;
use crate::targets::Target;

#[derive(Default)]
pub struct Context {
    /// What an index calls the project.
    pub distribution: String,
    /// The Python package, and the stem of the library in it.
    pub module: String,
    /// The stems of the libraries that are loaded before that one.
    pub libraries: Vec<String>,
    /// The program that a wheel brings; None for a project of a library.
    pub program: Option<String>,
    /// The Python tags of its wheels.
    pub pythons: String,
    /// What the library's symbols and markers begin with.
    pub prefix: String,
    pub version: String,
    /// The functions of the C header.
    pub functions: BTreeSet<String>,
    /// Those of them that the library does not have on every platform.
    pub partly: BTreeSet<String>,
    /// Whether the author wrote the header, and the library may export more.
    pub given_header: bool,
    /// Whether another command than cargo builds the library.
    pub command: bool,
    /// The package's files in a wheel, without the library.
    pub package: BTreeSet<String>,
    /// The files in a wheel's .dist-info, without the SBOM.
    pub info: BTreeSet<String>,
    /// The files of the sdist, below its folder, with the SHA-256 of those that can be read in
    /// the working tree.
    pub sources: BTreeMap<String, Option<[u8; 32]>>,
    /// The folders of the crate and of its workspace in the sdist; "" for the sdist's own.
    pub crate_folder: String,
    pub workspace: String,
    /// The files of licences, as setup.cfg names them.
    pub licences: BTreeSet<String>,
    /// The project's other files: the sdist holds those that the crate needs.
    pub beside: BTreeSet<String>,
    /// What setup.cfg and Cargo.toml say of the project; nothing where it is said elsewhere.
    pub metadata: Metadata,
    /// Where setup.cfg and Cargo.toml both say something of it, and not the same.
    pub contradictions: Vec<String>,
    pub rows: Vec<Target>,
    /// Paths of this machine, which no file that leaves may hold.
    pub private: Vec<String>,
    pub today: [u32; 6],
    /// Whether the files are to be released as they are.
    pub release: bool,
}

impl Context {
    pub(super) fn is_own(&self, name: &str) -> bool {
        name::normalised(name) == name::normalised(&self.distribution)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn context() -> Context {
        Context {
            distribution: "example".into(),
            module: "example".into(),
            prefix: "example".into(),
            version: "1.2.3".into(),
            crate_folder: "rust".into(),
            workspace: "rust".into(),
            today: [2030, 1, 1, 0, 0, 0],
            ..Context::default()
        }
    }
}
