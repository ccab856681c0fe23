//! Facts of a wheel: what its name says, what is in its archive, what its metadata says. No
//! judgement, and nothing is written to disk.
//!
//! The zip format is read here rather than by a library: libraries resolve silently what a
//! judge must notice, duplicate names, headers that disagree, bytes between members.

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{bail, ensure, Context, Result};
use data_encoding::BASE64URL_NOPAD;
use flate2::{Crc, Decompress, FlushDecompress, Status};

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

/// One entry of an archive.
#[derive(Debug)]
pub struct Member {
    pub name: String,
    pub kind: Kind,
    /// Permission bits; None in archives that know none.
    pub mode: Option<u32>,
    /// Year, month, day, hour, minute, second.
    pub modified: [u32; 6],
    pub encrypted: bool,
    pub size: u64,
    /// What of the archive it is packed in.
    data: Range<usize>,
    stored: bool,
    crc: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link,
    Other,
}

impl Member {
    pub fn new(name: String, kind: Kind, mode: Option<u32>, modified: [u32; 6]) -> Member {
        Member {
            name,
            kind,
            mode,
            modified,
            encrypted: false,
            size: 0,
            data: 0..0,
            stored: true,
            crc: 0,
        }
    }

    /// The contents, which end where they claim to, or an error.
    pub fn unpack<'a>(&self, archive: &'a [u8], buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let packed = &archive[self.data.clone()];
        let size = usize::try_from(self.size)?;
        let contents = if self.stored {
            ensure!(
                packed.len() == size,
                "its sizes differ, and it is not packed"
            );
            packed
        } else {
            buffer.clear();
            // One byte more than it claims: a second attempt tells whether there is more.
            buffer.try_reserve_exact(size + 1)?;
            let mut inflate = Decompress::new(false);
            let status = inflate.decompress_vec(packed, buffer, FlushDecompress::Finish);
            match status.context("its data is damaged")? {
                Status::StreamEnd => {}
                _ if buffer.len() > size => bail!("it is larger than the {size} bytes it claims"),
                _ => bail!("its data is cut short"),
            }
            ensure!(
                buffer.len() == size && inflate.total_in() == packed.len() as u64,
                "it has {} bytes of {} packed ones, and claims {size} of {}",
                buffer.len(),
                inflate.total_in(),
                packed.len()
            );
            buffer
        };
        let mut crc = Crc::new();
        crc.update(contents);
        ensure!(crc.sum() == self.crc, "its checksum is wrong");
        Ok(contents)
    }
}

/// What is wrong with the archive itself.
#[derive(Debug)]
pub enum Trouble {
    Damaged(String),
    /// It can be read in more than one way.
    Ambiguous(String),
}

pub struct Archive {
    pub members: Vec<Member>,
    /// With the name of the member, where it is one's.
    pub troubles: Vec<(Option<String>, Trouble)>,
}

fn u16_at(data: &[u8], at: usize) -> Result<u16> {
    let bytes = at.checked_add(2).and_then(|end| data.get(at..end));
    Ok(u16::from_le_bytes(
        bytes.context("it is cut short")?.try_into()?,
    ))
}

fn u32_at(data: &[u8], at: usize) -> Result<u32> {
    let bytes = at.checked_add(4).and_then(|end| data.get(at..end));
    Ok(u32::from_le_bytes(
        bytes.context("it is cut short")?.try_into()?,
    ))
}

fn u64_at(data: &[u8], at: usize) -> Result<u64> {
    let bytes = at.checked_add(8).and_then(|end| data.get(at..end));
    Ok(u64::from_le_bytes(
        bytes.context("it is cut short")?.try_into()?,
    ))
}

const DIRECTORY_END: &[u8] = b"PK\x05\x06";
const DIRECTORY_END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const ZIP64: u16 = 1;
const HAS_DESCRIPTOR: u16 = 8;
const ENCRYPTED: u16 = 1 | 1 << 6;
const UNIX: u16 = 3;
/// Deflate's best: 258 bytes from two bits, nearly.
const BEST_RATIO: u64 = 1032;

/// The zip file's directory. An error where there is none to be read.
pub fn open(data: &[u8]) -> Result<Archive> {
    // The comment behind it is of 64 KiB at most.
    let tail = data.len().saturating_sub(22 + 0xffff);
    let end = memchr::memmem::rfind_iter(&data[tail..], DIRECTORY_END)
        .map(|at| tail + at)
        .find(|at| {
            u16_at(data, at + 20).is_ok_and(|comment| at + 22 + usize::from(comment) == data.len())
        })
        .context("it has no zip directory at its end: it is cut short, or no zip file")?;
    let mut count = u64::from(u16_at(data, end + 10)?);
    let mut size = u64::from(u32_at(data, end + 12)?);
    let mut start = u64::from(u32_at(data, end + 16)?);
    let mut directory_end = end;
    let locator = end
        .checked_sub(20)
        .filter(|at| data[*at..].starts_with(LOCATOR_64));
    if let (Some(locator), true) = (
        locator,
        count == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff,
    ) {
        let at = usize::try_from(u64_at(data, locator + 8)?)?;
        ensure!(
            data.get(at..)
                .is_some_and(|rest| rest.starts_with(DIRECTORY_END_64))
                && at + 56 == locator,
            "its zip64 directory is not where it says"
        );
        count = u64_at(data, at + 32)?;
        size = u64_at(data, at + 40)?;
        start = u64_at(data, at + 48)?;
        directory_end = at;
    }
    ensure!(
        start
            .checked_add(size)
            .is_some_and(|sum| sum <= directory_end as u64),
        "its directory of {size} bytes is not where it says, at {start}"
    );
    ensure!(
        count <= size / 46,
        "{count} members do not fit into a directory of {size} bytes"
    );
    ensure!(
        count <= bounds::MOST_MEMBERS as u64,
        "it has {count} members: more than {} are not read",
        bounds::MOST_MEMBERS
    );
    let mut archive = Archive {
        members: Vec::new(),
        troubles: Vec::new(),
    };
    if start + size != directory_end as u64 {
        archive.ambiguous(None, "there are bytes behind the directory".into());
    }
    if directory_end + 22 != data.len() && locator.is_none() {
        archive.ambiguous(None, "it ends with a comment".into());
    }
    let mut spans = Vec::new();
    let mut at = start as usize;
    let stop = (start + size) as usize;
    for _ in 0..count {
        ensure!(
            at + 46 <= stop && data[at..].starts_with(CENTRAL),
            "its directory is damaged at {at}"
        );
        let lengths = [28, 30, 32].map(|field| u16_at(data, at + field));
        let [name, extra, comment] = lengths;
        let (name, extra, comment) = (name? as usize, extra? as usize, comment? as usize);
        let next = at + 46 + name + extra + comment;
        ensure!(next <= stop, "its directory is damaged at {at}");
        let name = &data[at + 46..at + 46 + name];
        let extra = &data[at + 46 + name.len()..at + 46 + name.len() + extra];
        match member(data, start as usize, at, name, extra, &mut archive) {
            Ok((member, span)) => {
                spans.push((span, member.name.clone()));
                archive.members.push(member);
            }
            Err(error) => {
                let name = String::from_utf8_lossy(name).into_owned();
                let trouble = Trouble::Damaged(format!("{error:#}"));
                archive.troubles.push((Some(name), trouble));
            }
        }
        at = next;
    }
    if at != stop {
        archive.ambiguous(None, "its directory is longer than its members".into());
    }
    spans.sort_by_key(|(span, _)| (span.start, span.end));
    let mut reached = 0;
    // A member that cannot be read has a place all the same, which nobody knows.
    let all_are_known = spans.len() as u64 == count;
    for (span, name) in &spans {
        if span.start < reached {
            archive.ambiguous(Some(name), "it overlaps with another member".into());
        } else if span.start > reached && all_are_known {
            let gap = span.start - reached;
            archive.ambiguous(
                Some(name),
                format!("{gap} bytes before it belong to no member"),
            );
        }
        reached = reached.max(span.end);
    }
    if reached < start as usize && all_are_known {
        let gap = start as usize - reached;
        archive.ambiguous(
            None,
            format!("{gap} bytes before the directory belong to no member"),
        );
    }
    Ok(archive)
}

impl Archive {
    fn ambiguous(&mut self, member: Option<&str>, text: String) {
        let member = member.map(str::to_owned);
        self.troubles.push((member, Trouble::Ambiguous(text)));
    }
}

/// A member, and what of the file is its own.
fn member(
    data: &[u8],
    directory: usize,
    at: usize,
    name: &[u8],
    extra: &[u8],
    archive: &mut Archive,
) -> Result<(Member, Range<usize>)> {
    let made_by = u16_at(data, at + 4)? >> 8;
    let flags = u16_at(data, at + 8)?;
    let method = u16_at(data, at + 10)?;
    let (time, date) = (u16_at(data, at + 12)?, u16_at(data, at + 14)?);
    let crc = u32_at(data, at + 16)?;
    let mut packed = u64::from(u32_at(data, at + 20)?);
    let mut size = u64::from(u32_at(data, at + 24)?);
    let attributes = u32_at(data, at + 38)?;
    let mut local = u64::from(u32_at(data, at + 42)?);
    let mut rest = extra;
    while rest.len() >= 4 {
        let (kind, length) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
        let mut field = rest
            .get(4..4 + length)
            .context("its extra fields are damaged")?;
        rest = &rest[4 + length..];
        if kind == ZIP64 {
            for value in [&mut size, &mut packed, &mut local] {
                if *value == 0xffff_ffff {
                    *value = u64_at(field, 0)?;
                    field = &field[8..];
                }
            }
        }
    }
    let Ok(text) = std::str::from_utf8(name) else {
        bail!("its name is not UTF-8");
    };
    ensure!(
        matches!(method, 0 | 8),
        "it is packed by method {method}: installers know 0 and 8"
    );
    ensure!(
        size <= packed.saturating_mul(BEST_RATIO) && (method == 8 || size == packed),
        "it claims {size} bytes of {packed} packed ones"
    );
    let local = usize::try_from(local)?;
    ensure!(
        local < directory && data[local..].starts_with(LOCAL),
        "there is no member at {local}, where the directory says"
    );
    let name_end = local + 30 + usize::from(u16_at(data, local + 26)?);
    let begin = name_end + usize::from(u16_at(data, local + 28)?);
    let end = usize::try_from(packed)
        .ok()
        .and_then(|packed| begin.checked_add(packed))
        .filter(|end| *end <= directory)
        .context("its data goes on into the directory")?;

    let mut differs = |what: &str| {
        let text = format!("its local header and the directory have different {what}");
        archive.ambiguous(Some(&String::from_utf8_lossy(name)), text);
    };
    if data.get(local + 30..name_end) != Some(name) {
        differs("names");
    }
    if u16_at(data, local + 6)? != flags || u16_at(data, local + 8)? != method {
        differs("methods");
    }
    let [local_crc, local_packed, local_size] =
        [14, 18, 22].map(|field| u32_at(data, local + field));
    let (local_crc, local_packed, local_size) = (local_crc?, local_packed?, local_size?);
    let described = flags & HAS_DESCRIPTOR != 0;
    let agrees = |local: u32, central: u64| {
        u64::from(local) == central || local == u32::MAX || (described && local == 0)
    };
    if !agrees(local_packed, packed) || !agrees(local_size, size) {
        differs("sizes");
    }
    if local_crc != crc && !(described && local_crc == 0) {
        differs("checksums");
    }
    // A descriptor repeats checksum and sizes behind the data, with a mark or without.
    let mut own_end = end;
    if described {
        let mark = data[end..directory].starts_with(b"PK\x07\x08");
        let wide = data
            .get(name_end..begin)
            .is_some_and(|extra| extra.starts_with(&ZIP64.to_le_bytes()));
        own_end += if mark { 4 } else { 0 } + if wide { 20 } else { 12 };
        ensure!(own_end <= directory, "its descriptor is cut short");
        if u32_at(data, end + if mark { 4 } else { 0 })? != crc {
            differs("checksums");
        }
    }
    let mode = attributes >> 16;
    let kind = match mode & 0o170_000 {
        _ if text.ends_with('/') => Kind::Folder,
        _ if made_by != UNIX => Kind::File,
        0 | 0o100_000 => Kind::File,
        0o120_000 => Kind::Link,
        _ => Kind::Other,
    };
    let (date, time) = (u32::from(date), u32::from(time));
    let member = Member {
        name: text.to_owned(),
        kind,
        mode: (made_by == UNIX && mode != 0).then_some(mode & 0o7777),
        modified: [
            1980 + (date >> 9),
            date >> 5 & 15,
            date & 31,
            time >> 11,
            time >> 5 & 63,
            2 * (time & 31),
        ],
        encrypted: flags & ENCRYPTED != 0,
        size,
        data: begin..end,
        stored: method == 0,
        crc,
    };
    Ok((member, local..own_end))
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

/// Names and versions for comparison: PEP 503.
pub fn normalised(name: &str) -> String {
    let mut normal = String::new();
    for c in name.chars() {
        if matches!(c, '-' | '_' | '.') {
            if !normal.ends_with('-') {
                normal.push('-');
            }
        } else {
            normal.extend(c.to_lowercase());
        }
    }
    normal
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
    fn names_are_compared_normalised() {
        assert_eq!(normalised("Hello.-_World"), "hello-world");
    }

    #[test]
    fn a_record_is_a_table() {
        let entries = record(b"\"a,b.py\",sha256=x,1\nc,,\n").unwrap();
        assert_eq!((&*entries[0].name, &*entries[1].size), ("a,b.py", ""));
        assert!(record(b"a,b\n").is_err());
    }
}
