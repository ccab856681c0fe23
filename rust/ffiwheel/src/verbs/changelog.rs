//! The changelog: its sections, what it says of a version, and the date of one.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{bail, ensure, Context, Result};

use crate::facts::sdist;

const UNRELEASED: &str = "Unreleased";

/// The date in UTC, as 2026-01-31.
pub fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let [year, month, day, ..] = sdist::date(now.map_or(0, |time| time.as_secs()));
    format!("{year}-{month:02}-{day:02}")
}

/// The sections of a changelog: the first word of the heading, its line, and the text below,
/// which is empty where it says nothing.
fn sections(text: &str) -> Vec<(&str, &str, &str)> {
    let marks = text.match_indices("## ").map(|(at, _)| at);
    let starts: Vec<usize> = marks
        .filter(|at| text[..*at].is_empty() || text[..*at].ends_with('\n'))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let sections = starts.iter().zip(ends).map(|(start, end)| {
        let section = &text[*start..end];
        let (heading, notes) = section.split_once('\n').unwrap_or((section, ""));
        let word = heading[3..].split_whitespace().next().unwrap_or_default();
        let says = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
        (
            word.trim_matches(['[', ']']),
            heading.trim_end(),
            if notes.lines().any(says) {
                notes.trim()
            } else {
                ""
            },
        )
    });
    sections.collect()
}

/// What the changelog says of a version.
pub fn notes<'a>(changelog: &'a str, version: &str) -> Result<&'a str> {
    let found = sections(changelog);
    let (_, heading, notes) = found
        .iter()
        .find(|(word, ..)| *word == version)
        .with_context(|| format!("CHANGELOG.md has no section `## {version}`"))?;
    ensure!(!notes.is_empty(), "CHANGELOG.md has nothing in `{heading}`");
    Ok(notes)
}

/// The changelog with what is unreleased as that of a version.
pub fn dated(changelog: &str, version: &str, today: &str) -> Result<String> {
    let found = sections(changelog);
    let unreleased = found
        .iter()
        .find(|(word, ..)| word.eq_ignore_ascii_case(UNRELEASED));
    match unreleased {
        // A second run of the verb, or the first version of all.
        None if notes(changelog, version).is_ok() => Ok(changelog.to_owned()),
        None => {
            bail!("CHANGELOG.md has no section `## {UNRELEASED}`: add one that lists what changed")
        }
        Some((_, heading, "")) => {
            bail!("CHANGELOG.md has nothing in `{heading}`: list there what changed")
        }
        Some(_) if found.iter().any(|(word, ..)| *word == version) => {
            bail!("CHANGELOG.md already has a section `## {version}`: merge `## {UNRELEASED}` into it, or choose another version")
        }
        Some((_, heading, _)) => {
            let start = heading.as_ptr() as usize - changelog.as_ptr() as usize;
            let mut text = changelog.to_owned();
            let range = start..start + heading.len();
            text.replace_range(range, &format!("## {version} - {today}"));
            Ok(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\n## [Unreleased]\n\n- New.\n\n### Fixed\n- Old.\n\n\
                             ## 1.1.0 - 2026-01-31\n## 1.0.0\nFirst.\n";

    #[test]
    fn a_changelog_has_sections() {
        let words: Vec<&str> = sections(CHANGELOG).iter().map(|it| it.0).collect();
        assert_eq!(words, ["Unreleased", "1.1.0", "1.0.0"]);
        assert_eq!(notes(CHANGELOG, "1.0.0").unwrap(), "First.");
        let error = |version| notes(CHANGELOG, version).unwrap_err().to_string();
        assert!(error("1.1.0").contains("nothing in `## 1.1.0 - 2026-01-31`"));
        assert!(error("1.1").contains("no section `## 1.1`"));
        // Subheadings say nothing.
        let bare = "## 1.0.0\n\n### Added\n\n### Fixed\n";
        assert!(notes(bare, "1.0.0").is_err());
        assert_eq!(sections("").len(), 0);
        assert_eq!(sections("## 1.0.0")[0], ("1.0.0", "## 1.0.0", ""));
    }

    #[test]
    fn what_is_unreleased_becomes_a_version() {
        let text = dated(CHANGELOG, "1.2.0", "2026-02-28").unwrap();
        assert_eq!(
            notes(&text, "1.2.0").unwrap(),
            "- New.\n\n### Fixed\n- Old."
        );
        assert_eq!(
            text.replace("1.2.0 - 2026-02-28", "[Unreleased]"),
            CHANGELOG
        );
        // Once more.
        assert_eq!(dated(&text, "1.2.0", "2026-03-01").unwrap(), text);
        let windows = dated("## Unreleased\r\n- New.\r\n", "1.2.0", "2026-02-28").unwrap();
        assert_eq!(windows, "## 1.2.0 - 2026-02-28\r\n- New.\r\n");
        let error = |text: &str, version| dated(text, version, "").unwrap_err().to_string();
        assert!(error(&text, "1.3.0").contains("no section `## Unreleased`"));
        assert!(error("## Unreleased\n\n## 1.0.0\nA.\n", "1.1.0").contains("nothing in"));
        assert!(error(CHANGELOG, "1.0.0").contains("already"));
    }
}
