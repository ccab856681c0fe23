//! The files that the program brings, so that it needs no checkout: what a project that says
//! nothing else uses, and the Python programs that it runs.
//!
//! The lists are written out, which needs no crate that reads folders at compile time, and puts
//! no stray file of a folder into the program; a test compares them with the folders.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::files::{sha256, Inputs};

pub const TARGETS: &str = include_str!("../../../ci/targets.toml");
pub const IMAGES: &str = include_str!("../../../docker/images.toml");

/// (name, contents) of files in a folder.
macro_rules! embed {
    ($folder:literal: $($name:literal)*) => {
        &[$(($name, include_str!(concat!($folder, $name)))),*]
    };
}

type Files = &'static [(&'static str, &'static str)];

/// What must be files for the programs that read them: Python, a container engine, pip.
const HELPERS: Files = embed!("../":
    "helpers/auditwheel_for.py"
    "helpers/c_header.py"
    "helpers/delocate_wheel.py"
    "helpers/ffi_module.py"
    "helpers/index.py"
    "helpers/interpreters.py"
    "helpers/platforms.py"
    "helpers/process.py"
    "helpers/project.py"
    "helpers/publish.py"
    "helpers/rehearse.py"
    "helpers/reproduce.py"
    "helpers/roots.py"
    "helpers/run_wheel.py"
    "helpers/runners/__init__.py"
    "helpers/runners/checks.py"
    "helpers/runners/debian.py"
    "helpers/runners/emulator.py"
    "helpers/runners/host.py"
    "helpers/runners/linux.py"
    "helpers/runners/machine.py"
    "helpers/runners/musl.py"
    "helpers/runners/protocol.py"
    "helpers/runners/wine.py"
    "helpers/set_platforms.py"
    "helpers/smoke_gate.py"
    "helpers/smoke_program.py"
    "helpers/test_scenarios.py"
    "helpers/testing.py"
    "helpers/verify_release.py"
);
const DEFAULTS: Files = embed!("../../../":
    "ci/cibuildwheel.toml"
    "ci/requirements.txt"
    "docker/.dockerignore"
    "docker/Dockerfile"
    "docker/install-rust.sh"
);

/// The text of one of them.
pub fn text(name: &str) -> &'static str {
    files()
        .find(|(it, _)| *it == name)
        .expect("it is in the list")
        .1
}

fn files() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    HELPERS.iter().chain(DEFAULTS)
}

/// The folder below a project's build folder with these files. It is written, whole or not at
/// all, if it is missing or was changed; those of other versions go.
pub fn unpacked(build: &Path) -> Result<PathBuf> {
    // One thread at a time; other processes wait for the project's lock.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let mut contents = Inputs::default();
    for (name, text) in files() {
        contents.text(name);
        contents.text(text);
    }
    let folder = build.join(format!("{PREFIX}{}", &contents.digest()[..12]));
    if !is_whole(&folder) {
        write(build, &folder).with_context(|| format!("cannot write {}", folder.display()))?;
    }
    Ok(folder)
}

const PREFIX: &str = "tool-";

fn is_whole(folder: &Path) -> bool {
    files().all(|(name, text)| {
        fs::read(folder.join(name)).is_ok_and(|contents| contents == text.as_bytes())
    })
}

fn write(build: &Path, folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(build)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let new = tempfile::Builder::new().prefix(PREFIX).tempdir_in(build)?;
    for (name, text) in files() {
        let path = new.path().join(name);
        fs::create_dir_all(path.parent().expect("it has a folder"))?;
        fs::write(path, text)?;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(new.path(), fs::Permissions::from_mode(0o755))?;
    }
    fs::rename(new.path(), folder)
}

/// A digest of the running program: of its code and of all these files.
pub fn program() -> Result<String> {
    // It names the file that runs even after another was compiled in its place.
    let linux = Path::new("/proc/self/exe");
    match linux.exists() {
        true => sha256(linux),
        false => sha256(&env::current_exe()?),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    #[test]
    fn the_lists_are_the_folders() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.join("../..");
        let mut found = BTreeSet::new();
        for (root, folder) in [
            (here, "helpers"),
            (here, "helpers/runners"),
            (&root, "ci"),
            (&root, "docker"),
        ] {
            for entry in fs::read_dir(root.join(folder)).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
                if entry.file_type().unwrap().is_file() {
                    found.insert(name);
                }
            }
        }
        let mut listed: BTreeSet<String> = files().map(|(name, _)| name.to_string()).collect();
        let elsewhere = [
            "ci/Cross.toml",     // for cross by hand
            "ci/local.mk",       // this repository's own
            "ci/platforms.toml", // in facts/platform.rs
            "ci/requirements.in",
            "ci/targets.toml",
            "docker/images.toml",
        ];
        listed.extend(elsewhere.map(String::from));
        assert_eq!(listed, found);
    }

    #[test]
    fn a_folder_is_written_once_and_again_when_it_was_changed() {
        let build = tempfile::tempdir().unwrap();
        let other = build.path().join("tool-of-another-version");
        fs::create_dir(&other).unwrap();
        let folders: BTreeSet<PathBuf> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| unpacked(build.path()).unwrap()))
                .collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        let folder = folders.first().unwrap();
        assert!(folders.len() == 1 && is_whole(folder) && !other.exists());

        let kept = folder.join("kept");
        fs::write(&kept, "").unwrap();
        assert!(unpacked(build.path()).unwrap() == *folder && kept.exists());
        fs::write(folder.join("helpers/index.py"), "").unwrap();
        assert!(unpacked(build.path()).unwrap() == *folder && is_whole(folder));
        assert!(!kept.exists() && fs::read_dir(build.path()).unwrap().count() == 1);
    }
}
