//! Files: read, written whole or not at all, compared by digest; folders for one run.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const SCRATCH: &str = "scratch-";

/// A folder below another, for as long as the value lives. No two runs share one, so commands of
/// a killed run that still write do no harm.
pub fn scratch(folder: &Path) -> Result<TempDir> {
    fs::create_dir_all(folder)
        .and_then(|()| tempfile::Builder::new().prefix(SCRATCH).tempdir_in(folder))
        .with_context(|| format!("cannot write to {}", folder.display()))
}

/// Removes what killed runs left; what cannot be removed now is removed next time.
pub fn remove_scratch(build: &Path) {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries(build).flat_map(|entry| entries(&entry.path())) {
        if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes the whole file or nothing.
pub fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    let folder = path.parent().expect("a file has a folder");
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(contents.as_ref())?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            file.as_file()
                .set_permissions(fs::Permissions::from_mode(0o644))?;
        }
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file, a folder with all that is in it, or a link and not what it leads to; nothing
/// where there is none.
pub fn remove(path: &Path) -> Result<()> {
    let outcome = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    outcome.with_context(|| format!("cannot remove {}", path.display()))
}

/// A digest of files by name and content, for "did anything change?".
#[derive(Default)]
pub struct Inputs(Sha256);

impl Inputs {
    pub fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    /// A file, or every file below a folder.
    pub fn path(&mut self, path: &Path) -> Result<()> {
        if !path.is_dir() {
            self.text(&sha256(path)?);
            return Ok(());
        }
        let mut names = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names.iter().filter(|name| *name != "__pycache__") {
            self.text(&name.to_string_lossy());
            self.path(&path.join(name))?;
        }
        Ok(())
    }

    pub fn digest(self) -> String {
        hex(&self.0.finalize())
    }
}

pub fn sha256(path: &Path) -> Result<String> {
    let contents = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex(&Sha256::digest(contents)))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
