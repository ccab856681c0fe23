//! Facts of a wheel: what its name says, and what its metadata says.

use std::collections::BTreeSet;

use anyhow::{ensure, Result};
use data_encoding::BASE64URL_NOPAD;

use super::bounds;

/// name-version[-build]-python-abi-platform.whl
#[derive(Debug)]
pub struct Name {
    pub project: String,
    pub version: String,
    pub build: Option<String>,
    pub pythons: Vec<String>,
    pub abis: Vec<String>,
    pub platforms: Vec<String>,
}

impl Name {
    pub fn parse(file_name: &str) -> Option<Name> {
        let words: Vec<&str> = file_name.strip_suffix(".whl")?.split('-').collect();
        let (build, rest) = match words.len() {
            5 => (None, &words[2..]),
            6 => (Some(words[2].to_owned()), &words[3..]),
            _ => return None,
        };
        let plain = |word: &&str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+!".contains(&byte);
            !word.is_empty() && word.bytes().all(known)
        };
        let numbered = build
            .as_ref()
            .is_none_or(|build| build.starts_with(|first: char| first.is_ascii_digit()));
        if !words.iter().all(plain) || !numbered {
            return None;
        }
        let split = |word: &str| word.split('.').map(str::to_owned).collect::<Vec<_>>();
        let name = Name {
            project: words[0].to_owned(),
            version: words[1].to_owned(),
            build,
            pythons: split(rest[0]),
            abis: split(rest[1]),
            platforms: split(rest[2]),
        };
        let tags = [&name.pythons, &name.abis, &name.platforms];
        let empty = tags.into_iter().flatten().any(|tag| tag.is_empty());
        (!empty).then_some(name)
    }

    /// The tags, one for each combination.
    pub fn tags(&self) -> BTreeSet<String> {
        let mut tags = BTreeSet::new();
        for python in &self.pythons {
            for abi in &self.abis {
                for platform in &self.platforms {
                    tags.insert(format!("{python}-{abi}-{platform}"));
                }
            }
        }
        tags
    }
}

/// The headers of METADATA, PKG-INFO and WHEEL.
#[derive(Default)]
pub struct Headers(Vec<(String, String)>);

/// Of more, the rest is not looked at.
const MOST_HEADERS: usize = 1 << 16;

impl Headers {
    pub fn parse(text: &str) -> Headers {
        let mut headers: Vec<(String, String)> = Vec::new();
        let lines = text.lines().take_while(|line| !line.is_empty());
        for line in lines.take(MOST_HEADERS) {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push('\n');
                    value.push_str(line);
                }
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
        }
        Headers(headers)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    pub fn first<'a>(&'a self, name: &'a str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }
}

/// A line of RECORD.
pub struct Entry {
    pub name: String,
    pub hash: String,
    pub size: String,
}

pub fn record(text: &[u8]) -> Result<Vec<Entry>> {
    let lines = memchr::memchr_iter(b'\n', text).count();
    ensure!(
        lines <= bounds::MOST_MEMBERS,
        "it has {lines} lines: more than {} are not read",
        bounds::MOST_MEMBERS
    );
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text);
    let mut entries = Vec::new();
    for row in reader.records() {
        let row = row?;
        ensure!(
            row.len() == 3,
            "line {} has {} columns",
            row.position().map_or(0, csv::Position::line),
            row.len()
        );
        entries.push(Entry {
            name: row[0].to_owned(),
            hash: row[1].to_owned(),
            size: row[2].to_owned(),
        });
    }
    Ok(entries)
}

/// A SHA-256 as RECORD writes it.
pub fn recorded(sha256: &[u8]) -> String {
    format!("sha256={}", BASE64URL_NOPAD.encode(sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_taken_apart() {
        let name = Name::parse("a_b-1.0-2x-py2.py3-none-win32.whl").unwrap();
        assert_eq!(name.build.as_deref(), Some("2x"));
        let tags: Vec<String> = name.tags().into_iter().collect();
        assert_eq!(tags, ["py2-none-win32", "py3-none-win32"]);
        for bad in [
            "a-1-py3-none.whl",
            "a-1-x-py3-none-any.whl",
            "a-1-py3--any.whl",
            "a-1-py3.-none-any.whl",
            "a b-1-py3-none-any.whl",
            "a-1-py3-none-any.zip",
        ] {
            assert!(Name::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn headers_end_at_the_first_empty_line() {
        let headers = Headers::parse("A: 1\nb:2\n more\nA: 3\n\nA: 4\n");
        assert_eq!(headers.all("a").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(headers.first("b"), "2\n more");
        assert_eq!(headers.first("c"), "");
    }

    #[test]
    fn a_record_is_a_table() {
        let entries = record(b"\"a,b.py\",sha256=x,1\nc,,\n").unwrap();
        assert_eq!((&*entries[0].name, &*entries[1].size), ("a,b.py", ""));
        assert!(record(b"a,b\n").is_err());
    }
}
