# ffiwheel kit 0.1.0 a914bd31de7e6d34: `ffiwheel update` replaces this file; use settings
"""Which files an sdist and a wheel contain, and what a library is built from.

This file also runs on end users' machines, on Python 2.7 and 3.6 to the newest.
"""

import fnmatch
import glob
import hashlib
import io
import json
import os
import re
import subprocess

try:
    from configparser import RawConfigParser
except ImportError:  # Python 2.7
    from ConfigParser import RawConfigParser

HERE = os.path.dirname(os.path.realpath(__file__))
os.chdir(HERE)


def fail(text, *remedies):
    """Ends the run with one message: what is wrong, then how to fix it."""
    lines = ["", NAME + ": " + text] + ["  - " + remedy for remedy in remedies]
    raise SystemExit("\n".join(lines))


def text_of(path):
    """The text of a file that every build needs."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            fail("%s is not a file" % path)  # Opening a FIFO would wait forever.
        with io.open(path, encoding="utf-8") as file:
            return file.read()
    except (IOError, OSError) as error:
        fail("cannot read %s: %s" % (path, error.strerror))
    except UnicodeError:
        fail("%s is not UTF-8" % path)


def native(text):
    """UTF-8 or text as this Python's file names are."""
    if not isinstance(text, bytes):
        text = text.encode("utf-8", *(() if str is bytes else ("surrogateescape",)))
    return text if str is bytes else os.fsdecode(text)


def settings_of_project():
    """What setup.cfg says, as {(section, option): value}."""
    parser = RawConfigParser()
    # Python 2.7 knows one method, the newest the other.
    read = getattr(parser, "read_file", None) or parser.readfp
    try:
        read(io.StringIO(text_of("setup.cfg")))
    except Exception as error:
        fail("cannot read setup.cfg: %s" % " ".join(str(error).split()))
    return {
        (section, option): native(value.strip())
        for section in parser.sections()
        for option, value in parser.items(section)
    }


NAME = "error"  # what messages begin with until the distribution's name is known
SETTINGS = settings_of_project()
NAME = SETTINGS.get(("metadata", "name")) or NAME
PACKAGE = re.match(r"\w*", SETTINGS.get(("options", "packages"), "")).group()
if not PACKAGE:
    fail("setup.cfg names no package: write `packages = <name>` below [options]")

KIND = SETTINGS.get(("build_library", "kind")) or "library"
if KIND not in ("library", "program"):
    fail(
        "setup.cfg has the kind %s below [build_library]" % KIND,
        "write `kind = program` for a wheel with a program, or leave it out for a library",
    )
# Of several programs of a crate, the one that a wheel holds.
PROGRAM = (SETTINGS.get(("build_library", "program")) or NAME) if KIND == "program" else None

LIB = os.path.join(PACKAGE, "lib")
FFI = os.path.join(PACKAGE, "_ffi.py")


def listed(section, option):
    """The words of an option, by a line or a comma each, as setuptools reads lists."""
    text = SETTINGS.get((section, option)) or ""
    words = [word.strip() for word in re.split("\n" if "\n" in text else ",", text)]
    return [word for word in words if word]


def setting(option):
    """What setup.cfg says below [build_library]; "" for nothing."""
    return SETTINGS.get(("build_library", option)) or ""


# What builds the library in cargo's place, and the header of one that the gate does not export.
COMMAND, HEADER = setting("command"), setting("header")
# What else the command builds: libraries that are loaded before the package's own.
LIBRARIES = listed("build_library", "libraries")


def check_settings():
    """Refuses settings that do not go together."""
    if setting("output"):
        fail(
            "setup.cfg sets `output`: a command writes the library to the path in $OUTPUT",
            "remove `output`, and write `command = make OUT=$OUTPUT`, say",
        )
    needed = {"command": ("sources", "header"), "sources": ("command",), "libraries": ("command",)}
    for option in sorted(needed):
        for other in needed[option]:
            if setting(option) and not setting(other):
                fail("setup.cfg sets `%s` below [build_library], but no `%s`" % (option, other))
    for option in ("crate", "features", "program"):
        if COMMAND and setting(option):
            fail(
                "setup.cfg sets `command` and `%s`, which is for cargo" % option,
                "remove one of them",
            )
    if "%" in COMMAND:
        fail(
            "setup.cfg sets a `command` with a %, which setuptools would replace",
            "put the command into a script in `sources`, and name that",
        )
    for name in LIBRARIES:
        others = [it.lower() for it in [PACKAGE] + LIBRARIES]
        if not re.match("[A-Za-z0-9_]+$", name) or others.count(name.lower()) > 1:
            fail(
                "setup.cfg names %s under `libraries`, which is there twice, or not a name" % name,
                "write names of letters, digits and underscores, without lib and .so",
                "leave out the package's own library, %s" % PACKAGE,
            )
    if KIND == "program" and (COMMAND or HEADER):
        fail("setup.cfg sets `%s`, which is for a library" % ("command" if COMMAND else "header"))


check_settings()


def place_of_sources():
    """The folder of the crate, or of `sources` below [build_library], below the project's, with
    slashes. A crate's is named relative to the folder of setup.cfg, `sources` to the project's."""
    option, named = ("sources", setting("sources")) if COMMAND else ("crate", setting("crate"))
    start = "" if COMMAND else "python"
    place = os.path.normpath(os.path.join(start, named or "../rust")).replace(os.sep, "/")
    outside = os.path.isabs(named) or place.split("/")[0] == ".."
    if outside or COMMAND and place.split("/")[0] in (".", "python"):
        fail(
            "setup.cfg names %s under `%s`, which is %s"
            % (named, option, "outside the project" if outside else "not a folder beside python/"),
            "write the folder relative to the project's, as in `sources = c`"
            if COMMAND
            else "write the crate's folder relative to the one of setup.cfg, as in ../rust",
        )
    return place


# An sdist contains the sources at the place that they have in the project, whose folder is above
# this one. Old pips copy this folder to /tmp, where what is beside it may be anybody's.
PLACE = place_of_sources()
MARKER = HEADER if COMMAND else "Cargo.toml"  # which is there where the sources are
IN_CHECKOUT = os.path.basename(HERE) == "python" and not os.path.isfile(PLACE + "/" + MARKER)
ROOT = os.pardir if IN_CHECKOUT else os.curdir
CRATE = os.path.normpath(os.path.join(ROOT, PLACE))  # whether or not cargo builds it
# Names and patterns, relative to the crate, of what neither sdists nor the library contain.
EXCLUDE = [os.path.normpath(it).replace(os.sep, "/") for it in listed("build_library", "exclude")]


# What cargo builds the crate with, beside its default features.
FEATURES = listed("build_library", "features")


def generated(name):
    """A constant of _ffi.py, which cannot be imported before cffi is there."""
    found = re.search(r"^%s = '(.*)'$" % name, text_of(FFI), re.MULTILINE)
    if not found:
        fail("%s has no %s" % (FFI, name), "run `make header`")
    return found.group(1)


def path_of(name):
    """Where a file is that setup.cfg names: here or, in a checkout, in the project's folder."""
    above = os.path.normpath(os.path.join(ROOT, name))
    return above if os.path.lexists(above) and not os.path.lexists(name) else name


def licences():
    """The names of the files that setup.cfg lists under `license_files`: names or patterns. Each
    must be here or in the project's folder: most licences require it."""
    found = []
    for pattern in listed("metadata", "license_files"):
        names = set()
        for folder in (os.curdir, ROOT):
            paths = filter(os.path.isfile, glob.glob(os.path.join(folder, pattern)))
            names.update(os.path.relpath(path, folder).replace(os.sep, "/") for path in paths)
        names = sorted(names) or [pattern]
        found += [name for name in names if name not in found]
    if not found:
        fail(
            "setup.cfg names no licence's file",
            "write `license_files = LICENSE` below [metadata], and put that file beside it or "
            "into the folder above",
        )
    for name in found:
        if os.path.isabs(name) or ".." in name.split("/"):
            fail(
                "setup.cfg names %s under `license_files`, which is outside %s" % (name, HERE),
                "write a name without `..`: the file is found in the folder above, too",
            )
        if not os.path.lexists(path_of(name)):
            fail_missing(name, "correct `license_files` in setup.cfg")
        text_of(path_of(name))
    return found


def fail_missing(name, remedy):
    fail(
        "cannot read %s: No such file or directory" % name,
        "put it into %s or the folder above, or %s" % (HERE, remedy),
        "an old pip copies this folder without the one above: from a checkout, install with pip "
        "21.3 or later, or with `pip install -e`",
    )


READMES = ["README.md", "README.rst", "README.txt", "README"]


def readme():
    """The name of the file that describes the package; None where setup.cfg has the text."""
    said = SETTINGS.get(("metadata", "long_description")) or ""
    if said and not said.startswith("file:"):
        return None
    names = [said[len("file:") :].strip()] if said else READMES
    there = [name for name in names if os.path.lexists(name)]
    there += [name for name in names if os.path.lexists(path_of(name))]
    if not there:
        fail_missing(names[0], "another of %s" % ", ".join(READMES))
    return there[0]


def is_left_out(name):
    """Whether no file or folder of that name is packed: a hidden one, an editor's backup, or what
    builds leave."""
    hidden = name.startswith(".") and name != ".cargo"
    return hidden or name == "__pycache__" or name.endswith(("~", ".pyc", ".tmp"))


def is_excluded(name, patterns):
    """Whether a pattern matches a name below a folder, or a folder that it is in."""
    parts = name.split("/")
    above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    return any(fnmatch.fnmatchcase(it, pattern) for it in above for pattern in patterns)


# What a package consists of whose folder holds the whole project.
OF_A_PACKAGE = ["Cargo.toml", "Cargo.lock", "build.rs", "rust-toolchain", "rust-toolchain.toml"]
OF_A_PACKAGE += [".cargo", "src", "include", "vendor"]


def holds_project(folder):
    return (HERE + os.sep).startswith(os.path.join(os.path.realpath(folder), ""))


def files_below(folder, skip=()):
    """Every file as {name below the folder, with slashes: path}, but what is_left_out() and links
    that lead back; of what `cargo vendor` left, every file, since cargo checks them against its
    list. `skip`: names and patterns of what else to leave out."""
    found = {}
    vendored = None
    around = holds_project(folder)
    for parent, folders, names in os.walk(folder, followlinks=True):
        if ".cargo-checksum.json" in names:
            vendored = parent + os.sep
        whole = vendored is not None and (parent + os.sep).startswith(vendored)
        if not whole and "CACHEDIR.TAG" in names:
            folders[:] = []  # https://bford.info/cachedir/; cargo's target folder
            continue
        if around and parent == folder:
            folders[:] = [name for name in folders if name in OF_A_PACKAGE]
            names = [name for name in names if name in OF_A_PACKAGE]
        below = (
            "" if parent == folder else os.path.relpath(parent, folder).replace(os.sep, "/") + "/"
        )
        folders[:] = [
            name
            for name in folders
            if whole
            or not is_left_out(name)
            and not is_excluded(below + name, skip)
            and not (parent == folder and name == "target" and folder != PACKAGE)
            and not leads_back(os.path.join(parent, name), folder)
        ]
        for name in names:
            if whole or not is_left_out(name) and not is_excluded(below + name, skip):
                found[below + name] = os.path.join(parent, name)
    return found


def leads_back(path, top):
    """Whether a link below `top` leads to a folder above it, by way of other links perhaps."""
    if not os.path.islink(path):
        return False
    real = os.path.join(os.path.realpath(path), "")
    while len(path) > len(top):
        path = os.path.dirname(path)
        if os.path.join(os.path.realpath(path), "").startswith(real):
            return True
    return False


# What an sdist holds of this folder, beside the package.
KIT = ["pyproject.toml", "setup.cfg", "setup.py"]
KIT += ["build_library.py", "platform_tag.py", "sources.py"]


def beside_the_package():
    """What an sdist holds beside the package and the crate, as {name: path}. The pipeline asks
    here."""
    return {name: path_of(name) for name in licences() + [readme()] + KIT if name}


def sdist_files():
    """Everything in the sdist but PKG-INFO, as {name: path}."""
    found = beside_the_package()
    more = [PACKAGE + "/lib/README.md"]
    if not IN_CHECKOUT:
        more.append(".cargo/config.toml")  # of `make sdist VENDOR=1`
    found.update({name: name for name in more if os.path.isfile(name)})
    for name, path in package_files().items():
        found[PACKAGE + "/" + name] = path
    for name, path in files_of_sources(EXCLUDE).items():
        found[os.path.normpath(PLACE + "/" + name).replace(os.sep, "/")] = path
    if not COMMAND:
        add_needed(found)
    return found


def files_of_sources(skip):
    """What the library is built from, as {name below its folder: path}. Of a command's sources,
    what git would take: builds leave other files there, too."""
    found = files_below(CRATE, skip)
    known = known_to_git() if COMMAND and IN_CHECKOUT else None
    return found if known is None else {name: found[name] for name in found if name in known}


def known_to_git():
    """The names of the files below the sources' folder that git tracks, or would; None where the
    project is not a repository, or git is missing."""
    if not os.path.lexists(os.path.join(ROOT, ".git")):
        return None
    words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = git(CRATE, words)
    return said and {native(name) for name in said.split(b"\0") if name}


def git(folder, words):
    """What git prints for a folder, in bytes; None where it fails or is missing."""
    foreign = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # in a git hook: those of the hook
    environment = {name: os.environ[name] for name in os.environ if name not in foreign}
    try:
        process = subprocess.Popen(
            ["git", "-C", folder] + words, env=environment, stdout=subprocess.PIPE
        )
    except OSError:
        return None
    said = process.communicate()[0]
    return said if process.returncode == 0 else None


# What a line of Rust names outside its file: relative to that, or to the crate's folder.
INCLUDED = re.compile(
    r"""(?:\binclude(?:_str|_bytes)?!\s*[(\[{]\s*|\#\[path\s*=\s*)"([^"\n]+)"
    | "CARGO_MANIFEST_DIR"\s*\)\s*,\s*"/([^"\n]+)"
    | rerun-if-changed=([^"\n{}]+)""",
    re.VERBOSE,
)
LOCAL_CRATE = re.compile(r"""\bpath\s*=\s*["']([^"'\n]+)["']""")


def is_of_crate(path):
    """Whether an sdist holds a file of the project as one of the crate's. The pipeline asks here.
    path: below the project's folder, with slashes."""
    name = os.path.relpath(path, PLACE).replace(os.sep, "/")
    first = name.split("/")[0]
    listed_there = first in OF_A_PACKAGE if holds_project(CRATE) else first != ".."
    return listed_there and not is_excluded(name, EXCLUDE)


def add_needed(found):
    """Adds to an sdist's files what the crate needs outside its folder: its workspace, local
    crates, and files that sources include. They keep their relative places, so that every path
    stays valid. Finding them does not need cargo."""
    crate = os.path.realpath(CRATE)
    waiting = [os.path.join(crate, "Cargo.toml")] + sources_in(crate)
    packed = [crate]
    workspace = workspace_of(crate)
    if workspace not in (None, crate):
        manifest = os.path.relpath(os.path.join(workspace, "Cargo.toml"))
        if not (workspace + os.sep).startswith(os.path.join(os.path.realpath(ROOT), "")):
            fail(
                "the crate belongs to the workspace of %s, which is outside the project: an sdist "
                "cannot hold it" % manifest,
                "write [workspace] into %s/Cargo.toml, and run cargo there" % CRATE,
            )
        for folder in members(workspace, crate):
            add(found, folder, "%s names the member %s" % (manifest, os.path.relpath(folder)))
            if folder != workspace:
                packed.append(folder)
            # What cargo reads of a member that the crate does not need is its manifest.
            waiting.append(os.path.join(folder, "Cargo.toml"))
    seen = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.endswith((".rs", "Cargo.toml")) or not os.path.isfile(path):
            continue
        seen.add(path)
        for needed, text in needed_by(path, crate):
            if not os.path.exists(needed):
                continue  # Cargo will say so, if it needs it.
            waiting += [needed, os.path.join(needed, "Cargo.toml")]
            if needed != crate and is_file(needed, "Cargo.toml"):
                waiting += sources_in(needed)
            inside = any((needed + os.sep).startswith(folder + os.sep) for folder in packed)
            # A hidden file is packed where a source includes it.
            parts = os.path.relpath(needed, os.path.realpath(ROOT)).split(os.sep)
            if inside and not (os.path.isfile(needed) and any(map(is_left_out, parts))):
                continue
            add(found, needed, "%s names %s" % (os.path.relpath(path), text))
            if os.path.isdir(needed) and not (crate + os.sep).startswith(needed + os.sep):
                packed.append(needed)


def add(found, needed, where):
    """Adds a file, or a folder's files, at the place that they have in the project. `where` says
    what asks for it."""
    crate, root = os.path.realpath(CRATE), os.path.realpath(ROOT)
    if not (needed + os.sep).startswith(root + os.sep):
        fail(
            "%s, which is outside %s: an sdist cannot hold it" % (where, root),
            "move it to a folder below that",
        )
    files = {needed: needed}
    if os.path.isdir(needed):
        around = (crate + os.sep).startswith(needed + os.sep)
        if around and not is_file(needed, "Cargo.toml"):
            fail("%s, a folder that contains the crate: an sdist cannot hold it" % where)
        below = files_below(needed)
        if around and "package" not in toml(os.path.join(needed, "Cargo.toml")):
            of_it = [name for name in below if name.split("/")[0] in OF_A_PACKAGE]
            below = {name: below[name] for name in of_it}
        files = {os.path.join(needed, name): it for name, it in below.items()}
    for place, it in files.items():
        name = os.path.relpath(place, root).replace(os.sep, "/")
        if os.path.isdir(needed) and (place + os.sep).startswith(crate + os.sep):
            continue  # Its files are there, but those to leave out.
        if sha256(found.setdefault(name, it)) != sha256(it):
            fail(
                "%s, but the sdist has another file named %s" % (where, name),
                "keep it in %s, or a link to it" % CRATE,
            )


def sources_in(crate):
    skip = EXCLUDE if os.path.realpath(CRATE) == crate else []
    files = files_below(crate, skip + TESTS)
    return [os.path.join(crate, name) for name in files if name.endswith(".rs")]


def needed_by(path, crate):
    """(path, as it is named) of what a manifest or source of Rust names."""
    with io.open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    folder = os.path.dirname(path)
    found = []
    if path.endswith(".rs"):
        package = [up for up in folders_above(path) if is_file(up, "Cargo.toml")][:1]
        for match in INCLUDED.finditer(re.sub(r"(?m)^\s*//.*", "", text)):
            in_file, in_package, watched = match.groups()
            # What a build script watches need not be there, as files of git's.
            if not (watched and re.search(r"(^|/)(\.[^./]|\.\.$)", watched)):
                base = folder if in_file or not package else package[0]
                found.append((base, in_file or in_package or watched))
    else:
        text = "\n".join(line.partition("#")[0] for line in text.splitlines())
        found += [(folder, match) for match in LOCAL_CRATE.findall(text)]
        up = workspace_of(folder)
        if up not in (None, folder):
            found.append((up, "Cargo.toml"))
    return [(os.path.normpath(os.path.join(folder, native(it))), it) for folder, it in found]


# ---- Cargo's manifests ----------------------------------------------------------------

TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\#[^\n]*) | (?P<line>\n)
    | \"{3}(?P<long>.*?)\"{3} | \'{3}(?P<raw>.*?)\'{3}
    | "(?P<text>(?:[^"\\\n]|\\.)*)" | '(?P<literal>[^'\n]*)'
    | (?P<word>[^\s\[\]{}=,"'\#]+) | (?P<mark>[\[\]{}=,])""",
    re.VERBOSE | re.DOTALL,
)


class Toml(object):
    """Reads TOML as manifests of cargo have it: tables, texts, lists, true and false; numbers
    and dates stay texts. Python 2.7 to 3.10 bring no reader."""

    def __init__(self, path):
        self.path, self.line, self.tokens = path, 1, []
        text, at = text_of(path) + "\n", 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if not match:
                self.refuse(text.count("\n", 0, at) + 1)
            kind = match.lastgroup
            if kind != "space":
                self.tokens.append((kind, match.group(kind), text.count("\n", 0, at) + 1))
            at = match.end()
        self.tokens.reverse()

    def refuse(self, line):
        fail(
            "cannot read %s: line %d is not as cargo's manifests usually are" % (self.path, line),
            "write it as `cargo add` and `cargo new` do",
        )

    def take(self, *marks):
        """The next token, which must be one of the marks if there are any."""
        if not self.tokens:
            self.refuse(self.line)
        kind, text, self.line = self.tokens.pop()
        if marks and text not in marks:
            self.refuse(self.line)
        return kind, text

    def skip_lines(self):
        while self.tokens and self.tokens[-1][0] == "line":
            self.take()

    def key(self, ends):
        """The parts of a key, up to a mark."""
        parts = []
        while self.tokens and self.tokens[-1][:2] != ("mark", ends):
            kind, text = self.take()
            if kind not in ("word", "text", "literal"):
                self.refuse(self.line)
            parts += text.split(".") if kind == "word" else [text]
        self.take(ends)
        return [part for part in parts if part]

    def value(self):
        kind, text = self.take()
        if kind == "text" or kind == "long":
            text = re.sub(r"\A\r?\n|\\\s*\n\s*", "", text) if kind == "long" else text
            return re.sub(
                r'\\(u[0-9a-fA-F]{4}|["\\bfnrt])', lambda it: json.loads('"%s"' % it.group()), text
            )
        if kind == "word":
            return {"true": True, "false": False}.get(text, text)
        if text == "{":
            table = {}
            self.skip_lines()
            while self.tokens and self.tokens[-1][1] != "}":
                self.assign(table)
                self.skip_lines()
                if self.tokens and self.tokens[-1][1] == ",":
                    self.take()
                    self.skip_lines()
            self.take("}")
            return table
        if kind == "mark" and text == "[":
            values = []
            self.skip_lines()
            while self.tokens and self.tokens[-1][:2] != ("mark", "]"):
                values.append(self.value())
                self.skip_lines()
                if self.tokens and self.tokens[-1][:2] == ("mark", ","):
                    self.take()
                    self.skip_lines()
            self.take("]")
            return values
        if kind in ("literal", "raw"):
            return re.sub(r"\A\r?\n", "", text)
        self.refuse(self.line)

    def assign(self, table):
        parts = self.key("=")
        self.below(table, parts[:-1])[parts[-1] if parts else self.refuse(self.line)] = self.value()

    def below(self, table, parts):
        for part in parts:
            table = table.setdefault(part, {})
            table = table[-1] if isinstance(table, list) else table
            if not isinstance(table, dict):
                self.refuse(self.line)
        return table

    def read(self):
        found = table = {}
        self.skip_lines()
        while self.tokens:
            if self.tokens[-1][:2] == ("mark", "["):
                self.take()
                many = self.tokens[-1][:2] == ("mark", "[") and self.take()
                parts = self.key("]") or self.refuse(self.line)
                if many:
                    self.take("]")
                    above = self.below(found, parts[:-1])
                    table = {}
                    above.setdefault(parts[-1], []).append(table)
                else:
                    table = self.below(found, parts)
            else:
                self.assign(table)
            if self.take()[0] != "line":
                self.refuse(self.line)
            self.skip_lines()
        return found


def toml(path):
    return Toml(path).read()


def workspace_of(crate):
    """The folder of the workspace that a crate belongs to, which can be the crate's; None for a
    crate by itself. https://doc.rust-lang.org/cargo/reference/workspaces.html"""
    own = toml(os.path.join(crate, "Cargo.toml"))
    if "workspace" in own:
        return crate
    named = own.get("package", {}).get("workspace")
    if named:
        return os.path.realpath(os.path.join(crate, native(named)))
    root = os.path.join(os.path.realpath(ROOT), "")
    for folder in folders_above(crate):
        # One that is not in the project counts only where the lock file is there.
        outside = not (folder + os.sep).startswith(root) and is_file(crate, "Cargo.lock")
        if outside or not is_file(folder, "Cargo.toml"):
            continue
        said = toml(os.path.join(folder, "Cargo.toml")).get("workspace")
        if said is None:
            continue
        named = [
            any(
                (crate + os.sep).startswith(os.path.normpath(os.path.join(folder, it)) + os.sep)
                for it in map(native, said.get(option, ()))
            )
            for option in ("exclude", "members")
        ]
        if named[1] or not named[0]:
            return folder
    return None


def members(workspace, crate):
    """The folders that a workspace consists of, but the crate's: its own, and its members'. The
    lock file names what all of them need, and cargo refuses one that names more."""
    said = toml(os.path.join(workspace, "Cargo.toml"))["workspace"]
    excluded = [
        os.path.normpath(os.path.join(workspace, native(it))) for it in said.get("exclude", ())
    ]
    found = [workspace]
    for pattern in map(native, said.get("members", ())):
        if "**" in pattern:
            fail(
                "%s names members by `%s`" % (os.path.join(workspace, "Cargo.toml"), pattern),
                "name their folders, or use `*` for the names in one",
            )
        for path in sorted(glob.glob(os.path.join(workspace, pattern))):
            path = os.path.normpath(path)
            if path not in excluded + found + [crate] and is_file(path, "Cargo.toml"):
                found.append(path)
    return found


# ---- The package ----------------------------------------------------------------------


def package_files():
    """The package's files in sdists and wheels, without the library: {name below it: path}."""
    return files_below(PACKAGE, skip=("lib",) if KIND == "library" else ())


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def digest(path, skip=()):
    """A digest of a file, or of a folder's files by names and contents."""
    return digest_of(files_below(path, skip)) if os.path.isdir(path) else sha256(path)


def digest_of(files):
    # Cargo does not read what is not a regular file, either.
    names = [name for name in sorted(files) if os.path.isfile(files[name])]
    lines = ["%s %s\n" % (sha256(files[name]), name) for name in names]
    text = "".join(lines)
    if not isinstance(text, bytes):
        text = text.encode("utf-8", "surrogateescape")  # A name can be any bytes.
    return hashlib.sha256(text).hexdigest()


# What of a crate does not get into the library.
TESTS = ["tests", "benches", "examples"]


def sources_digest():
    """A digest of what the library is built from: of a crate, all but its tests. None where that
    is not here."""
    if not os.path.isfile(os.path.join(CRATE, MARKER)):
        return None
    return digest_of(files_of_sources(EXCLUDE + ([] if COMMAND else TESTS)))


def header_digest():
    """A digest of the header that setup.cfg names, and of those that it includes from beside it:
    of their code, whatever the comments and the spaces. The pipeline asks here."""
    top = os.path.join(CRATE, HEADER)
    waiting, seen = [top], []
    code = []
    while waiting:
        path = waiting.pop()
        seen.append(path)
        text = text_of(path).replace("\\\n", "")
        comment = r"""(?s)("(?:[^"\\\n]|\\.)*")|/\*.*?\*/|//[^\n]*"""
        text = re.sub(comment, lambda it: (it.group(1) or "") + " ", text)
        code += [" ".join(line.split()) for line in text.splitlines() if line.strip()]
        for name in re.findall(r'(?m)^\s*#\s*include\s*[<"]([^>"\n]+)[>"]', text):
            for folder in (os.path.dirname(path), os.path.dirname(top)):
                found = os.path.normpath(os.path.join(folder, native(name)))
                if os.path.isfile(found):
                    waiting += [] if found in seen + waiting else [found]
                    break
    return hashlib.sha256("\n".join(code).encode("utf-8")).hexdigest()[:16]


def folders_above(path):
    """The folders that a path is in, the innermost first."""
    found = []
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        found.append(path)
    return found


def read_lines(path):
    """A file's lines, in bytes; none if there is no file."""
    try:
        with open(path, "rb") as file:
            return file.read().splitlines()
    except (IOError, OSError):
        return []


def is_file(folder, name):
    return os.path.isfile(os.path.join(folder, name))
