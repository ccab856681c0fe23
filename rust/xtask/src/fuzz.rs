//! Damaged and hostile files: each ends in findings, in bounded time and memory, and never
//! in a panic, not even in one that `judge::judge` catches.
//!
//! `cargo test fuzz` judges the same few thousand files each time. For a longer run, which
//! starts from the files in dist/ as well:
//!
//!     AUDIT_FUZZ_SECONDS=600 nice cargo test --release --config profile.release.overflow-checks=true fuzz
//!
//! AUDIT_FUZZ_FILES names a folder with more files to start from, AUDIT_FUZZ_SEED another
//! sequence. What fails is kept in build/fuzz/, under a name that `xtask audit` takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use sha2::{Digest, Sha256};

use crate::facts::{bounds, library, sdist, wheel};
use crate::judge::context::tests::context;
use crate::judge::{self, rules, Context};

// ---- Bounds --------------------------------------------------------------------------------

/// Many times what the slowest of these files takes without optimisation.
const LONGEST: Duration = Duration::from_secs(20);
/// What is unpacked of a small file, once, and twice while a buffer grows, and findings.
const LARGEST: usize = 4 * bounds::RATIO_COUNTS_FROM as usize;

/// Counts the bytes of each thread by itself, since other tests run beside these.
struct Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let now = NOW.get() + bytes;
    NOW.set(now);
    PEAK.set(PEAK.get().max(now));
}

#[global_allocator]
static COUNTING: Counting = Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        System.alloc(layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        System.alloc_zeroed(layout)
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        System.dealloc(at, layout)
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        System.realloc(at, layout, size)
    }
}

struct Outcome {
    codes: BTreeSet<&'static str>,
    time: Duration,
    memory: usize,
    failure: Option<String>,
}

fn judge(name: &str, data: &[u8], context: &Context) -> Outcome {
    let before = NOW.get();
    PEAK.set(before);
    let start = Instant::now();
    let judged = judge::judge(name, data, context);
    let time = start.elapsed();
    let memory = (PEAK.get() - before) as usize;
    let panic = judged
        .findings
        .iter()
        .find(|finding| finding.rule == &rules::F102);
    let most = LARGEST + bounds::HIGHEST_RATIO as usize * data.len();
    let failure = match panic {
        Some(finding) => Some(finding.message.clone()),
        None if time > LONGEST => Some(format!("it took {time:?}")),
        None if memory > most => Some(format!("it took {} MiB", memory >> 20)),
        None => None,
    };
    Outcome {
        codes: judged.findings.iter().map(|it| it.rule.code).collect(),
        time,
        memory,
        failure,
    }
}

// ---- Small files that are good ------------------------------------------------------------

fn le(fields: &[(u64, usize)]) -> Vec<u8> {
    let field = |(value, size): &(u64, usize)| value.to_le_bytes()[..*size].to_vec();
    fields.iter().flat_map(field).collect()
}

fn be(fields: &[(u64, usize)]) -> Vec<u8> {
    let field = |(value, size): &(u64, usize)| value.to_be_bytes()[8 - size..].to_vec();
    fields.iter().flat_map(field).collect()
}

fn u32s(values: &[u64]) -> Vec<u8> {
    le(&values.iter().map(|value| (*value, 4)).collect::<Vec<_>>())
}

/// A text of that size, with NUL behind it.
fn padded(text: &str, size: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(size, 0);
    bytes
}

/// Where the parts of `elf` are.
const DYNAMIC: usize = 64 + 4 * 56;
const SYMBOLS: usize = DYNAMIC + 9 * 16;
const HASHES: usize = SYMBOLS + 2 * 24;
const VERSIONS: usize = HASHES + 32;
const STRINGS: usize = VERSIONS + 32;

/// An x86_64 library with one import, one version, one export, and these strings.
fn elf_with(dynamic: &[(u64, u64)], strings: &[u8]) -> Vec<u8> {
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

const ELF_STRINGS: &[u8] = b"\0libc.so.6\0$ORIGIN\0hello\0GLIBC_2.2.5\0/home/me/x\0";

fn elf() -> Vec<u8> {
    elf_with(&[], ELF_STRINGS)
}

/// An arm64 library with these load commands more, this tree of exports, and a signature.
fn mach_with(commands: &[Vec<u8>], tree: &[u8], parts: u64) -> Vec<u8> {
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

const TREE: &[u8] = b"\0\x01_hello\0\x0a\x02\0\x40\0\0\0\0\0";

fn mach() -> Vec<u8> {
    mach_with(&[], TREE, 1)
}

fn fat(places: &[(u64, u64)], contents: &[u8]) -> Vec<u8> {
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
fn pe_with(sections: u64, imports: u64, exports: u64, contents: &[u8]) -> Vec<u8> {
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

fn pe() -> Vec<u8> {
    let mut contents = u32s(&[0x1000, 0, 0, 0x1080, 0x1000]); // imports
    contents.resize(0x40, 0);
    contents.extend(u32s(&[0, 0, 0, 0x1090, 1, 1, 1, 0x1070, 0x1074, 0x1078])); // exports
    contents.resize(0x70, 0);
    contents.extend(u32s(&[0x1000, 0x10a0, 0]));
    contents.resize(0x80, 0);
    contents.extend(b"KERNEL32.dll\0\0\0\0x.dll\0\0\0\0\0\0\0\0\0\0\0hello\0C:\\Users\\me\\x");
    pe_with(1, 0x1000, 0x1040, &contents)
}

type Files = Vec<(String, Vec<u8>)>;

fn deflated(contents: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}

/// A member of a zip file as it is written: a test can say of it what is not so.
#[derive(Clone)]
struct Entry {
    name: Vec<u8>,
    method: u64,
    crc: u64,
    packed: u64,
    size: u64,
    extra: Vec<u8>,
    data: Vec<u8>,
    /// Where its local header is said to be, if not where it is.
    local: Option<u64>,
}

impl Entry {
    fn of(name: &str, contents: &[u8]) -> Entry {
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
fn zip_of(entries: &[Entry]) -> Vec<u8> {
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

fn end_of_directory(count: u64, size: u64, start: u64) -> Vec<u8> {
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

fn zip(files: &Files) -> Vec<u8> {
    let entries = files
        .iter()
        .map(|(name, contents)| Entry::of(name, contents));
    zip_of(&entries.collect::<Vec<_>>())
}

const METADATA: &str = "Metadata-Version: 2.4\nName: x\nVersion: 1.0\nLicense-File: LICENSE\n\
    Requires-Python: >=3.8,!=3.9.*\nClassifier: Programming Language :: Python :: 3.8\n\n";

/// The members of a wheel with this library. RECORD comes last, and fits the others.
fn wheel_files(project: &str, version: &str, tag: &str, library: &[u8], more: Files) -> Files {
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

const TAGS: [&str; 7] = [
    "manylinux_2_17_x86_64",
    "musllinux_1_2_x86_64",
    "macosx_11_0_arm64",
    "macosx_10_12_universal2",
    "win_amd64",
    "manylinux_2_17_s390x",
    "manylinux_2_17_armv7l",
];

fn tar(files: &Files) -> Vec<u8> {
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

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn sdist_files(project: &str, version: &str) -> Files {
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

// ---- Files that are hostile ---------------------------------------------------------------

const WHEEL: &str = "x-1.0-py2.py3-none-manylinux_2_17_x86_64.whl";

fn hostile() -> Vec<(&'static str, &'static str, &'static str, Vec<u8>)> {
    let mut cases = Vec::new();
    let mut case = |what, code, name, data| cases.push((what, code, name, data));
    let entry = || Entry::of("x/a", &[b'a'; 5000]);
    let elsewhere = |index: usize| {
        let name = format!("x/{index:06}").into_bytes();
        let local = Some(0);
        Entry {
            name,
            local,
            ..entry()
        }
    };

    // Zip files.
    case("nothing", "Z101", WHEEL, Vec::new());
    case("an end alone", "W113", WHEEL, zip_of(&[]));
    let zeros = Entry::of("x/a", &vec![0; 66 << 20]);
    case("a bomb", "Z102", WHEEL, zip_of(&[zeros]));
    let million = Entry::of("x/a", &vec![0; 1_000_000]);
    let mut overlapping = vec![million.clone()];
    overlapping.extend((0..20_000).map(|index| Entry {
        name: format!("x/{index}").into_bytes(),
        local: Some(0),
        ..million.clone()
    }));
    case(
        "a bomb of overlapping members",
        "Z102",
        WHEEL,
        zip_of(&overlapping),
    );
    // Each member's data are the local headers of those behind it, stored, and then the
    // kernel: none is at the place of another.
    let nested: Vec<Entry> = (0..2000)
        .map(|index| Entry {
            name: format!("x/{index:06}").into_bytes(),
            method: 0,
            packed: (2000 - index) * 38,
            size: (2000 - index) * 38,
            data: Vec::new(),
            ..entry()
        })
        .chain([Entry {
            method: 0,
            packed: 38,
            size: 38,
            data: vec![0; 38],
            ..entry()
        }])
        .collect();
    case("members within members", "Z103", WHEEL, zip_of(&nested));
    for size in [0xffff_fffe, 0x8000_0000, 5_160_001] {
        case(
            "claims of 4 GiB",
            "Z101",
            WHEEL,
            zip_of(&[Entry { size, ..entry() }]),
        );
        let stored = Entry {
            size,
            packed: size,
            method: 0,
            ..entry()
        };
        case("stored 4 GiB", "Z101", WHEEL, zip_of(&[stored]));
    }
    let sixty_four = |values: [u64; 3]| {
        let mut extra = le(&[(1, 2), (24, 2)]);
        extra.extend(le(&values.map(|value| (value, 8))));
        let all = u32::MAX.into();
        zip_of(&[Entry {
            extra,
            size: all,
            packed: all,
            local: Some(all),
            ..entry()
        }])
    };
    for value in [
        0,
        1,
        1 << 31,
        1 << 32,
        1 << 62,
        i64::MAX as u64,
        1 << 63,
        u64::MAX - 30,
        u64::MAX,
    ] {
        for values in [
            [value; 3],
            [5000, 30, value],
            [5000, value, 0],
            [value, 30, 0],
        ] {
            case("zip64 members", "Z101", WHEEL, sixty_four(values));
        }
        for at in 0..4 {
            let mut fields = [1, 1, 56, 0].map(|value| (value, 8));
            fields[at].0 = value;
            let mut file = le(&[(0x0606_4b50, 4), (44, 8), (45, 2), (45, 2), (0, 8)]);
            file.extend(le(&fields));
            let place = if at == 0 { value } else { 0 };
            file.extend(le(&[(0x0706_4b50, 4), (0, 4), (place, 8), (1, 4)]));
            file.extend(le(&[(0x0605_4b50, 4), (0, 4), (0xffff, 2), (0xffff, 2)]));
            file.extend(le(&[(0xffff_ffff, 4), (0xffff_ffff, 4), (0, 2)]));

            case("zip64 directories", "Z101", WHEEL, file);
        }
    }
    for local in [1, 30, 0x7fff_ffff, 0xffff_fffe] {
        let elsewhere = Entry {
            local: Some(local),
            ..entry()
        };
        case(
            "members elsewhere",
            "Z101",
            WHEEL,
            zip_of(&[entry(), elsewhere]),
        );
    }
    let twice = zip_of(&[
        entry(),
        Entry {
            local: Some(0),
            ..entry()
        },
    ]);
    case("one member twice", "Z105", WHEEL, twice);
    let mut many = vec![Entry {
        data: entry().data,
        ..elsewhere(0)
    }];
    many[0].local = None;
    many.extend((1..20_000).map(elsewhere));
    case("one member 20000 times", "Z102", WHEEL, zip_of(&many));
    for entry in &mut many {
        (entry.size, entry.packed, entry.method, entry.crc) = (0, 0, 0, 0);
        entry.data.clear();
    }
    case(
        "20000 empty members in one place",
        "Z103",
        WHEEL,
        zip_of(&many),
    );
    for (index, entry) in many.iter_mut().enumerate() {
        entry.local = None;
        entry.name = format!("../{}{index}", "A".repeat(100)).into_bytes();
    }
    case("20000 bad names", "Z104", WHEEL, zip_of(&many));
    case("too many members", "Z101", WHEEL, {
        let count = 300_000;
        let mut file = vec![0; 46 * count as usize];
        file.extend(end_of_directory(count, 46 * count, 0));
        file
    });

    // Wheels.
    let wheel = |library: &[u8], more| zip(&wheel_files("x", "1.0", TAGS[0], library, more));
    let good = elf();
    let native: Files = (0..2000)
        .map(|index| (format!("x/{index}.so"), good.clone()))
        .collect();
    case("2000 libraries", "R202", WHEEL, {
        let mut files = wheel_files("x", "1.0", TAGS[0], &elf(), native.clone());
        files.pop();
        files.push(("x-1.0.dist-info/RECORD".into(), Vec::new()));
        zip(&files)
    });
    let folders: Files = (0..3000)
        .map(|index| (format!("{index}.dist-info/METADATA"), vec![b'a'; 30_000]))
        .collect();
    case(
        "3000 metadata folders",
        "Z102",
        WHEEL,
        wheel(&elf(), folders),
    );
    let licences: Files = {
        let lines: String = (0..100_000)
            .map(|index| format!("License-File: {index}\n"))
            .collect();
        let metadata = ("x-1.0.dist-info/METADATA".into(), lines.into_bytes());
        let others = (0..20_000).map(|index| (format!("x/{index}"), Vec::new()));
        [metadata].into_iter().chain(others).collect()
    };
    case(
        "licences times members",
        "W111",
        WHEEL,
        zip(&metadata_first(licences)),
    );
    for (what, line) in [
        (
            "a long Requires-Python",
            "Requires-Python: ".to_owned() + &">=3,".repeat(1 << 20),
        ),
        (
            "a wide Requires-Python",
            "Requires-Python: >=".to_owned() + &"9".repeat(1 << 20),
        ),
        (
            "a deep version",
            "Version: ".to_owned() + &"1.".repeat(1 << 20) + "1",
        ),
        ("many headers", "a:\n".repeat(1 << 20)),
        (
            "one header in many lines",
            "a:\n".to_owned() + &" b\n".repeat(1 << 20),
        ),
    ] {
        let classifier: String = (0..5000)
            .map(|index| format!("\nClassifier: Programming Language :: Python :: {index}"))
            .collect();
        let metadata = vec![(
            "x-1.0.dist-info/METADATA".into(),
            (line + &classifier).into_bytes(),
        )];
        case(what, "W106", WHEEL, zip(&metadata_first(metadata)));
    }
    let record = |line: &str, count| {
        let mut files = wheel_files("x", "1.0", TAGS[0], &elf(), Vec::new());
        files.last_mut().unwrap().1 = line.repeat(count).into_bytes();
        zip(&files)
    };
    case("too long a RECORD", "R201", WHEEL, record(",,\n", 1 << 20));
    case(
        "far too long a RECORD",
        "W113",
        WHEEL,
        record(",,\n", 10 << 20),
    );
    case("a RECORD of commas", "R206", WHEEL, record(",,\n", 1 << 17));
    case("a RECORD of quotes", "R201", WHEEL, record("\"", 10 << 20));
    case(
        "a RECORD of one line",
        "R201",
        WHEEL,
        record("a,b,\"c\n", 2 << 20),
    );
    let own = "hello_pyrust-1.2.3-py2.py3-none-manylinux_2_17_x86_64.whl";
    let own_wheel = wheel_files("hello_pyrust", "1.2.3", TAGS[0], &elf(), native);
    case("2000 own libraries", "L301", own, zip(&own_wheel));
    let more = "hello_pyrust.abi=0123456789abcdef\0".repeat(1 << 18);
    case("fingerprints", "F101", "libx.so", more.into_bytes());

    // Sdists.
    let sdist = "x-1.0.tar.gz";
    let bomb = gzip(&vec![0; 66 << 20]);
    case("a gzip bomb", "Z102", sdist, bomb.clone());
    case("gzip bombs in a row", "Z102", sdist, bomb.repeat(4));
    case("many gzip members", "S702", sdist, gzip(b"").repeat(20_000));
    case(
        "half a gzip header",
        "Z101",
        sdist,
        gzip(b"x")[..9].to_vec(),
    );
    let good = tar(&sdist_files("x", "1.0"));
    let header = |kind: u8, size: &[u8], name: &str, rest: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_link_name("../../etc/passwd").unwrap();
        header.as_mut_bytes()[124..124 + size.len()].copy_from_slice(size);
        header.set_cksum();
        let mut file = header.as_bytes().to_vec();
        file.extend(rest);
        file.resize(file.len().next_multiple_of(512), 0);
        file.extend(&good);
        gzip(&file)
    };
    for size in [
        &b"77777777777"[..],
        b"-0000000001",
        b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        b"99999999999",
    ] {
        for kind in *b"0LKxg5S" {
            case(
                "sizes in tar headers",
                "",
                sdist,
                header(kind, size, "x-1.0/a", b""),
            );
        }
    }
    for kind in *b"12346" {
        let data = header(kind, b"00000000000", "x-1.0/a", b"");
        case("links and devices", "Z106", sdist, data);
    }
    for text in [
        "30 size=18446744073709551615\n",
        "99999999999999999999 size=1\n",
        "0 size=1\n",
        "12 size=-100\n",
        "31 GNU.sparse.realsize=99999999\n",
        "\n\n\n\n",
    ] {
        let size = format!("{:011o}", text.len());
        let data = header(b'x', size.as_bytes(), "x-1.0/a", text.as_bytes());
        case("extended tar headers", "", sdist, data);
    }
    case("sparse files", "Z106", sdist, {
        // Each claims all that is behind it.
        let mut file = Vec::new();
        for _ in 0..20_000 {
            let mut header = tar::Header::new_gnu();
            header.set_path("x-1.0/a").unwrap();
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_size(0);
            header.set_entry_type(tar::EntryType::GNUSparse);
            header.as_gnu_mut().unwrap().set_real_size(5 << 20);
            header.as_gnu_mut().unwrap().sparse[0].set_offset(5 << 20);
            header.as_gnu_mut().unwrap().sparse[0].set_length(0);
            header.set_cksum();
            file.extend(header.as_bytes());
        }
        gzip(&file)
    });
    let own_sdist = |manifest: String| {
        let mut files = sdist_files("hello_pyrust", "1.2.3");
        files[2].1 = manifest.into_bytes();
        gzip(&tar(&files))
    };
    let own = "hello_pyrust-1.2.3.tar.gz";
    for manifest in [
        "[".repeat(200_000),
        "a = ".to_owned() + &"[".repeat(200_000),
        "a = ".to_owned() + &"{a=".repeat(200_000),
        "[".to_owned() + &"a.".repeat(100_000) + "a]",
        "a.".repeat(100_000) + "a = 1",
        "[a]\nb = ".to_owned() + &"\"".repeat(200_001),
        "[dependencies]\na = { path = \"".to_owned() + &"../".repeat(200_000) + "\" }",
    ] {
        case("deep manifests", "S706", own, own_sdist(manifest));
    }

    // ELF.
    let library = "libx.so";
    let patched = |mut file: Vec<u8>, at: usize, value: u64, size: usize| {
        file[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        file
    };
    for value in [
        0x7fff_ffff,
        0xffff_ffff,
        1 << 32,
        i64::MAX as u64,
        1 << 63,
        u64::MAX - 7,
        u64::MAX,
    ] {
        for at in [
            32,
            40,
            64 + 8,
            64 + 32,
            64 + 56 + 8,
            64 + 56 + 16,
            64 + 56 + 32,
        ] {
            case("ELF offsets", "", library, patched(elf(), at, value, 8));
        }
        for entry in 0..9 {
            let file = patched(elf(), DYNAMIC + 16 * entry + 8, value, 8);
            case("dynamic entries", "", library, file);
        }
        for at in (HASHES..STRINGS).step_by(4) {
            case(
                "hashes and versions",
                "",
                library,
                patched(elf(), at, value, 4),
            );
        }
    }
    let mut long = b"\0".to_vec();
    long.extend([b'a'; 16_000]);
    long.extend(b"\0");
    let needs = |tag| {
        (0..20_000)
            .map(|index| (tag, index % 15_000))
            .collect::<Vec<_>>()
    };
    case(
        "20000 long needs",
        "L302",
        library,
        elf_with(&needs(1), &long),
    );
    case(
        "20000 long paths",
        "L302",
        library,
        elf_with(&needs(29), &long),
    );
    let colons: Vec<u8> = long
        .iter()
        .map(|byte| if *byte == b'a' { b':' } else { 0 })
        .collect();
    case(
        "paths of colons",
        "L302",
        library,
        elf_with(&needs(29), &colons),
    );
    let mut versions = elf_with(&[], ELF_STRINGS);
    versions = patched(versions, DYNAMIC + 16 * 5 + 8, STRINGS as u64 + 100, 8);
    versions = patched(
        versions,
        DYNAMIC + 16 * 2 + 8,
        STRINGS as u64 + 100 + (1 << 20) + 16,
        8,
    );
    versions.resize(STRINGS + 100, 0);
    versions.extend(le(&[(1, 2), (0xffff, 2), (1, 4), (16, 4), (0, 4)]));
    for index in 0..65_535 {
        versions.extend(le(&[(0, 4), (0, 4), (index % 15_000, 4), (16, 4)]));
    }
    versions.extend(&long);
    let size = versions.len() as u64;
    versions = patched(versions, 64 + 32, size, 8);
    case("20000 long versions", "L302", library, versions);

    // Mach-O.
    let slice = mach();
    let size = slice.len() as u64;
    case(
        "one slice 16 times",
        "L302",
        "x.dylib",
        fat(&[(4096, size); 16], &slice),
    );
    case(
        "overlapping slices",
        "L302",
        "x.dylib",
        fat(&[(4096, size), (4096 + 16, size - 16)], &slice),
    );
    case(
        "thousands of slices",
        "F101",
        "x.dylib",
        fat(&[(4096, size); 5000], &slice),
    );
    case(
        "slices beyond",
        "L302",
        "x.dylib",
        fat(&[(u32::MAX.into(), u32::MAX.into())], &slice),
    );
    case("a fat file in a fat file", "L302", "x.dylib", {
        let inner = fat(&[(4096, size)], &slice);
        fat(&[(4096, inner.len() as u64)], &inner)
    });
    for size in [0, 1, 7, 8, 9, 0x7fff_ffff, 0xffff_ffff] {
        case(
            "load command sizes",
            "L302",
            "x.dylib",
            patched(mach(), 32 + 4, size, 4),
        );
        case(
            "the size of load commands",
            "L302",
            "x.dylib",
            patched(mach(), 20, size, 4),
        );
    }
    for count in [100, 0xffff_ffff] {
        case(
            "more load commands",
            "L302",
            "x.dylib",
            patched(mach(), 16, count, 4),
        );
    }
    let rpaths = vec![[u32s(&[0x8000_001c, 16, 12]), padded("", 4)].concat(); 300_000];
    case(
        "300000 load commands",
        "L302",
        "x.dylib",
        mach_with(&rpaths, TREE, 1),
    );
    let circle = b"\0\x01a\0\0";
    case(
        "exports in a circle",
        "L302",
        "x.dylib",
        mach_with(&[], circle, 1),
    );
    let wide = |label: usize, next: &[u8]| {
        let mut tree = b"\0\x01".to_vec();
        tree.extend(vec![b'a'; label]);
        tree.push(0);
        let node = tree.len() as u64 + 2;
        tree.extend([
            node as u8 | 0x80,
            (node >> 7) as u8 | 0x80,
            (node >> 14) as u8,
        ]);
        tree.push(0); // the place is one less than that of the node: an empty child or so
        tree.resize(node as usize, 0);
        tree.extend([0, 255]);
        for _ in 0..255 {
            tree.extend(next);
            tree.extend([
                0,
                node as u8 | 0x80,
                (node >> 7) as u8 | 0x80,
                (node >> 14) as u8,
            ]);
        }
        tree
    };
    for tree in [
        wide(16_000, b""),
        wide(100, b""),
        wide(1_000_000, b""),
        wide(10, b"a"),
    ] {
        case(
            "exports without end",
            "L302",
            "x.dylib",
            mach_with(&[], &tree, 1),
        );
    }
    let mut labels = b"\0\xff".to_vec();
    labels.extend(vec![b'a'; 4 << 20]);
    case(
        "one label without end",
        "L302",
        "x.dylib",
        mach_with(&[], &labels, 1),
    );
    case("64 parts of a signature", "H510", "x.dylib", {
        let mut file = mach_with(&[], TREE, 63);
        // The whole signature is one of the parts, many times.
        let at = file
            .windows(4)
            .rposition(|word| word == b"\xfa\xde\x0c\xc0")
            .unwrap();
        for part in 0..63 {
            let at = at + 12 + 8 * (part + 1) + 4;
            file[at..at + 4].copy_from_slice(&0_u32.to_be_bytes());
        }
        file
    });

    // PE.
    for value in [0x1000, 0x1001, 0x0fff, 0x7fff_ffff, 0xffff_ffff] {
        for at in (60..64 + 24 + 240 + 40).step_by(4) {
            case("PE headers", "", "x.dll", patched(pe(), at, value, 4));
        }
        for at in (512..512 + 0x80).step_by(4) {
            case("PE tables", "", "x.dll", patched(pe(), at, value, 4));
        }
    }
    let mut contents = vec![1; 4 << 20];
    case(
        "imports without end",
        "L302",
        "x.dll",
        pe_with(1, 0x1000, 0, &contents),
    );
    contents[..40].copy_from_slice(&u32s(&[
        0, 0, 0, 0x1000, 1, 1, 1_000_000, 0x1028, 0x1028, 0x1028,
    ]));
    contents.truncate(40);
    contents.extend(u32s(&[0x1028]).repeat(1 << 20));
    case(
        "exports of one name",
        "",
        "x.dll",
        pe_with(1, 0, 0x1000, &contents),
    );
    case(
        "sections times exports",
        "L302",
        "x.dll",
        pe_with(65_535, 0, 0x1000, &contents),
    );
    let mut imports = Vec::new();
    for index in 0..20_000 {
        imports.extend(u32s(&[1, 0, 0, 0x1000 + 20 * 20_001 + index % 15_000, 1]));
    }
    imports.extend([0; 20]);
    imports.extend([b'a'; 16_000]);
    imports.push(0);
    case(
        "20000 long imports",
        "L302",
        "x.dll",
        pe_with(1, 0x1000, 0, &imports),
    );
    cases
}

/// A wheel whose METADATA is the first of these files.
fn metadata_first(files: Files) -> Files {
    let mut all = wheel_files("x", "1.0", TAGS[0], &elf(), Vec::new());
    all[1] = files[0].clone();
    all.extend(files.into_iter().skip(1));
    all
}

#[test]
fn small_files_are_good_enough() {
    let context = context();
    let slices = |data: &[u8]| library::parse(data).unwrap().unwrap();
    for data in [elf(), mach(), pe()] {
        let slices = slices(&data);
        assert!(slices[0].exports.contains("hello"), "{slices:?}");
        assert!(!slices[0].libraries.is_empty(), "{slices:?}");
        assert!(slices[0].exposures.is_empty(), "{slices:?}");
    }
    let files = wheel_files("x", "1.0", TAGS[0], &elf(), Vec::new());
    let judged = judge::judge(WHEEL, &zip(&files), &context);
    let codes: Vec<_> = judged.findings.iter().map(|it| it.rule.code).collect();
    assert_eq!(codes, ["H511"], "{:?}", judged.findings);
    let sdist = gzip(&tar(&sdist_files("x", "1.0")));
    let judged = judge::judge("x-1.0.tar.gz", &sdist, &context);
    assert!(judged.findings.is_empty(), "{:?}", judged.findings);
}

#[test]
fn hostile_files_end_in_findings() {
    let context = context();
    let mut failed = Vec::new();
    let (mut slowest, mut largest) = ((Duration::ZERO, ""), (0, ""));
    let cases = hostile();
    for (what, code, name, data) in &cases {
        let outcome = judge(name, data, &context);
        if env::var_os("AUDIT_FUZZ_TRACE").is_some() {
            println!(
                "{what}: {:?}, {} KiB, {:?}",
                outcome.time,
                outcome.memory >> 10,
                outcome.codes
            );
        }
        slowest = slowest.max((outcome.time, what));
        largest = largest.max((outcome.memory, what));
        if let Some(failure) = outcome.failure {
            failed.push(format!("{what} ({} bytes): {failure}", data.len()));
        } else if !code.is_empty() && !outcome.codes.contains(code) {
            failed.push(format!("{what}: {code} is not among {:?}", outcome.codes));
        }
    }
    println!(
        "{} files, the slowest {slowest:?}, the largest {largest:?}",
        cases.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

// ---- Files that are damaged ---------------------------------------------------------------

/// SplitMix64: https://prng.di.unimi.it/splitmix64.c
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A place, more likely where headers and directories are.
    fn place(&mut self, size: usize) -> usize {
        match self.below(4) {
            0 => self.below(size),
            1 => self.below(size.min(64)),
            2 => self.below(size.min(2048)),
            _ => size.saturating_sub(1 + self.below(size.min(2048))),
        }
    }

    fn number(&mut self, size: usize) -> u64 {
        const EDGES: [u64; 20] = [
            0,
            1,
            2,
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0x8000,
            0xffff,
            0x10000,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_fffe,
            0xffff_ffff,
            0x1_0000_0000,
            0x7fff_ffff_ffff_ffff,
            0x8000_0000_0000_0000,
            0xffff_ffff_ffff_fff0,
            0xffff_ffff_ffff_ffff,
            0x0100_0000,
        ];
        match self.below(4) {
            0 => size as u64,
            1 => self.below(2 * size + 2) as u64,
            2 => (size as u64).wrapping_sub(self.below(64) as u64),
            _ => *self.of(&EDGES),
        }
    }

    fn damage(&mut self, data: &mut Vec<u8>) {
        for _ in 0..1 + self.below(6) {
            if data.is_empty() {
                return;
            }
            let size = data.len();
            let at = self.place(size);
            match self.below(12) {
                0 => data[at] ^= 1 << self.below(8),
                1 => data[at] = self.next() as u8,
                2..=6 => {
                    let width = *self.of(&[1, 2, 4, 4, 8]);
                    // Most fields are aligned.
                    let at = if self.one_in(3) {
                        at
                    } else {
                        at & !(width - 1)
                    };
                    let number = self.number(size);
                    let bytes = match self.one_in(3) {
                        false => le(&[(number, width)]),
                        true => be(&[(number, width)]),
                    };
                    let end = size.min(at + width);
                    data[at..end].copy_from_slice(&bytes[..end - at]);
                }
                7 if self.one_in(3) => data.truncate(at),
                7 | 8 => {
                    let from = self.place(size);
                    let length = self.below(64).min(size - from).min(size - at);
                    data.copy_within(from..from + length, at);
                }
                9 => {
                    let from = self.place(size);
                    let block = data[from..(from + 1 + self.below(64)).min(size)].to_vec();
                    data.splice(at..at, block);
                }
                10 => drop(data.drain(at..(at + 1 + self.below(64)).min(size))),
                _ => {
                    let value = *self.of(&[0, b'/', b':', b'.', 0x41, 0xff]);
                    let end = (at + self.below(256)).min(size);
                    data[at..end].fill(value);
                }
            }
        }
    }
}

struct Seeds {
    wheels: Vec<(String, Vec<u8>)>,
    /// Archives that are not packed, so that damage reaches their headers.
    tars: Vec<(String, Vec<u8>)>,
    libraries: Vec<(String, Vec<u8>)>,
}

impl Seeds {
    fn small() -> Seeds {
        let mut libraries = Vec::new();
        for (name, data) in [("x.so", elf()), ("x.dylib", mach()), ("x.dll", pe())] {
            libraries.push((name.to_owned(), data));
        }
        let slice = mach();
        let size = slice.len() as u64;
        libraries.push(("x.dylib".into(), fat(&[(4096, size)], &slice)));
        let mut wheels = Vec::new();
        let mut tars = Vec::new();
        for (project, version) in [("x", "1.0"), ("hello_pyrust", "1.2.3")] {
            for (index, tag) in TAGS.iter().enumerate() {
                let library = &libraries[index % libraries.len()].1;
                let files = wheel_files(project, version, tag, library, Vec::new());
                wheels.push((
                    format!("{project}-{version}-py2.py3-none-{tag}.whl"),
                    zip(&files),
                ));
            }
            tars.push((
                format!("{project}-{version}.tar.gz"),
                tar(&sdist_files(project, version)),
            ));
        }
        Seeds {
            wheels,
            tars,
            libraries,
        }
    }

    fn add(&mut self, folder: &Path) {
        const LARGEST: u64 = 3 << 20;
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            if fs::metadata(&path).is_ok_and(|it| !it.is_file() || it.len() > LARGEST) {
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let data = fs::read(&path).unwrap();
            if name.ends_with(".whl") {
                for member in wheel::open(&data).unwrap().members {
                    let mut buffer = Vec::new();
                    let contents = member.unpack(&data, &mut buffer).unwrap_or_default();
                    if let Ok(Some(_)) = library::parse(contents) {
                        let base = member.name.rsplit('/').next().unwrap_or_default();
                        self.libraries.push((base.to_owned(), contents.to_vec()));
                    }
                }
                self.wheels.push((name, data));
            } else if name.ends_with(".tar.gz") {
                let tar = sdist::inflate(&data, LARGEST * 10).unwrap().unwrap();
                self.tars.push((name, tar));
            } else {
                self.libraries.push((name, data));
            }
        }
    }

    /// The file of that number: its name and contents.
    fn file(&self, seed: u64, number: u64) -> (String, Vec<u8>) {
        let mut random = Random(seed << 40 ^ number);
        random.next();
        let damaged = |random: &mut Random, seeds: &[(String, Vec<u8>)]| {
            let (name, mut data) = random.of(seeds).clone();
            random.damage(&mut data);
            (name, data)
        };
        match random.below(8) {
            0..=2 => damaged(&mut random, &self.libraries),
            3 => {
                // In a wheel whose every checksum fits.
                let (_, library) = damaged(&mut random, &self.libraries);
                let tag = *random.of(&TAGS);
                let (project, version) = *random.of(&[("x", "1.0"), ("hello_pyrust", "1.2.3")]);
                let files = wheel_files(project, version, tag, &library, Vec::new());
                (
                    format!("{project}-{version}-py2.py3-none-{tag}.whl"),
                    zip(&files),
                )
            }
            4 => {
                // Its texts.
                let tag = *random.of(&TAGS);
                let mut files = wheel_files("x", "1.0", tag, &elf(), Vec::new());
                for _ in 0..1 + random.below(3) {
                    let at = random.below(files.len());
                    random.damage(&mut files[at].1);
                }
                let mut name = format!("x-1.0-py2.py3-none-{tag}.whl").into_bytes();
                if random.one_in(4) {
                    random.damage(&mut name);
                    name.extend(b".whl");
                }
                (String::from_utf8_lossy(&name).into_owned(), zip(&files))
            }
            5 | 6 => damaged(&mut random, &self.wheels),
            _ => {
                let (name, mut data) = random.of(&self.tars).clone();
                random.damage(&mut data);
                // Checksums of headers that fit let the damage through.
                if random.one_in(2) {
                    mend(&mut data);
                }
                let mut packed = gzip(&data);
                if random.one_in(8) {
                    random.damage(&mut packed);
                }
                (name, packed)
            }
        }
    }
}

fn mend(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes().copy_from_slice(block);
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
}

#[test]
fn damaged_files_end_in_findings() {
    let context = context();
    let number = |name: &str| {
        env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect(name))
    };
    let seconds = number("AUDIT_FUZZ_SECONDS").map(Duration::from_secs);
    let seed = number("AUDIT_FUZZ_SEED").unwrap_or(1);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut seeds = Seeds::small();
    if seconds.is_some() {
        seeds.add(&root.join("dist"));
    }
    if let Some(folder) = env::var_os("AUDIT_FUZZ_FILES") {
        seeds.add(Path::new(&folder));
    }
    let start = Instant::now();
    let (mut slowest, mut largest) = ((Duration::ZERO, 0), (0, 0));
    let mut codes = BTreeSet::new();
    let mut failed: Vec<String> = Vec::new();
    let mut executions = 0;
    while failed.len() < 20
        && seconds.map_or(executions < 4000, |seconds| start.elapsed() < seconds)
    {
        let (name, data) = seeds.file(seed, executions);
        let outcome = judge(&name, &data, &context);
        slowest = slowest.max((outcome.time, executions));
        largest = largest.max((outcome.memory, executions));
        codes.extend(outcome.codes);
        if let Some(failure) = outcome.failure {
            let folder = root.join(format!("build/fuzz/{seed}-{executions}"));
            fs::create_dir_all(&folder).unwrap();
            let name: String = name.chars().filter(|c| *c != '/' && *c != '\0').collect();
            fs::write(folder.join(&name), &data).unwrap();
            failed.push(format!("build/fuzz/{seed}-{executions}/{name}: {failure}"));
        }
        executions += 1;
    }
    println!(
        "{executions} files in {:?}, the slowest {slowest:?}, the largest {largest:?}, {} codes: {codes:?}",
        start.elapsed(),
        codes.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
