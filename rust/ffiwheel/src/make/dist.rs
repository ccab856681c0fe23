//! What is in dist/, and files on their way there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};

use crate::files;
use crate::name;
use crate::project::Project;
use crate::run;
use crate::targets::Target;

/// Checks the metadata of wheels or the sdist as PyPI does.
pub fn check_metadata<'a>(
    project: &Project,
    files: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<()> {
    let mut command = project.command(project.tool("twine")?)?;
    command.args(["check", "--strict"]).args(files);
    run::run(&mut command, &project.build("sdist").join("log"))
}

/// Puts a copy into dist/ under its name.
pub fn publish(project: &Project, file: &Path) -> Result<PathBuf> {
    let path = project.dist().join(file.file_name().unwrap());
    let contents = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    files::write(&path, contents)?;
    Ok(path)
}

/// Removes this project's files for which `which` is true from dist/.
pub fn remove_published(project: &Project, which: impl Fn(&str) -> bool) -> Result<()> {
    let Ok(entries) = fs::read_dir(project.dist()) else {
        return Ok(());
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let (stem, _) = name.split_once('-').unwrap_or_default();
        if stem == name::in_files(&project.distribution) && which(&name) {
            fs::remove_file(project.dist().join(name))?;
        }
    }
    Ok(())
}

/// The wheel in a folder, which has the name that the table says.
pub fn wheel_of(project: &Project, target: &Target, folder: &Path) -> Result<PathBuf> {
    let wheel = only(folder, ".whl")?;
    let expected = target.wheel_name(project);
    ensure!(
        wheel.file_name() == Some(expected.as_ref()),
        "the repaired wheel is {}, but by ci/targets.toml it must be {expected}",
        project.relative(&wheel)
    );
    Ok(wheel)
}

pub fn kilobytes(path: &Path) -> Result<String> {
    Ok(format!("{} kB", fs::metadata(path)?.len().div_ceil(1000)))
}

pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The one file in a folder whose name ends so.
pub fn only(folder: &Path, end: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        count => bail!(
            "{} contains {count} files *{end} instead of one",
            folder.display()
        ),
    }
}
