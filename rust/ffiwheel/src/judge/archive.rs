//! What holds for the members of any archive.

use std::collections::BTreeMap;

use super::{base_name, rules, Judge};
use crate::facts::bounds;
use crate::facts::zip::{Kind, Member};

/// Modes of files; 0 is said by archives that know none.
const FILE_MODES: [u32; 2] = [0o644, 0o755];

const FOLDER_MODE: u32 = 0o755;

/// setuptools and wheel give it to RECORD, which every installer writes anew.
const RECORD_MODE: u32 = 0o664;

/// What is left behind in folders, by a part of the path or by its end.
const LEFTOVERS: [&str; 10] = [
    "__pycache__",
    ".git",
    ".hg",
    ".svn",
    ".DS_Store",
    "Thumbs.db",
    ".idea",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
];

const LEFTOVER_ENDS: [&str; 6] = [".pyc", ".pyo", ".swp", ".orig", ".rej", "~"];

impl Judge<'_> {
    /// What holds for the members of any archive.
    pub(super) fn members<'m>(&mut self, members: impl Iterator<Item = &'m Member>) {
        let mut names = BTreeMap::new();
        let members: Vec<&Member> = members.collect();
        // `cargo vendor` keeps whatever its authors packed, and cargo wants all of it.
        let vendored: Vec<&str> = members
            .iter()
            .filter_map(|member| member.name.strip_suffix(".cargo-checksum.json"))
            .collect();
        for member in members {
            let name = Some(&*member.name);
            if !is_plain(member.name.strip_suffix('/').unwrap_or(&member.name)) {
                self.add(&rules::Z104, name, "its name is not a plain relative one");
            }
            let folded = member.name.trim_end_matches('/').to_lowercase();
            if let Some(other) = names.insert(folded, &member.name) {
                let text = format!("there is also {other}");
                self.add(&rules::Z105, name, text);
            }
            match member.kind {
                Kind::Link => self.add(&rules::Z106, name, "it is a link"),
                Kind::Other => self.add(&rules::Z106, name, "it is neither a file nor a folder"),
                _ => {}
            }
            if member.encrypted {
                self.add(&rules::Z109, name, "it is encrypted");
            }
            if let Some(mode) = member.mode {
                let good = match member.kind {
                    Kind::File => {
                        FILE_MODES.contains(&mode)
                            || (mode == RECORD_MODE && member.name.ends_with("/RECORD"))
                    }
                    Kind::Folder => mode == FOLDER_MODE,
                    _ => true,
                };
                // pip and uv set the modes of installed files. In other projects' files, only
                // world-writable and set-id modes do harm.
                if !good && (self.own || mode & 0o6002 != 0) {
                    self.add(&rules::Z107, name, format!("its mode is {mode:04o}"));
                }
            }
            let is_script = member.name.split_once('/').is_some_and(|(data, rest)| {
                data.ends_with(".data") && rest.starts_with("scripts/")
            });
            if is_script && member.kind == Kind::File && member.mode.is_some_and(|it| it != 0o755) {
                let text = "it is a command, and not executable for all";
                self.add(&rules::P902, name, text);
            }
            let [year, month, day, hour, minute, second] = member.modified;
            let exists = (1..=12).contains(&month)
                && (1..=31).contains(&day)
                && hour < 24
                && minute < 60
                && second < 60;
            if year < 1980 || !exists || member.modified > self.context.today {
                let text = format!("its date is {year}-{month:02}-{day:02} {hour:02}:{minute:02}");
                self.add(&rules::Z108, name, text);
            }
            if !["__pycache__", ""].contains(&base_name(&member.name)) {
                self.judged.dates.insert(member.modified);
            }
            let mut parts = member.name.split('/');
            let leftover = parts.any(|part| LEFTOVERS.contains(&part))
                || LEFTOVER_ENDS.iter().any(|end| member.name.ends_with(end));
            let kept = |folder: &&str| member.name.starts_with(folder);
            if leftover && !vendored.iter().any(kept) {
                self.add(&rules::R207, name, "it is a leftover");
            }
        }
    }

    pub(super) fn is_too_large(&mut self, sizes: impl Iterator<Item = u64>, packed: usize) -> bool {
        let (mut total, mut largest) = (0_u64, 0);
        for size in sizes {
            total = total.saturating_add(size);
            largest = size.max(largest);
        }
        let ratio = total / (packed as u64).max(1);
        let too_large = total > bounds::MOST_UNPACKED
            || largest > bounds::LARGEST_MEMBER
            || (total > bounds::RATIO_COUNTS_FROM && ratio >= bounds::HIGHEST_RATIO);
        if too_large {
            let text = format!(
                "it claims to unpack to {total} bytes from {packed}, the largest member to \
                 {largest}: it was not unpacked"
            );
            self.add(&rules::Z102, None, text);
        }
        too_large
    }
}

/// Whether a member's name leads into the folder that it is unpacked in, on every system.
pub(super) fn is_plain(name: &str) -> bool {
    let parts_are_plain = name.split('/').all(|part| !["", ".", ".."].contains(&part));
    parts_are_plain && !name.contains(['\\', ':']) && !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_are_not_plain() {
        for name in ["a", "a/b.py", "a b/é.py", "..a/b..", ".hidden"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "", "/a", "../a", "a/../b", "a//b", "./a", "a/", "C:/a", "a\\b", "a\0b", "a\nb", "..",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
