//! The members of a zip file, as a wheel is one.
//!
//! The format is read here rather than by a library: libraries resolve silently what a judge
//! must notice, duplicate names, headers that disagree, bytes between members.

use std::ops::Range;

use anyhow::{bail, ensure, Context, Result};
use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::bounds;

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

impl Archive {
    fn ambiguous(&mut self, member: Option<&str>, text: String) {
        let member = member.map(str::to_owned);
        self.troubles.push((member, Trouble::Ambiguous(text)));
    }

    fn differs(&mut self, member: &str, what: &str) {
        let text = format!("its local header and the directory have different {what}");
        self.ambiguous(Some(member), text);
    }

    /// Says where members overlap, and where bytes before the directory at `start` are none's.
    fn add_gaps(
        &mut self,
        mut spans: Vec<(Range<usize>, String)>,
        start: usize,
        all_are_known: bool,
    ) {
        spans.sort_by_key(|(span, _)| (span.start, span.end));
        let mut reached = 0;
        for (span, name) in &spans {
            if span.start < reached {
                self.ambiguous(Some(name), "it overlaps with another member".into());
            } else if span.start > reached && all_are_known {
                let gap = span.start - reached;
                self.ambiguous(
                    Some(name),
                    format!("{gap} bytes before it belong to no member"),
                );
            }
            reached = reached.max(span.end);
        }
        if reached < start && all_are_known {
            let gap = start - reached;
            self.ambiguous(
                None,
                format!("{gap} bytes before the directory belong to no member"),
            );
        }
    }
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

/// Where the directory is, and of how many members.
struct Directory {
    start: usize,
    stop: usize,
    count: u64,
    /// What stands behind it.
    troubles: Vec<&'static str>,
}

fn directory(data: &[u8]) -> Result<Directory> {
    // The comment behind it is of 64 KiB at most.
    let tail = data.len().saturating_sub(22 + 0xffff);
    let end = memchr::memmem::rfind_iter(&data[tail..], DIRECTORY_END)
        .map(|at| tail + at)
        .find(|at| {
            u16_at(data, at + 20).is_ok_and(|comment| at + 22 + usize::from(comment) == data.len())
        })
        .context("it has no zip directory at its end: it is cut short, or not a zip file")?;
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
    let mut troubles = Vec::new();
    if start + size != directory_end as u64 {
        troubles.push("there are bytes behind the directory");
    }
    if directory_end + 22 != data.len() && locator.is_none() {
        troubles.push("it ends with a comment");
    }
    Ok(Directory {
        start: start as usize,
        stop: (start + size) as usize,
        count,
        troubles,
    })
}

/// The zip file's directory. An error where there is none to be read.
pub fn open(data: &[u8]) -> Result<Archive> {
    let directory = directory(data)?;
    let mut archive = Archive {
        members: Vec::new(),
        troubles: Vec::new(),
    };
    for trouble in directory.troubles {
        archive.ambiguous(None, trouble.to_owned());
    }
    let mut spans = Vec::new();
    let (mut at, stop) = (directory.start, directory.stop);
    for _ in 0..directory.count {
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
        let found = Central::read(data, at, name, extra)
            .and_then(|entry| member(data, directory.start, &entry, &mut archive));
        match found {
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
    // A member that cannot be read has a place all the same, which nobody knows.
    let all_are_known = spans.len() as u64 == directory.count;
    archive.add_gaps(spans, directory.start, all_are_known);
    Ok(archive)
}

/// What the directory says of a member.
struct Central<'a> {
    name: &'a [u8],
    made_by: u16,
    flags: u16,
    method: u16,
    time: u16,
    date: u16,
    crc: u32,
    packed: u64,
    size: u64,
    attributes: u32,
    /// Where the member is.
    local: u64,
}

impl<'a> Central<'a> {
    fn read(data: &[u8], at: usize, name: &'a [u8], extra: &[u8]) -> Result<Central<'a>> {
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
        Ok(Central {
            name,
            made_by,
            flags,
            method,
            time,
            date,
            crc,
            packed,
            size,
            attributes,
            local,
        })
    }

    fn kind(&self) -> Kind {
        match self.attributes >> 16 & 0o170_000 {
            _ if self.name.ends_with(b"/") => Kind::Folder,
            _ if self.made_by != UNIX => Kind::File,
            0 | 0o100_000 => Kind::File,
            0o120_000 => Kind::Link,
            _ => Kind::Other,
        }
    }

    fn modified(&self) -> [u32; 6] {
        let (date, time) = (u32::from(self.date), u32::from(self.time));
        [
            1980 + (date >> 9),
            date >> 5 & 15,
            date & 31,
            time >> 11,
            time >> 5 & 63,
            2 * (time & 31),
        ]
    }

    /// What the member's own header, at `local` with a name up to `name_end`, says otherwise.
    fn differences(&self, data: &[u8], local: usize, name_end: usize) -> Result<Vec<&'static str>> {
        let mut found = Vec::new();
        if data.get(local + 30..name_end) != Some(self.name) {
            found.push("names");
        }
        if u16_at(data, local + 6)? != self.flags || u16_at(data, local + 8)? != self.method {
            found.push("methods");
        }
        let [crc, packed, size] = [14, 18, 22].map(|field| u32_at(data, local + field));
        let (crc, packed, size) = (crc?, packed?, size?);
        let described = self.flags & HAS_DESCRIPTOR != 0;
        let agrees = |local: u32, central: u64| {
            u64::from(local) == central || local == u32::MAX || (described && local == 0)
        };
        if !agrees(packed, self.packed) || !agrees(size, self.size) {
            found.push("sizes");
        }
        if crc != self.crc && !(described && crc == 0) {
            found.push("checksums");
        }
        Ok(found)
    }
}

/// A member, and what of the file is its own.
fn member(
    data: &[u8],
    directory: usize,
    entry: &Central,
    archive: &mut Archive,
) -> Result<(Member, Range<usize>)> {
    let Central {
        name,
        flags,
        method,
        crc,
        packed,
        size,
        ..
    } = *entry;
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
    let local = usize::try_from(entry.local)?;
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

    for what in entry.differences(data, local, name_end)? {
        archive.differs(text, what);
    }
    // A descriptor repeats checksum and sizes behind the data, with a mark or without.
    let mut own_end = end;
    if flags & HAS_DESCRIPTOR != 0 {
        let mark = data[end..directory].starts_with(b"PK\x07\x08");
        let wide = data
            .get(name_end..begin)
            .is_some_and(|extra| extra.starts_with(&ZIP64.to_le_bytes()));
        own_end += if mark { 4 } else { 0 } + if wide { 20 } else { 12 };
        ensure!(own_end <= directory, "its descriptor is cut short");
        if u32_at(data, end + if mark { 4 } else { 0 })? != crc {
            archive.differs(text, "checksums");
        }
    }
    let mode = entry.attributes >> 16;
    let member = Member {
        name: text.to_owned(),
        kind: entry.kind(),
        mode: (entry.made_by == UNIX && mode != 0).then_some(mode & 0o7777),
        modified: entry.modified(),
        encrypted: flags & ENCRYPTED != 0,
        size,
        data: begin..end,
        stored: method == 0,
        crc,
    };
    Ok((member, local..own_end))
}
