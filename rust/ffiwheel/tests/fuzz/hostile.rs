//! Files that are made to harm.

use crate::files::*;

/// What it is, the code that must be found or "", the file's name, its contents.
pub type Case = (&'static str, &'static str, &'static str, Vec<u8>);

pub fn hostile() -> Vec<Case> {
    let mut cases = Vec::new();
    for add in [zips, wheels, sdists, elf_files, mach_files, pe_files] {
        add(&mut |what, code, name, data| cases.push((what, code, name, data)));
    }
    cases
}

type Add<'a> = &'a mut dyn FnMut(&'static str, &'static str, &'static str, Vec<u8>);

fn zips(case: Add) {
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
}

fn wheels(case: Add) {
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
    let own = "example-1.2.3-py2.py3-none-manylinux_2_17_x86_64.whl";
    let own_wheel = wheel_files("example", "1.2.3", TAGS[0], &elf(), native);
    case("2000 own libraries", "L301", own, zip(&own_wheel));
    let more = "example.abi=0123456789abcdef\0".repeat(1 << 18);
    case("fingerprints", "F101", "libx.so", more.into_bytes());
}

fn sdists(case: Add) {
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
        let mut files = sdist_files("example", "1.2.3");
        files[2].1 = manifest.into_bytes();
        gzip(&tar(&files))
    };
    let own = "example-1.2.3.tar.gz";
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
}

fn elf_files(case: Add) {
    let library = "libx.so";
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
}

fn mach_files(case: Add) {
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
}

fn pe_files(case: Add) {
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
}

/// The file with another number at a place.
fn patched(mut file: Vec<u8>, at: usize, value: u64, size: usize) -> Vec<u8> {
    file[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    file
}
