//! Small files that are good, or as bad as they are asked to be.

use std::io::Write;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use sha2::{Digest, Sha256};

use ffiwheel::facts::wheel;
pub fn le(fields: &[(u64, usize)]) -> Vec<u8> {
    let field = |(value, size): &(u64, usize)| value.to_le_bytes()[..*size].to_vec();
    fields.iter().flat_map(field).collect()
}

pub fn be(fields: &[(u64, usize)]) -> Vec<u8> {
    let field = |(value, size): &(u64, usize)| value.to_be_bytes()[8 - size..].to_vec();
    fields.iter().flat_map(field).collect()
}

pub fn u32s(values: &[u64]) -> Vec<u8> {
    le(&values.iter().map(|value| (*value, 4)).collect::<Vec<_>>())
}

/// A text of that size, with NUL behind it.
pub fn padded(text: &str, size: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(size, 0);
    bytes
}

/// Where the parts of `elf` are.
pub const DYNAMIC: usize = 64 + 4 * 56;

pub const SYMBOLS: usize = DYNAMIC + 9 * 16;

pub const HASHES: usize = SYMBOLS + 2 * 24;

pub const VERSIONS: usize = HASHES + 32;

pub const STRINGS: usize = VERSIONS + 32;

/// An x86_64 library with one import, one version, one export, and these strings.
pub fn elf_with(dynamic: &[(u64, u64)], strings: &[u8]) -> Vec<u8> {
    let moved = 16 * (dynamic.len() + 9) as u64 - 9 * 16;
    let total = STRINGS as u64 + moved + strings.len() as u64;
    let dynamic_size = 9 * 16 + moved;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend(le(&[
        (3, 2),
        (62, 2),
        (1, 4),
        (0, 8),
        (64, 8),
        (0, 8),
        (0, 4),
    ]));
    file.extend(le(&[(64, 2), (56, 2), (4, 2), (64, 2), (0, 2), (0, 2)]));
    for (kind, flags, offset, size) in [
        (1, 4, 0, total),
        (2, 6, DYNAMIC as u64, dynamic_size),
        (0x6474_e551, 6, 0, 0),
        (0x6474_e552, 4, DYNAMIC as u64, dynamic_size),
    ] {
        file.extend(le(&[(kind, 4), (flags, 4), (offset, 8), (offset, 8)]));
        file.extend(le(&[(offset, 8), (size, 8), (size, 8), (8, 8)]));
    }
    let at = |part: usize| part as u64 + moved;
    for (tag, value) in dynamic.iter().copied().chain([
        (1, 1),           // NEEDED
        (29, 11),         // RUNPATH
        (5, at(STRINGS)), // STRTAB
        (6, at(SYMBOLS)), // SYMTAB
        (0x6fff_fef5, at(HASHES)),
        (0x6fff_fffe, at(VERSIONS)),
        (0x6fff_ffff, 1),
        (30, 8), // FLAGS: BIND_NOW
        (0, 0),
    ]) {
        file.extend(le(&[(tag, 8), (value, 8)]));
    }
    file.extend([0; 24]);
    file.extend(le(&[(19, 4), (0x12, 1), (0, 1), (1, 2), (64, 8), (8, 8)]));
    file.extend(u32s(&[1, 1, 1, 0, 0, 0, 1, 1])); // buckets, first, bloom, shift…
    file.extend(le(&[(1, 2), (1, 2), (1, 4), (16, 4), (0, 4)]));
    file.extend(le(&[(0, 4), (0, 2), (2, 2), (25, 4), (0, 4)]));
    file.extend(strings);
    file
}

pub const ELF_STRINGS: &[u8] = b"\0libc.so.6\0$ORIGIN\0hello\0GLIBC_2.2.5\0/home/me/x\0";

pub fn elf() -> Vec<u8> {
    elf_with(&[], ELF_STRINGS)
}

/// An arm64 library with these load commands more, this tree of exports, and a signature.
pub fn mach_with(commands: &[Vec<u8>], tree: &[u8], parts: u64) -> Vec<u8> {
    let sizes = commands.iter().map(Vec::len).sum::<usize>() as u64;
    let own = 72 + 48 + 56 + 32 + 24 + 16 + 16;
    let start = 32 + own + sizes;
    let offset = start + tree.len() as u64;
    let pages = offset.div_ceil(4096);
    let directory = 44 + 32 * (pages + 2);
    let header = 12 + 8 * (parts + 1);
    let size = header + directory + 8;
    let mut file = u32s(&[
        0xfeed_facf,
        0x0100_000c,
        0,
        6,
        7 + commands.len() as u64,
        own + sizes,
        0x85,
        0,
    ]);
    file.extend(u32s(&[0x19, 72]));
    file.extend(padded("__LINKEDIT", 16));
    file.extend(le(&[
        (0, 8),
        (0x4000, 8),
        (start, 8),
        (offset + size - start, 8),
    ]));
    file.extend(u32s(&[1, 1, 0, 0]));
    file.extend(u32s(&[0xd, 48, 24, 0, 0, 0]));
    file.extend(padded("@rpath/libx.dylib", 24));
    file.extend(u32s(&[0xc, 56, 24, 0, 0, 0]));
    file.extend(padded("/usr/lib/libSystem.B.dylib", 32));
    file.extend(u32s(&[0x8000_001c, 32, 12]));
    file.extend(padded("@loader_path/..", 20));
    file.extend(u32s(&[0x32, 24, 1, 11 << 16, 11 << 16, 0]));
    file.extend(u32s(&[0x8000_0033, 16, start, tree.len() as u64]));
    file.extend(u32s(&[0x1d, 16, offset, size]));
    for command in commands {
        file.extend(command);
    }
    file.extend(tree);
    let requirements = be(&[(0xfade_0c01, 4), (8, 4)]);
    let mut signature = be(&[
        (0xfade_0cc0, 4),
        (size, 4),
        (parts + 1, 4),
        (0, 4),
        (header, 4),
    ]);
    for _ in 0..parts {
        signature.extend(be(&[(2, 4), (header + directory, 4)]));
    }
    signature.extend(be(&[
        (0xfade_0c02, 4),
        (directory, 4),
        (0x20400, 4),
        (2, 4),
    ]));
    signature.extend(be(&[(44 + 64, 4), (0, 4), (2, 4), (pages, 4), (offset, 4)]));
    signature.extend([32, 2, 0, 12, 0, 0, 0, 0]);
    signature.extend(Sha256::digest(&requirements));
    signature.extend([0; 32]);
    for page in file.chunks(4096) {
        signature.extend(Sha256::digest(page));
    }
    signature.extend(requirements);
    file.extend(signature);
    file
}

pub const TREE: &[u8] = b"\0\x01_hello\0\x0a\x02\0\x40\0\0\0\0\0";

pub fn mach() -> Vec<u8> {
    mach_with(&[], TREE, 1)
}

pub fn fat(places: &[(u64, u64)], contents: &[u8]) -> Vec<u8> {
    let mut file = be(&[(0xcafe_babe, 4), (places.len() as u64, 4)]);
    for (offset, size) in places {
        file.extend(be(&[
            (0x0100_000c, 4),
            (0, 4),
            (*offset, 4),
            (*size, 4),
            (14, 4),
        ]));
    }
    file.resize(file.len().max(4096), 0);
    file.extend(contents);
    file
}

/// An amd64 DLL with one section, which begins at 0x1000 and holds this.
pub fn pe_with(sections: u64, imports: u64, exports: u64, contents: &[u8]) -> Vec<u8> {
    let size = contents.len() as u64;
    let start = (64 + 24 + 240 + 40 * sections).next_multiple_of(512);
    let mut file = padded("MZ", 60);
    file.extend(u32s(&[64]));
    file.extend(b"PE\0\0");
    file.extend(le(&[
        (0x8664, 2),
        (sections, 2),
        (0, 4),
        (0, 4),
        (0, 4),
        (240, 2),
        (0x2022, 2),
    ]));
    file.extend(le(&[(0x20b, 2)]));
    file.resize(64 + 24 + 68, 0);
    file.extend(le(&[(2, 2), (0x160, 2)]));
    file.resize(64 + 24 + 108, 0);
    file.extend(u32s(&[16, exports, 40, imports, 40]));
    file.resize(64 + 24 + 240, 0);
    for section in 0..sections {
        // The last one is where everything is.
        let (length, address) = match section + 1 == sections {
            true => (size, 0x1000),
            false => (0, 0),
        };
        file.extend(padded(".rdata", 8));
        file.extend(u32s(&[
            length,
            address,
            length,
            start,
            0,
            0,
            0,
            0x4000_0040,
        ]));
    }
    file.resize(start as usize, 0);
    file.extend(contents);
    file
}

pub fn pe() -> Vec<u8> {
    let mut contents = u32s(&[0x1000, 0, 0, 0x1080, 0x1000]); // imports
    contents.resize(0x40, 0);
    contents.extend(u32s(&[0, 0, 0, 0x1090, 1, 1, 1, 0x1070, 0x1074, 0x1078])); // exports
    contents.resize(0x70, 0);
    contents.extend(u32s(&[0x1000, 0x10a0, 0]));
    contents.resize(0x80, 0);
    contents.extend(b"KERNEL32.dll\0\0\0\0x.dll\0\0\0\0\0\0\0\0\0\0\0hello\0C:\\Users\\me\\x");
    pe_with(1, 0x1000, 0x1040, &contents)
}

pub type Files = Vec<(String, Vec<u8>)>;

pub fn deflated(contents: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}

/// A member of a zip file as it is written: a test can say of it what is not so.
#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub method: u64,
    pub crc: u64,
    pub packed: u64,
    pub size: u64,
    pub extra: Vec<u8>,
    pub data: Vec<u8>,
    /// Where its local header is said to be, if not where it is.
    pub local: Option<u64>,
}

impl Entry {
    pub fn of(name: &str, contents: &[u8]) -> Entry {
        let mut crc = Crc::new();
        crc.update(contents);
        let data = deflated(contents);
        Entry {
            name: name.into(),
            method: 8,
            crc: crc.sum().into(),
            packed: data.len() as u64,
            size: contents.len() as u64,
            extra: Vec::new(),
            data,
            local: None,
        }
    }
}

/// Members that claim to be elsewhere have no local header of their own.
pub fn zip_of(entries: &[Entry]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let lengths = [(entry.name.len() as u64, 2), (entry.extra.len() as u64, 2)];
        let common = le(&[
            (20, 2),
            (0, 2),
            (entry.method, 2),
            (0, 2),
            (0x5c21, 2),
            (entry.crc, 4),
            (entry.packed, 4),
            (entry.size, 4),
        ]);
        directory.extend(le(&[(0x0201_4b50, 4), (0x0314, 2)]));
        directory.extend(&common);
        directory.extend(le(&lengths));
        directory.extend(le(&[(0, 2), (0, 2), (0, 2), (0o100_644 << 16, 4)]));
        directory.extend(le(&[(entry.local.unwrap_or(file.len() as u64), 4)]));
        directory.extend(&entry.name);
        directory.extend(&entry.extra);
        if entry.local.is_none() {
            file.extend(le(&[(0x0403_4b50, 4)]));
            file.extend(common);
            file.extend(le(&lengths));
            file.extend(&entry.name);
            file.extend(&entry.extra);
            file.extend(&entry.data);
        }
    }
    let (start, size) = (file.len() as u64, directory.len() as u64);
    file.extend(directory);
    file.extend(end_of_directory(entries.len() as u64, size, start));
    file
}

pub fn end_of_directory(count: u64, size: u64, start: u64) -> Vec<u8> {
    let mut file = Vec::new();
    if count >= 0xffff {
        file.extend(le(&[(0x0606_4b50, 4), (44, 8), (45, 2), (45, 2), (0, 8)]));
        file.extend(le(&[(count, 8), (count, 8), (size, 8), (start, 8)]));
        file.extend(le(&[(0x0706_4b50, 4), (0, 4), (start + size, 8), (1, 4)]));
    }
    let count = count.min(0xffff);
    file.extend(le(&[(0x0605_4b50, 4), (0, 4), (count, 2), (count, 2)]));
    file.extend(le(&[(size, 4), (start, 4), (0, 2)]));
    file
}

pub fn zip(files: &Files) -> Vec<u8> {
    let entries = files
        .iter()
        .map(|(name, contents)| Entry::of(name, contents));
    zip_of(&entries.collect::<Vec<_>>())
}

pub const METADATA: &str = "Metadata-Version: 2.4\nName: x\nVersion: 1.0\nLicense-File: LICENSE\n\
    Requires-Python: >=3.8,!=3.9.*\nClassifier: Programming Language :: Python :: 3.8\n\n";

/// The members of a wheel with this library. RECORD comes last, and fits the others.
pub fn wheel_files(project: &str, version: &str, tag: &str, library: &[u8], more: Files) -> Files {
    let info = format!("{project}-{version}.dist-info");
    let text = |name: &str, text: String| (format!("{info}/{name}"), text.into_bytes());
    let mut files = vec![
        (format!("{project}/lib/libx.so"), library.to_vec()),
        text(
            "METADATA",
            METADATA
                .replace(": x\n", &format!(": {project}\n"))
                .replace("1.0", version),
        ),
        text(
            "WHEEL",
            format!("Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py2-none-{tag}\nTag: py3-none-{tag}\n"),
        ),
        text("licenses/LICENSE", "free".to_owned()),
    ];
    files.extend(more);
    let mut record: String = files
        .iter()
        .map(|(name, contents)| {
            format!(
                "{name},{},{}\n",
                wheel::recorded(&Sha256::digest(contents)),
                contents.len()
            )
        })
        .collect();
    record += &format!("{info}/RECORD,,\n");
    files.push(text("RECORD", record));
    files
}

pub const TAGS: [&str; 7] = [
    "manylinux_2_17_x86_64",
    "musllinux_1_2_x86_64",
    "macosx_11_0_arm64",
    "macosx_10_12_universal2",
    "win_amd64",
    "manylinux_2_17_s390x",
    "manylinux_2_17_armv7l",
];

pub fn tar(files: &Files) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        builder
            .append_data(&mut header, name, &contents[..])
            .unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub fn sdist_files(project: &str, version: &str) -> Files {
    let folder = format!("{project}-{version}");
    let metadata = METADATA
        .replace(": x\n", &format!(": {project}\n"))
        .replace("1.0", version);
    let manifest = "[package]\nname = 'x'\n[dependencies]\ny = { path = '../y' }\n";
    vec![
        (format!("{folder}/PKG-INFO"), metadata.into_bytes()),
        (format!("{folder}/LICENSE"), b"free".to_vec()),
        (format!("{folder}/rust/Cargo.toml"), manifest.into()),
        (
            format!("{folder}/rust/Cargo.lock"),
            b"version = 4\n".to_vec(),
        ),
        // Longer than a tar header's name: it gets an entry of its own.
        (
            format!("{folder}/{}", "long/".repeat(60) + "name"),
            b"x".to_vec(),
        ),
    ]
}

pub const WHEEL: &str = "x-1.0-py2.py3-none-manylinux_2_17_x86_64.whl";

/// A wheel whose METADATA is the first of these files.
pub fn metadata_first(files: Files) -> Files {
    let mut all = wheel_files("x", "1.0", TAGS[0], &elf(), Vec::new());
    all[1] = files[0].clone();
    all.extend(files.into_iter().skip(1));
    all
}
