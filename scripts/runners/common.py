"""What the runners share: how they are called, what they print, and the folders of foreign
programs that they unpack once.

A runner is called as `python scripts/runners/NAME.py [ARGUMENT...] WHEEL`. It prints a line
`LEVEL<TAB>WHAT` for each thing that ran the wheel, and `skipped<TAB>WHAT` for each thing
that is missing, with the reason. It exits with 0 when all that ran was right, with 77 when
nothing could run, and with 1 and the reason on standard error when something was wrong.
"""

import contextlib
import ctypes
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = "hello_pyrust"
NAME = PACKAGE.replace("_", "-")  # what an index calls it
SMOKE = PROJECT / "scripts/smoke.py"
PROGRAM = PROJECT / "rust/tests/program.c"  # calls every function of the library
INCLUDE = PROJECT / "rust/include"
# Unpacked foreign programs. `make distclean` removes them.
ROOTS = PROJECT / ".roots"

# How far a wheel got, best first.
LEVELS = (
    "installed",  # a pip of that platform chose and installed it, and it ran
    "functions only",  # no Python: a program or an emulator called the library's functions
)
TIME_LIMIT = 180  # in seconds, for one command that runs the wheel
LAST_LINES = 20


class Skip(Exception):
    """Something that the machine lacks, and what would bring it."""


class Failure(Exception):
    """What the wheel did wrong."""


def die_with_parent():
    """Asks Linux to kill this process when the one that started it is killed: prctl(2)."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# The commands that run now, on whatever thread.
RUNNING = set()
STOPPED = []


def stop():
    """Ends every command that `run` runs, and lets it begin no other one: for a program with
    threads that ends."""
    STOPPED.append(True)
    for process in list(RUNNING):
        end(process)


def end(process):
    if os.name == "nt":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def run(command, *, timeout=TIME_LIMIT, cwd=None, env=None, stdin=subprocess.DEVNULL):
    """Runs a command; returns what it printed. Ends it, and all that it started, when it
    fails, is interrupted or takes longer than `timeout` seconds."""
    command = [str(word) for word in command]
    if STOPPED:
        raise Failure("interrupted")
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
    except OSError as error:
        raise Failure(f"cannot run {command[0]}: {error.strerror}") from None
    RUNNING.add(process)
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as expired:
        last = last_lines((expired.output or b"").decode("utf-8", "replace"))
        raise Failure(f"no end after {timeout} seconds: {' '.join(command)}\n{last}") from None
    finally:
        end(process)
        process.wait()
        RUNNING.discard(process)
    text = output.decode("utf-8", "replace")
    if process.returncode:
        how = f"exit code {process.returncode}"
        if process.returncode < 0:
            how = signal.Signals(-process.returncode).name
        raise Failure(f"{how} of {' '.join(command)}\n{last_lines(text)}")
    return text


def ask(*command, cwd=None, env=None):
    """What a command prints, stripped; ends the run where it fails or is missing."""
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"error: cannot run {command[0]}: {error.strerror}")
    if done.returncode:
        said = " ".join(done.stderr.split())
        sys.exit(f"error: {' '.join(map(str, command[:2]))} failed: {said}")
    return done.stdout.strip()


def git(*words):
    """What git prints of the project; ends the run where that has no repository of its own."""
    foreign = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}  # in a git hook: that of the hook
    env = {name: value for name, value in os.environ.items() if name not in foreign}
    if not (PROJECT / ".git").exists():
        sys.exit(f"error: {PROJECT} is not a git repository")
    top = ask("git", "rev-parse", "--show-toplevel", cwd=PROJECT, env=env)
    if not os.path.samefile(top, PROJECT):
        sys.exit(
            f"error: git takes {PROJECT / '.git'} for no repository, but {top}: repair it, or "
            "remove it"
        )
    return ask("git", *words, cwd=PROJECT, env=env)


def last_lines(text):
    return "\n".join(text.splitlines()[-LAST_LINES:])


def environment(**changes):
    """This process's environment, without what would reach into a Python, and with changes."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "LD_"))
    }
    kept.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", **changes)
    return kept


def outside_make():
    """This process's environment, without what the make that called it tells its recipes."""
    told = {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
    return {name: value for name, value in os.environ.items() if name not in told}


def report(level, what):
    """Says that the wheel ran: `level` is one of LEVELS."""
    assert level in LEVELS
    print(f"{level}\t{what}", flush=True)


def skipped(what):
    print(f"skipped\t{' '.join(what.split())}", flush=True)


def is_cached(name, recipe):
    """Whether `cached` has the folder already."""
    stamp = ROOTS / name / ".recipe"
    return stamp.is_file() and stamp.read_text() == hashlib.sha256(recipe.encode()).hexdigest()


def cached(name, recipe, make):
    """The folder ROOTS/name, which `make(folder)` fills where there is none of this recipe.

    `recipe` is all that the content depends on, as text. Another process that wants the
    same folder waits; a killed one leaves nothing that is taken for whole.
    """
    import fcntl  # no part of Python on Windows, where nothing is unpacked

    ROOTS.mkdir(exist_ok=True)
    folder = ROOTS / name
    with open(ROOTS / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_cached(name, recipe):
            return folder
        print(f"making .roots/{name}, once", file=sys.stderr, flush=True)
        for left in ROOTS.glob(f"{name}.new-*"):
            shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=f"{name}.new-", dir=ROOTS))
        try:
            new.chmod(0o755)
            make(new)
            (new / ".recipe").write_text(hashlib.sha256(recipe.encode()).hexdigest())
            old = Path(f"{new}.old")
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    return folder


DEBIAN = ("bookworm",)


def debian(name, architecture, packages, suites=DEBIAN, keep=None):
    """The folder ROOTS/name with Debian's packages, and all that they depend on, unpacked: those
    of the first of some suites that can be had. Of their files only those that match one of the
    globs of `keep` stay, if there are any.

    Nothing is installed, and no root rights are needed: apt resolves and downloads with a
    state of its own. The packages come from where this machine's own do, whatever its suite.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Skip(f"{name}: it is unpacked from Debian's packages, by apt-get and dpkg-deb")
    packages = sorted(packages)

    def make(folder):
        apt = folder / "apt"
        download(name, apt, architecture, suites, packages)
        (folder / "root").mkdir()
        for package in sorted((apt / "archives").glob("*.deb")):
            run(["dpkg-deb", "--extract", package, folder / "root"])
        shutil.rmtree(apt)
        if not (folder / "root/lib").exists():
            # Since trixie it is a link, which base-files alone has.
            (folder / "root/lib").symlink_to("usr/lib")
        make_links_relative(folder / "root")
        for path in (folder / "root").rglob("*") if keep else []:
            if not path.is_dir() and not any(map(path.match, keep)):
                path.unlink()

    recipe = " ".join([architecture, *suites, *packages, *(keep or [])])
    return cached(name, recipe, make) / "root"


def debian_sources(name, packages, folder, suites=DEBIAN):
    """Unpacks the upstream archives of Debian's source packages into a folder. `name` says in
    an error what they are for."""
    if not shutil.which("apt-get"):
        raise Skip(f"{name}: it is made from Debian's source packages, by apt-get")
    apt = folder / "apt"
    download(name, apt, "amd64", suites, packages, ["--tar-only", "source"], "deb-src")
    for archive in apt.glob("*.orig.tar.*"):
        shutil.unpack_archive(archive, folder)
    shutil.rmtree(apt)


def download(name, folder, architecture, suites, packages, verb=("install",), kind="deb"):
    """Lets apt-get, with a state of its own in a folder, download packages, and all that they
    depend on, from the first of some suites where it can."""
    said = []
    for suite in suites:
        shutil.rmtree(folder, ignore_errors=True)
        unread = None
        try:
            get = apt_get(folder, architecture, suite, kind)
            try:
                run([*get, "update"])
            except Failure as failure:
                # It does not matter while other lists have the packages.
                unread = failure
            run([*get, "--download-only", *verb, *packages], cwd=folder, timeout=600)
            return
        except Failure as failure:
            # Without its list, "Unable to locate package" is all that apt says of a package.
            text = str(unread or failure)
            lines = [line for line in text.splitlines() if line.startswith(("E: ", "W: "))]
            said.append(f"{suite}: {' '.join(lines) or text}")
    raise Skip(f"{name}: apt-get cannot bring {' '.join(packages)}: {'; '.join(said)}")


def apt_get(folder, architecture, suite, kind="deb"):
    """The words that call apt-get with a state of its own, in a new folder, and nothing
    installed. After an `update` it knows a suite's packages, or for "deb-src" their sources."""
    for part in ["lists/partial", "archives/partial", "etc/sources.list.d"]:
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    copy_sources(folder / "etc", suite, kind)
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Debug::NoLocking": "true",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": folder / "etc/sources.list",
        "Dir::Etc::sourceparts": folder / "etc/sources.list.d",
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
    }
    return ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]


def copy_sources(folder, suite, kind):
    """This machine's sources of Debian's packages, and no others of its sources, for a suite;
    Debian's own where it has none. `kind` is "deb" or "deb-src".

    The suite itself, without its updates: those of an old one are listed for longer than
    they can be downloaded.
    """
    names = "buster|bullseye|bookworm|trixie|forky|sid|(old)*stable|testing|unstable"
    found = False
    for source in debian_lists():
        text = re.sub(rf"(?<=\s)({names})\b", suite, source.read_text())
        if source.suffix == ".sources":
            text = re.sub(rf"\s{suite}[-/]\S+", "", text)
            text = re.sub(r"(?m)^Types:.*", f"Types: {kind}", text)
            parts = re.split(r"\n\s*\n", text)
            text = "\n\n".join(part for part in parts if re.search(rf"\s{suite}(\s|$)", part))
        else:
            lines = [line for line in text.splitlines() if re.search(rf"\s{suite}\s", line)]
            text = re.sub(r"(?m)^deb(-src)?\b", kind, "\n".join(lines) + "\n")
        below = "sources.list.d" if source.suffix == ".sources" else ""
        (folder / below / source.name).write_text(text)
        found = found or re.search(rf"(?m)^[^#\n]*\s{suite}(\s|$)", text)
    if not found:
        (folder / "sources.list.d/debian.sources").write_text(
            f"Types: {kind}\nURIs: http://deb.debian.org/debian\nSuites: {suite}\n"
            f"Components: main\nSigned-By: {debian_keyring(folder)}\n"
        )


def debian_lists():
    """This machine's lists of sources that may be Debian's."""
    lists = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("debian.*")]
    return [path for path in lists if path.is_file()]


def debian_keyring(folder):
    """Debian's keys, as another distribution packages them: those that this machine trusts."""
    run(["apt-get", "-qq", "download", "debian-archive-keyring"], cwd=folder)
    (package,) = folder.glob("debian-archive-keyring_*.deb")
    run(["dpkg-deb", "--extract", package, folder / "keyring"])
    (keyring,) = (folder / "keyring/usr/share/keyrings").glob("debian-archive-keyring.gpg")
    return keyring


def make_links_relative(root):
    """Makes links to absolute paths, the loader of ppc64el for one, stay inside the folder."""
    for path in root.rglob("*"):
        if path.is_symlink() and os.readlink(path).startswith("/"):
            target = root / os.readlink(path).lstrip("/")
            path.unlink()
            path.symlink_to(os.path.relpath(target, path.parent))


# The pips that run in foreign Pythons: one that knows the tags of every platform, and the
# last one for Python 2.
PIP = "pip==26.3 --hash=sha256:f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
PIP2 = "pip==20.3.4 --hash=sha256:217ae5161a0e08c0fb873858806e3478c9775caffce5168b50ec885e358c199d"


def pinned(*projects):
    """The lines of ci/requirements.txt for some projects, as text: versions and hashes."""
    text = (PROJECT / "ci/requirements.txt").read_text("utf-8")
    pattern = r"^(?:{})==(?:.*\\\n)*.*$".format("|".join(map(re.escape, projects)))
    return "\n".join(re.findall(pattern, text, re.MULTILINE))


def pypi(name, requirements, *options, unpacked=False):
    """The folder ROOTS/name with wheels from PyPI, as files for another pip or unpacked.

    `requirements` is text, a version and hashes for each; `options` are pip's, --platform
    for one.
    """
    verb = ["install", "--no-compile", "--target"] if unpacked else ["download", "--dest"]
    pip = [sys.executable, "-m", "pip", *verb]
    pins = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", *options]

    def make(folder):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(requirements)
            file.flush()
            try:
                run([*pip, folder, *pins, "-r", file.name], env=environment(), timeout=600)
            except Failure as failure:
                raise Skip(f"{name}: pip cannot bring it: {failure}") from None

    return cached(name, " ".join([*pip[2:], *pins, requirements]), make)


def install(python, wheel, *options, **run_options):
    """Lets a Python's pip choose the wheel by its tag, among all that lie in its folder, and
    install it. `python` is the words that run it, `options` are pip's, `run_options` those of
    `run`. --isolated: without the settings of this machine's pip."""
    pip = ["-m", "pip", "--isolated", "install", "--no-index", "--only-binary=:all:"]
    pip += ["--no-cache-dir", "--no-compile", f"--find-links={wheel.parent}", *options]
    run([*python, *pip, "==".join(wheel.name.split("-")[:2])], **run_options)


def smoke(python, **run_options):
    """Runs the smoke test on a Python, a path; returns what that calls itself, as text."""
    printed = run([python, SMOKE], **run_options)
    found = re.search(r" runs on (.+)$", printed, re.MULTILINE)
    if not found:
        raise Failure(f"the smoke test did not say what it ran on:\n{printed}")
    return found.group(1)


def check_installed(wheel, folder):
    """Compares what pip left in a folder with a wheel: it may have chosen another one."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = Path(folder, name)
            if path.name == "RECORD" or name.endswith("/"):
                continue
            if not path.is_file() or path.read_bytes() != archive.read(name):
                raise Failure(f"pip did not install {wheel}: {name} is not the one in it")


# Debian's name of an architecture, and qemu's.
QEMU_NAMES = {
    "arm64": "aarch64",
    "armhf": "arm",
    "ppc64el": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}


def emulator(architecture):
    """The words that go before a Linux program of an architecture, by Debian's name; none
    where an x86_64 kernel runs it. `-L FOLDER` after them says where the loader is.

    A program that starts another one needs a shell script in between: the kernel does not
    know the emulator.
    """
    if platform.machine() != "x86_64":
        raise Skip(f"{architecture}: foreign programs are run on x86_64 machines only")
    if architecture in ("amd64", "i386"):
        return []
    programs = {name: f"qemu-{qemu}-static" for name, qemu in QEMU_NAMES.items()}
    root = debian("qemu", "amd64", ["qemu-user-static"], keep=programs.values())
    return [root / "usr/bin" / programs[architecture]]


def unpack(wheel, folder):
    """Unpacks a wheel into a folder; returns the path of the library in it."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise Failure(f"{wheel}: {error}") from None
    libraries = list((Path(folder) / PACKAGE / "lib").glob("*"))
    if len(libraries) != 1:
        raise Failure(f"{wheel}: it has {len(libraries)} libraries, not one")
    return libraries[0]


def compile_program(target, library, folder):
    """PROGRAM, compiled by zig for one of its targets (`zig targets` lists them) and linked
    with a library; returns the path of the executable, in a folder."""
    zig = [sys.executable, "-m", "ziglang"]
    flags = ["-target", target, "-O1", "-s", "-fno-sanitize=undefined", f"-I{INCLUDE}"]
    if "windows" in target:
        # Linked with a list of what a DLL exports. With the DLL itself the linker would refuse
        # a broken one, before a loader sees it.
        header = (INCLUDE / f"{PACKAGE}.h").read_text("utf-8")
        names = sorted(set(re.findall(rf"\b({PACKAGE}_\w+)\(", header)))
        exports, linked = folder / "exports.def", folder / "exports.lib"
        exports.write_text("\n".join([f"LIBRARY {library.name}", "EXPORTS", *names, ""]))
        machine = {"x86": "i386", "x86_64": "i386:x86-64", "aarch64": "arm64"}
        machine = machine[target.split("-")[0]]
        run([*zig, "dlltool", "-m", machine, "-d", exports, "-l", linked], cwd=folder)
        program = folder / "program.exe"
    else:
        flags.append("-dynamic")  # or else a program for musl is static
        linked, program = library, folder / "program"
    # zig compiles the target's C library first where its cache has none: seconds for musl,
    # minutes for Windows.
    env = environment(ZIG_LOCAL_CACHE_DIR=str(folder / "zig"))
    command = [*zig, "cc", *flags, PROGRAM, linked, "-o", program]
    run(command, cwd=folder, env=env, timeout=600)
    return program


def expected_abi(library):
    """The fingerprint that the CFFI module beside a library expects of it."""
    module = (library.parents[1] / "_ffi.py").read_text("utf-8")
    return re.search(r"^ABI = '(\w+)'$", module, re.MULTILINE).group(1)


def check_program(printed, library):
    """Compares what the program of `compile_program` printed, as text, with what the CFFI
    module beside the library expects."""
    expected = expected_abi(library)
    found = re.search(r"^every call was right, with .*, ABI (\w+)\r?$", printed, re.MULTILINE)
    if "Hello C from Rust!" not in printed or not found:
        raise Failure(f"{PROGRAM.name} did not say that it came to its end:\n{printed}")
    if found.group(1) != expected:
        raise Failure(f"the library has the ABI {found.group(1)}, _ffi.py expects {expected}")


def main(function):
    """Calls `function(*arguments)`, which returns the number of things that ran the wheel,
    and exits as a runner does."""
    for number in [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]:
        # Python would end without its `finally`s: what runs would run on.
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        count = function(*sys.argv[1:])
    except Skip as skip:
        skipped(str(skip))
        sys.exit(77)
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
    sys.exit(0 if count else 77)
