//! Damaged and hostile files: each ends in findings, in bounded time and memory, and never
//! in a panic, not even in one that `judge` catches.
//!
//! `cargo test --test fuzz` judges the same few thousand files each time. For a longer run, which
//! starts from the files in dist/ as well:
//!
//!     AUDIT_FUZZ_SECONDS=600 nice cargo test --release --config profile.release.overflow-checks=true --test fuzz
//!
//! AUDIT_FUZZ_FILES names a folder with more files to start from, AUDIT_FUZZ_SEED another
//! sequence. What fails is kept in build/fuzz/, under a name that `ffiwheel audit` takes.

mod damage;
mod files;
mod hostile;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ffiwheel::facts::{bounds, library};
use ffiwheel::judge::{self, rules, Context};

use damage::Seeds;
use files::{elf, gzip, mach, pe, sdist_files, tar, wheel_files, zip, TAGS, WHEEL};
use hostile::hostile;

/// A project whose own files are among them.
fn context() -> Context {
    Context {
        distribution: "example".into(),
        module: "example".into(),
        prefix: "example".into(),
        version: "1.2.3".into(),
        private: vec!["/srv/build/project".into()],
        today: [2030, 1, 1, 0, 0, 0],
        ..Context::default()
    }
}

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
