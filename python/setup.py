# ffiwheel kit 0.1.0 ad084287ee543c7e: `ffiwheel update` replaces this file; use settings
"""Packs the compiled library, or the program, with its Python package: the commands of setuptools.

This file also runs on end users' machines, on Python 2.7 and 3.6 to the newest.

    SOURCE_DATE_EPOCH=<seconds>   the date of what is packed
"""

import contextlib
import errno
import gzip
import os
import re
import shutil
import sys
import tarfile

from setuptools import Command, Distribution, setup
from setuptools.command.build_py import build_py
from setuptools.command.develop import develop
from setuptools.command.install_scripts import install_scripts
from setuptools.command.sdist import sdist

# A PEP 517 front end does not put this folder there.
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import platform_tag
from build_library import build_library, copy, replacing
from sources import (
    COMMAND,
    CRATE,
    FFI,
    HERE,
    IN_CHECKOUT,
    KIND,
    LIB,
    LIBRARIES,
    MARKER,
    NAME,
    PACKAGE,
    PROGRAM,
    ROOT,
    SETTINGS,
    fail,
    files_below,
    generated,
    git,
    is_file,
    licences,
    native,
    package_files,
    path_of,
    readme,
    sdist_files,
    text_of,
    toml,
    workspace_of,
)

try:
    from setuptools.command.bdist_wheel import bdist_wheel  # from setuptools 70.1 on
except ImportError:
    try:
        from wheel.bdist_wheel import bdist_wheel
    except ImportError:  # An sdist can be made without.

        class bdist_wheel(Command):
            user_options = []

            def initialize_options(self):
                fail(
                    "setuptools before 70.1 makes wheels by the package wheel, which is missing",
                    "python -m pip install wheel, or `python -m build --wheel`",
                )

            finalize_options = run = initialize_options


# ---- Metadata ------------------------------------------------------------------------

# How Python spells the words of cargo's pre-releases: https://peps.python.org/pep-0440/
LABELS = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
LABELS.update({"a": "a", "b": "b", "rc": "rc", "dev": ".dev", "post": ".post"})


def version():
    """The crate's version in Python's spelling, which the generated module of a library repeats;
    where an old pip has left the crate behind, the module's."""
    if COMMAND:
        said = SETTINGS.get(("metadata", "version"))
        if not said:
            fail("setup.cfg has no version", "write `version = 0.1.0` below [metadata]")
        same_as_generated(said, "setup.cfg")
        return native(said)
    said = said_by_crate("version")
    if not said and KIND == "library":
        return generated("VERSION")
    path = os.path.join(CRATE, "Cargo.toml")
    if not said:
        fail("%s has no version below [package]" % path, 'write `version = "0.1.0"` there')
    found = re.match(r"(\d+\.\d+\.\d+)(?:-([a-z]+)[.-]?(\d*))?$", said)
    if not found or found.group(2) and found.group(2) not in LABELS:
        fail(
            "%s has version %s, which is none of Python's" % (path, said),
            "use one like 1.2.3 or 1.2.3-rc.1",
        )
    numbers, label, number = found.groups()
    spelled = numbers + (LABELS[label] + (number or "0") if label else "")
    if KIND == "library":
        same_as_generated(spelled, "the crate")
    return native(spelled)


def same_as_generated(version, where):
    if generated("VERSION") != version:
        fail(
            "%s is stale: it has version %s, but %s has %s"
            % (FFI, generated("VERSION"), where, version),
            "run `make header` or, without the tool, correct the line VERSION in that file",
        )


def pythons():
    """The first part of a wheel's tag: without Python 2 where `python_requires` excludes it."""
    required = (SETTINGS.get(("options", "python_requires")) or "").split(",")
    three = any(re.match(r"(>=?|~=|===?)\s*3", clause.strip()) for clause in required)
    return "py3" if three else "py2.py3"


def said_by_crate(field):
    """A field of [package] in the crate's manifest, which can be that of its workspace; None where
    it is not there."""
    crate = os.path.realpath(CRATE)
    if COMMAND or not is_file(crate, "Cargo.toml"):
        return None
    value = toml(os.path.join(crate, "Cargo.toml")).get("package", {}).get(field)
    if isinstance(value, dict):
        shared = toml(os.path.join(workspace_of(crate) or crate, "Cargo.toml"))
        value = shared.get("workspace", {}).get("package", {}).get(field)
    if value is not None and (not value or isinstance(value, (bool, dict, list))):
        fail("%s has a `%s` that is not a text" % (os.path.join(CRATE, "Cargo.toml"), field))
    return value


def metadata():
    """What setup.cfg leaves to the crate's manifest and to the files, as setup() takes it."""
    found = {"version": version()}
    for name, others in [("description", ["summary"]), ("license", ["license_expression"])]:
        if not any(SETTINGS.get(("metadata", it)) for it in [name] + others):
            found[name] = said_by_crate(name)
    addresses = ["url", "home_page", "home-page", "project_urls"]
    if not any(SETTINGS.get(("metadata", name)) for name in addresses):
        homepage, repository = said_by_crate("homepage"), said_by_crate("repository")
        found["url"] = homepage or repository
        if homepage and repository:
            found["project_urls"] = {"Repository": repository}
    name = readme()
    if name:
        # setup.cfg's `file:` fails on Python 2.7 in a folder with letters beyond ASCII.
        found["long_description"] = text_of(path_of(name))
        kinds = {".md": "text/markdown", ".rst": "text/x-rst"}
        kind = kinds.get(os.path.splitext(name)[1], "text/plain")
        if not SETTINGS.get(("metadata", "long_description_content_type")):
            found["long_description_content_type"] = kind
    given = [name for name in found if SETTINGS.get(("metadata", name))]
    # setuptools of Python 2.7 joins the fields as bytes.
    return {
        name: native(value) if name != "long_description" and not isinstance(value, dict) else value
        for name, value in found.items()
        if value and (name not in given or name == "long_description")
    }


# ---- Dates ---------------------------------------------------------------------------

FIRST_DATE = 315532800  # 1980, the first that a zip file can say


def check_date():
    """Holds SOURCE_DATE_EPOCH, which dates what is packed, to the same rule as the pipeline.
    https://reproducible-builds.org/specs/source-date-epoch/"""
    text = os.environ.pop("SOURCE_DATE_EPOCH", "")
    if not text:
        return
    last = 4354819199  # the last that a zip file can say
    digits = re.match(r"[0-9]+\Z", text)
    if not digits or int(text) > last:
        fail(
            'SOURCE_DATE_EPOCH is "%s", which is not a whole number of seconds since 1970, from 0 '
            "to %d, the end of 2107%s"
            % (text, last, " (milliseconds?)" if digits and len(text) > 10 else ""),
            "set it to what `git log -1 --format=%ct` prints, or unset it",
        )
    os.environ["SOURCE_DATE_EPOCH"] = str(max(int(text), FIRST_DATE))


def time_of_commit():
    """What the pipeline dates an sdist by where SOURCE_DATE_EPOCH is not set: the last commit, in
    seconds since 1970; None outside a checkout."""
    if not IN_CHECKOUT:
        return None
    if os.path.lexists(os.path.join(ROOT, ".git")):
        said = git(ROOT, ["-c", "log.showSignature=false", "log", "-1", "--format=%ct"])
        if said and said.strip().isdigit():
            return max(int(said), FIRST_DATE)
        print("note: git does not say when the last commit was: SOURCE_DATE_EPOCH can set the date")
    return FIRST_DATE


def refuse_what_is_not_packed(distribution):
    """Reports what would silently be left out of an sdist or a wheel."""
    for name in sorted(files_below(LIB)) if KIND == "library" else ():
        stems = "|".join([PACKAGE] + LIBRARIES)
        if name != "README.md" and not re.match(r"(lib)?(%s)\." % stems, name):
            fail(
                "%s/%s is not packed: a wheel holds what is built, and nothing else of that folder"
                % (LIB, name),
                "remove it, or put data into another folder of %s" % PACKAGE,
                "to ship a library that yours needs, link against it: `make wheels` packs it, "
                "unless it is part of the system",
            )
    for option in ("packages", "py_modules", "scripts", "data_files"):
        for name in getattr(distribution, option) or ():
            if option != "packages" or name.split(".")[0] != PACKAGE:
                fail(
                    "setup.cfg names %s under `%s`, which is not packed: sdists and wheels hold "
                    "%s, with all that is in it" % (name, option, PACKAGE),
                    "put it into %s, and remove the setting" % PACKAGE,
                )
    commands = SETTINGS.get(("options.entry_points", "console_scripts"), "").splitlines()
    if PROGRAM in [command.partition("=")[0].strip() for command in commands]:
        fail(
            "setup.cfg names %s under `console_scripts`, which would replace the program" % PROGRAM,
            "remove it: the program is the command",
        )


# ---- The commands of setuptools -------------------------------------------------------


class BuildPy(build_py):
    """Copies the modules and the library, and nothing that an older build left."""

    def run(self):
        self.run_command("build_library")
        library = self.get_finalized_command("build_library")
        built = os.path.join(self.build_lib, PACKAGE)
        # With subpackages and data, whether or not setup.cfg names them, as in the sdist.
        self.mapping = {os.path.join(built, name): path for name, path in package_files().items()}
        if not getattr(self, "editable_mode", False):
            refuse_what_is_not_packed(self.distribution)
            if os.path.realpath(built) != os.path.realpath(PACKAGE):
                if os.path.isdir(built):
                    shutil.rmtree(built)
                for made, path in self.mapping.items():
                    copy(path, made)
        if PROGRAM:
            return
        # The first is the package's own, whatever it is called where it was built.
        names = [platform_tag.library_name(library.platform.system, PACKAGE)]
        names += map(os.path.basename, library.all(library.path)[1:])
        for name, path in zip(names, library.all(library.path)):
            made = os.path.join(built, "lib", name)
            if not getattr(self, "editable_mode", False):
                copy(path, made, 0o755)
            self.mapping[made] = os.path.join(LIB, name)

    def get_outputs(self, *args, **kwargs):
        return sorted(self.mapping)

    def get_output_mapping(self):
        """What an editable install in strict mode links, as {built: source}."""
        return self.mapping


class BuildScripts(Command):
    """Makes the program one of the scripts: so wheels, also of editable installs, bring it. The
    command of distutils, in whose place this is, reads scripts as text."""

    description = "build the program"
    user_options = [("build-dir=", "d", "where to put it")]
    force = executable = None  # which others set

    def initialize_options(self):
        self.build_dir = None

    def finalize_options(self):
        self.set_undefined_options("build", ("build_scripts", "build_dir"))

    def get_source_files(self):
        return []

    def get_outputs(self):
        program = self.get_finalized_command("build_library")
        return [os.path.join(self.build_dir, program.file_name)]

    def get_output_mapping(self):
        return {}

    def run(self):
        self.run_command("build_library")
        program = self.get_finalized_command("build_library")
        shutil.rmtree(self.build_dir, ignore_errors=True)
        copy(program.path, os.path.join(self.build_dir, program.file_name), 0o755)


class InstallScripts(install_scripts):
    def run(self):
        if PROGRAM:
            self.outfiles = self.copy_tree(self.build_dir, self.install_dir)
        else:
            install_scripts.run(self)


class BdistWheel(bdist_wheel):
    """One wheel for every Python of the library's platform."""

    license_paths = ()

    def run(self):
        shutil.rmtree(self.bdist_dir, ignore_errors=True)  # what a killed build left
        self.tag = None
        try:
            bdist_wheel.run(self)
        except EnvironmentError:  # The disk is full, say: no half a wheel stays.
            if self.tag:
                name = "-".join((self.wheel_dist_name,) + self.tag) + ".whl"
                path = os.path.join(self.dist_dir, name)
                if os.path.isfile(path):
                    os.remove(path)
            raise

    def egg2dist(self, egginfo_path, distinfo_path):
        bdist_wheel.egg2dist(self, egginfo_path, distinfo_path)
        for name in licences():
            copy(path_of(name), os.path.join(distinfo_path, "licenses", name))

    def get_tag(self):
        self.run_command("build_library")
        platform = self.get_finalized_command("build_library").platform
        self.tag = pythons(), "none", platform.tag
        return self.tag

    def write_wheelfile(self, wheelfile_base, *args, **kwargs):
        bdist_wheel.write_wheelfile(self, wheelfile_base, *args, **kwargs)
        sbom = self.get_finalized_command("build_library").sbom
        if sbom:
            copy(sbom, os.path.join(wheelfile_base, "sboms", os.path.basename(sbom)))
        # Everything is in place now: the wheel's modes are these, whatever the umask.
        for folder, _, names in os.walk(self.bdist_dir):
            for path in [os.path.join(folder, name) for name in names]:
                # A wheel of a program holds no library, and its package may have a folder lib.
                is_binary = os.path.dirname(path).endswith(".data/scripts" if PROGRAM else "lib")
                os.chmod(path, 0o755 if is_binary else 0o644)


class Develop(develop):
    def run(self):
        self.run_command("build_library")
        develop.run(self)

    def install_egg_scripts(self, dist):
        """Of setuptools before 64, where an editable install builds no wheel."""
        develop.install_egg_scripts(self, dist)
        if PROGRAM and dist is self.dist:
            program = self.get_finalized_command("build_library")
            copy(program.path, os.path.join(self.script_dir, program.file_name), 0o755)


class Sdist(sdist):
    """Packs sdist_files(), with the crate inside, whatever calls it. The archive's bytes depend
    only on theirs and on SOURCE_DATE_EPOCH."""

    def make_release_tree(self, base_dir, files):
        if not os.path.isfile(os.path.join(CRATE, MARKER)):
            fail(
                "there is no %s" % os.path.join(CRATE, MARKER),
                "correct `%s` below [build_library] in setup.cfg"
                % ("sources` or `header" if COMMAND else "crate"),
            )
        refuse_what_is_not_packed(self.distribution)
        shutil.rmtree(base_dir, ignore_errors=True)
        for name, path in sdist_files().items():
            copy(path, os.path.join(base_dir, name))
        if self.distribution.get_version() != version():
            # `egg_info --tag-build`: a build from the sdist shall have the tag as well.
            settings = os.path.join(base_dir, "setup.cfg")
            self.get_finalized_command("egg_info").save_version_info(settings)
        self.distribution.metadata.write_pkg_info(base_dir)

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, *args, **kwargs):
        if format != "gztar":
            return sdist.make_archive(self, base_name, format, root_dir, base_dir, *args, **kwargs)
        names = []
        for folder, _, files in os.walk(base_dir):
            names += [os.path.join(folder, name) for name in files]
        date = os.environ.get("SOURCE_DATE_EPOCH") or time_of_commit()

        def clean(member):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o644
            member.mtime = int(date or member.mtime)
            return member

        path = base_name + ".tar.gz"
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with replacing(path) as temporary, open(temporary, "wb") as file:
            # No name and no time in gzip's header.
            with gzip.GzipFile("", "wb", 9, file, mtime=0) as zipped:
                archive = tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT)
                for name in sorted(names):
                    archive.add(name, name.replace(os.sep, "/"), filter=clean)
                archive.close()
        return path


class Dist(Distribution):
    def __init__(self, attrs=None):
        Distribution.__init__(self, attrs)
        # PEP 625; setuptools before 69.3 keeps the hyphen. An attribute, since distutils
        # sets one, too, which hides a method.
        name = re.sub("[-_.]+", "_", NAME).lower()
        self.get_fullname = lambda: "%s-%s" % (name, self.get_version())

    def has_ext_modules(self):
        return True  # The package goes where platform-dependent ones go.

    def has_scripts(self):
        return bool(PROGRAM)

    def run_commands(self):
        try:
            Distribution.run_commands(self)
        except (IOError, OSError) as error:
            fail("cannot use %s: %s" % (error.filename or "a file", error.strerror or error))


def finalize_license_files(distribution):
    distribution.metadata.license_files = licences()


# setuptools would look for them only here, and so would the other class of which setup() makes an
# object first.
Distribution._finalize_license_files = finalize_license_files


@contextlib.contextmanager
def one_at_a_time():
    """Two runs in one folder share setuptools' build/ and egg-info, so they take turns."""
    lock = os.path.join("build", ".lock")
    if os.environ.get("BUILD_LIBRARY_IN") == HERE:  # a run that setuptools began
        yield
        return
    try:
        if not os.path.isdir("build"):
            os.makedirs("build")
        file = open(lock, "a")
    except (IOError, OSError):  # A folder that cannot be written to has no such trouble.
        yield
        return
    with file:
        if os.name == "nt":
            import msvcrt
            import time

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                    break
                except (IOError, OSError) as error:
                    if error.errno not in (errno.EACCES, errno.EDEADLK):
                        break  # a file system without locks
                    time.sleep(0.2)
        else:
            import fcntl

            # Not for what cargo starts and leaves running, as Python 2 would.
            fcntl.fcntl(file, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except (IOError, OSError):
                pass  # a file system without locks
        os.environ["BUILD_LIBRARY_IN"] = HERE
        try:
            yield
        finally:
            del os.environ["BUILD_LIBRARY_IN"]


def run():
    """Runs the commands that setup.py was called with."""
    check_date()
    with one_at_a_time():
        licences()  # setuptools would carry on without one.
        given = metadata()
        given["distclass"] = Dist
        given["cmdclass"] = {
            "bdist_wheel": BdistWheel,
            "build_library": build_library,
            "build_py": BuildPy,
            "build_scripts": BuildScripts,
            "develop": Develop,
            "install_scripts": InstallScripts,
            "sdist": Sdist,
        }
        setup(**given)


run()
