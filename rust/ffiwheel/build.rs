//! Gathers the kit: the files that the program gives a library's author, as they stand in the
//! repository's own project. The folder of its package has a name that nothing else here knows.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// (path in a project, where it stands from the repository's root). `{package}` is the folder of
/// the Python package.
const KIT: [(&str, &str); 12] = [
    ("Makefile", "Makefile"),
    ("python/setup.py", "python/setup.py"),
    ("python/pyproject.toml", "python/pyproject.toml"),
    ("python/build_library.py", "python/build_library.py"),
    ("python/platform_tag.py", "python/platform_tag.py"),
    ("python/sources.py", "python/sources.py"),
    ("python/{package}/_load.py", "python/{package}/_load.py"),
    ("python/{package}/_native.py", "python/{package}/_native.py"),
    (
        "python/{package}/_program.py",
        "rust/ffiwheel/package/ffiwheel/_program.py",
    ),
    ("{crate}/src/ffi.rs", "rust/src/ffi.rs"),
    ("{crate}/src/ffi/abi.rs", "rust/src/ffi/abi.rs"),
    ("{crate}/src/ffi/gate.rs", "rust/src/ffi/gate.rs"),
];

/// What the program's own sdist holds beside the crate: setup.py finds it by these lines. In the
/// program's project the package with the loader is `kit`.
const BESIDE: [&str; 10] = [
    "cargo::rerun-if-changed=../../Makefile",
    "cargo::rerun-if-changed=../../ci",
    "cargo::rerun-if-changed=../../docker",
    "cargo::rerun-if-changed=../../python/setup.py",
    "cargo::rerun-if-changed=../../python/pyproject.toml",
    "cargo::rerun-if-changed=../../python/build_library.py",
    "cargo::rerun-if-changed=../../python/platform_tag.py",
    "cargo::rerun-if-changed=../../python/sources.py",
    "cargo::rerun-if-changed=../../python/kit",
    "cargo::rerun-if-changed=../src",
];

/// What setup.py would leave out: hidden files, unless a source includes them.
const _: [&[u8]; 4] = [
    include_bytes!("../../docker/.dockerignore"),
    include_bytes!("template/.github/dependabot.yml"),
    include_bytes!("template/.github/workflows/ci.yml"),
    include_bytes!("template/.gitignore"),
];

/// The folder of the one package below `python` that has a loader.
fn package(python: &Path) -> PathBuf {
    let entries = fs::read_dir(python).expect("the repository has a folder `python`");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.join("_load.py").is_file())
        .collect();
    assert_eq!(found.len(), 1, "packages with a loader: {found:?}");
    found.remove(0)
}

fn main() {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    let root = here.join("../..");
    let package = package(&root.join("python"));
    let package = package.file_name().unwrap().to_str().unwrap();
    for line in BESIDE {
        let (_, path) = line.split_once('=').unwrap();
        if here.join(path).exists() {
            println!("{line}");
        }
    }
    let mut text = String::from("&[\n");
    for (name, from) in KIT {
        let path = root.join(from.replace("{package}", package));
        let path = path.to_str().expect("the folder's path is UTF-8");
        println!("cargo::rerun-if-changed={path}");
        writeln!(text, "    ({name:?}, include_str!({path:?})),").unwrap();
    }
    text += "]\n";
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    fs::write(out.join("kit.rs"), text).unwrap();
}
