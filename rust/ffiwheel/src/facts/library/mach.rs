//! Mach-O: Apple's <mach-o/loader.h>, <mach-o/fat.h> and, for signatures, <kern/cs_blobs.h>

use anyhow::{bail, ensure, Context, Result};
use goblin::container::Endian;
use goblin::mach::constants::cputype::{CPU_TYPE_ARM64, CPU_TYPE_X86, CPU_TYPE_X86_64};
use goblin::mach::header::{MH_ALLOW_STACK_EXECUTION, MH_BUNDLE, MH_DYLIB, MH_EXECUTE, MH_PIE};
use goblin::mach::load_command::{CommandVariant, LoadCommand, PLATFORM_MACOS};
use sha2::{Digest, Sha256};

use super::{Bytes, Exposure, Format, Names, Needs, Slice, MOST_ENTRIES};
use crate::targets::Floor;

const MACHINES: [(u32, &str); 3] = [
    (CPU_TYPE_X86_64, "x86_64"),
    (CPU_TYPE_ARM64, "arm64"),
    (CPU_TYPE_X86, "i386"),
];
const MOST_SLICES: u32 = 16;
const VM_PROT_WRITE: u32 = 2;
const VM_PROT_EXECUTE: u32 = 4;

/// None for what only begins like a universal file: a Java class has its version where
/// this has the number of slices, and it is higher.
pub fn read_fat(data: &[u8]) -> Result<Option<Vec<Slice>>> {
    let bytes = Bytes { data, big: true };
    let count = bytes.u32(4)?;
    if count == 0 || count > MOST_SLICES {
        return Ok(None);
    }
    let mut slices = Vec::new();
    let mut total = 0;
    for index in 0..u64::from(count) {
        let at = 8 + 20 * index;
        let part = bytes.at(bytes.u32(at + 8)?.into(), bytes.u32(at + 12)?.into())?;
        total += part.len();
        ensure!(total <= data.len(), "its slices overlap");
        if let Some(slice) = read(part).with_context(|| format!("slice {index}"))? {
            let cpu = bytes.u32(at)?;
            let named = MACHINES.iter().find(|row| row.0 == cpu);
            ensure!(
                named.is_none_or(|row| row.1 == slice.arch),
                "slice {index} is said to be for the CPU {cpu:#x}, and is for {}",
                slice.arch
            );
            slices.push(slice);
        }
    }
    Ok((!slices.is_empty()).then_some(slices))
}

/// What the load commands say, beside what goes into the slice.
#[derive(Default)]
struct Commands {
    needs: Needs,
    /// Offset and size.
    signature: Option<(u64, u64)>,
    exports: Option<(u32, u32)>,
    linkedit_end: u64,
}

pub fn read(data: &[u8]) -> Result<Option<Slice>> {
    let big = data.first() == Some(&0xfe);
    let bytes = Bytes { data, big };
    let magic = bytes.u32(0)?;
    let header = match magic {
        0xfeed_facf => 32,
        0xfeed_face => 28,
        _ => bail!("its Mach-O header is damaged"),
    };
    let cpu = bytes.u32(4)?;
    let kind = bytes.u32(12)?;
    let count = bytes.u32(16)?;
    let end = header + u64::from(bytes.u32(20)?);
    bytes.at(0, end)?;
    if ![MH_DYLIB, MH_BUNDLE, MH_EXECUTE].contains(&kind) {
        return Ok(None);
    }
    let arch = match MACHINES.iter().find(|row| row.0 == cpu) {
        Some((_, arch)) => arch.to_string(),
        None => format!("Mach-O CPU {cpu:#x}"),
    };
    let mut slice = Slice::new(Format::MachO, arch);
    slice.is_program = kind == MH_EXECUTE;
    if slice.is_program && bytes.u32(24)? & MH_PIE == 0 {
        slice.exposures.push(Exposure::FixedProgram);
    }
    if bytes.u32(24)? & MH_ALLOW_STACK_EXECUTION != 0 {
        slice.exposures.push(Exposure::ExecutableStack);
    }
    ensure!(
        count as usize <= MOST_ENTRIES,
        "it has {count} load commands"
    );
    let mut commands = Commands::default();
    let mut at = header;
    for _ in 0..count {
        let size = u64::from(bytes.u32(at + 4)?);
        ensure!(
            size >= 8 && at + size <= end,
            "its load commands are damaged"
        );
        add_command(&mut slice, &mut commands, &bytes, bytes.at(at, size)?)?;
        at += size;
    }
    if let Some((offset, size)) = commands.exports {
        slice.exports = exports(bytes.at(offset.into(), size.into())?)?;
    }
    match commands.signature {
        Some(_) if slice.arch == "i386" => {}
        Some((offset, size)) => {
            if let Err(error) = check_signature(&bytes, offset, size, commands.linkedit_end) {
                let reason = format!("{error:#}");
                slice.exposures.push(Exposure::BadSignature(reason));
            }
        }
        // Older processors run what is not signed.
        None if slice.arch == "arm64" => slice.exposures.push(Exposure::Unsigned),
        None => {}
    }
    slice.exposures.sort();
    slice.exposures.dedup();
    Ok(Some(slice))
}

fn add_command(
    slice: &mut Slice,
    commands: &mut Commands,
    file: &Bytes,
    data: &[u8],
) -> Result<()> {
    let part = Bytes {
        data,
        big: file.big,
    };
    let order = match file.big {
        true => Endian::Big,
        false => Endian::Little,
    };
    let mut segment = |name: &[u8], start: u64, length: u64, protection: u32| {
        file.at(start, length)?;
        if name.starts_with(b"__LINKEDIT\0") {
            commands.linkedit_end = start + length;
        }
        let both = VM_PROT_WRITE | VM_PROT_EXECUTE;
        if protection & both == both {
            slice.exposures.push(Exposure::WritableCode);
        }
        anyhow::Ok(())
    };
    match LoadCommand::parse(data, &mut 0, order)?.command {
        CommandVariant::Segment64(it) => {
            segment(&it.segname, it.fileoff, it.filesize, it.initprot)?
        }
        CommandVariant::Segment32(it) => segment(
            &it.segname,
            it.fileoff.into(),
            it.filesize.into(),
            it.initprot,
        )?,
        CommandVariant::IdDylib(it) => slice.install_name = Some(part.text(it.dylib.name.into())?),
        // The loader goes on without a weak one.
        CommandVariant::LoadDylib(it)
        | CommandVariant::ReexportDylib(it)
        | CommandVariant::LazyLoadDylib(it)
        | CommandVariant::LoadUpwardDylib(it) => {
            let name = part.text(it.dylib.name.into())?;
            slice.libraries.push(commands.needs.add(name)?)
        }
        CommandVariant::Rpath(it) => {
            let path = part.text(it.path.into())?;
            slice.search_paths.push(commands.needs.add(path)?)
        }
        CommandVariant::BuildVersion(it) => {
            slice.system = Some(it.platform);
            slice.version = Some(version(it.minos));
        }
        CommandVariant::VersionMinMacosx(it) => {
            slice.system = Some(PLATFORM_MACOS);
            slice.version = Some(version(it.version));
        }
        CommandVariant::CodeSignature(it) => {
            commands.signature = Some((u64::from(it.dataoff), u64::from(it.datasize)))
        }
        CommandVariant::DyldInfo(it) | CommandVariant::DyldInfoOnly(it) => {
            commands.exports = Some((it.export_off, it.export_size))
        }
        CommandVariant::DyldExportsTrie(it) => commands.exports = Some((it.dataoff, it.datasize)),
        _ => {}
    }
    Ok(())
}

/// xxxx.yy.zz in nibbles
fn version(number: u32) -> Floor {
    Floor(number >> 16, number >> 8 & 0xff)
}

/// The names in the tree of exports, without C's underscore.
fn exports(tree: &[u8]) -> Result<std::collections::BTreeSet<String>> {
    let mut found = Names::default();
    // Every node has a place of its own: a tree of more nodes than bytes has a circle.
    let mut left = tree.len().min(4 * MOST_ENTRIES);
    // What waits, and how long its names are: many may begin with one long one.
    let mut nodes = vec![(0_usize, String::new())];
    let mut waiting = 0;
    if tree.is_empty() {
        nodes.clear();
    }
    while let Some((at, name)) = nodes.pop() {
        left = left.checked_sub(1).context("its exports go in a circle")?;
        waiting -= name.len();
        let mut at = at;
        let size = uleb(tree, &mut at)?;
        if size > 0 {
            found.add(name.strip_prefix('_').unwrap_or(&name).to_owned())?;
        }
        at = usize::try_from(size)
            .ok()
            .and_then(|size| at.checked_add(size))
            .context("its exports are damaged")?;
        let children = *tree.get(at).context("its exports are cut short")?;
        at += 1;
        for _ in 0..children {
            let rest = tree.get(at..).context("its exports are cut short")?;
            let rest = &rest[..rest.len().min(super::LONGEST_NAME)];
            let end = memchr::memchr(0, rest).context("an export has no end")?;
            let child = name.clone() + &String::from_utf8_lossy(&rest[..end]);
            waiting += child.len();
            ensure!(
                child.len() <= super::LONGEST_NAME && waiting <= super::MOST_NAMES,
                "its exports have no end"
            );
            at += end + 1;
            let node = uleb(tree, &mut at)?;
            ensure!(nodes.len() < MOST_ENTRIES, "it has too many exports");
            nodes.push((node.try_into()?, child));
        }
    }
    Ok(found.names)
}

fn uleb(data: &[u8], at: &mut usize) -> Result<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = *data.get(*at).context("its exports are cut short")?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("its exports are damaged")
}

const EMBEDDED_SIGNATURE: u32 = 0xfade_0cc0;
const CODE_DIRECTORY: u32 = 0xfade_0c02;
const CODE_DIRECTORY_SLOT: u32 = 0;
/// From here on: further directories, the certificates.
const FIRST_UNHASHED_SLOT: u32 = 0x1000;
/// The kind of hash, and how long it is.
const SHA256: [u8; 2] = [32, 2];

/// Whether the hash of every page, and of every part of the signature itself, is right.
/// Who signed is not looked at: ad hoc is enough for a library.
fn check_signature(file: &Bytes, offset: u64, size: u64, linkedit_end: u64) -> Result<()> {
    let end = offset.saturating_add(size);
    ensure!(
        end == linkedit_end && end == file.data.len() as u64,
        "it is not the last part of the file"
    );
    let blob = Bytes {
        data: file.at(offset, size)?,
        big: true,
    };
    let length = u64::from(blob.u32(4)?);
    ensure!(
        blob.u32(0)? == EMBEDDED_SIGNATURE && length <= size,
        "its header is damaged"
    );
    let mut parts = Vec::new();
    let mut total = 0;
    for index in 0..u64::from(blob.u32(8)?.min(64)) {
        let start = u64::from(blob.u32(16 + 8 * index)?);
        let part = blob.at(start, blob.u32(start + 4)?.into())?;
        total += part.len() as u64;
        ensure!(total <= size, "its parts overlap");
        parts.push((blob.u32(12 + 8 * index)?, part));
    }
    let directory = parts
        .iter()
        .find(|part| part.0 == CODE_DIRECTORY_SLOT)
        .context("it has no code directory")?;
    let data = Bytes {
        data: directory.1,
        big: true,
    };
    ensure!(
        data.u32(0)? == CODE_DIRECTORY,
        "its code directory is damaged"
    );
    let hashes = u64::from(data.u32(16)?);
    let special = u64::from(data.u32(24)?);
    let slots = u64::from(data.u32(28)?);
    let limit = u64::from(data.u32(32)?);
    let kind = data.at(36, 4)?;
    ensure!(kind[..2] == SHA256, "its hashes are not SHA-256");
    ensure!(
        limit == offset,
        "it signs {limit} bytes, and {offset} come before it"
    );
    // The size as a power of two. Apple's are of 4 or 16 KiB.
    ensure!((8..=20).contains(&kind[3]), "its pages have no size");
    let page = 1 << kind[3];
    ensure!(
        slots == limit.div_ceil(page),
        "it has {slots} hashes for {limit} bytes in pages of {page}"
    );
    let expected = |slot: i64| {
        let at = i64::try_from(hashes)?.checked_add(slot * 32);
        data.at(
            at.and_then(|at| at.try_into().ok())
                .context("a hash is nowhere")?,
            32,
        )
    };
    for slot in 0..slots {
        let contents = file.at(slot * page, page.min(limit - slot * page))?;
        ensure!(
            Sha256::digest(contents)[..] == *expected(slot as i64)?,
            "the hash of page {slot} is wrong"
        );
    }
    for (slot, contents) in parts {
        if (CODE_DIRECTORY_SLOT + 1..FIRST_UNHASHED_SLOT).contains(&slot) {
            ensure!(u64::from(slot) <= special, "its part {slot} has no hash");
            ensure!(
                Sha256::digest(contents)[..] == *expected(-i64::from(slot))?,
                "the hash of its part {slot} is wrong"
            );
        }
    }
    Ok(())
}
