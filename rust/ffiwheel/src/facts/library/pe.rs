//! PE: https://learn.microsoft.com/windows/win32/debug/pe-format

use anyhow::{ensure, Context, Result};
use goblin::pe::characteristic::IMAGE_FILE_DLL;
use goblin::pe::header::{COFF_MACHINE_ARM64, COFF_MACHINE_X86, COFF_MACHINE_X86_64};
use goblin::pe::optional_header::{IMAGE_NT_OPTIONAL_HDR32_MAGIC, IMAGE_NT_OPTIONAL_HDR64_MAGIC};
use goblin::pe::section_table::{IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE, SIZEOF_SECTION_TABLE};

use super::{Bytes, Exposure, Format, Names, Needs, Slice, MOST_ENTRIES};

/// (machine, magic of the optional header, the architecture as platform tags spell it)
const MACHINES: [(u16, u16, &str); 3] = [
    (COFF_MACHINE_X86, IMAGE_NT_OPTIONAL_HDR32_MAGIC, "win32"),
    (COFF_MACHINE_X86_64, IMAGE_NT_OPTIONAL_HDR64_MAGIC, "amd64"),
    (COFF_MACHINE_ARM64, IMAGE_NT_OPTIONAL_HDR64_MAGIC, "arm64"),
];

const HIGH_ENTROPY_VA: u16 = 0x20;
const DYNAMIC_BASE: u16 = 0x40;
const NX_COMPAT: u16 = 0x100;

/// Older Windows loads no file with more than 96.
const MOST_SECTIONS: u64 = 1 << 10;

const EXPORTS: u64 = 0;
const IMPORTS: u64 = 1;
const DELAYED_IMPORTS: u64 = 13;

struct Section {
    address: u64,
    size: u64,
    offset: u64,
}

/// An image as it is in a file.
struct Image<'a> {
    bytes: Bytes<'a>,
    /// Where the optional header is, and its table of directories: a number, and the first.
    optional: u64,
    directories: [u64; 2],
    sections: Vec<Section>,
}

impl Image<'_> {
    /// Where in the file an address of the loaded image is.
    fn place(&self, address: u32) -> Result<u64> {
        let address = u64::from(address);
        let section = self
            .sections
            .iter()
            .find(|section| (section.address..section.address + section.size).contains(&address))
            .with_context(|| format!("nothing of the file is at the address {address:#x}"))?;
        Ok(section.offset + address - section.address)
    }

    /// The address of a directory; 0 where there is none.
    fn directory(&self, index: u64) -> Result<u32> {
        let [count, first] = self.directories.map(|field| self.optional + field);
        match index < u64::from(self.bytes.u32(count)?) {
            true => self.bytes.u32(first + 8 * index),
            false => Ok(0),
        }
    }
}

pub fn read(data: &[u8]) -> Result<Option<Slice>> {
    let bytes = Bytes::little(data);
    // What begins with MZ and goes on otherwise is for DOS, or no program at all.
    let Some(start) = bytes.u32(0x3c).ok().map(u64::from) else {
        return Ok(None);
    };
    if bytes.at(start, 4).ok() != Some(b"PE\0\0") {
        return Ok(None);
    }
    let machine = bytes.u16(start + 4)?;
    let sections = u64::from(bytes.u16(start + 6)?);
    let optional_size = u64::from(bytes.u16(start + 20)?);
    let characteristics = bytes.u16(start + 22)?;
    let optional = start + 24;
    let magic = bytes.u16(optional)?;
    let wide = magic == IMAGE_NT_OPTIONAL_HDR64_MAGIC;
    let known = MACHINES
        .iter()
        .find(|row| (row.0, row.1) == (machine, magic));
    let arch = match known {
        Some((_, _, arch)) => arch.to_string(),
        None => format!("PE machine {machine:#x}, header {magic:#x}"),
    };
    let mut slice = Slice::new(Format::Pe, arch);
    slice.is_program = characteristics & IMAGE_FILE_DLL == 0;
    slice.system = Some(bytes.u16(optional + 68)?.into());
    let flags = bytes.u16(optional + 70)?;
    if flags & DYNAMIC_BASE == 0 {
        slice.exposures.push(Exposure::FixedAddress);
    }
    if flags & NX_COMPAT == 0 {
        slice.exposures.push(Exposure::ExecutableData);
    }
    if wide && flags & HIGH_ENTROPY_VA == 0 {
        slice.exposures.push(Exposure::LowEntropy);
    }
    let sections = read_sections(&mut slice, &bytes, optional + optional_size, sections)?;
    let image = Image {
        bytes,
        optional,
        directories: if wide { [108, 112] } else { [92, 96] },
        sections,
    };
    add_imports(&mut slice, &image)?;
    add_exports(&mut slice, &image)?;
    Ok(Some(slice))
}

fn read_sections(slice: &mut Slice, bytes: &Bytes, start: u64, count: u64) -> Result<Vec<Section>> {
    ensure!(count <= MOST_SECTIONS, "it has {count} sections");
    let mut table = Vec::new();
    let mut writable_code = false;
    for index in 0..count {
        let at = start + index * SIZEOF_SECTION_TABLE as u64;
        let [size, address, raw_size, offset] = [8, 12, 16, 20].map(|field| bytes.u32(at + field));
        let (offset, raw_size) = (u64::from(offset?), u64::from(raw_size?));
        if raw_size > 0 {
            bytes.at(offset, raw_size)?;
        }
        let both = IMAGE_SCN_MEM_EXECUTE | IMAGE_SCN_MEM_WRITE;
        writable_code |= bytes.u32(at + 36)? & both == both;
        table.push(Section {
            address: address?.into(),
            size: raw_size.max(size?.into()),
            offset,
        });
    }
    if writable_code {
        slice.exposures.push(Exposure::WritableCode);
    }
    Ok(table)
}

fn add_imports(slice: &mut Slice, image: &Image) -> Result<()> {
    let bytes = &image.bytes;
    let mut needs = Needs::default();
    for (index, step, name) in [(IMPORTS, 20, 12), (DELAYED_IMPORTS, 32, 4)] {
        let address = image.directory(index)?;
        if address == 0 {
            continue;
        }
        let mut at = image.place(address)?;
        loop {
            let library = bytes.u32(at + name)?;
            if library == 0 {
                break;
            }
            // Old delay-load tables hold addresses that nothing here can follow.
            if index == IMPORTS || bytes.u32(at)? & 1 == 1 {
                let library = bytes.text(image.place(library)?)?;
                slice.libraries.push(needs.add(library)?);
            }
            at += step;
        }
    }
    Ok(())
}

fn add_exports(slice: &mut Slice, image: &Image) -> Result<()> {
    let bytes = &image.bytes;
    let address = image.directory(EXPORTS)?;
    if address == 0 {
        return Ok(());
    }
    let at = image.place(address)?;
    let count = bytes.u32(at + 24)?;
    let mut exports = Names::default();
    if count > 0 {
        let names = image.place(bytes.u32(at + 32)?)?;
        bytes.at(names, 4 * u64::from(count))?;
        for index in 0..u64::from(count).min(MOST_ENTRIES as u64) {
            let name = image.place(bytes.u32(names + 4 * index)?)?;
            exports.add(bytes.text(name)?)?;
        }
    }
    slice.exports = exports.names;
    Ok(())
}
