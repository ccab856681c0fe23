//! Replaces a project's kit by this program's.

use std::fs;
use std::path::PathBuf;

use anyhow::{bail, ensure, Context, Result};

use super::header;
use crate::files::{read, write};
use crate::kit::{self, State};
use crate::pin;
use crate::project::{Project, SETTINGS};
use crate::run::{git, run_here};
use crate::say::say;
use crate::template;

#[derive(clap::Args)]
pub struct Options {
    /// A file of the kit to replace although it was edited
    #[arg(long, value_name = "FILE")]
    force: Vec<String>,
    /// Also write the workflows and ci/requirements.txt anew, which are the author's
    #[arg(long)]
    workflows: bool,
}

/// Replaces the kit's files, all or none, and generates anew what is generated.
pub fn run(project: &Project, options: &Options) -> Result<()> {
    let all = kit::of(project);
    for name in &options.force {
        ensure!(
            all.iter().any(|file| file.name == *name),
            "{name} is not a file of the kit: those are {}",
            all.iter()
                .map(|file| file.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    kit::ensure_not_newer(project)?;
    let mut changes: Vec<(PathBuf, String)> = Vec::new();
    let mut edited = Vec::new();
    for (file, state) in kit::drift(project)? {
        if state == State::Foreign && !options.force.contains(&file.name) {
            edited.push(file);
        } else {
            changes.push((project.root.join(&file.name), file.contents.to_owned()));
        }
    }
    if !edited.is_empty() {
        for file in &edited {
            show_difference(project, &file.name, file.contents)?;
        }
        let names: Vec<String> = edited
            .iter()
            .map(|file| format!("--force {}", file.name))
            .collect();
        bail!(
            "nothing was written: the files above were edited, and a kit is changed by settings, \
             which `python setup.py build_library --help` in python/ lists. To lose what was edited: \
             ffiwheel update {}",
            names.join(" ")
        );
    }
    let settings = project.root.join(SETTINGS);
    let text = read(&settings)?;
    let with_version = set_version(&text)?;
    if with_version != text {
        changes.push((settings, with_version));
    }
    let author = authors_files(project)?;
    if options.workflows {
        changes.extend(
            author
                .iter()
                .map(|(name, text)| (project.root.join(name), text.clone())),
        );
    }
    let written = write_all(changes)?;
    for (path, before) in &written {
        let word = if before.is_some() { "changed" } else { "wrote" };
        say!("{word} {}", project.relative(path));
    }
    if !options.workflows {
        for (name, text) in &author {
            say!("yours, and left alone: {name} (`--workflows` writes it as below)");
            show_difference(project, name, text)?;
        }
    }
    if written.is_empty() {
        say!("the kit is that of ffiwheel {} already", kit::VERSION);
    } else if project.program.is_none() {
        header::run(project, &header::Options::default())?;
    }
    Ok(())
}

/// setup.cfg with this kit's version, whose line is the only one that changes.
fn set_version(text: &str) -> Result<String> {
    let mut section = "";
    let mut lines: Vec<String> = Vec::new();
    let mut found = false;
    for line in text.lines() {
        if line.starts_with('[') {
            section = line.trim();
        }
        let is_it = section == "[build_library]"
            && line
                .split_once('=')
                .is_some_and(|(option, _)| option.trim() == "kit");
        found |= is_it;
        lines.push(if is_it {
            format!("kit = {}", kit::VERSION)
        } else {
            line.to_owned()
        });
    }
    if !found {
        let line = format!("kit = {}", kit::VERSION);
        match lines
            .iter()
            .position(|line| line.trim() == "[build_library]")
        {
            Some(at) => lines.insert(at + 1, line),
            None => lines.extend([String::new(), "[build_library]".to_owned(), line]),
        }
    }
    Ok(lines.join("\n") + "\n")
}

/// The files that are written once and then the author's, which would be written otherwise now.
fn authors_files(project: &Project) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut texts: Vec<(String, String)> = template::of_ci()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    if project.root.join("ci/requirements.txt").is_file() && uses_the_wheel(project)? {
        texts.push(("ci/requirements.txt".to_owned(), pin::requirements()?));
    }
    for (name, text) in texts {
        let path = project.root.join(&name);
        if path.is_file() && read(&path)? != text {
            found.push((name, text));
        }
    }
    Ok(found)
}

/// Whether the project's requirements name this program, and not only what it calls.
fn uses_the_wheel(project: &Project) -> Result<bool> {
    let text = read(&project.root.join("ci/requirements.txt"))?;
    Ok(text.lines().any(|line| line.starts_with("ffiwheel==")))
}

/// Writes all of the files or, if one cannot be written, none. Each with what it was before.
fn write_all(changes: Vec<(PathBuf, String)>) -> Result<Vec<(PathBuf, Option<Vec<u8>>)>> {
    let mut before = Vec::new();
    for (path, text) in changes {
        let old = fs::read(&path).ok();
        let outcome = write(&path, text);
        before.push((path, old));
        if let Err(error) = outcome {
            for (path, old) in before {
                let undone = match old {
                    Some(old) => write(&path, old),
                    None if path.exists() => fs::remove_file(&path).map_err(Into::into),
                    None => Ok(()),
                };
                undone.with_context(|| format!("cannot restore {}", path.display()))?;
            }
            bail!(error.context("nothing was changed"));
        }
    }
    Ok(before)
}

/// Shows how a file would change, as `git diff` does.
fn show_difference(project: &Project, name: &str, new: &str) -> Result<()> {
    let folder = project.build("update");
    let other = folder.join(name);
    write(&other, new)?;
    let mut command = git(&project.root);
    command
        .args(["--no-pager", "diff", "--no-index", "--"])
        .arg(name)
        .arg(project.relative(&other).to_string());
    let _ = run_here(&mut command); // It exits with 1 where there is a difference.
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_change_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two, bad] = ["one", "two", "one/three"].map(|name| folder.path().join(name));
        fs::write(&one, "old").unwrap();
        let new = |path: &PathBuf| (path.clone(), "new".to_owned());
        assert!(write_all(vec![new(&one), new(&two), new(&bad)]).is_err());
        assert!(fs::read(&one).unwrap() == b"old" && !two.exists());
        assert_eq!(write_all(vec![new(&one), new(&two)]).unwrap().len(), 2);
        assert!(fs::read(&one).unwrap() == b"new" && fs::read(&two).unwrap() == b"new");
    }

    #[test]
    fn one_line_of_the_settings_changes() {
        let line = format!("kit = {}", kit::VERSION);
        for (before, after) in [
            (
                "[a]\nkit = 1\n\n[build_library]\nx = y\nkit=0.0.1\n",
                format!("[a]\nkit = 1\n\n[build_library]\nx = y\n{line}\n"),
            ),
            (
                "[build_library]\nx = y\n",
                format!("[build_library]\n{line}\nx = y\n"),
            ),
            (
                "[a]\nb = c\n",
                format!("[a]\nb = c\n\n[build_library]\n{line}\n"),
            ),
        ] {
            assert_eq!(set_version(before).unwrap(), after);
            assert_eq!(set_version(&after).unwrap(), after);
        }
    }
}
