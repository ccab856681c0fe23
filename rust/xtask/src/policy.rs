//! What is allowed, as data: the rules, and what each platform has. No action.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::library::{Exposure, Format, Slice};
use crate::targets::{Floor, System};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// Whose files a rule is about. In a file of this project every finding is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// An error in anybody's file.
    All,
    /// What only ought to be better is a warning in a file of others.
    Advice,
    /// This project's own files alone.
    Own,
    /// This project's files as the set that a release is.
    Release,
}

#[derive(Debug)]
pub struct Rule {
    pub code: &'static str,
    pub scope: Scope,
    /// What holds for a good file.
    pub rule: &'static str,
    pub why: &'static str,
    pub remedy: &'static str,
    /// Where it is laid down.
    pub source: &'static str,
}

impl Rule {
    pub fn severity(&self, own: bool) -> Severity {
        match self.scope {
            Scope::Advice if !own => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

macro_rules! rules {
    ($($code:ident $scope:ident: $rule:literal, $why:literal, $remedy:literal, $source:expr;)*) => {
        $(pub static $code: Rule = Rule {
            code: stringify!($code),
            scope: Scope::$scope,
            rule: $rule,
            why: $why,
            remedy: $remedy,
            source: $source,
        };)*
        pub static RULES: &[&Rule] = &[$(&$code),*];
    };
}

const WHEEL: &str =
    "https://packaging.python.org/en/latest/specifications/binary-distribution-format/";
const RECORD: &str =
    "https://packaging.python.org/en/latest/specifications/recording-installed-packages/";
const METADATA: &str = "https://packaging.python.org/en/latest/specifications/core-metadata/";
const TAGS: &str =
    "https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/";
const SDIST: &str =
    "https://packaging.python.org/en/latest/specifications/source-distribution-format/";
const LICENSES: &str = "https://peps.python.org/pep-0639/";
const SBOMS: &str = "https://peps.python.org/pep-0770/";
const UPLOAD: &str = "https://docs.pypi.org/api/upload/";
const ZIP: &str = "https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT";
const CONFUSION: &str = "https://blog.pypi.org/posts/2025-08-07-wheel-archive-confusion-attacks/";
const AUDITWHEEL: &str = "https://github.com/pypa/auditwheel";
const LD_SO: &str = "https://man7.org/linux/man-pages/man8/ld.so.8.html";
const DYLD: &str = "https://keith.github.io/xcode-man-pages/dyld.1.html";
const PE: &str = "https://learn.microsoft.com/windows/win32/debug/pe-format";
const SIGNING: &str =
    "https://developer.apple.com/documentation/technotes/tn3126-inside-code-signing-hashes";
const OPENSSF: &str = "https://best.openssf.org/Compiler-Hardening-Guides/Compiler-Options-Hardening-Guide-for-C-and-C++";
const REPRODUCIBLE: &str = "https://reproducible-builds.org/docs/build-path/";
const HERE: &str = "this project: README.md, ci/targets.toml";

// The letter is the group, the number never changes, and a code is never used again for
// another rule.
rules! {
    F101 All: "the file can be opened, and is a wheel, an sdist (.tar.gz), or a library that some loader opens",
        "nothing else can be judged, and nothing unjudged should leave",
        "name a .whl, a .tar.gz, or a .so, .dylib or .dll", WHEEL;
    F102 All: "the file can be read to the end without a surprise",
        "whatever this reader did not foresee, an installer may not foresee either",
        "report the file to this project: its reader should have said what is wrong", HERE;

    Z101 All: "the archive is whole: every member is where the directory says, and unpacks to the size and checksum that it claims",
        "installers fail on it, or install something else",
        "build it again, and upload it again", ZIP;
    Z102 All: "the archive unpacks to no more than 4 GiB, no member to more than 1 GiB, and nothing above 64 MiB to more than 50 times its size",
        "an archive that grows without bound fills the disk of whoever opens it; PyPI refuses it",
        "look at what is in it: no wheel needs that", UPLOAD;
    Z103 All: "the archive can be read in one way only: directory and local headers agree, no members overlap, no bytes belong to none",
        "two installers that read it differently install different files, of which only one was looked at",
        "write the archive with a standard tool, and never edit one in place", CONFUSION;
    Z104 All: "every member has a plain relative name: no `..`, no leading `/`, no backslash, no drive, no control characters",
        "on some system the file lands outside the folder that it belongs in",
        "rename the member", WHEEL;
    Z105 All: "no two members have the same name, whatever the case of its letters",
        "which one is installed depends on the installer, or on the file system",
        "leave one of them out", CONFUSION;
    Z106 All: "members are files and folders: no symbolic links, no devices",
        "a link can point out of the folder, and most installers write its target as text",
        "pack the file itself", WHEEL;
    Z107 Advice: "files have the mode 0644 or 0755, and folders 0755",
        "a file that only its builder may read cannot be imported from a system folder; one that all may write can be replaced",
        "set the umask to 022, or the modes in the archive", WHEEL;
    Z108 Advice: "members are dated between 1980 and tomorrow",
        "unzip and zipimport stumble over other dates, and the same sources do not give the same bytes",
        "set SOURCE_DATE_EPOCH to the time of the commit", "https://reproducible-builds.org/specs/source-date-epoch/";
    Z109 All: "no member is encrypted",
        "no installer can read it",
        "pack it without a password", WHEEL;

    W101 All: "the file name is name-version[-build]-python-abi-platform.whl",
        "installers choose by the name alone, and ignore what they cannot parse",
        "let the build back end name the wheel", WHEEL;
    W102 Advice: "name and version in the file name are normalised: lower case, one `_` between words, a canonical version",
        "indexes and lock files compare names as texts",
        "build with a back end that normalises (setuptools 70.1 or later)", WHEEL;
    W103 Own: "the wheel has no build tag",
        "two wheels of one version would differ in nothing that users see",
        "raise the version instead", HERE;
    W104 All: "the Tag lines in WHEEL are the file name's tags, expanded: one line for each combination",
        "tools that read WHEEL, and those that read the name, choose differently",
        "rename with `wheel tags`, or let the repair tool do it", WHEEL;
    W105 All: "a wheel with native code says Root-Is-Purelib: false, and names a platform",
        "it would be installed where platform-independent packages go, shared by systems that cannot load it",
        "tell the back end that there is native code (setuptools: has_ext_modules)", WHEEL;
    W106 All: "METADATA names the same project and version as the file name",
        "installers refuse the wheel, or record another version than they were asked for",
        "build it again rather than renaming it", WHEEL;
    W107 Own: "the version is that of rust/Cargo.toml",
        "an old file in dist/ would be released as the new version",
        "run `make wheels` and `make sdist` again", HERE;
    W108 Advice: "the platform tag is one that PyPI takes",
        "the upload is refused",
        "repair the wheel: bare linux_* tags are refused, macOS since 11 has no minor number", UPLOAD;
    W109 Own: "the tag is py2.py3-none: the library is loaded by CFFI, whatever the Python",
        "any other tag would shut out Pythons that can load it",
        "see get_tag() in python/setup.py", HERE;
    W110 Own: "the platform tags are those of a row in ci/targets.toml",
        "what is not in the table is not run by any test",
        "build with `make wheels TARGETS=…`, or add the row", HERE;
    W111 All: "every License-File of the metadata is in the wheel",
        "most licences ask for their text to go along",
        "name only files that are there (setuptools: license_files)", LICENSES;
    W112 Advice: "Requires-Python allows each Python that the classifiers name",
        "people choose by the one, and pip by the other",
        "change either", METADATA;
    W113 All: "there is one .dist-info folder, named like the file, with WHEEL, METADATA and RECORD",
        "installers refuse the wheel otherwise",
        "let the build back end write it", WHEEL;
    W114 Own: "summary, licence, author, address and Requires-Python in METADATA are those in python/setup.cfg",
        "what an index shows is of another project, or of another release",
        "run `make wheels` again", HERE;

    R201 All: "RECORD is a table of three columns: name, hash, size",
        "installers and uninstallers read it",
        "let the build back end write it", RECORD;
    R202 All: "every file of the wheel is in RECORD",
        "what is not recorded is not checked, and not uninstalled",
        "pack with `wheel pack` after any change", RECORD;
    R203 All: "every file in RECORD is in the wheel",
        "installers refuse the wheel, or uninstallers look for what never was",
        "pack with `wheel pack` after any change", RECORD;
    R204 All: "the hash of each file is right, and SHA-256 or stronger",
        "the file is not the one that was packed",
        "pack with `wheel pack` after any change", RECORD;
    R205 All: "the size of each file is right",
        "the file is not the one that was packed",
        "pack with `wheel pack` after any change", RECORD;
    R206 All: "RECORD names each file once, by a plain relative name",
        "of two entries one is wrong; a name with `..` is removed outside the package on uninstalling",
        "pack with `wheel pack` after any change", RECORD;
    R207 Advice: "there are no caches, version control files or editors' leftovers",
        "they are of no use to anybody, and tell of the machine that built it",
        "delete them before packing", WHEEL;
    R208 Own: "the wheel holds the package's files, its library, its metadata and its licence: all of them, and nothing else",
        "a stray file in the working tree, or a missing one, would go unnoticed until a user stumbles",
        "commit what belongs in, and remove what does not", HERE;
    R209 Own: "an SBOM (.dist-info/sboms/*.cdx.json) is CycloneDX in JSON, the library's is of the wheel's version, and none names a folder of the machine that built it",
        "whoever looks for a vulnerable crate is told of another library's, or of nothing",
        "let `make wheels` write it", SBOMS;
    R210 Own: "the package's files and the licence are those of the working tree, byte for byte",
        "what was edited after it was generated, or packed from other sources, was not tested with this library",
        "run `make wheels` again", HERE;

    L301 Own: "there is one library, where the package looks for it",
        "with none nothing works; of two one is a leftover",
        "run `make clean`, then `make wheels`", HERE;
    L302 All: "every native file can be read: its headers point into the file",
        "the system's loader would refuse it, or worse",
        "build it again; strip and patch with tools made for the format", "https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html";
    L303 Advice: "native files are of the tag's system: ELF on Linux, Mach-O on macOS, PE on Windows",
        "no such system loads it",
        "build for the tag's target, or leave the file out", TAGS;
    L304 Advice: "machine, word size and byte order are those of the tag",
        "pip chooses the wheel by its tag, and the import fails",
        "build for the tag's target", TAGS;
    L305 All: "ARM libraries of armv7l pass floats in registers (the hard-float ABI)",
        "calls with floats would take their arguments from the wrong place",
        "build for *-linux-gnueabihf or *-linux-musleabihf", TAGS;
    L306 All: "manylinux files need glibc or no libc at all, musllinux files musl or none",
        "the loader of the other libc does not open it",
        "build for the tag's libc", TAGS;
    L307 All: "every symbol version that a manylinux file needs is in the tag's policy",
        "on a system as old as the tag promises, the import fails with `version not found`",
        "link for the older glibc (the backend zig does), or raise the tag", AUDITWHEEL;
    L308 All: "no macOS file is for a newer macOS than the tag says, nor for another of Apple's systems",
        "functions that it calls may be missing on the older one",
        "set MACOSX_DEPLOYMENT_TARGET for every part of the build, or raise the tag", TAGS;
    L309 Advice: "every file of a wheel for macOS holds each architecture that its tags name",
        "the import fails on the Macs of the other kind",
        "join the slices with lipo, or name one architecture", TAGS;
    L310 Own: "a Windows library is a DLL for the Windows subsystem",
        "a driver or a program is no library",
        "build with crate-type cdylib", PE;
    L311 Own: "every symbol that a Linux library cannot be loaded without is one of its tag's libc: it names a version of glibc's or gcc's, or musl 1.2.0 has it",
        "a symbol without a version shows nowhere how new it is: the import fails with `undefined symbol`",
        "look for what brings it (`make lib`, then readelf --dyn-syms): link for the older libc, define it, or let it be weak", LD_SO;

    D401 All: "a file needs only libraries that every such system has, or that the wheel brings",
        "where it is missing, the import fails",
        "graft it (auditwheel, delocate, delvewheel), link it statically, or do without", AUDITWHEEL;
    D402 Advice: "libraries are looked for inside the wheel: RPATH, RUNPATH and LC_RPATH begin at $ORIGIN, @loader_path or @executable_path, and do not leave",
        "whoever can write to that place on the user's machine chooses what is loaded",
        "link without -rpath, or set it with patchelf or install_name_tool", LD_SO;
    D403 Advice: "the install name is relative: it begins with @",
        "what links against the library looks for it at a path of the machine that built it",
        "link with -install_name @rpath/…; rust/.cargo/config.toml does", DYLD;

    H501 Advice: "the stack is not executable",
        "newer glibc and SELinux refuse to load it; an overflow on the stack becomes code",
        "link with -z noexecstack; assembly needs a .note.GNU-stack section", OPENSSF;
    H502 Advice: "relocated data is read-only once it is loaded (RELRO)",
        "the table of function addresses is the favourite target of whoever can write one word",
        "link with -z relro", OPENSSF;
    H503 Advice: "all symbols are bound when it is loaded (BIND_NOW)",
        "else that table stays writable, and a missing symbol shows only when it is called",
        "link with -z now", OPENSSF;
    H504 Advice: "no code is relocated (no TEXTREL)",
        "its pages must be made writable, which musl and SELinux refuse",
        "compile with -fPIC", OPENSSF;
    H505 Advice: "no segment or section is writable and executable",
        "what can be written can be run",
        "remove the linker script or flag that joins them", OPENSSF;
    H506 Advice: "a Windows file can be loaded anywhere (DYNAMIC_BASE)",
        "a fixed address tells an attacker where everything is; ARM64 Windows does not load it",
        "link with /DYNAMICBASE or --dynamicbase", PE;
    H507 Advice: "a Windows file does not run its data (NX_COMPAT)",
        "else an overflow becomes code",
        "link with /NXCOMPAT or --nxcompat", PE;
    H508 Advice: "a 64-bit Windows file can be loaded above 4 GiB (HIGH_ENTROPY_VA)",
        "the few addresses below can be guessed",
        "link with /HIGHENTROPYVA or --high-entropy-va", PE;
    H509 All: "an arm64 macOS file is signed, ad hoc at least",
        "the system ends the process that loads it",
        "sign it last: codesign -s -", SIGNING;
    H510 All: "a code signature fits every page of the file",
        "the system ends the process that reads the page",
        "sign again after the last change: codesign -f -s -", SIGNING;
    H511 Advice: "no path of the machine that built it is in a native file",
        "it tells of people and machines, and the same sources do not give the same bytes",
        "compile with --remap-path-prefix (cargo: trim-paths), or -ffile-prefix-map", REPRODUCIBLE;

    A601 Own: "every function of the C header is exported",
        "the first call of it fails",
        "run `make header`, and build again", HERE;
    A602 Own: "nothing is exported but the functions of the C header",
        "what is exported can be called, and can take the place of another library's function",
        "declare it in `export!`, or hide it from the linker", HERE;
    A603 Own: "the library holds one ABI fingerprint, and _ffi.py of the same wheel names it",
        "they would disagree about signatures and layouts: the import fails",
        "run `make header`, and build again", HERE;

    S701 All: "an sdist is named name-version.tar.gz, normalised, and holds one folder of that name",
        "front ends unpack it and go there",
        "build with a back end that follows PEP 625", SDIST;
    S702 All: "PKG-INFO is there, and names the same project and version as the file",
        "indexes and front ends read it",
        "build it again rather than renaming it", SDIST;
    S703 Own: "the sdist holds what git and sdist_files() in python/setup.py say: all of it, and nothing else",
        "a file that only the maintainer has is missed by whoever builds",
        "commit what belongs in, remove what does not, and run `make sdist`", HERE;
    S704 Release: "every file of the sdist is the one in the working tree",
        "the sdist is of other sources than the release",
        "run `make sdist`", HERE;
    S705 All: "every License-File of the metadata is in the sdist",
        "most licences ask for their text to go along",
        "name only files that are there (setuptools: license_files)", LICENSES;
    S706 Own: "the crate's manifest needs nothing outside the sdist, and Cargo.lock is there",
        "cargo fails for everybody but the maintainer",
        "publish the dependency, or put it below rust/", "https://doc.rust-lang.org/cargo/reference/specifying-dependencies.html";
    S707 Release: "the crate in the sdist builds by itself: cargo build --locked --offline",
        "packagers of distributions build without a network, and with the versions of the lock file",
        "run `cargo update --offline` in rust/, and keep its dependencies few", HERE;
    S708 Own: "summary, licence, author, address and Requires-Python in PKG-INFO are those in python/setup.cfg",
        "what an index shows is of another project, or of another release",
        "run `make sdist` again", HERE;

    X801 Release: "dist/ holds the sdist and a wheel for each row of ci/targets.toml",
        "users of the missing platform would build from source",
        "run `make wheels TARGETS=all` and `make sdist`", HERE;
    X802 Release: "dist/ holds nothing else",
        "everything in it is uploaded",
        "remove it", HERE;
    X803 Release: "the Python files of every wheel are those of the sdist",
        "one version would behave differently on different platforms",
        "build all of them from one commit: `make wheels TARGETS=all`", HERE;
    X804 Release: "all members of all files have one date, that of the commit",
        "they were made at different commits",
        "build all of them from one commit: `make wheels TARGETS=all` and `make sdist`", HERE;
    X805 Release: "every wheel has an SBOM of its library",
        "which crates are in the library, nobody can see in it",
        "run `make wheels TARGETS=all`", SBOMS;
}

pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.code == code)
}

pub fn of_exposure(exposure: &Exposure) -> &'static Rule {
    match exposure {
        Exposure::ExecutableStack => &H501,
        Exposure::WritableRelocations => &H502,
        Exposure::LazyBinding => &H503,
        Exposure::TextRelocations => &H504,
        Exposure::WritableCode => &H505,
        Exposure::FixedAddress => &H506,
        Exposure::ExecutableData => &H507,
        Exposure::LowEntropy => &H508,
        Exposure::Unsigned => &H509,
        Exposure::BadSignature(_) => &H510,
    }
}

// Bounds of what is unpacked. The ratio, and from which size on it counts, are PyPI's.
pub const MOST_UNPACKED: u64 = 4 << 30;
pub const LARGEST_MEMBER: u64 = 1 << 30;
pub const RATIO_COUNTS_FROM: u64 = 64 << 20;
pub const HIGHEST_RATIO: u64 = 50;
/// Many times what any wheel has.
pub const MOST_MEMBERS: usize = 1 << 18;
/// How long metadata may be of which all has to be held at once, and how long a line of it
/// that is worked out.
pub const LONGEST_TEXT: usize = 16 << 20;
pub const LONGEST_SPECIFIER: usize = 1000;
/// How much of a file is told of one rule: who has read that many findings needs no more.
pub const MOST_FINDINGS: usize = 200;
pub const LONGEST_MESSAGE: usize = 1000;
/// No file on PyPI is larger without a word with its administrators.
pub const LARGEST_FILE: u64 = 4 << 30;

/// Modes of files; 0 is said by archives that know none.
pub const FILE_MODES: [u32; 2] = [0o644, 0o755];
pub const FOLDER_MODE: u32 = 0o755;
/// setuptools and wheel give it to RECORD, which every installer writes anew.
pub const RECORD_MODE: u32 = 0o664;

/// What is left behind in folders, by a part of the path or by its end.
pub const LEFTOVERS: [&str; 10] = [
    "__pycache__",
    ".git",
    ".hg",
    ".svn",
    ".DS_Store",
    "Thumbs.db",
    ".idea",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
];
pub const LEFTOVER_ENDS: [&str; 6] = [".pyc", ".pyo", ".swp", ".orig", ".rej", "~"];

/// Where people's files and cargo's are. A name comes after each, or it is no such path.
pub const PRIVATE_PATHS: [&str; 6] = [
    "/home/",
    "/Users/",
    "/root/",
    ":\\Users\\",
    "/.cargo/registry/",
    "/registry/src/",
];

/// A platform tag's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    pub system: System,
    /// The oldest system; Windows tags have none.
    pub floor: Option<Floor>,
    pub arch: String,
}

/// The older spellings of manylinux tags: PEP 513, 571, 599, 600.
const ALIASES: [(&str, Floor); 3] = [
    ("manylinux1", Floor(2, 5)),
    ("manylinux2010", Floor(2, 12)),
    ("manylinux2014", Floor(2, 17)),
];

/// None for a tag that is no platform of this judge's: any, linux_x86_64, ios_…, android_….
pub fn platform(tag: &str) -> Option<Platform> {
    let windows = |arch: &str| Platform {
        system: System::Windows,
        floor: None,
        arch: arch.to_owned(),
    };
    match tag {
        "win32" => return Some(windows("win32")),
        "win_amd64" => return Some(windows("amd64")),
        "win_arm64" => return Some(windows("arm64")),
        _ => {}
    }
    let (family, rest) = tag.split_once('_')?;
    if let Some((_, floor)) = ALIASES.iter().find(|(alias, _)| *alias == family) {
        return Some(Platform {
            system: System::Manylinux,
            floor: Some(*floor),
            arch: rest.to_owned(),
        });
    }
    let system = match family {
        "manylinux" => System::Manylinux,
        "musllinux" => System::Musllinux,
        "macosx" => System::Macos,
        _ => return None,
    };
    let mut words = rest.splitn(3, '_');
    let floor = Floor(words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Platform {
        system,
        floor: Some(floor),
        arch: words.next()?.to_owned(),
    })
}

/// Whether PyPI takes a wheel with that platform tag: the rules of `_valid_platform_tag` in
/// https://github.com/pypi/warehouse/blob/main/warehouse/forklift/legacy.py
pub fn is_on_pypi(tag: &str) -> bool {
    const ALIASED: [&str; 7] = [
        "x86_64", "i686", "aarch64", "armv7l", "ppc64", "ppc64le", "s390x",
    ];
    const LINUX: [&str; 7] = [
        "x86_64", "i686", "aarch64", "armv7l", "ppc64le", "s390x", "riscv64",
    ];
    const MACOS: [&str; 11] = [
        "ppc",
        "ppc64",
        "i386",
        "x86_64",
        "arm64",
        "intel",
        "fat",
        "fat3",
        "fat64",
        "universal",
        "universal2",
    ];
    const MACOS_MAJORS: [u32; 6] = [11, 12, 13, 14, 15, 26];
    const OTHERS: [&str; 3] = ["any", "linux_armv6l", "linux_armv7l"];
    let others = |prefix: &str, arches: &[&str]| {
        tag.starts_with(prefix) && arches.iter().any(|arch| tag.ends_with(arch))
    };
    if OTHERS.contains(&tag)
        || others("ios_", &["_arm64_iphoneos", "_arm64_iphonesimulator"])
        || others("ios_", &["_x86_64_iphonesimulator"])
        || others(
            "android_",
            &["_armeabi_v7a", "_arm64_v8a", "_x86", "_x86_64"],
        )
        || others("pyemscripten_", &["_wasm32"])
    {
        return true;
    }
    let Some(platform) = platform(tag) else {
        return false;
    };
    let arch = &&*platform.arch;
    match (platform.system, platform.floor) {
        (System::Windows, _) => true,
        (System::Macos, Some(Floor(10, _))) => MACOS.contains(arch),
        (System::Macos, Some(Floor(major, minor))) => {
            MACOS.contains(arch) && MACOS_MAJORS.contains(&major) && minor == 0
        }
        (System::Manylinux, _) if tag.starts_with("manylinux_") => {
            LINUX.contains(arch) || *arch == "ppc64"
        }
        (System::Manylinux, _) => match tag.starts_with("manylinux2014_") {
            true => ALIASED.contains(arch),
            false => ["x86_64", "i686"].contains(arch),
        },
        _ => LINUX.contains(arch),
    }
}

/// What auditwheel and delvewheel know of systems, from ci/platforms.toml.
#[derive(Debug, Deserialize, Serialize)]
pub struct Platforms {
    /// The libraries that every Linux of a policy has, by the policy's glibc: those that
    /// the older policies lack.
    pub manylinux_libraries: BTreeMap<String, Vec<String>>,
    pub musllinux_libraries: Vec<String>,
    /// What musl defines.
    pub musl_symbols: BTreeSet<String>,
    /// The DLLs of Windows, by the architectures that have them.
    pub windows_libraries: BTreeMap<String, Vec<String>>,
    /// Symbol versions by architecture and policy, those that the older policies lack.
    pub symbol_versions: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

pub static PLATFORMS: LazyLock<Platforms> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../ci/platforms.toml")).expect("`make rules` writes it")
});

/// The libraries of glibc and gcc, in which every symbol has a version.
const VERSIONED_LIBRARIES: [&str; 12] = [
    "libanl.so.1",
    "libatomic.so.1",
    "libc.so.6",
    "libc.so.6.1",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    "libutil.so.1",
];

fn glibc(policy: &str) -> Option<Floor> {
    let (major, minor) = policy.split_once('.')?;
    Some(Floor(major.parse().ok()?, minor.parse().ok()?))
}

/// What `table` has for policies as old as the floor, or older.
fn upto(table: &BTreeMap<String, Vec<String>>, floor: Floor) -> impl Iterator<Item = &str> {
    let policies = table
        .iter()
        .filter(move |(policy, _)| glibc(policy).is_some_and(|policy| policy <= floor));
    policies.flat_map(|(_, names)| names.iter().map(String::as_str))
}

impl Platform {
    /// Whether every system of the platform has the library. `python2`: Python 2 loads the
    /// wheel, too, and brings no runtime of today's C compilers along.
    pub fn has_library(&self, name: &str, python2: bool) -> bool {
        let floor = self.floor.unwrap_or(Floor(0, 0));
        let loader = name.starts_with("ld-linux") || name.starts_with("ld64.so.");
        match self.system {
            System::Manylinux => {
                loader || upto(&PLATFORMS.manylinux_libraries, floor).any(|known| known == name)
            }
            System::Musllinux => {
                // The loader takes each of them for itself.
                let libc = name.starts_with("libc.musl-") || name.starts_with("ld-musl-");
                libc || PLATFORMS
                    .musllinux_libraries
                    .iter()
                    .any(|known| known == name)
            }
            System::Macos => name.starts_with("/usr/lib/") || name.starts_with("/System/Library/"),
            System::Windows => {
                let name = name.to_lowercase();
                let arch = &self.arch;
                let known = PLATFORMS.windows_libraries.iter().any(|(arches, names)| {
                    arches.split(' ').any(|known| known == arch) && names.contains(&name)
                });
                // CPython, since 3.5 compiled with the same runtime, has it in its folder.
                let python3 = ["vcruntime140.dll", "vcruntime140_1.dll"].contains(&&*name)
                    || name.strip_prefix("python3").is_some_and(|rest| {
                        rest.strip_suffix(".dll").is_some_and(|rest| {
                            rest.trim_end_matches('t')
                                .bytes()
                                .all(|byte| byte.is_ascii_digit())
                        })
                    });
                // Every Windows has it beside the folder that delvewheel's older lists were
                // made from.
                let beside = name == "gdiplus.dll";
                known || beside || name.starts_with("api-ms-win-") || (python3 && !python2)
            }
        }
    }

    /// Which symbols without a version the platform's libc may lack. None are known to be
    /// lacking in a library that needs any library but the libc, which may have them.
    pub fn lacks<'s>(&self, slice: &'s Slice) -> Vec<&'s str> {
        let of_libc = |name: &String| match self.system {
            System::Manylinux => {
                name.starts_with("ld-linux")
                    || name.starts_with("ld64.so.")
                    || VERSIONED_LIBRARIES.contains(&&**name)
            }
            System::Musllinux => {
                let mut prefixes = ["libc.so", "libc.musl-", "ld-musl-"].iter();
                prefixes.any(|prefix| name.starts_with(prefix))
            }
            _ => false,
        };
        if !slice.libraries.iter().all(of_libc) {
            return Vec::new();
        }
        let has = |name: &String| {
            self.system == System::Musllinux && PLATFORMS.musl_symbols.contains(name)
        };
        let lacking = slice.unversioned.iter().filter(|name| !has(name));
        lacking.map(String::as_str).collect()
    }

    /// Whether the policy has the version of a symbol. Only versions of the libraries that
    /// policies list are known: others come from libraries that are judged themselves.
    pub fn has_symbol_version(&self, name: &str) -> bool {
        let Some(floor) = self.floor.filter(|_| self.system == System::Manylinux) else {
            return !name.starts_with("GLIBC_");
        };
        let Some(policies) = PLATFORMS.symbol_versions.get(&self.arch) else {
            return true;
        };
        let family = name.split('_').next().unwrap_or_default();
        let of_family = |known: &&str| known.split('_').next() == Some(family);
        let mut all = policies.values().flatten().map(String::as_str);
        if !all.any(|known| of_family(&known)) {
            return true;
        }
        upto(policies, floor).any(|known| known == name)
    }

    /// The architectures that a file must have, and whether the judge knows them at all.
    pub fn arches(&self) -> &[&str] {
        match &*self.arch {
            "universal2" => &["x86_64", "arm64"],
            "intel" => &["i386", "x86_64"],
            "x86_64" => &["x86_64"],
            "arm64" => &["arm64"],
            "i386" => &["i386"],
            _ => &[],
        }
    }

    /// The newest deployment target that a slice may have.
    pub fn deployment_target(&self, arch: &str) -> Option<Floor> {
        let floor = self.floor?;
        // No older macOS runs on arm64: it goes without saying.
        Some(match arch {
            "arm64" => floor.max(Floor(11, 0)),
            _ => floor,
        })
    }
}

/// The table of rules, as Markdown.
pub fn markdown() -> String {
    let groups = [
        ('F', "The file"),
        ('Z', "Archives: wheels and sdists"),
        ('W', "A wheel's name and metadata"),
        ('R', "A wheel's members"),
        ('L', "Libraries and programs, against the tag"),
        ('D', "What they need"),
        ('H', "Hardening"),
        ('A', "The ABI"),
        ('S', "The sdist"),
        ('X', "The set that is a release (`xtask audit --release`)"),
    ];
    let mut text = String::from(
        "<!-- `make rules` writes this file from rust/xtask/src/policy.rs -->\n\
         # The rules of `make audit`\n\n\
         In this project's own files every finding is an error. In files of others, those of\n\
         the rules marked *advice* are warnings, and the rules marked *own* and *release* are\n\
         not applied. `xtask audit --explain CODE` says why a rule is there, what to do, and\n\
         where it is laid down.\n",
    );
    for (letter, title) in groups {
        text += &format!("\n## {title}\n\n| code | for | rule |\n|---|---|---|\n");
        for rule in RULES.iter().filter(|rule| rule.code.starts_with(letter)) {
            let scope = match rule.scope {
                Scope::All => "all",
                Scope::Advice => "advice",
                Scope::Own => "own",
                Scope::Release => "release",
            };
            text += &format!("| {} | {scope} | {} |\n", rule.code, rule.rule);
        }
    }
    text
}

/// Which exports a linker adds, whatever list of exports it is given. On macOS zig takes no
/// list, and exports what Rust's standard library left visible. They take no other library's
/// place: macOS looks a symbol up in the library that it was linked with.
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
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_is_one_rule_and_says_all_of_it() {
        let codes: BTreeSet<&str> = RULES.iter().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), RULES.len());
        let text = markdown();
        for rule in RULES {
            assert!(
                text.contains(&format!("| {} |", rule.code)),
                "{}",
                rule.code
            );
            for field in [rule.rule, rule.why, rule.remedy, rule.source] {
                assert!(!field.is_empty() && !field.ends_with('.'), "{}", rule.code);
            }
        }
    }

    #[test]
    fn tags_are_platforms() {
        let old = platform("manylinux2014_x86_64");
        assert_eq!(old, platform("manylinux_2_17_x86_64"));
        assert_eq!(
            platform("macosx_11_0_universal2").unwrap().arches().len(),
            2
        );
        assert_eq!(platform("win32").unwrap().floor, None);
        for other in [
            "any",
            "linux_x86_64",
            "manylinux_x_86_64",
            "ios_13_0_arm64_iphoneos",
        ] {
            assert_eq!(platform(other), None, "{other}");
        }
    }

    #[test]
    fn pypi_takes_what_its_source_says() {
        for tag in [
            "any",
            "win32",
            "win_arm64",
            "manylinux1_i686",
            "manylinux2014_s390x",
            "manylinux_2_39_riscv64",
            "musllinux_1_2_riscv64",
            "macosx_10_9_intel",
            "macosx_26_0_arm64",
            "android_21_arm64_v8a",
            "ios_13_0_arm64_iphonesimulator",
        ] {
            assert!(is_on_pypi(tag), "{tag}");
        }
        for tag in [
            "linux_x86_64",
            "win_ia64",
            "manylinux1_aarch64",
            "manylinux2014_riscv64",
            "musllinux_1_2_ppc64",
            "macosx_11_1_arm64",
            "macosx_16_0_arm64",
            "freebsd_13_amd64",
        ] {
            assert!(!is_on_pypi(tag), "{tag}");
        }
    }

    #[test]
    fn policies_grow_with_their_glibc() {
        let old = platform("manylinux2014_x86_64").unwrap();
        let new = platform("manylinux_2_29_x86_64").unwrap();
        assert!(old.has_symbol_version("GLIBC_2.17") && !old.has_symbol_version("GLIBC_2.18"));
        assert!(new.has_symbol_version("GLIBC_2.28") && !new.has_symbol_version("GLIBC_2.30"));
        assert!(!new.has_symbol_version("GLIBC_PRIVATE"));
        // Some other library's: its own file is judged.
        assert!(old.has_symbol_version("OPENSSL_3.0.0"));
        assert!(new.has_library("libmvec.so.1", true) && !old.has_library("libmvec.so.1", true));
        assert!(!old.has_library("libpython3.11.so.1.0", false));
    }

    #[test]
    fn windows_has_its_own_and_python_3_the_runtime() {
        let windows = platform("win_amd64").unwrap();
        assert!(windows.has_library("KERNEL32.dll", true));
        assert!(windows.has_library("gdiplus.dll", true));
        assert!(windows.has_library("api-ms-win-crt-heap-l1-1-0.dll", true));
        assert!(windows.has_library("VCRUNTIME140.dll", false));
        assert!(windows.has_library("python313t.dll", false));
        assert!(!windows.has_library("VCRUNTIME140.dll", true));
        assert!(!windows.has_library("libgcc_s_seh-1.dll", false));
        assert!(!windows.has_library("msvcp140.dll", false));
    }
}
