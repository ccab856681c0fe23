//! Facts of a dynamic library's or program's file: what it is for, what it needs of the
//! system that loads it, what it exports, and how it is hardened. No judgement.
//!
//! The file may be anybody's, or damaged: every number in it is checked before it is used,
//! every text and table has a bound, and no table is read that no fact is taken from.

mod elf;
mod mach;
mod pe;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{bail, Context, Result};

use crate::targets::Floor;

/// The longest name that is read. C++ has long ones.
const LONGEST_NAME: usize = 16 << 10;
/// How many entries of one table are read: needed libraries, symbol versions, exports.
const MOST_ENTRIES: usize = 1 << 16;
/// How many bytes of exported names are read in all.
const MOST_NAMES: usize = 16 << 20;
/// How many libraries, search paths and symbol versions one file may need, and how many
/// bytes their names have.
const MOST_NEEDS: usize = 1 << 12;
const MOST_NEEDED_NAMES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Elf,
    MachO,
    Pe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    Glibc,
    Musl,
    /// Android's.
    Bionic,
}

/// What a file lets an attacker do, or a strict system refuse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposure {
    ExecutableStack,
    WritableRelocations,
    LazyBinding,
    TextRelocations,
    WritableCode,
    FixedAddress,
    ExecutableData,
    LowEntropy,
    Unsigned,
    /// A program of Linux or macOS that is always loaded at one address.
    FixedProgram,
    /// Why the code signature is not valid.
    BadSignature(String),
}

/// One library or program, or one slice of a file with several.
#[derive(Debug)]
pub struct Slice {
    pub format: Format,
    /// The architecture as platform tags spell it; what the header says where they have none.
    pub arch: String,
    pub is_program: bool,
    pub libc: Option<Libc>,
    /// Whether floats are passed in registers, where ARM says so.
    pub hard_float: Option<bool>,
    /// Whether it takes thread-local memory that a process has when it starts (DF_STATIC_TLS).
    pub static_tls: bool,
    /// The newest version of glibc's symbols, or the macOS deployment target.
    pub version: Option<Floor>,
    /// The versions of symbols that it needs: GLIBC_2.17, GCC_3.0.
    pub symbol_versions: BTreeSet<String>,
    /// The symbols that it cannot be loaded without, and names no version of.
    pub unversioned: BTreeSet<String>,
    /// The libraries that the loader opens with it, and fails without.
    pub libraries: Vec<String>,
    /// By which name others link against a Mach-O library.
    pub install_name: Option<String>,
    /// Where the loader looks for libraries.
    pub search_paths: Vec<String>,
    pub exports: BTreeSet<String>,
    pub exposures: Vec<Exposure>,
    /// What the system is by the file's own word: Apple's platform, Windows' subsystem.
    pub system: Option<u32>,
}

impl Slice {
    fn new(format: Format, arch: String) -> Slice {
        Slice {
            format,
            arch,
            is_program: false,
            libc: None,
            hard_float: None,
            static_tls: false,
            version: None,
            symbol_versions: BTreeSet::new(),
            unversioned: BTreeSet::new(),
            libraries: Vec::new(),
            install_name: None,
            search_paths: Vec::new(),
            exports: BTreeSet::new(),
            exposures: Vec::new(),
            system: None,
        }
    }
}

/// A list, since a universal file has a library for each architecture.
pub fn read(path: &Path) -> Result<Vec<Slice>> {
    let data = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let slices =
        parse(&data).with_context(|| format!("cannot read {} as a library", path.display()))?;
    slices.with_context(|| format!("{} is neither ELF, nor Mach-O, nor PE", path.display()))
}

/// None for a file that no loader opens: text, an object file, a debug file.
pub fn parse(data: &[u8]) -> Result<Option<Vec<Slice>>> {
    let one = |slice: Option<Slice>| slice.map(|slice| vec![slice]);
    match data.get(..4) {
        Some(b"\x7fELF") => Ok(one(elf::read(data)?)),
        Some([0xcf | 0xce, 0xfa, 0xed, 0xfe] | [0xfe, 0xed, 0xfa, 0xcf | 0xce]) => {
            Ok(one(mach::read(data)?))
        }
        Some(b"\xca\xfe\xba\xbe") => mach::read_fat(data),
        Some([b'M', b'Z', ..]) => Ok(one(pe::read(data)?)),
        _ => Ok(None),
    }
}

/// The fingerprint of the ABI in a library's file: the digits after `<prefix>.abi=`.
pub fn fingerprint(data: &[u8], prefix: &str) -> Result<String> {
    let found = fingerprints(data, prefix);
    let mut digits = found.iter();
    match (digits.next(), digits.next()) {
        (Some(digits), None) => Ok(digits.clone()),
        _ => bail!("it holds {} ABI fingerprints, not one", found.len()),
    }
}

pub fn fingerprints(data: &[u8], prefix: &str) -> BTreeSet<String> {
    const DIGITS: usize = 16;
    let marker = format!("{prefix}.abi=");
    memchr::memmem::find_iter(data, marker.as_bytes())
        .take(MOST_ENTRIES)
        .filter_map(|at| {
            let rest = data.get(at + marker.len()..at + marker.len() + DIGITS + 1)?;
            let (digits, end) = rest.split_at(DIGITS);
            (end == b"\0" && digits.iter().all(u8::is_ascii_hexdigit))
                .then(|| String::from_utf8_lossy(digits).into_owned())
        })
        .collect()
}

/// The text after `<prefix>.layout=` in a library's file, up to NUL.
pub fn layout(data: &[u8], prefix: &str) -> Option<String> {
    let marker = format!("{prefix}.layout=");
    let at = memchr::memmem::find(data, marker.as_bytes())? + marker.len();
    let text = &data[at..at + memchr::memchr(0, &data[at..])?];
    String::from_utf8(text.to_vec()).ok()
}

/// A file's bytes, in one byte order, read within their bounds.
#[derive(Clone, Copy)]
struct Bytes<'a> {
    data: &'a [u8],
    big: bool,
}

impl<'a> Bytes<'a> {
    fn little(data: &'a [u8]) -> Bytes<'a> {
        Bytes { data, big: false }
    }

    fn at(&self, offset: u64, size: u64) -> Result<&'a [u8]> {
        let end = offset.checked_add(size).and_then(|end| end.try_into().ok());
        match (usize::try_from(offset), end) {
            (Ok(offset), Some(end)) => self.data.get(offset..end),
            _ => None,
        }
        .with_context(|| format!("it is cut short: no {size} bytes at {offset:#x}"))
    }

    fn u16(&self, offset: u64) -> Result<u16> {
        let bytes = self.at(offset, 2)?.try_into()?;
        Ok(if self.big {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn u32(&self, offset: u64) -> Result<u32> {
        let bytes = self.at(offset, 4)?.try_into()?;
        Ok(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    /// A text that ends with NUL. No longer one is read than any name is.
    fn text(&self, offset: u64) -> Result<String> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.data.get(offset..))
            .with_context(|| format!("it is cut short: no text at {offset:#x}"))?;
        let rest = &rest[..rest.len().min(LONGEST_NAME)];
        let end = memchr::memchr(0, rest)
            .with_context(|| format!("the text at {offset:#x} does not end"))?;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }
}

/// Counts what is read of the names of what a file needs: they may all be one long text.
#[derive(Default)]
struct Needs {
    count: usize,
    size: usize,
}

impl Needs {
    fn add(&mut self, name: String) -> Result<String> {
        self.count += 1;
        self.size += name.len();
        if self.count > MOST_NEEDS || self.size > MOST_NEEDED_NAMES {
            bail!("it needs too much: more than {MOST_NEEDS} names, or {MOST_NEEDED_NAMES} bytes");
        }
        Ok(name)
    }
}

/// Names, as many as a library can sensibly have.
#[derive(Default)]
struct Names {
    names: BTreeSet<String>,
    size: usize,
}

impl Names {
    fn add(&mut self, name: String) -> Result<()> {
        self.size += name.len();
        if self.size > MOST_NAMES {
            bail!("the names of its symbols are longer than {MOST_NAMES} bytes");
        }
        self.names.insert(name);
        Ok(())
    }
}

/// Which exports a linker adds to its list of exports. On macOS zig ignores the list, and exports
/// what Rust's standard library left visible. These cannot replace another library's symbols:
/// macOS looks up a symbol in the library that it was linked with.
pub fn linker_exports(format: Format) -> fn(&str) -> bool {
    match format {
        Format::MachO => |name| {
            ["__dso_handle", "_mh_dylib_header", "rust_eh_personality"].contains(&name)
                || name.ends_with("std9panicking11EMPTY_PANIC")
        },
        _ => |_| false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_sixteen_digits() {
        let digits = "0123456789abcdef";
        let text = format!("xm.abi={digits}\0m.abi={digits}\0m.abi=short\0m.abi=");
        assert_eq!(fingerprint(text.as_bytes(), "m").unwrap(), digits);
        assert!(fingerprint(b"m.abi=", "m").is_err());
    }

    #[test]
    fn what_no_loader_opens_is_no_library() {
        for data in [
            &b""[..],
            b"#!/bin/sh",
            b"MZ and no more",
            b"\xca\xfe\xba\xbe\0\0\0\x41",
        ] {
            assert!(parse(data).unwrap().is_none());
        }
        for data in [
            &b"\x7fELF"[..],
            b"\xcf\xfa\xed\xfe",
            b"\xca\xfe\xba\xbe\0\0\0\x02",
        ] {
            assert!(parse(data).is_err());
        }
    }
}
