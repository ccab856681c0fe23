//! Files that are damaged by chance, the same ones in each run.

use std::fs;
use std::path::Path;

use ffiwheel::facts::{library, sdist, zip as archive};

use crate::files::*;
/// SplitMix64: https://prng.di.unimi.it/splitmix64.c
pub struct Random(u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A place, more likely where headers and directories are.
    pub fn place(&mut self, size: usize) -> usize {
        match self.below(4) {
            0 => self.below(size),
            1 => self.below(size.min(64)),
            2 => self.below(size.min(2048)),
            _ => size.saturating_sub(1 + self.below(size.min(2048))),
        }
    }

    pub fn number(&mut self, size: usize) -> u64 {
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

    pub fn damage(&mut self, data: &mut Vec<u8>) {
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

pub struct Seeds {
    wheels: Vec<(String, Vec<u8>)>,
    /// Archives that are not packed, so that damage reaches their headers.
    tars: Vec<(String, Vec<u8>)>,
    libraries: Vec<(String, Vec<u8>)>,
}

impl Seeds {
    pub fn small() -> Seeds {
        let mut libraries = Vec::new();
        for (name, data) in [("x.so", elf()), ("x.dylib", mach()), ("x.dll", pe())] {
            libraries.push((name.to_owned(), data));
        }
        let slice = mach();
        let size = slice.len() as u64;
        libraries.push(("x.dylib".into(), fat(&[(4096, size)], &slice)));
        let mut wheels = Vec::new();
        let mut tars = Vec::new();
        for (project, version) in [("x", "1.0"), ("example", "1.2.3")] {
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

    pub fn add(&mut self, folder: &Path) {
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
                for member in archive::open(&data).unwrap().members {
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
    pub fn file(&self, seed: u64, number: u64) -> (String, Vec<u8>) {
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
                let (project, version) = *random.of(&[("x", "1.0"), ("example", "1.2.3")]);
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
