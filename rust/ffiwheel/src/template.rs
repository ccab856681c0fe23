//! What a new project begins with: the author's files, which are written once. They stand in
//! template/ as a project named fast-thing.

use std::collections::BTreeMap;

use anyhow::{bail, ensure, Result};

use crate::name;

macro_rules! embed {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../template/", $name)))),*]
    };
}

type Files = &'static [(&'static str, &'static str)];

/// What every project of a library needs.
const LIBRARY: Files = embed!(
    "rust/Cargo.toml"
    "rust/src/lib.rs"
    "python/setup.cfg"
    "python/fast_thing/__init__.py"
    "README.md"
);
/// What every project that cargo builds needs: without dependencies, every cargo would write it so.
const LOCK: Files = embed!("rust/Cargo.lock");
/// What every project of a program needs, below this folder.
const PROGRAM: Files = embed!(
    "program/rust/Cargo.toml"
    "program/rust/src/main.rs"
    "program/python/setup.cfg"
    "program/python/fast_thing/__init__.py"
    "program/python/fast_thing/__main__.py"
    "program/README.md"
);
/// What every project of a library without a gate needs, below this folder.
const GIVEN: Files = embed!(
    "given/python/fast_thing/__init__.py"
    "given/rust/include/fast_thing.h"
);
const GIVEN_TEST: Files = embed!("given/scripts/smoke.py");
/// What one needs whose functions a crate exports itself.
const C_ABI: Files = embed!(
    "c-abi/rust/Cargo.toml"
    "c-abi/rust/src/lib.rs"
    "c-abi/python/setup.cfg"
    "c-abi/README.md"
);
/// What one needs that another command than cargo builds.
const COMMAND: Files = embed!(
    "command/rust/Makefile"
    "command/rust/fast_thing.c"
    "command/python/setup.cfg"
    "command/README.md"
);
/// The folders of the template that are for some kinds only.
const FOLDERS: [&str; 4] = ["program/", "given/", "c-abi/", "command/"];
/// What the tool, a repository and CI need in addition.
const REST: Files = embed!(
    ".gitignore"
    ".github/dependabot.yml"
    ".github/workflows/ci.yml"
);
const SMOKE_TEST: Files = embed!("scripts/smoke.py");
const MIT: &str = include_str!("../template/licences/MIT");
const APACHE: &str = include_str!("../template/licences/Apache-2.0");
const CC0: &str = include_str!("../../../LICENSE");

/// Each SPDX expression that `--license` takes, with its files.
const LICENCES: [(&str, Files); 4] = [
    ("MIT", &[("LICENSE", MIT)]),
    ("Apache-2.0", &[("LICENSE", APACHE)]),
    (
        "MIT OR Apache-2.0",
        &[("LICENSE-APACHE", APACHE), ("LICENSE-MIT", MIT)],
    ),
    ("CC0-1.0", &[("LICENSE", CC0)]),
];

/// What a project is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A library whose functions are declared by `export!`
    Gate,
    /// A Rust library that exports C functions itself, with a header that you write
    CAbi,
    /// A library that any command builds, in C for example, with a header that you write
    Command,
    /// A program, as ruff and uv are
    Program,
}

/// The names of a project.
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    /// What an index calls it.
    pub distribution: String,
    /// What a program imports, and what C symbols begin with.
    pub module: String,
    /// cargo's package.
    pub krate: String,
}

/// What a module or a crate cannot be called: keywords of Python and Rust, C's where they are in
/// neither, and what cargo and this pipeline use themselves.
const TAKEN: &str = "
    False None True and as assert async await break class continue def del elif else except exec
    finally for from global if import in is lambda nonlocal not or pass print raise return try
    while with yield
    abstract become box const crate do dyn enum extern final fn gen impl let loop macro match mod
    move mut override priv pub ref self static struct super trait true false type typeof union
    unsafe unsized use virtual where
    auto bool case char default double float goto inline int long register short signed sizeof
    switch unsigned void volatile namespace template this
    alloc core proc_macro std test build cffi lib setup setuptools pip wheel rust python ffi
";

/// Modules of Python's standard library that the newest Python has no more, and older ones have.
const OLD_MODULES: &str = "
    aifc anydbm asynchat asyncore audioop BaseHTTPServer Bastion bsddb cgi cgitb chunk commands
    cookielib crypt distutils dircache dl exceptions fpformat future_builtins hotshot htmllib
    httplib ihooks imageop imghdr imp imputil mailcap md5 mhlib mimetools mimify msilib multifile
    mutex new nis nntplib os2emxpath ossaudiodev parser pipes popen2 posixfile rexec rfc822
    robotparser sets sgmllib sha smtpd sndhdr spwd statvfs string stringold sunau telnetlib
    thread toaiff urllib2 urlparse user uu whichdb xdrlib
";

/// The names that follow from the one that the author gives.
///
/// `modules`: those of the standard library.
pub fn names(given: &str, modules: &[&str]) -> Result<Names> {
    // https://packaging.python.org/en/latest/specifications/name-normalization/
    let edge = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| edge(c) || matches!(c, '.' | '_' | '-');
    ensure!(
        given.chars().all(inner) && given.starts_with(edge) && given.ends_with(edge),
        "{given:?} cannot be a project's name: PyPI takes ASCII letters, digits, `.`, `_` and `-`, \
         with a letter or digit at both ends"
    );
    let module = name::in_files(given);
    ensure!(
        module.starts_with(|c: char| c.is_ascii_lowercase()),
        "{given:?} cannot be a project's name: its Python package and its crate would be called \
         {module}, and must begin with a letter"
    );
    ensure!(
        module.len() <= 64,
        "{given:?} cannot be a project's name: crates.io takes 64 letters, and this has {}",
        module.len()
    );
    let taken = |words: &str| {
        words
            .split_whitespace()
            .any(|word| word.eq_ignore_ascii_case(&module))
    };
    ensure!(
        !taken(TAKEN),
        "{given:?} cannot be a project's name: {module} is a word of Python, Rust or C, or a name \
         that the build uses itself"
    );
    ensure!(
        !taken(OLD_MODULES) && !modules.contains(&module.as_str()),
        "{given:?} cannot be a project's name: Python has a module {module} itself"
    );
    Ok(Names {
        distribution: given.to_owned(),
        krate: module.replace('_', "-"),
        module,
    })
}

/// What else the files depend on.
pub struct About<'a> {
    pub kind: Kind,
    pub names: &'a Names,
    /// One of those in [`licences`].
    pub licence: &'a str,
    pub holder: &'a str,
    pub year: &'a str,
    /// The kit's version.
    pub kit: &'a str,
    /// The crate's folder, relative to the project's.
    pub crate_folder: &'a str,
}

/// The files of CI: written once, and then the author's.
pub fn of_ci() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    REST.iter().filter(|(name, _)| name.starts_with(".github/"))
}

/// The SPDX expressions for which there is a text.
pub fn licences() -> impl Iterator<Item = &'static str> {
    LICENCES.iter().map(|(expression, _)| *expression)
}

/// The author's files, by their paths relative to the project. `whole`: also those for the tool.
pub fn files(about: &About, whole: bool) -> Result<BTreeMap<String, String>> {
    let Some((_, licences)) = LICENCES.iter().find(|(name, _)| *name == about.licence) else {
        let known: Vec<&str> = self::licences().collect();
        bail!(
            "there is no text for the licence {:?}: choose one of {}, and replace it afterwards",
            about.licence,
            known.join(", ")
        );
    };
    let names: Vec<&str> = licences.iter().map(|(name, _)| *name).collect();
    let rest = if whole { REST } else { &[] };
    let (of_kind, shared, test): (Files, Files, Files) = match about.kind {
        Kind::Gate => (LIBRARY, &[], SMOKE_TEST),
        Kind::CAbi => (C_ABI, GIVEN, GIVEN_TEST),
        Kind::Command => (COMMAND, GIVEN, GIVEN_TEST),
        Kind::Program => (PROGRAM, &[], &[]), // `--version` is enough of one
    };
    let test = if whole { test } else { &[] };
    let lock = if about.kind == Kind::Command {
        &[]
    } else {
        LOCK
    };
    let mut found = BTreeMap::new();
    for (name, text) in [of_kind, lock, shared, rest, test].into_iter().flatten() {
        let in_folder = FOLDERS.iter().find_map(|folder| name.strip_prefix(folder));
        let name = about.filled(in_folder.unwrap_or(name));
        let text = about.filled(text).replace(
            "license_files = LICENSE",
            &format!("license_files = {}", names.join(", ")),
        );
        let name = match name.strip_prefix("rust/") {
            Some(rest) if about.kind == Kind::Command => format!("c/{rest}"),
            Some(rest) => format!("{}/{rest}", about.crate_folder),
            None => name,
        };
        found.insert(name, text);
    }
    for (name, text) in licences.iter() {
        let text = text.replace("YEAR HOLDER", &format!("{} {}", about.year, about.holder));
        found.insert((*name).to_owned(), text);
    }
    Ok(found)
}

impl About<'_> {
    /// A text of the template with the project's names, which may contain the template's.
    fn filled(&self, text: &str) -> String {
        let capitals = self.names.module.to_uppercase();
        let names = [
            ("fast-thing-crate", self.names.krate.as_str()),
            ("fast-thing", &self.names.distribution),
            ("fast_thing", &self.names.module),
            ("FAST_THING", &capitals),
            ("SPDX", self.licence),
            ("KIT", self.kit),
        ];
        let mut filled = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let (taken, put) = names
                .into_iter()
                .find(|(name, _)| rest.starts_with(name))
                .unwrap_or((&rest[..next.len_utf8()], &rest[..next.len_utf8()]));
            filled += put;
            rest = &rest[taken.len()..];
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_one() {
        let names = |given| names(given, &["json"]).map(|it| (it.module, it.krate));
        let pair = |module: &str, krate: &str| (module.to_owned(), krate.to_owned());
        assert_eq!(
            names("Fast.Thing-2").unwrap(),
            pair("fast_thing_2", "fast-thing-2")
        );
        assert_eq!(names("x").unwrap(), pair("x", "x"));
        for (given, words) in [
            ("", "PyPI takes"),
            ("-x", "PyPI takes"),
            ("a b", "PyPI takes"),
            ("na\u{ef}ve", "PyPI takes"),
            ("../x", "PyPI takes"),
            ("2fast", "begin with a letter"),
            ("class", "a word of"),
            ("Match", "a word of"),
            ("proc-macro", "a word of"),
            ("cffi", "the build uses"),
            ("json", "Python has a module"),
            ("Distutils", "Python has a module"),
            (&"x".repeat(65), "64"),
        ] {
            let error = names(given).unwrap_err().to_string();
            assert!(error.contains(words), "{given}: {error}");
        }
    }

    #[test]
    fn a_name_may_contain_that_of_the_template() {
        let names = names("Fast-Thing.fast-thing", &[]).unwrap();
        let about = About {
            kind: Kind::Gate,
            names: &names,
            licence: "MIT",
            holder: "Somebody",
            year: "2001",
            kit: "1.2.3",
            crate_folder: "rust",
        };
        let text = about.filled("fast-thing-crate fast-thing fast_thing_x \u{e4}");
        let expected = "fast-thing-fast-thing Fast-Thing.fast-thing fast_thing_fast_thing_x \u{e4}";
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_of_the_template_is_left() {
        let names = names("D.9-x", &[]).unwrap();
        let kinds = [Kind::Gate, Kind::CAbi, Kind::Command, Kind::Program];
        for (licence, kind) in licences().flat_map(|it| kinds.map(|kind| (it, kind))) {
            let about = About {
                kind,
                names: &names,
                licence,
                holder: "Somebody",
                year: "2001",
                kit: "1.2.3",
                crate_folder: "native",
            };
            let files = files(&about, true).unwrap();
            let main = match kind {
                Kind::Gate | Kind::CAbi => "native/src/lib.rs",
                Kind::Command => "c/d_9_x.c",
                Kind::Program => "native/src/main.rs",
            };
            assert!(files.contains_key(main) && files.contains_key("python/d_9_x/__init__.py"));
            for (name, text) in files {
                for word in [
                    "fast-thing",
                    "fast_thing",
                    "FAST_THING",
                    "SPDX",
                    "YEAR HOLDER",
                    "KIT",
                ] {
                    assert!(
                        !text.contains(word) && !name.contains(word),
                        "{name}: {word}"
                    );
                }
            }
        }
    }
}
