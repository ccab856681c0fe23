# ffiwheel kit 0.1.0 b7723a5bb02398f9: `ffiwheel update` replaces this file; use settings
"""Finds the library that the Python package loads, or builds it.

A prebuilt library in <package>/lib is used if it is up to date; otherwise cargo builds one, or
`command` below [build_library] in setup.cfg. With `kind = program` there, cargo builds a program
instead, which a wheel brings as a command. This file also runs on end users' machines, on Python
2.7 and 3.6 to the newest.

    CARGO_BUILD_TARGET=<triple>   build for that target, and tag the wheel for it
    CARGO=<path>                  the cargo to call
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import platform
import re
import shutil
import subprocess
import sys

import platform_tag
from setuptools import Command
from sources import (
    COMMAND,
    CRATE,
    EXCLUDE,
    FEATURES,
    FFI,
    HEADER,
    HERE,
    IN_CHECKOUT,
    KIND,
    LIB,
    LIBRARIES,
    PACKAGE,
    PROGRAM,
    ROOT,
    TESTS,
    digest,
    fail,
    files_below,
    folders_above,
    generated,
    header_digest,
    is_file,
    native,
    read_lines,
    sha256,
    sources_digest,
)

# The wheels of a release: what str() of a platform matches, the oldest system, the oldest pip.
WHEELS = [
    ("linux (x86_64|i686|aarch64|armv7l|ppc64le|s390x) glibc", "glibc 2.17", (19, 3)),
    ("linux riscv64 glibc", "glibc 2.31", (24, 1)),
    ("linux (x86_64|i686|aarch64|armv7l|ppc64le|s390x|riscv64) musl", "musl 1.2", (21, 2)),
    ("macos x86_64", "macOS 10.12", ()),
    ("macos arm64", "macOS 11.0", (20, 3)),
    ("windows (amd64|x86|arm64)", "Windows 10", ()),
]
LAST_PIPS = {(2, 7): (20, 3), (3, 6): (21, 3), (3, 7): (24, 0)}

# An empty variable counts as unset. Cargo would take it for a name.
for variable in ("CARGO", "CARGO_BUILD_TARGET", "RUSTC"):
    if not os.environ.get(variable):
        os.environ.pop(variable, None)


def flags_of_environment(environment):
    """Takes the flags for rustc out of an environment, as cargo reads them."""
    plain, encoded = [environment.pop(n, None) for n in ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")]
    flags = (plain or "").split() if encoded is None else encoded.split("\x1f")
    return [flag for flag in flags if flag]


def needed_flags(platform):
    """What rustc needs to build the library for a platform. The pipeline gives it the same; and
    makes each program for musl static, where a build for one machine takes Rust's default."""
    if PROGRAM:
        return []
    if platform.libc == "musl":  # else cargo builds programs only, and leaves the cdylib out
        return ["-C", "target-feature=-crt-static"]
    if platform.system == "macos":  # else it has its path on the machine that built it
        name = platform_tag.library_name(platform.system, PACKAGE)
        return ["-C", "link-arg=-Wl,-install_name,@rpath/" + name]
    return []


def wheel_remedy(platform):
    """How to get a wheel for the platform, or that there is none."""
    for pattern, oldest, pip in WHEELS:
        if re.match(pattern + "$", str(platform)):
            if LAST_PIPS.get(sys.version_info[:2], pip) < pip:
                return "no pip for Python %d.%d accepts the wheel for %s" % (
                    sys.version_info[:2] + (platform,)
                )
            words = "install a wheel, which needs no Rust: on %s or later" % oldest
            if pip:
                words += ", with pip %d.%d or later (python -m pip install --upgrade pip)" % pip
            return words
    return "no wheel is released for %s" % (platform,)


# ---- Files ----------------------------------------------------------------------------


@contextlib.contextmanager
def replacing(path):
    """A temporary path that becomes `path`, whole or not at all."""
    temporary = "%s.%d.tmp" % (path, os.getpid())
    try:
        yield temporary
        if os.name == "nt" and os.path.exists(path):
            os.remove(path)  # Python 2.7's rename does not replace there.
        os.rename(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def copy(source, destination, mode=0o644):
    if os.path.islink(source) and not os.path.exists(source):
        fail("%s is a link to %s, which cannot be reached" % (source, os.readlink(source)))
    if os.path.exists(source) and not os.path.isfile(source):
        fail("%s is neither a file nor a folder and cannot be packed: remove it" % source)
    if not os.path.isdir(os.path.dirname(destination)):
        os.makedirs(os.path.dirname(destination))
    with replacing(destination) as temporary:
        shutil.copyfile(source, temporary)
        os.chmod(temporary, mode)  # Whatever the umask, the installed file is for all.


def stamp_path(path):
    """The file that records which sources the library at `path` was built from."""
    return path + ".json"


def write_stamp(path, **contents):
    with replacing(stamp_path(path)) as temporary:
        with open(temporary, "w") as file:
            json.dump(contents, file, indent=1, sort_keys=True)


def read_stamp(path):
    try:
        if os.path.isfile(stamp_path(path)):
            with open(stamp_path(path)) as file:
                return dict(json.load(file))
    except (IOError, OSError, TypeError, ValueError):
        pass
    return {}


# ---- What else a library is built of --------------------------------------------------

# Variables that cargo and the C compiler read whatever the crate does.
BUILD_VARIABLE = re.compile(
    r"(CC|CXX|AR|CFLAGS|CXXFLAGS|CPPFLAGS|RUSTFLAGS|RUSTC(_\w+)?|CARGO_(ENCODED_RUSTFLAGS"
    r"|BUILD_RUST\w+|PROFILE_RELEASE_\w+|TARGET_\w+_(LINKER|RUSTFLAGS)))$"
)
# Variables that cargo itself sets, and those that pip and the pipeline set anew each time.
SET_VARIABLE = re.compile(
    r"(CARGO(_(PKG|MANIFEST|CRATE|BIN|PRIMARY)_\w+)?|OUT_DIR|PATH|SOURCE_DATE_EPOCH|NO_COLOR)$"
)


def read_by_build(library):
    """(paths, names of variables) that the build of a library read. rustc and the build
    scripts note them beside it, and cargo sums up the files.
    https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files"""
    paths, names = [], []
    for line in map(native, read_lines(os.path.splitext(library)[0] + ".d")):
        words = line.partition(": ")[2]
        paths += [word.replace("\\ ", " ") for word in re.split(r"(?<!\\) ", words) if word]
    folder = os.path.dirname(library)
    notes = []
    for part in ("deps", "build"):
        part = os.path.join(folder, part)
        for name in sorted(os.listdir(part) if os.path.isdir(part) else []):
            path = os.path.join(part, name)
            notes.append(path if name.endswith(".d") else os.path.join(path, "output"))
    for path in notes:
        for line in map(native, read_lines(path)):
            found = re.match(r"(?:# env-dep:|cargo::?rerun-if-env-changed=)(\w[^=]*)", line)
            if found:
                names.append(found.group(1))
    return paths, names


def beside_crate(paths):
    """What of the paths sources_digest() leaves out, as {path relative to the crate: digest}.
    A file of another crate stands for that whole crate, since its manifest counts, too."""
    crate = os.path.realpath(CRATE)
    inside = files_below(CRATE, EXCLUDE + TESTS).values()
    inside = {os.path.realpath(path) for path in inside}
    found = set()
    if not os.path.isfile(os.path.join(crate, "Cargo.lock")):  # a workspace's member
        for folder in folders_above(crate):
            found.update(os.path.join(folder, name) for name in ("Cargo.toml", "Cargo.lock"))
    for path in paths:
        path = os.path.realpath(path)
        above = folders_above(path)
        if path in inside or any(is_file(folder, "CACHEDIR.TAG") for folder in above):
            continue  # The latter is what the build itself wrote.
        packages = [folder for folder in above if is_file(folder, "Cargo.toml")]
        if packages and not (crate + os.sep).startswith(packages[0] + os.sep):
            path = packages[0]
        found.add(path)
    return {
        os.path.relpath(path, crate): digest(path, TESTS if is_file(path, "Cargo.toml") else ())
        for path in found
        if os.path.exists(path)
    }


def settings():
    """The text of all files of cargo's configuration, from the crate's folder upwards.
    https://doc.rust-lang.org/cargo/reference/config.html#hierarchical-structure"""
    crate = os.path.realpath(CRATE)
    folders = [os.path.join(folder, ".cargo") for folder in [crate] + folders_above(crate)]
    folders.append(os.environ.get("CARGO_HOME") or os.path.expanduser("~/.cargo"))
    paths = [os.path.join(up, name) for up in folders for name in ("config", "config.toml")]
    return b"\n".join(b"\n".join(read_lines(path)) for path in paths)


def settings_digest():
    return hashlib.sha256(settings()).hexdigest()


def environment(names):
    """What a stamp says of variables. What the configuration sets counts there: `cargo run`
    hands that to the pipeline."""
    names = [name for name in names if not SET_VARIABLE.match(name)]
    names = [name for name in names if name.encode("utf-8") not in settings()]
    return {
        name: value_digest(name) for name in names + list(filter(BUILD_VARIABLE.match, os.environ))
    }


def value_digest(name):
    """Of a variable's value, which can be a secret; None where it is not set."""
    value = os.environ.get(name)
    if value is not None and not isinstance(value, bytes):
        value = value.encode("utf-8", "surrogateescape")
    return None if value is None else hashlib.sha256(value).hexdigest()


# ---- The library ----------------------------------------------------------------------


class build_library(Command):
    """Finds or builds the library, once in a run of setup.py. Afterwards `path` is the file
    and `platform` what it is for."""

    description = "use the library in %s, or build it if that does not fit" % LIB
    user_options = [
        ("kit=", None, "the version of these files, for `ffiwheel update`"),
        ("crate=", None, "the crate's folder [default: ../rust]"),
        ("features=", None, "the crate's features to build with, beside the default ones"),
        ("exclude=", None, "names and patterns of what neither sdists nor the library contain"),
        ("kind=", None, "what a wheel brings: library or program [default: library]"),
        ("program=", None, "the program's name [default: the project's]"),
        ("command=", None, "what builds the library, to $OUTPUT [default: cargo build]"),
        ("sources=", None, "the folder that the command runs in, relative to the project's"),
        ("header=", None, "the C header, in the sources [default: cargo's crate has a gate]"),
        ("prefix=", None, "what the names of C symbols begin with [default: the package's]"),
        ("libraries=", None, "names of what the command builds beside the package's library"),
        ("library=", None, "use this library instead of building one"),
        ("sbom=", None, "a software bill of materials to pack (PEP 770)"),
        ("inplace", "i", "leave the library in " + LIB),
    ]
    boolean_options = ["inplace"]

    def initialize_options(self):
        # sources.py and the pipeline read these.
        self.crate = self.features = self.exclude = self.kind = self.kit = self.program = None
        self.command = self.sources = self.header = self.prefix = self.libraries = None
        self.library = self.sbom = self.inplace = None

    def finalize_options(self):
        if {"develop", "editable_wheel"} & set(self.distribution.command_obj):
            self.inplace = True

    def run(self):
        self.target = os.environ.get("CARGO_BUILD_TARGET")
        try:
            if self.target:
                self.wanted = platform_tag.of_triple(self.target)
            else:
                self.wanted = platform_tag.of_interpreter()
        except ValueError as error:
            fail(str(error))
        ready = os.path.join(LIB, platform_tag.library_name(self.wanted.system, PACKAGE))
        self.path = self.library
        # Before the build: a file that is saved during it makes the library stale.
        self.digest = sources_digest()
        if not self.path and PROGRAM:
            self.path = self.build("a wheel brings %s" % PROGRAM, None)
        elif not self.path:
            stale = self.stale(ready)
            self.path = self.build(stale, ready) if stale or self.checked(ready) else ready
        self.platform = None
        for path in self.all(self.path):
            found = self.read(path)
            if not self.wanted.runs(found):
                fail("%s is for %s, not for %s" % (path, found, self.wanted))
            self.platform = self.platform or found
            if found[:2] != self.platform[:2]:
                fail("%s is for %s, but %s for %s" % (path, found, self.path, self.platform))
            if found.version:  # The tag is right for all.
                newest = max(found.version, self.platform.version)
                self.platform = self.platform._replace(version=newest)
        if PROGRAM:
            self.file_name = PROGRAM + (".exe" if self.platform.system == "windows" else "")
        else:
            self.check_abi(ready)

    def all(self, path):
        """The path of the package's library, and those of LIBRARIES, which are beside it."""
        names = [platform_tag.library_name(self.wanted.system, name) for name in LIBRARIES]
        return [path] + [os.path.join(os.path.dirname(path), name) for name in names]

    def digest_of_all(self, path):
        return " ".join(map(sha256, self.all(path)))

    def check_abi(self, ready):
        # An old pip leaves the header behind.
        if HEADER and self.digest and generated("HEADER") != header_digest():
            fail(
                "%s is stale: it was generated from another %s" % (FFI, HEADER),
                "run `make header`, and commit what it writes",
            )
        prefix, expected = generated("PREFIX"), generated("ABI")
        found = platform_tag.fingerprint(self.path, prefix)
        if not found and expected:
            fail(
                "%s has no ABI fingerprint: it must contain, once, the bytes `%s.abi=`, the "
                "fingerprint in %s, and NUL" % (self.path, prefix, FFI)
            )
        if found and found != expected:
            fail(
                "%s is stale: it was generated for the ABI %s, but %s, built from the sources, "
                "has %s" % (FFI, expected, self.path, found),
                "run `make header`, and commit what it writes",
            )
        if self.inplace and self.path != ready:
            self.place(ready)

    def read(self, path):
        """The platform of a library's or program's file."""
        try:
            return (platform_tag.of_program if PROGRAM else platform_tag.of_library)(path)
        except platform_tag.NotALibrary as error:
            fail("%s is not a %s: %s" % (path, KIND, error), "remove it, and run this again")
        except (IOError, OSError) as error:
            fail(
                "cannot read %s: %s" % (path, error.strerror),
                "make it readable, or remove it, and run this again",
            )

    def stale(self, ready):
        """Why the library at `ready` cannot be used; None if it can."""
        for path in self.all(ready):
            if not os.path.lexists(path):
                names = os.listdir(LIB) if os.path.isdir(LIB) else []
                here = [os.path.basename(it) for it in self.all(ready)]
                others = [name for name in names if name.endswith((".so", ".dylib", ".dll"))]
                others = [name for name in others if name not in here]
                return "%s is missing%s" % (path, "; there is " + others[0] if others else "")
            found = self.read(path)
            if not self.wanted.runs(found):
                return "%s is for %s, not for %s" % (path, found, self.wanted)
        stamp = read_stamp(ready)
        if stamp.get("unfinished"):
            return (
                "%s was left by an interrupted build (if you have replaced it since, remove %s)"
                % (
                    ready,
                    stamp_path(ready),
                )
            )
        # Without a stamp, the library was put there by hand: its bytes decide.
        stamped = stamp.get("library") == self.digest_of_all(ready)
        if stamped and self.digest:
            if stamp.get("sources") != self.digest:
                return "%s was built from other sources than %s" % (ready, CRATE)
            changed = self.changed(stamp)
            return changed and "%s was built %s" % (ready, changed)
        prefix = generated("PREFIX")
        abi = platform_tag.fingerprint(ready, prefix) or ""  # Not every language gives one.
        if abi != generated("ABI"):
            return "%s has the ABI %s, but %s is for %s" % (ready, abi, FFI, generated("ABI"))
        return None

    def changed(self, stamp):
        """How the other inputs that the stamp records differ from those here, or None. Files of
        another machine that are missing here do not count; without Rust, only files count."""
        here = stamp.get("place") == self.place_here()
        root = os.path.join(os.path.realpath(ROOT), "")
        for name, was in sorted(stamp.get("beside", {}).items()):
            path = os.path.normpath(os.path.join(os.path.realpath(CRATE), native(name)))
            is_there = os.path.exists(path)
            skip = TESTS if is_file(path, "Cargo.toml") else ()
            if is_there and (here or path.startswith(root)) and digest(path, skip) != was:
                return "from another %s" % os.path.relpath(path)
            if here and not is_there:
                return "from %s, which is gone" % os.path.relpath(path)
        if stamp.get("command", COMMAND) != COMMAND:
            return "by another command"
        if not here and (COMMAND or not self.rustc()):
            return None
        was = stamp.get("environment", {})
        for name in sorted(set(was) | set(filter(BUILD_VARIABLE.match, os.environ))):
            if "environment" in stamp and was.get(name) != value_digest(name):
                return "with another value of %s in the environment" % name
        if COMMAND:
            return None
        if stamp.get("settings", settings_digest()) != settings_digest():
            return "with another configuration of cargo"
        if stamp.get("features", FEATURES) != FEATURES:
            return "with other features"
        if self.rustc() and stamp.get("rustc") not in (None, self.rustc()):
            return "by another version of Rust"
        return None

    def checked(self, ready):
        """Whether cargo, if it is installed, should check if the library is up to date."""
        stamp = read_stamp(ready)
        by_setup = stamp.get("built") and stamp.get("place") == self.place_here()
        return self.digest and by_setup and not COMMAND and stamp.get("library") == sha256(ready)

    def place_here(self):
        """A digest of this machine's name and this folder's."""
        text = platform.node() + HERE
        text = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        return hashlib.sha256(text).hexdigest()

    def build(self, stale, ready):
        """Runs the build command, and returns the library's path. `stale`: why the one at
        `ready` cannot be used; None asks cargo whether it can."""
        if not self.digest:
            fail(
                "%s, and %s to build it from is not here"
                % (stale, "`sources`" if COMMAND else "the Rust crate"),
                "from a checkout, install with pip 21.3 or later, which builds in place, "
                "or with `pip install -e`",
                wheel_remedy(self.wanted),
            )
        if COMMAND:
            return self.run_command(stale)
        command = [os.environ.get("CARGO", "cargo"), "build", "--release", "--locked"]
        command += ["--bin", PROGRAM] if PROGRAM else ["--lib"]
        command += ["--message-format", "json-render-diagnostics"]
        command += ["--features", ",".join(FEATURES)] if FEATURES else []
        host = self.host_triple()
        target = self.target or host and self.own_triple(host)
        if target:  # A `build.target` in a folder above would count otherwise.
            command += ["--target", target]
        # What the crate needs overrides the user's settings, and is joined to the user's flags,
        # which would otherwise replace it. Nobody else sets flags under this key.
        if not PROGRAM and not HEADER:
            command += ["--config", 'profile.release.panic="unwind"']
        environment = dict(os.environ)
        flags = needed_flags(self.wanted) + flags_of_environment(environment)
        if flags:
            command += ["--config", "target.'cfg(all())'.rustflags=" + json.dumps(flags)]
        why = stale and stale + "; building it" or "checking whether %s is up to date" % ready
        print("%s: %s" % (why, " ".join(command)))
        sys.stdout.flush()
        try:
            cargo = subprocess.Popen(command, cwd=CRATE, env=environment, stdout=subprocess.PIPE)
        except OSError as error:
            if not stale:
                return ready
            fail(
                "%s, and cargo cannot build it: %s: %s" % (stale, command[0], error.strerror),
                "install Rust from https://rustup.rs, and run this again",
                wheel_remedy(self.wanted),
            )
        messages = cargo.communicate()[0].decode("utf-8").splitlines()
        if cargo.returncode != 0:
            remedies = []
            if target != host:
                remedies.append(
                    "if the standard library for %s is missing, run: "
                    "rustup target add %s" % (self.wanted, target)
                )
            if PROGRAM:
                remedies.append(
                    "if the program has another name than %s, write `program = <name>` below "
                    "[build_library] in setup.cfg" % PROGRAM
                )
            fail("cargo failed (exit code %d); its output is above" % cargo.returncode, *remedies)
        manifest = os.path.realpath(os.path.join(CRATE, "Cargo.toml"))
        for message in [json.loads(line) for line in messages if line.startswith("{")]:
            of_crate = os.path.realpath(native(message.get("manifest_path", ""))) == manifest
            if of_crate and PROGRAM and message.get("executable"):
                return native(message["executable"])
            if of_crate and "cdylib" in message.get("target", {}).get("crate_types", ()):
                for path in message.get("filenames", ()):
                    if path.endswith((".so", ".dylib", ".dll")):
                        return native(path)
        if PROGRAM:
            fail("cargo built no program %s: add src/main.rs, or a [[bin]] of that name" % PROGRAM)
        fail("cargo built no dynamic library: add `cdylib` to crate-type in Cargo.toml")

    def run_command(self, stale):
        """Runs the author's command, and returns the path of what it wrote."""
        target = self.target or self.wanted.triple
        folder = os.path.abspath(os.path.join("build", "command", target))
        output = os.path.join(folder, "output")
        shutil.rmtree(output, ignore_errors=True)  # What is there afterwards is new.
        os.makedirs(output)
        output = os.path.join(output, platform_tag.library_name(self.wanted.system, PACKAGE))
        # docs/commands.md has a table of these; `make wheels` hands more.
        environment = dict(os.environ, BUILD_DIR=folder, TARGET=target)
        environment.setdefault("JOBS", str(multiprocessing.cpu_count()))
        flags = environment.get("LDFLAGS", "")
        outputs = self.all(output)
        for name, path in zip([""] + LIBRARIES, outputs):
            ending = "_" + name.upper() if name else ""
            environment["OUTPUT" + ending] = path
            own = ""
            if self.wanted.system == "macos":
                own = "-Wl,-install_name,@rpath/" + os.path.basename(path)
            elif self.wanted.system == "linux" and LIBRARIES:
                own = "-Wl,-soname," + os.path.basename(path)
            environment["LDFLAGS" + ending] = (flags + " " + own).strip()
        print("%s; building it in %s: %s" % (stale, CRATE, COMMAND))
        sys.stdout.flush()
        status = subprocess.call(COMMAND, shell=True, cwd=CRATE, env=environment)
        if status != 0:
            fail(
                "the build command failed (exit code %d); its output is above" % status,
                "the command is %s, in %s" % (COMMAND, os.path.abspath(CRATE)),
                wheel_remedy(self.wanted),
            )
        for name, path in zip([""] + LIBRARIES, outputs):
            if not os.path.isfile(path):
                variable = "$OUTPUT" + ("_" + name.upper() if name else "")
                fail(
                    "the build command left no library at %s, %s" % (variable, path),
                    "write the library there: the command is %s" % COMMAND,
                )
        if IN_CHECKOUT and sources_digest() != self.digest:
            fail(
                "the build command has changed its sources, %s" % CRATE,
                "write to $BUILD_DIR what it makes, or name that in .gitignore",
            )
        return output

    def host_triple(self):
        """What rustc says that it runs on; None where it does not answer: cargo will say what
        is wrong with the toolchain."""
        found = re.search("^host: (.*)$", self.rustc() or "", re.MULTILINE)
        return found and found.group(1).strip()

    def own_triple(self, host):
        """The running Python's triple: the host's, where that builds what Python can load."""
        try:
            if self.wanted.runs(platform_tag.of_triple(host)):
                return host
        except ValueError:
            pass
        return self.wanted.triple

    def rustc(self):
        """What `rustc -vV` says; None where it cannot be run."""
        if not hasattr(self, "rustc_says"):
            try:
                rustc = [os.environ.get("RUSTC", "rustc"), "-vV"]
                self.rustc_says = subprocess.check_output(rustc, cwd=CRATE).decode("utf-8")
            except (OSError, subprocess.CalledProcessError):
                self.rustc_says = None
        return self.rustc_says

    def place(self, ready):
        """Puts the library into LIB, with its stamp. A kill in between leaves a stamp
        that says so."""
        stamp = {"library": self.digest_of_all(self.path), "sources": self.digest}
        if self.digest and COMMAND:
            stamp.update(command=COMMAND, place=self.place_here(), environment=environment([]))
        elif self.digest:
            paths, names = read_by_build(self.path)
            stamp.update(
                place=self.place_here(),
                built=not self.library,
                beside=beside_crate(paths),
                environment=environment(names),
                settings=settings_digest(),
                features=FEATURES,
                rustc=self.rustc(),
            )
        try:
            if not os.path.isdir(LIB):
                os.makedirs(LIB)
            write_stamp(ready, unfinished=True)
            for path, made in zip(self.all(self.path), self.all(ready)):
                copy(path, made, 0o755)
            write_stamp(ready, **stamp)
        except (IOError, OSError) as error:
            fail("cannot put the library into %s: %s" % (LIB, error))
        self.path = ready
