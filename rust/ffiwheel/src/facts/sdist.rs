//! Facts of a source distribution, a .tar.gz: what is in it. Nothing is written to disk.

use std::io::Read;

use anyhow::{bail, ensure, Context, Result};
use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::bounds;
use super::zip::{Kind, Member};

/// The archive, unpacked but for its members: None when that is more than `most` bytes.
pub fn inflate(data: &[u8], most: u64) -> Result<Option<Vec<u8>>> {
    let mut tar = Vec::new();
    let read = MultiGzDecoder::new(data)
        .take(most + 1)
        .read_to_end(&mut tar);
    if tar.len() as u64 > most {
        return Ok(None);
    }
    read.context("its data is damaged, or cut short")?;
    Ok(Some(tar))
}

/// The members and their contents.
pub fn members(tar: &[u8]) -> Result<Vec<(Member, &[u8])>> {
    let mut found = Vec::new();
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries()? {
        let entry = entry.context("its directory is damaged, or cut short")?;
        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink | EntryType::Link => Kind::Link,
            EntryType::XGlobalHeader => continue, // git's note of the commit
            _ => Kind::Other, // a sparse file, too: what it holds is not what is there
        };
        let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else {
            bail!("the name of a member is not UTF-8");
        };
        let mode = header.mode()? & 0o7777;
        let modified = date(header.mtime()?);
        let mut member = Member::new(name, kind, Some(mode), modified);
        let contents = match kind {
            Kind::File => {
                member.size = entry.size();
                let begin = usize::try_from(entry.raw_file_position())?;
                usize::try_from(member.size)
                    .ok()
                    .and_then(|size| begin.checked_add(size))
                    .and_then(|end| tar.get(begin..end))
                    .with_context(|| format!("{} is cut short", member.name))?
            }
            _ => &[],
        };
        ensure!(
            found.len() < bounds::MOST_MEMBERS,
            "it has more than {} members, which are not read",
            bounds::MOST_MEMBERS
        );
        found.push((member, contents));
    }
    Ok(found)
}

/// Year, month, day, hour, minute, second in UTC of a number of seconds since 1970.
/// https://howardhinnant.github.io/date_algorithms.html#civil_from_days
pub fn date(seconds: u64) -> [u32; 6] {
    let (days, second) = (seconds / 86400 + 719_468, seconds % 86400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = match month < 10 {
        true => (400 * era + year, month + 3),
        false => (400 * era + year + 1, month - 9),
    };
    // A date that is beyond every calendar stays beyond.
    let year = year.min(u64::from(u32::MAX));
    [
        year,
        month,
        day,
        second / 3600,
        second / 60 % 60,
        second % 60,
    ]
    .map(|number| number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_dates() {
        assert_eq!(date(0), [1970, 1, 1, 0, 0, 0]);
        assert_eq!(date(951_782_399), [2000, 2, 28, 23, 59, 59]);
        assert_eq!(date(951_782_400), [2000, 2, 29, 0, 0, 0]);
        assert_eq!(date(1_700_000_001), [2023, 11, 14, 22, 13, 21]);
        assert!(date(u64::MAX)[0] > 9999);
    }
}
