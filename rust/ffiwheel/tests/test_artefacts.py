"""The sdist and the wheel themselves: what is in them, who can build them, same bytes."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from adopter import make
from support import (
    BIN,
    CARGO,
    FFIWHEEL,
    PACKAGE,
    ROOT,
    Interpreter,
    Project,
    clean_environment,
    commit,
    ffiwheel,
    found_interpreters,
    git,
    greeting,
    long,
    named_interpreter,
    run,
    smoke,
)


def members(sdist):
    with tarfile.open(sdist) as archive:
        return sorted(member.name.split("/", 1)[1] for member in archive if member.isfile())


@pytest.fixture(scope="session")
def unpacked(sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)
    (tree,) = folder.iterdir()
    return tree


# ---- The wheel ---------------------------------------------------------------------------


def test_the_wheel_is_named_and_filled_as_promised(wheel):
    platforms = wheel.name[:-4].split("-")[-1]
    assert platforms == "manylinux2014_x86_64.manylinux_2_17_x86_64"
    with zipfile.ZipFile(wheel) as archive:
        # auditwheel also writes entries for folders.
        names = [name for name in archive.namelist() if not name.endswith("/")]
        info = f"{wheel.name.split('-py2')[0]}.dist-info"
        assert [name for name in names if "/lib/" in name] == [f"{PACKAGE}/lib/lib{PACKAGE}.so"]
        assert {name.split("/")[0] for name in names} == {PACKAGE, info}
        assert not [name for name in names if name.endswith((".rs", ".h", ".so.json", ".md"))]
        sbom = f"{info}/sboms/{PACKAGE}.cdx.json"
        assert [name for name in names if name.endswith(".json")] == [sbom]
        text = archive.read(f"{info}/WHEEL").decode()
        assert "Root-Is-Purelib: false" in text
        tags = [line[5:] for line in text.splitlines() if line.startswith("Tag: ")]
        assert sorted(tags) == sorted(
            f"{python}-none-{platform}"
            for python in ("py2", "py3")
            for platform in platforms.split(".")
        )
        assert f"{info}/licenses/LICENSE" in names


def test_the_wheel_needs_no_newer_glibc_than_its_tag_says(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        library = archive.extract(f"{PACKAGE}/lib/lib{PACKAGE}.so", tmp_path)
    words = subprocess.check_output(["readelf", "--wide", "--version-info", library], text=True)
    needed = [
        tuple(int(part) for part in word[6:].split("."))
        for word in words.split()
        if word.startswith("GLIBC_")
    ]
    assert needed and max(needed) <= (2, 17)


def test_two_clones_give_the_same_bytes(tmp_path):
    """Whatever the folder, the umask, the time and what was built before."""
    results = []
    for name, umask in [("one", "022"), ("two é", "077")]:
        project = Project(tmp_path / name)
        if umask == "077":
            for folder, _, names in os.walk(project.root):
                for file in names:
                    os.chmod(os.path.join(folder, file), 0o600)
                    os.utime(os.path.join(folder, file), (1, 1))
        (project.root / ".venv").symlink_to(ROOT / ".venv")
        environment = clean_environment(SOURCE_DATE_EPOCH="1700000000")
        script = f'umask {umask} && "$@" -- wheels && "$@" -- sdist'
        run("sh", "-c", script, "sh", *FFIWHEEL, cwd=project.root, env=environment)
        files = sorted((project.root / "dist").iterdir())
        assert len(files) == 2
        results.append([(file.name, file.read_bytes()) for file in files])
    assert results[0] == results[1]


def reproduce(project, **options):
    return ffiwheel(project, "reproduce", "host", **options)


def test_what_is_not_committed_cannot_be_reproduced(project):
    commit(project)
    git(project, "config", "status.showUntrackedFiles", "no")
    (project.root / "rust/src/more.rs").write_text("")
    text = reproduce(project, fails=True)
    assert "Commit these" in text and "rust/src/more.rs" in text


@pytest.mark.long
def test_a_library_that_differs_from_clone_to_clone_is_found(project):
    body = 'text(format_args!("Hello {who} from Rust!"))'
    project.edit(project.source, body, f'std::hint::black_box(env!("AT")); {body}')
    (project.root / "rust/build.rs").write_text(
        'fn main() {\n    println!("cargo:rustc-env=AT={:?}", std::time::SystemTime::now());\n}\n'
    )
    commit(project)
    ffiwheel(project, "wheels")
    ffiwheel(project, "sdist")
    lines = reproduce(project, fails=True).splitlines()
    (wheel, member, sdist, error) = lines[-4:]
    assert wheel.endswith("DIFFERENT") and f"{PACKAGE}/lib/lib{PACKAGE}.so" in member
    assert sdist.endswith("same") and error.startswith("error: 1 of these differ")


def test_a_target_that_is_not_in_the_table_is_refused(project):
    text = ffiwheel(project, "wheels", "sparc-unknown-none", fails=True)
    assert "no such target: sparc-unknown-none" in text
    assert not (project.root / "dist").exists()


def test_a_failing_build_shows_its_last_lines_and_leaves_dist_alone(project):
    (project.root / "dist").mkdir()
    project.edit(project.source, "pub const ANSWER: i32 = 42;", "pub const ANSWER: i32 = forty;")
    text = ffiwheel(project, "wheels", fails=True)
    assert "cannot find value `forty`" in text and "the full log is" in text
    assert "no wheel for manylinux_x86_64" in text
    assert list((project.root / "dist").iterdir()) == []


def test_a_stale_version_is_an_error_that_names_make_header(project):
    project.edit(project.root / "rust/Cargo.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    assert "make header" in ffiwheel(project, "sdist", fails=True)


# ---- The sdist ---------------------------------------------------------------------------


GATE = ["abi", "gate"]


def test_the_sdist_holds_the_package_and_the_crate(sdist):
    crate = [
        f"rust/{name}"
        for name in [
            "Cargo.lock",
            "Cargo.toml",
            f"include/{PACKAGE}.h",
        ]
        + [f"src/{name}.rs" for name in ("ffi", "lib", "tests")]
        + [f"src/ffi/{name}.rs" for name in GATE]
        + ["tests/program.c"]
    ]
    package = [
        f"{PACKAGE}/{name}"
        for name in ["__init__.py", "__init__.pyi", "__main__.py", "_ffi.py", "_ffi.pyi"]
        + ["_load.py", "_native.py", "lib/README.md", "py.typed"]
        + ["__pyinstaller/__init__.py", f"__pyinstaller/hook-{PACKAGE}.py"]
    ]
    outer = ["LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg", "setup.py"]
    outer += ["build_library.py", "platform_tag.py", "sources.py"]
    assert members(sdist) == sorted(crate + package + outer)


def test_every_way_to_an_sdist_gives_the_same_files(sdist, project, built, tmp_path, request):
    for path in built:  # What a build left does not get in.
        shutil.copy(path, project.lib)
    for stray in ["rust/src/.lib.rs.swp", "python/stray.py", "rust/ffiwheel/stray.rs"]:
        (project.root / stray).write_text("")
    project.setup("sdist", "--dist-dir", tmp_path / "setup.py")
    run(
        BIN / "python", "-m", "build", "--sdist", "--outdir", tmp_path / "build", cwd=project.python
    )
    ways = ["setup.py", "build"]
    found = found_interpreters(request.config).get("2.7")
    if found:
        venv = Interpreter("2.7", *found).environment(tmp_path / "venv")
        words = ["setup.py", "sdist", "--dist-dir", tmp_path / "2.7"]
        run(venv.python, *words, cwd=project.python)
        ways.append("2.7")
    for way in ways:
        (other,) = (tmp_path / way).iterdir()
        assert other.name == sdist.name
        assert members(other) == members(sdist), way


def test_the_build_front_end_gives_the_bytes_of_make_sdist(tmp_path):
    """With the same setuptools."""
    project = make(tmp_path / "project", "d", "m", "c")
    ffiwheel(project, "header")
    commit(project)
    ffiwheel(project, "sdist")
    words = ["-m", "build", "--no-isolation", "--sdist", "--outdir", tmp_path / "build"]
    run(BIN / "python", *words, project.python, cwd=tmp_path)
    (ours,), (other,) = (project.root / "dist").iterdir(), (tmp_path / "build").iterdir()
    assert other.name == ours.name and other.read_bytes() == ours.read_bytes()


def test_an_unpacked_sdist_makes_the_same_sdist(sdist, unpacked, tmp_path):
    tree = shutil.copytree(unpacked, tmp_path / "tree")
    run(sys.executable, "setup.py", "sdist", cwd=tree)
    (other,) = (tree / "dist").iterdir()
    assert members(other) == members(sdist)


def test_an_sdist_builds_inside_somebody_elses_workspace(unpacked, tmp_path):
    (tmp_path / "Cargo.toml").write_text('[workspace]\nmembers = ["other/*"]\n')
    tree = shutil.copytree(unpacked, tmp_path / "other/tree")
    run(sys.executable, "setup.py", "bdist_wheel", cwd=tree)
    assert list((tree / "dist").glob("*.whl"))


def test_an_sdist_builds_with_the_build_front_end(unpacked, working_cargo, tmp_path):
    tree = shutil.copytree(unpacked, tmp_path / "tree")
    command = [BIN / "python", "-m", "build", "--no-isolation"]
    run(*command, cwd=tree, env=working_cargo.environment)  # an sdist, and a wheel from it
    assert sorted(path.suffix for path in (tree / "dist").iterdir()) == [".gz", ".whl"]
    (call,) = working_cargo.calls
    assert " --locked " in call


@pytest.mark.parametrize("version", ["3.13", *long("3.8")])
def test_uv_installs_the_sdist_and_the_editable_project(version, request, sdist, tmp_path):
    interpreter = named_interpreter(request.config, version)
    uv = [BIN / "uv", "--quiet", "--no-progress"]
    environment = clean_environment(UV_PYTHON_DOWNLOADS="never", UV_LINK_MODE="copy")
    options = {"cwd": tmp_path, "env": environment}
    run(*uv, "venv", "--python", interpreter.path, tmp_path / "venv", **options)
    python = tmp_path / "venv/bin/python"
    run(*uv, "pip", "install", "--python", python, "--no-cache-dir", sdist, **options)
    smoke(python, **options)

    project = Project(tmp_path / "project")
    for text in ["from Rust!", "from Rust again!"]:
        project.edit(project.source, "from Rust!", text)
        run(*uv, "pip", "install", "--python", python, "--editable", project.python, **options)
        code = f"import {PACKAGE}; print({PACKAGE}.greeting())"
        assert run(python, "-c", code, **options).strip() == f"Hello Python {text}"


# ---- The sdist with every crate -----------------------------------------------------------

# `cc` has a folder named target and hidden files, which cargo wants to find; what only
# Windows needs is vendored as well.
DEPENDENCIES = """
[dependencies]
itoa = "=1.0.15"
cc = "=1.2.16"
[target.'cfg(windows)'.dependencies]
windows-link = "=0.1.3"
"""
WITHOUT_NETWORK = ["unshare", "--net", "--map-root-user", "--"]


@pytest.fixture(scope="module")
def vendored(tmp_path_factory):
    """A project whose crate depends on others, and its vendored sdist."""
    project = Project(tmp_path_factory.mktemp("vendored") / "project")
    project.edit(project.root / "rust/Cargo.toml", "[dependencies]", DEPENDENCIES)
    project.edit(
        project.source,
        'format_args!("Hello {who} from Rust!")',
        'format_args!("Hello {who} from Rust {}!", itoa::Buffer::new().format(7u8))',
    )
    run(CARGO, "generate-lockfile", cwd=project.root / "rust")
    ffiwheel(project, "sdist", "--vendor")
    return project, next((project.root / "dist").iterdir())


def test_a_vendored_sdist_holds_every_crate(vendored, tmp_path):
    project, sdist = vendored
    names = members(sdist)
    for crate in ("itoa", "cc", "windows-link"):
        assert f"rust/vendor/{crate}/.cargo-checksum.json" in names
    assert ".cargo/config.toml" in names
    assert "shlex" in " ".join(names), "what a dependency depends on"
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path)
    (tree,) = tmp_path.iterdir()
    settings = (tree / ".cargo/config.toml").read_text()
    assert "://" not in settings and str(project.root) not in settings
    # All of it, and nothing else, comes from what is packed.
    run(sys.executable, "setup.py", "sdist", cwd=tree)
    assert members(next((tree / "dist").iterdir())) == names
    ffiwheel(project, "audit", sdist)


def test_a_vendored_sdist_has_the_same_bytes_anywhere(vendored, tmp_path):
    project, sdist = vendored
    other = tmp_path / "another folder"
    shutil.copytree(project.root, other, symlinks=True)
    shutil.rmtree(other / "build")
    shutil.rmtree(other / "dist")
    run(
        *["sh", "-c", 'umask 077 && "$@"', "sh", *FFIWHEEL, "--", "sdist", "--vendor"],
        cwd=other,
        env=clean_environment(TZ="Asia/Kolkata"),
    )
    assert next((other / "dist").iterdir()).read_bytes() == sdist.read_bytes()


@pytest.mark.parametrize("version", ["3.13", *long("2.7")])
def test_a_vendored_sdist_is_installed_without_a_network(vendored, version, request, tmp_path):
    project, sdist = vendored
    done = subprocess.run([*WITHOUT_NETWORK, "true"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no network namespace can be made: {done.stderr.strip()}")
    venv = named_interpreter(request.config, version).environment(tmp_path / "venv")
    venv.pip("install", "--quiet", "setuptools", "wheel", "cffi")
    environment = clean_environment(CARGO_HOME=str(tmp_path / "empty"))
    words = [*WITHOUT_NETWORK, venv.python, "-m", "pip", "install", "--no-index", "--no-deps"]
    words += ["--no-build-isolation", "--no-cache-dir"]
    options = {"cwd": tmp_path, "env": environment}

    # The plain one needs its crates from the network: there is none.
    ffiwheel(project, "sdist")
    (plain,) = (project.root / "dist").iterdir()
    plain = shutil.move(plain, tmp_path / plain.name)
    assert "cargo failed" in run(*words, plain, **options, fails=True)
    ffiwheel(project, "sdist", "--vendor")
    assert sdist.stat().st_size > 2 * plain.stat().st_size

    run(*words, sdist, **options)
    assert greeting(venv) == "Hello Python from Rust 7!"


def test_a_crate_without_dependencies_needs_no_vendored_sdist(project, sdist):
    assert "builds without a network" in ffiwheel(project, "sdist", "--vendor")
    (made,) = (project.root / "dist").iterdir()
    assert members(made) == members(sdist)


# ---- The crate and the tool --------------------------------------------------------------


@pytest.mark.parametrize("crate", ["rust", "rust/ffiwheel"])
def test_cargo_test(crate):
    text = run(CARGO, "test", "--quiet", "--locked", cwd=ROOT / crate)
    assert "test result: ok." in text


def test_the_crate_builds_as_any_crate(project):
    run(CARGO, "build", "--manifest-path", "rust/Cargo.toml", cwd=project.root)


def test_the_stubs_say_what_the_package_does(wheel, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path]
    run(*pip, wheel, cwd=tmp_path)
    hook = tmp_path / "hook"  # which PyInstaller alone can import
    hook.write_text(rf"{PACKAGE}\.__pyinstaller\.hook-{PACKAGE}")
    command = [sys.executable, "-m", "mypy.stubtest", PACKAGE, "--ignore-missing-stub"]
    command += ["--allowlist", hook]
    text = run(*command, cwd=tmp_path, env=clean_environment(MYPYPATH=str(tmp_path)))
    assert "Success" in text
