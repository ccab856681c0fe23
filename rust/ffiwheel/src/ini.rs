//! Reads setup.cfg as Python's RawConfigParser does, which setup.py and setuptools use.
//!
//! Crates for INI files read other dialects. `configparser`, the nearest, takes an indented line
//! for a section, knows no [DEFAULT], and accepts files that Python refuses.

use std::collections::BTreeMap;

use anyhow::{bail, ensure, Context, Result};

/// The section whose options every other one has.
const DEFAULT: &str = "DEFAULT";

/// The options of each section, in lower case, with their values.
#[derive(Debug, Default)]
pub struct Ini(Sections);

type Sections = BTreeMap<String, BTreeMap<String, String>>;

impl Ini {
    /// Follows `_read` in https://github.com/python/cpython/blob/3.13/Lib/configparser.py
    pub fn parse(text: &str) -> Result<Ini> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut sections: BTreeMap<&str, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
        let mut section = None;
        let mut option: Option<String> = None;
        let mut indent = 0;
        for (line, number) in text.split('\n').zip(1..) {
            let value = line.trim();
            let place = || format!("line {number} is {value:?}");
            let open = section.and_then(|it| sections.get_mut(it)?.get_mut(option.as_ref()?));
            let is_comment = value.starts_with(['#', ';']);
            if is_comment || value.is_empty() {
                if let (Some(lines), false) = (open, is_comment) {
                    lines.push("");
                }
                continue;
            }
            let depth = line.chars().take_while(|c| c.is_whitespace()).count();
            match open {
                Some(lines) if depth > indent => {
                    lines.push(value);
                    continue;
                }
                _ => indent = depth,
            }
            let header = value.strip_prefix('[').and_then(|it| it.rsplit_once(']'));
            if let Some((name, _)) = header.filter(|(name, _)| !name.is_empty()) {
                let is_new = !sections.contains_key(name) || name == DEFAULT;
                ensure!(is_new, "{}, for the second time", place());
                sections.entry(name).or_default();
                (section, option) = (Some(name), None);
                continue;
            }
            let options = section.and_then(|it| sections.get_mut(it));
            let options = options.with_context(|| {
                let place = place();
                format!("File contains no section headers: {place}; write [metadata] above it")
            })?;
            let Some((name, value)) = value.split_once(['=', ':']) else {
                bail!("{}, which has no `=`", place());
            };
            let name = name.trim_end().to_lowercase();
            ensure!(!name.is_empty(), "{}, without a name", place());
            let is_new = options.insert(name.clone(), vec![value.trim()]).is_none();
            ensure!(is_new, "{}, but {name} has a value already", place());
            option = Some(name);
        }
        let defaults = joined(sections.remove(DEFAULT).unwrap_or_default());
        let sections = sections.into_iter().map(|(name, options)| {
            let mut all = defaults.clone();
            all.extend(joined(options));
            (name.to_owned(), all)
        });
        Ok(Ini(sections.collect()))
    }

    pub fn has(&self, section: &str) -> bool {
        self.0.contains_key(section)
    }

    /// A value, without white space around it; "" where there is none.
    pub fn get(&self, section: &str, option: &str) -> &str {
        let value = self.0.get(section).and_then(|options| options.get(option));
        value.map_or("", |value| value.trim())
    }
}

fn joined(options: BTreeMap<String, Vec<&str>>) -> BTreeMap<String, String> {
    let options = options.into_iter();
    options
        .map(|(name, lines)| (name, lines.join("\n").trim_end().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests in Python ask RawConfigParser about the same texts.
    #[test]
    fn texts_are_read_as_python_reads_them() {
        let cases: Vec<(String, Option<Sections>)> =
            serde_json::from_str(include_str!("../tests/fixtures/setup_cfg.json")).unwrap();
        for (text, expected) in cases {
            let found = Ini::parse(&text).map(|ini| ini.0);
            assert_eq!(
                found.as_ref().ok(),
                expected.as_ref(),
                "{text:?}: {found:?}"
            );
        }
    }

    #[test]
    fn an_error_says_which_line() {
        let said = |text| Ini::parse(text).unwrap_err().to_string();
        assert_eq!(
            said("\nname = a\n"),
            "File contains no section headers: line 2 is \"name = a\"; write [metadata] above it"
        );
        assert_eq!(said("[a]\n[a]\n"), "line 2 is \"[a]\", for the second time");
    }

    #[test]
    fn a_value_has_no_white_space_around_it() {
        let ini = Ini::parse("[options]\npackages =\n  a\n").unwrap();
        assert_eq!(ini.get("options", "packages"), "a");
        assert_eq!(ini.get("options", "other"), "");
        assert!(ini.has("options") && !ini.has("metadata"));
    }
}
