//! What is allowed, as data. No action.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// Which files a rule applies to. In this project's files every finding is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// An error in anybody's file.
    All,
    /// A recommendation: a warning in other projects' files.
    Advice,
    /// Only this project's files.
    Own,
    /// This project's files, checked together as a release.
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
    /// Where the rule comes from.
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

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        self.code == other.code
    }
}

impl Eq for Rule {}

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
const MUSL_TLS: &str = "https://git.musl-libc.org/cgit/musl/tree/ldso/dynlink.c";
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
        "no other rule can be checked",
        "name a .whl, a .tar.gz, or a .so, .dylib or .dll", WHEEL;
    F102 All: "the file can be read to the end without an internal error",
        "what this reader cannot handle may break an installer, too",
        "report the file to this project: its reader should have reported what is wrong", HERE;

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
        "unzip and zipimport mishandle other dates, and the same sources do not give the same bytes",
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
    W107 Own: "the version is that of Cargo.toml",
        "an old file in dist/ would be released as the new version",
        "run `make wheels` and `make sdist` again", HERE;
    W108 Advice: "PyPI accepts the platform tag",
        "the upload is refused",
        "repair the wheel: bare linux_* tags are refused, and macOS 11 and later has no minor number", UPLOAD;
    W109 Own: "the tag is py2.py3-none, or py3-none if python_requires excludes Python 2: no Python's own ABI matters",
        "any other tag would shut out Pythons that can load it",
        "see get_tag() in python/setup.py", HERE;
    W110 Own: "the platform tags are those of a row in ci/targets.toml",
        "what is not in the table is not run by any test",
        "build with `make wheels TARGETS=…`, or add the row", HERE;
    W111 All: "every License-File of the metadata is in the wheel",
        "most licences require their text to be included",
        "name only files that are there (setuptools: license_files)", LICENSES;
    W112 Advice: "Requires-Python allows each Python that the classifiers name",
        "people choose by the one, and pip by the other",
        "change either", METADATA;
    W113 All: "there is one .dist-info folder, named like the file, with WHEEL, METADATA and RECORD",
        "installers refuse the wheel otherwise",
        "let the build back end write it", WHEEL;
    W114 Own: "summary, licence, author, address and Requires-Python in METADATA are those in python/setup.cfg and Cargo.toml",
        "an index would show the metadata of another project or release",
        "run `make wheels` again", HERE;
    W115 Own: "where python/setup.cfg and Cargo.toml both give the summary, the licence or an address, they agree",
        "an index would show something else than the crate says",
        "remove it from setup.cfg, which takes it from Cargo.toml, or correct one of them", HERE;
    W116 Release: "nothing is left of a template: a summary that begins with TODO, an address at example.com or the like",
        "an index would show it, for this version forever",
        "write what is true into Cargo.toml or python/setup.cfg, or remove it", HERE;

    R201 All: "RECORD is a table of three columns: name, hash, size",
        "installers and uninstallers read it",
        "let the build back end write it", RECORD;
    R202 All: "every file of the wheel is in RECORD",
        "what is not recorded is not checked, and not uninstalled",
        "pack with `wheel pack` after any change", RECORD;
    R203 All: "every file in RECORD is in the wheel",
        "installers refuse the wheel, or uninstallers look for files that never existed",
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
        "they are useless to users, and reveal details of the build machine",
        "delete them before packing", WHEEL;
    R208 Own: "the wheel holds the package's files, its library, its metadata and its licence: all of them, and nothing else",
        "a stray file in the working tree, or a missing one, would go unnoticed until a user runs into it",
        "commit what belongs in, and remove what does not", HERE;
    R209 Own: "an SBOM (.dist-info/sboms/*.cdx.json) is CycloneDX in JSON, the library's is of the wheel's version, and none names a folder of the build machine",
        "someone who looks for a vulnerable crate would find another library's crates, or none",
        "let `make wheels` write it", SBOMS;
    R210 Own: "the package's files and the licence are those of the working tree, byte for byte",
        "what was edited after it was generated, or packed from other sources, was not tested with this library",
        "run `make wheels` again", HERE;

    L301 Own: "there is one library, where the package looks for it",
        "without it nothing works; a second one is a leftover",
        "run `make clean`, then `make wheels`", HERE;
    L302 All: "every native file can be read: its headers point into the file",
        "the system's loader would refuse it, or crash",
        "build it again; strip and patch with tools made for the format", "https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html";
    L303 Advice: "native files are of the tag's system: ELF on Linux, Mach-O on macOS, PE on Windows",
        "systems of the tag cannot load it",
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
        "on the oldest systems that the tag allows, the import fails with `version not found`",
        "link for the older glibc (the backend zig does), or raise the tag", AUDITWHEEL;
    L308 All: "no macOS file is for a newer macOS than the tag says, nor for another of Apple's systems",
        "functions that it calls may be missing on the older one",
        "set MACOSX_DEPLOYMENT_TARGET for every part of the build, or raise the tag", TAGS;
    L309 Advice: "every file of a wheel for macOS holds each architecture that its tags name",
        "the import fails on the Macs of the other kind",
        "join the slices with lipo, or name one architecture", TAGS;
    L310 Own: "a Windows library is a DLL for the Windows subsystem",
        "a driver or a program cannot be loaded as a library",
        "build with crate-type cdylib", PE;
    L311 Own: "every symbol that a Linux library needs to load is part of its tag's libc: it has a glibc or gcc version, or musl 1.2.0 has it",
        "nothing shows how new a symbol without a version is: the import fails with `undefined symbol`",
        "look for what brings it (`make lib`, then readelf --dyn-syms): link for the older libc, define it, or let it be weak", LD_SO;
    L312 Own: "a library for musl takes no thread-local memory of the kind that a process has when it starts",
        "musl refuses to load it into a process that runs, or the library crashes",
        "compile with -ftls-model=global-dynamic; Go cannot: leave musl out for it", MUSL_TLS;

    D401 All: "a file needs only libraries that every such system has, or that the wheel brings",
        "where it is missing, the import fails",
        "graft it (auditwheel, delocate, delvewheel), link it statically, or do without", AUDITWHEEL;
    D402 Advice: "libraries are looked for inside the wheel: RPATH, RUNPATH and LC_RPATH begin at $ORIGIN, @loader_path or @executable_path, and do not leave",
        "whoever can write to that place on the user's machine chooses what is loaded",
        "link without -rpath, or set it with patchelf or install_name_tool", LD_SO;
    D403 Advice: "the install name is relative: it begins with @",
        "what links against the library looks for it at a path of the build machine",
        "link with -install_name @rpath/…, as `make wheels` and setup.py do", DYLD;

    H501 Advice: "the stack is not executable",
        "newer glibc and SELinux refuse to load it; an overflow on the stack becomes code",
        "link with -z noexecstack; assembly needs a .note.GNU-stack section", OPENSSF;
    H502 Advice: "relocated data is read-only once it is loaded (RELRO)",
        "the table of function addresses is a common target for attackers who can write to memory",
        "link with -z relro", OPENSSF;
    H503 Advice: "all symbols are bound when it is loaded (BIND_NOW)",
        "otherwise that table stays writable, and a missing symbol shows only when it is called",
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
        "otherwise an overflow becomes code",
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
    H511 Advice: "a native file contains no path of the build machine",
        "it reveals the names of users and machines, and the same sources do not give the same bytes",
        "compile with --remap-path-prefix (cargo: trim-paths), or -ffile-prefix-map", REPRODUCIBLE;

    H512 Advice: "a program for Linux or macOS can be loaded anywhere (PIE)",
        "a fixed address tells an attacker where everything is",
        "link with -pie, or -static-pie for a static program", OPENSSF;

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
    S703 Own: "the sdist holds what git and sdist_files() in python/sources.py say: all of it, and nothing else",
        "a file that only the maintainer has is missing for everyone else who builds",
        "commit what belongs in, remove what does not, and run `make sdist`", HERE;
    S704 Release: "every file of the sdist is the one in the working tree",
        "the sdist contains other sources than the release",
        "run `make sdist`", HERE;
    S705 All: "every License-File of the metadata is in the sdist",
        "most licences require their text to be included",
        "name only files that are there (setuptools: license_files)", LICENSES;
    S706 Own: "the crate's manifest needs nothing outside the sdist, and Cargo.lock is there",
        "cargo fails for everybody but the maintainer",
        "publish the dependency, or put it below rust/", "https://doc.rust-lang.org/cargo/reference/specifying-dependencies.html";
    S707 Release: "the crate in the sdist builds by itself: cargo build --locked --offline",
        "packagers of distributions build without a network, and with the versions of the lock file",
        "run `cargo update --offline` in the crate, and keep its dependencies few", HERE;
    S708 Own: "summary, licence, author, address and Requires-Python in PKG-INFO are those in python/setup.cfg and Cargo.toml",
        "an index would show the metadata of another project or release",
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
        "the library itself does not show which crates it contains",
        "run `make wheels TARGETS=all`", SBOMS;

    P901 Own: "a project with `kind = program` has one program in a wheel, among its scripts, and no library",
        "without it nothing works; a second one is a leftover",
        "run `make clean`, then `make wheels`", HERE;
    P902 Advice: "a program or script in .data/scripts has the mode 0755",
        "pip makes executable only what is so in the archive: the command could not be started",
        "set the mode before packing", WHEEL;
}

pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.code == code)
}
