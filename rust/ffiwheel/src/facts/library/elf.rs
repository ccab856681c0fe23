//! ELF: https://gabi.xinuos.com, and for what GNU added
//! https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html

use anyhow::{ensure, Context, Result};
use goblin::container::Ctx;
use goblin::elf::dynamic::{
    Dynamic, DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DF_STATIC_TLS, DF_TEXTREL, DT_BIND_NOW, DT_FLAGS,
    DT_FLAGS_1, DT_GNU_HASH, DT_HASH, DT_JMPREL, DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRTAB,
    DT_SYMTAB, DT_TEXTREL, DT_VERNEED, DT_VERNEEDNUM, DT_VERSYM,
};
use goblin::elf::header::{
    Header, EI_CLASS, EI_DATA, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, EM_386,
    EM_AARCH64, EM_ARM, EM_LOONGARCH, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64, ET_DYN, ET_EXEC,
};
use goblin::elf::program_header::{
    PF_W, PF_X, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_NOTE,
};
use goblin::elf::sym::{STB_GLOBAL, STB_LOCAL, STV_DEFAULT, STV_PROTECTED};
use goblin::elf::{Elf, ProgramHeader, Sym};

use super::{Bytes, Exposure, Format, Libc, Names, Needs, Slice, MOST_ENTRIES};
use crate::targets::Floor;

/// (e_machine, class, byte order) as platform tags spell it.
const MACHINES: [(u16, u8, u8, &str); 10] = [
    (EM_386, ELFCLASS32, ELFDATA2LSB, "i686"),
    (EM_ARM, ELFCLASS32, ELFDATA2LSB, "armv7l"),
    (EM_X86_64, ELFCLASS64, ELFDATA2LSB, "x86_64"),
    (EM_AARCH64, ELFCLASS64, ELFDATA2LSB, "aarch64"),
    (EM_PPC64, ELFCLASS64, ELFDATA2LSB, "ppc64le"),
    (EM_PPC64, ELFCLASS64, ELFDATA2MSB, "ppc64"),
    (EM_S390, ELFCLASS64, ELFDATA2MSB, "s390x"),
    (EM_RISCV, ELFCLASS64, ELFDATA2LSB, "riscv64"),
    (EM_RISCV, ELFCLASS32, ELFDATA2LSB, "riscv32"),
    (EM_LOONGARCH, ELFCLASS64, ELFDATA2LSB, "loongarch64"),
];

const SHT_ARM_ATTRIBUTES: u32 = 0x7000_0003;
const EF_ARM_ABI_FLOAT_SOFT: u32 = 0x200;
const EF_ARM_ABI_FLOAT_HARD: u32 = 0x400;

/// A file, and what its headers say.
struct File<'a> {
    bytes: Bytes<'a>,
    header: Header,
    context: Ctx,
    segments: Vec<ProgramHeader>,
}

impl<'a> File<'a> {
    fn of(data: &'a [u8], header: Header) -> Result<File<'a>> {
        let context = Ctx::new(header.container()?, header.endianness()?);
        let bytes = Bytes {
            data,
            big: header.e_ident[EI_DATA] == ELFDATA2MSB,
        };
        let start = usize::try_from(header.e_phoff).context("its program headers are nowhere")?;
        bytes.at(
            header.e_phoff,
            u64::from(header.e_phnum) * ProgramHeader::size(context) as u64,
        )?;
        let segments = ProgramHeader::parse(data, start, header.e_phnum.into(), context)?;
        bytes.at(
            header.e_shoff,
            u64::from(header.e_shnum) * u64::from(header.e_shentsize),
        )?;
        Ok(File {
            bytes,
            header,
            context,
            segments,
        })
    }

    fn arch(&self) -> String {
        let ident = &self.header.e_ident;
        let (machine, class, order) = (self.header.e_machine, ident[EI_CLASS], ident[EI_DATA]);
        let known = MACHINES
            .iter()
            .find(|row| (row.0, row.1, row.2) == (machine, class, order));
        match known {
            Some((_, _, _, arch)) => arch.to_string(),
            None => format!(
                "ELF machine {machine} of {} bits, byte order {order}",
                if class == ELFCLASS64 { 64 } else { 32 }
            ),
        }
    }

    fn segments(&self, kind: u32) -> impl Iterator<Item = &ProgramHeader> {
        let segments = self.segments.iter();
        segments.filter(move |segment| segment.p_type == kind)
    }

    /// Where in the file an address is.
    fn place(&self, address: u64) -> Result<u64> {
        self.segments(PT_LOAD)
            .find_map(|segment| {
                let within = address.checked_sub(segment.p_vaddr)?;
                (within < segment.p_filesz).then(|| segment.p_offset + within)
            })
            .with_context(|| format!("nothing of the file is at the address {address:#x}"))
    }
}

/// The dynamic section of a file.
struct Section<'a> {
    file: &'a File<'a>,
    dynamic: Dynamic,
    /// Where its texts are.
    strings: Option<u64>,
}

impl<'a> Section<'a> {
    fn of(file: &'a File<'a>, dynamic: Dynamic) -> Result<Section<'a>> {
        let mut section = Section {
            file,
            dynamic,
            strings: None,
        };
        section.strings = section.place(DT_STRTAB)?;
        Ok(section)
    }

    fn value(&self, tag: u64) -> Option<u64> {
        let mut entries = self.dynamic.dyns.iter();
        let found = entries.find(|entry| entry.d_tag == tag);
        found.map(|entry| entry.d_val)
    }

    /// Where in the file the address is that a tag has.
    fn place(&self, tag: u64) -> Result<Option<u64>> {
        let address = self.value(tag);
        address.map(|address| self.file.place(address)).transpose()
    }

    fn text(&self, offset: u64) -> Result<String> {
        let strings = self.strings.context("it has no strings")?;
        self.file.bytes.text(strings.saturating_add(offset))
    }
}

pub fn read(data: &[u8]) -> Result<Option<Slice>> {
    let header = Elf::parse_header(data)?;
    if ![ET_DYN, ET_EXEC].contains(&header.e_type) {
        return Ok(None);
    }
    let file = File::of(data, header)?;
    let mut slice = Slice::new(Format::Elf, file.arch());
    add_segments(&mut slice, &file)?;
    let Some(dynamic) = Dynamic::parse(data, &file.segments, file.context)? else {
        ensure!(slice.is_program, "it has no dynamic section");
        return Ok(Some(slice)); // linked statically
    };
    let section = Section::of(&file, dynamic)?;
    add_flags(&mut slice, &section);
    add_needs(&mut slice, &section)?;
    slice.libc = libc(&slice);
    for note in file.segments(PT_NOTE) {
        let note = file.bytes.at(note.p_offset, note.p_filesz)?;
        if note.get(12..20) == Some(b"Android\0") {
            slice.libc = Some(Libc::Bionic);
        }
    }
    add_symbols(&mut slice, &section)?;
    slice.exposures.sort();
    slice.exposures.dedup();
    Ok(Some(slice))
}

fn add_segments(slice: &mut Slice, file: &File) -> Result<()> {
    for segment in &file.segments {
        file.bytes.at(segment.p_offset, segment.p_filesz)?;
        let (writable, executable) = (segment.p_flags & PF_W != 0, segment.p_flags & PF_X != 0);
        if segment.p_type == PT_LOAD && writable && executable {
            slice.exposures.push(Exposure::WritableCode);
        }
    }
    // Without the entry the kernel decides by architecture.
    let by_default = !["aarch64", "riscv64", "loongarch64"].contains(&&*slice.arch);
    let stack = file.segments(PT_GNU_STACK).next();
    if stack.map_or(by_default, |stack| stack.p_flags & PF_X != 0) {
        slice.exposures.push(Exposure::ExecutableStack);
    }
    let header = &file.header;
    slice.is_program = header.e_type == ET_EXEC || file.segments(PT_INTERP).next().is_some();
    if header.e_type == ET_EXEC {
        slice.exposures.push(Exposure::FixedProgram);
    }
    if slice.arch == "armv7l" {
        slice.arch = arm(&file.bytes, header)?.to_owned();
        if header.e_flags & EF_ARM_ABI_FLOAT_HARD != 0 {
            slice.hard_float = Some(true);
        } else if header.e_flags & EF_ARM_ABI_FLOAT_SOFT != 0 {
            slice.hard_float = Some(false);
        }
    }
    Ok(())
}

fn add_flags(slice: &mut Slice, section: &Section) {
    let has = |tag| section.value(tag).is_some();
    let flags = section.value(DT_FLAGS).unwrap_or(0);
    let flags_1 = section.value(DT_FLAGS_1).unwrap_or(0);
    slice.static_tls = flags & DF_STATIC_TLS != 0;
    slice.is_program |= flags_1 & DF_1_PIE != 0;
    let now = has(DT_BIND_NOW) || flags & DF_BIND_NOW != 0 || flags_1 & DF_1_NOW != 0;
    if has(DT_JMPREL) && !now {
        slice.exposures.push(Exposure::LazyBinding);
    }
    if section.file.segments(PT_GNU_RELRO).next().is_none() {
        slice.exposures.push(Exposure::WritableRelocations);
    }
    if has(DT_TEXTREL) || flags & DF_TEXTREL != 0 {
        slice.exposures.push(Exposure::TextRelocations);
    }
}

/// The libraries that it needs, where it looks for them, and the versions of their symbols.
fn add_needs(slice: &mut Slice, section: &Section) -> Result<()> {
    let bytes = &section.file.bytes;
    let mut needs = Needs::default();
    for entry in &section.dynamic.dyns {
        match entry.d_tag {
            DT_NEEDED => slice.libraries.push(needs.add(section.text(entry.d_val)?)?),
            DT_RPATH | DT_RUNPATH => {
                for path in section.text(entry.d_val)?.split(':') {
                    slice.search_paths.push(needs.add(path.to_owned())?);
                }
            }
            _ => {}
        }
    }
    if let (Some(address), Some(count)) = (section.value(DT_VERNEED), section.value(DT_VERNEEDNUM))
    {
        let mut file = section.file.place(address)?;
        for _ in 0..count {
            let mut version = file + u64::from(bytes.u32(file + 8)?);
            for _ in 0..bytes.u16(file + 2)? {
                let name = section.text(bytes.u32(version + 8)?.into())?;
                slice.symbol_versions.insert(needs.add(name)?);
                match bytes.u32(version + 12)? {
                    0 => break,
                    next => version += u64::from(next),
                }
            }
            match bytes.u32(file + 12)? {
                0 => break,
                next => file += u64::from(next),
            }
        }
    }
    slice.version = slice
        .symbol_versions
        .iter()
        .filter_map(|name| glibc_version(name))
        .max();
    Ok(())
}

/// What it exports, and what it needs without saying of which version.
fn add_symbols(slice: &mut Slice, section: &Section) -> Result<()> {
    let (file, bytes) = (section.file, &section.file.bytes);
    let Some(symbols) = section.place(DT_SYMTAB)? else {
        return Ok(());
    };
    let symbols = usize::try_from(symbols)?;
    let size = Sym::size(file.header.container()?);
    let count = match (section.value(DT_GNU_HASH), section.value(DT_HASH)) {
        (Some(hash), _) => {
            gnu_hash_symbols(bytes, file.place(hash)?, file.header.e_ident[EI_CLASS])?
        }
        // Only s390x has entries of 64 bits.
        (None, Some(hash)) if slice.arch != "s390x" => bytes.u32(file.place(hash)? + 4)?,
        _ => 0,
    };
    ensure!(
        count as usize <= bytes.data.len() / size,
        "it claims {count} symbols"
    );
    let versions = section.place(DT_VERSYM)?;
    let (mut exports, mut unversioned) = (Names::default(), Names::default());
    // One at a time: what is not exported is not kept.
    for index in 0..(count as usize).min(MOST_ENTRIES) {
        let symbol = Sym::parse(bytes.data, symbols + index * size, 1, file.context)?
            .pop()
            .context("no symbol")?;
        let visible = [STV_DEFAULT, STV_PROTECTED].contains(&symbol.st_visibility());
        if symbol.st_shndx != 0 && symbol.st_bind() != STB_LOCAL && visible {
            exports.add(section.text(symbol.st_name as u64)?)?;
        }
        if symbol.st_shndx == 0 && symbol.st_bind() == STB_GLOBAL {
            let at = versions.map(|table| table + 2 * index as u64);
            let version = at.map_or(Ok(0), |at| bytes.u16(at))?;
            // The highest bit hides a symbol; 0 and 1 are no version's numbers.
            if version & 0x7fff < 2 {
                unversioned.add(section.text(symbol.st_name as u64)?)?;
            }
        }
    }
    slice.exports = exports.names;
    slice.unversioned = unversioned.names;
    Ok(())
}

/// How many symbols there are: one more than the last that the hash table leads to.
fn gnu_hash_symbols(bytes: &Bytes, table: u64, class: u8) -> Result<u32> {
    let buckets = bytes.u32(table)?;
    let first = bytes.u32(table + 4)?;
    let bloom = u64::from(bytes.u32(table + 8)?) * if class == ELFCLASS64 { 8 } else { 4 };
    let start = table + 16 + bloom;
    let chains = start + 4 * u64::from(buckets);
    bytes.at(start, 4 * u64::from(buckets))?;
    let mut last = 0;
    for bucket in 0..u64::from(buckets) {
        last = last.max(bytes.u32(start + 4 * bucket)?);
    }
    if last < first {
        return Ok(first);
    }
    while bytes.u32(chains + 4 * u64::from(last - first))? & 1 == 0 {
        last = last.checked_add(1).context("its hash table does not end")?;
    }
    Ok(last.saturating_add(1))
}

/// The oldest ARM that a file is for, by its build attributes; without them ARMv7.
/// https://github.com/ARM-software/abi-aa/blob/main/addenda32/addenda32.rst
fn arm(bytes: &Bytes, header: &Header) -> Result<&'static str> {
    for index in 0..u64::from(header.e_shnum) {
        let section = header.e_shoff + index * u64::from(header.e_shentsize);
        if header.e_shentsize != 40 || bytes.u32(section + 4)? != SHT_ARM_ATTRIBUTES {
            continue;
        }
        let (start, size) = (bytes.u32(section + 16)?, bytes.u32(section + 20)?);
        // "A", a size, "aeabi" and NUL, 1 for the whole file, another size; then tags, each
        // with a number of bytes of seven bits, or a text that ends with NUL.
        let attributes = bytes.at(start.into(), size.into())?;
        let mut values = attributes.iter().skip(16).copied();
        while let Some(tag) = values.next() {
            let mut next = || values.next().unwrap_or_default();
            let mut value = next();
            if tag == 32 {
                value = next(); // Tag_compatibility has both.
            }
            match tag {
                // Tag_CPU_arch; what has Thumb-2, v6T2, is no less than ARMv7.
                6 => {
                    return Ok(match value {
                        0..8 | 9 => "armv6l",
                        8..14 => "armv7l",
                        _ => "armv8l",
                    })
                }
                4 | 5 | 32.. if tag < 33 || tag % 2 == 1 => {
                    while value != 0 {
                        value = next();
                    }
                }
                _ => {
                    while value & 0x80 != 0 {
                        value = next();
                    }
                }
            }
        }
    }
    Ok("armv7l")
}

fn libc(slice: &Slice) -> Option<Libc> {
    let needs = |name: &str| slice.libraries.iter().any(|library| library == name);
    let begins = |prefix: &str| slice.libraries.iter().any(|name| name.starts_with(prefix));
    if needs("libc.so.6") || needs("libc.so.6.1") || slice.version.is_some() {
        Some(Libc::Glibc)
    } else if ["libdl.so", "libm.so", "liblog.so"].into_iter().any(needs) {
        Some(Libc::Bionic) // On musl they are parts of libc.so.
    } else if needs("libc.so") || begins("libc.musl-") || begins("ld-musl-") {
        Some(Libc::Musl)
    } else {
        None
    }
}

/// GLIBC_2.17, GLIBC_2.3.4: what comes after the second number is of no weight here.
fn glibc_version(symbol: &str) -> Option<Floor> {
    let mut numbers = symbol.strip_prefix("GLIBC_")?.split('.');
    Some(Floor(
        numbers.next()?.parse().ok()?,
        numbers.next()?.parse().ok()?,
    ))
}
