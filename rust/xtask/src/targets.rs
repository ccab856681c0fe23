//! The table of targets: read, validate, select.

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;

use crate::project::{read, Project};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub triple: String,
    /// The platform tags of the wheel, in the order of its file name.
    pub tags: Vec<String>,
    /// The oldest glibc that the library may need.
    pub glibc: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    target: Vec<Target>,
}

impl Target {
    /// The tag that says the floor.
    pub fn tag(&self) -> &str {
        self.tags.last().expect("load() refuses a row without tags")
    }
}

pub fn load(project: &Project) -> Result<Vec<Target>> {
    let path = project.root.join("ci/targets.toml");
    let table: Table =
        toml::from_str(&read(&path)?).with_context(|| format!("{}", path.display()))?;
    for target in &table.target {
        ensure!(
            !target.tags.is_empty(),
            "{}: {} has no tags",
            path.display(),
            target.triple
        );
    }
    Ok(table.target)
}

/// The rows that the words name, without repetition; the host's row for no word.
pub fn select(table: &[Target], words: &[String], host: &str) -> Result<Vec<Target>> {
    let names: Vec<&str> = words
        .iter()
        .flat_map(|word| word.split([',', ' ']))
        .filter(|name| !name.is_empty())
        .collect();
    let names = if names.is_empty() { vec![host] } else { names };
    let mut selected: Vec<Target> = Vec::new();
    let mut unknown = Vec::new();
    for name in names {
        let name = if name == "host" { host } else { name };
        match table.iter().find(|target| target.triple == name) {
            None => unknown.push(name),
            Some(target) if selected.iter().any(|other| other.triple == target.triple) => {}
            Some(target) => selected.push(target.clone()),
        }
    }
    if !unknown.is_empty() {
        let known: Vec<&str> = table.iter().map(|target| &*target.triple).collect();
        bail!(
            "no such target: {}; ci/targets.toml has: {}",
            unknown.join(", "),
            known.join(", ")
        );
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Target> {
        ["one", "two"]
            .map(|triple| Target {
                triple: triple.into(),
                tags: vec!["tag".into()],
                glibc: "2.17".into(),
            })
            .into()
    }

    fn selected(words: &[&str]) -> Result<Vec<String>> {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        Ok(select(&table(), &words, "two")?
            .into_iter()
            .map(|target| target.triple)
            .collect())
    }

    #[test]
    fn words_are_split_and_not_repeated() {
        assert_eq!(selected(&[]).unwrap(), ["two"]);
        assert_eq!(selected(&["one,two one"]).unwrap(), ["one", "two"]);
        assert_eq!(selected(&["host", "one"]).unwrap(), ["two", "one"]);
    }

    #[test]
    fn every_unknown_name_is_told() {
        let error = selected(&["three,one", "four"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "no such target: three, four; ci/targets.toml has: one, two"
        );
    }
}
