"""Images, and the builders that run cargo in containers, on a real engine: this machine's
own, or one that is started for these tests. `make test-docker` runs them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

import command
from support import (
    BIN,
    FFIWHEEL,
    PACKAGE,
    ROOT,
    Project,
    clean_environment,
    ffiwheel,
    found_interpreters,
    link_roots,
    link_tools,
    run,
)
from test_no_checkout import other_project, tool

pytestmark = pytest.mark.docker

STAND_IN = "local/stand-in"
IMAGE = "localhost/manylinux2014_x86_64"
CROSS_IMAGE = "localhost/cross-aarch64-unknown-linux-gnu"


# ---- The engine -------------------------------------------------------------------------


def answers(environment):
    done = subprocess.run(["docker", "info"], env=environment, capture_output=True, timeout=60)
    return done.returncode == 0


def network_state():
    """What dockerd changes of this machine's network, as commands that change it back."""
    rules = subprocess.run(["iptables-save"], capture_output=True).stdout
    links = {path.name for path in Path("/sys/class/net").iterdir()}
    forward = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    return rules, links, forward


def restore_network(state):
    rules, links, forward = state
    subprocess.run(["iptables-restore"], input=rules, capture_output=True)
    for path in Path("/sys/class/net").iterdir():
        if path.name not in links:
            subprocess.run(["ip", "link", "delete", path.name], capture_output=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text(forward)


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """An environment in which `docker` reaches an engine."""
    environment = clean_environment(
        RUSTUP_DIST_SERVER="http://127.0.0.1:9", RUSTUP_UPDATE_ROOT="http://127.0.0.1:9"
    )
    if answers(environment):
        yield environment
        return
    assert shutil.which("dockerd") and os.getuid() == 0, "needs an engine, or root and dockerd"
    folder = tmp_path_factory.mktemp("docker")
    environment["DOCKER_HOST"] = f"unix://{folder}/socket"
    state = network_state()
    with open(folder / "log", "wb") as log:
        daemon = subprocess.Popen(
            ["dockerd", "--host", environment["DOCKER_HOST"], "--pidfile", folder / "pid"]
            + ["--data-root", folder / "data", "--exec-root", folder / "exec"],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while not answers(environment):
            assert daemon.poll() is None and time.monotonic() < deadline, (
                folder / "log"
            ).read_text()
            time.sleep(0.5)
        yield environment
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)
        restore_network(state)
        assert str(folder) not in Path("/proc/mounts").read_text()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def stand_in(engine, request):
    """An image with a compiler, a Rust and three Pythons, where the official ones would be."""
    found = found_interpreters(request.config)
    # cibuildwheel expects 3.9, whatever it builds for.
    pythons = [found[name][0] for name in ("3.9", "3.11", "3.12", "3.13")]
    run(ROOT / "scripts/stand-in-image.sh", STAND_IN, *pythons, cwd=ROOT, env=engine, timeout=900)
    rustc = run("docker", "run", "--rm", STAND_IN, "rustc", "--version", cwd=ROOT, env=engine)
    return rustc.split()[1]


def stand_on(project, rust):
    """A project whose images are made of the stand-in, which has a newer glibc."""
    images = project.root / "docker/images.toml"
    text = re.sub(r'= "(quay|ghcr)\.io/[^"]*"', f'= "{STAND_IN}"', images.read_text())
    images.write_text(re.sub(r'rust = "[^"]*"', f'rust = "{rust}"', text))
    for arch in ("x86_64", "aarch64"):
        project.edit(
            project.root / "ci/targets.toml",
            f'["manylinux2014_{arch}", "manylinux_2_17_{arch}"]',
            f'["manylinux_2_36_{arch}"]',
        )
    return project


@pytest.fixture
def docker_project(project, stand_in):
    return stand_on(project, stand_in)


def make(project, *words, environment):
    """A verb of the Makefile in a copy of the project, with this project's tools."""
    venv = project.root / ".venv"
    if not venv.exists():
        venv.symlink_to(ROOT / ".venv")
    environment = dict(environment, CARGO_TARGET_DIR=str(ROOT / "rust/ffiwheel/target"))
    words = ["make", "--old-file=.venv/installed", *words]
    return run(*words, cwd=project.root, env=environment, timeout=900)


@pytest.fixture(scope="session")
def images(engine, stand_in, tmp_path_factory):
    """Both images of ours."""
    project = stand_on(Project(tmp_path_factory.mktemp("images") / "project"), stand_in)
    for image in (IMAGE, CROSS_IMAGE):
        text = make(project, "image", f"NAME={image.split('/')[1]}", environment=engine)
        assert image in text.splitlines()
    return engine


@pytest.fixture(scope="session")
def cross(engine):
    """An environment in which the pipeline finds cross."""
    run("make", "cross", cwd=ROOT, env=engine, timeout=1200)
    return engine


# ---- Wheels -----------------------------------------------------------------------------


def build(project, backend, target, environment, **options):
    words = ["wheels", "--json", "--backend", backend, target]
    return ffiwheel(project, *words, env=environment, timeout=900, **options)


def only_wheel(project):
    (wheel,) = (project.root / "dist").glob("*.whl")
    return wheel


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def compared_with_zig(wheel, zig):
    """What differs from the wheel that zig linked: the library, by its linker and compiler,
    and what tells of it. Everything else is the same, byte for byte."""
    other, own = contents(zig), contents(wheel)
    missing = set(other) - set(own)
    assert set(own) <= set(other) and all("/sboms/" in name for name in missing)
    differing = {name for name in own if own[name] != other[name]}
    explained = re.compile(r"/lib/|\.dist-info/(RECORD|WHEEL|sboms/.*)$")
    assert not [name for name in differing if not explained.search(name)]
    files = {name.split("/")[-1] for name in differing | missing if not name.endswith("/")}
    return ", ".join(sorted(files)) or "nothing"


def judged_and_run(project, builder, environment, record_property):
    """The pipeline has judged the wheel of dist/ as a tag promises it; here it is run."""
    link_roots(project)
    wheel = only_wheel(project)
    ffiwheel(project, "audit", env=environment)
    text = ffiwheel(project, "smoke", "--json", env=environment, timeout=900)
    (row,) = json.loads(text[text.index("[\n") : text.rindex("]") + 1])
    assert not row["error"] and row["level"] != "static only", row
    differs = compared_with_zig(wheel, next((ROOT / "dist").glob("*manylinux_2_17_x86_64.whl")))
    size = wheel.stat().st_size // 1000
    tag = wheel.stem.split("-none-")[1]
    ran = f"{row['level']}: {', '.join(row['ran'])}" if row.get("ran") else row["level"]
    record_property("built", [builder, tag, f"{size} kB", ran, f"not as zig's: {differs}"])


def own_files_only(folder):
    for path in folder.rglob("*"):
        assert path.lstat().st_uid == folder.stat().st_uid, path


def test_docker(docker_project, images, record_property):
    build(docker_project, "docker", "manylinux_x86_64", images)
    judged_and_run(docker_project, "docker", images, record_property)
    text = build(docker_project, "docker", "manylinux_x86_64", images)
    assert "up to date" in text or '"stages": []' in text


def test_docker_for_another_user(stand_in, images):
    """Nobody but the caller owns what a container leaves, and it runs as the caller."""
    assert os.getuid() == 0 and "DOCKER_HOST" in images, "needs root, and an engine of its own"
    # access(2) heeds no capability: the way to the project is open to all.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        project = stand_on(Project(Path(folder) / "project"), stand_in)
        root = project.root
        (root / ".venv").symlink_to(ROOT / ".venv")
        run("chown", "--recursive", "--no-dereference", "1000:1000", root, cwd=ROOT)
        Path(images["DOCKER_HOST"].split("//")[1]).chmod(0o666)
        home = root / "build/home"
        # May read, and look into, what is root's alone: the interpreters and the tools.
        words = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"]
        words += ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        words += [ROOT / "rust/ffiwheel/target/debug/ffiwheel", "wheels", "--backend", "docker"]
        changes = dict(HOME=str(home), CARGO_HOME=str(home), RUSTUP_HOME=rustup_home())
        run(*words, "manylinux_x86_64", cwd=root, env=dict(images, **changes))
        assert only_wheel(project).stat().st_uid == 1000
        own_files_only(root)


def rustup_home():
    return os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup"))


def test_a_container_writes_to_the_build_folder_alone(docker_project, images):
    (docker_project.root / "rust/build.rs").write_text(
        'fn main() { std::fs::write("src/stray", "").expect("writing to the sources"); }\n'
    )
    text = build(docker_project, "docker", "manylinux_x86_64", images, fails=True)
    assert "Read-only file system" in text and "writing to the sources" in text
    assert not (docker_project.root / "rust/src/stray").exists()


def test_no_space_for_a_container(docker_project, images):
    folder = docker_project.root / "build/x86_64-unknown-linux-gnu"
    folder.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", "size=256k", "none", folder, cwd=ROOT)
    try:
        text = build(docker_project, "docker", "manylinux_x86_64", images, fails=True)
    finally:
        run("umount", folder, cwd=ROOT)
    assert "No space left on device" in text
    assert not list((docker_project.root / "dist").glob("*"))


@pytest.fixture
def podman(engine, stand_in, tmp_path):
    """An environment in which podman, with storage of its own, has the stand-in."""
    assert shutil.which("podman"), "needs podman"
    storage = tmp_path / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{tmp_path}/graph"\n'
        f'runroot = "{tmp_path}/run"\n'
    )
    containers = tmp_path / "containers.conf"
    # Debian's default asks for more than a container's own limits may allow.
    containers.write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
    )
    environment = dict(
        engine,
        CONTAINER_ENGINE="podman",
        CONTAINERS_CONF=str(containers),
        CONTAINERS_STORAGE_CONF=str(storage),
    )
    run("sh", "-c", f"docker save {STAND_IN} | podman load", cwd=ROOT, env=environment)
    yield environment
    run("podman", "system", "reset", "--force", cwd=ROOT, env=environment)


@pytest.mark.long
def test_podman(docker_project, podman, record_property):
    ffiwheel(docker_project, "image", IMAGE.split("/")[1], env=podman, timeout=900)
    build(docker_project, "docker", "manylinux_x86_64", podman)
    judged_and_run(docker_project, "docker (podman)", podman, record_property)
    own_files_only(docker_project.root / "build")


def toolchains():
    return run("rustup", "toolchain", "list", "--verbose", cwd=ROOT)


def test_cross(docker_project, images, cross, record_property):
    before = toolchains() if shutil.which("rustup") else ""
    build(docker_project, "cross", "manylinux_aarch64", cross)
    judged_and_run(docker_project, "cross", cross, record_property)
    assert not before or toolchains() == before


def test_the_floor_of_the_table_holds_in_images(project, images, cross, stand_in):
    """The stand-in has a newer glibc than the table promises: no wheel comes of that."""
    stand_on(project, stand_in)
    shutil.copy(ROOT / "ci/targets.toml", project.root / "ci")
    for backend, target in [("docker", "manylinux_x86_64"), ("cross", "manylinux_aarch64")]:
        text = build(project, backend, target, cross, fails=True)
        assert "needs more than its tag" in text and "manylinux_2_17" in text
    assert not list((project.root / "dist").glob("*"))


# ---- cibuildwheel -----------------------------------------------------------------------

PYTHONS = "cp311-* cp312-* cp313-*"  # of what the stand-in has


@pytest.mark.long
def test_cibuildwheel(docker_project, stand_in, engine, record_property):
    """One library, built here; one wheel of it, run on every Python in the container."""
    environment = dict(engine, CIBW_BUILD=PYTHONS)
    build(docker_project, "zig", "manylinux_x86_64", environment)
    by_zig = contents(only_wheel(docker_project))
    build(docker_project, "cibuildwheel", "manylinux_x86_64", environment)
    by_cibuildwheel = contents(only_wheel(docker_project))
    assert set(by_cibuildwheel) == set(by_zig)
    differing = {name for name in by_zig if by_zig[name] != by_cibuildwheel[name]}
    # What setuptools and auditwheel, of other versions, write of themselves.
    assert {name.split("/")[-1] for name in differing} <= {"RECORD", "WHEEL"}
    log = (docker_project.root / "build/x86_64-unknown-linux-gnu/log").read_text()
    assert log.count("Found previously built wheel") == PYTHONS.count("-*") - 1
    ran = re.findall(rf"{PACKAGE} \S+ runs on CPython (3\.\d+)", log)
    assert ran == ["3.11", "3.12", "3.13"], log
    here = "%d.%d" % sys.version_info[:2]  # where the wheel ran before it came into dist/
    assert re.findall(rf"{PACKAGE} \S+ is right on CPython (3\.\d+)", log) == [*ran, here], log
    judged_and_run(docker_project, "cibuildwheel", environment, record_property)
    text = build(docker_project, "cibuildwheel", "manylinux_x86_64", environment)
    assert '"stages": []' in text


@pytest.mark.long
def test_cibuildwheel_from_source(docker_project, stand_in, engine, record_property):
    """Without the pipeline: cargo builds in the container, once."""
    environment = dict(
        engine,
        CIBW_BUILD=PYTHONS,
        CIBW_SKIP="*-musllinux_*",
        CIBW_MANYLINUX_X86_64_IMAGE=STAND_IN,
        WHEEL_PLAT="manylinux_2_36_x86_64",
    )
    words = ["--platform", "linux", "--config-file", "ci/cibuildwheel.toml"]
    words += ["--output-dir", "dist", "python"]
    root = docker_project.root
    text = run(BIN / "cibuildwheel", *words, cwd=root, env=environment, timeout=900)
    assert text.count("Found previously built wheel") == PYTHONS.count("-*") - 1
    assert text.count(" is right on CPython 3.") == PYTHONS.count("-*")
    judged_and_run(docker_project, "cibuildwheel, cargo", environment, record_property)


def test_the_wheels_floor_holds_in_cibuildwheel(project, stand_in, engine):
    """A library for a newer glibc than the table promises gets no older tag."""
    stand_on(project, stand_in)
    environment = dict(
        engine,
        CIBW_BUILD="cp313-manylinux_*",
        CIBW_MANYLINUX_X86_64_IMAGE=STAND_IN,
        WHEEL_PLAT="manylinux_2_17_x86_64",
    )
    words = ["--platform", "linux", "--config-file", "ci/cibuildwheel.toml", "python"]
    text = run(BIN / "cibuildwheel", *words, cwd=project.root, env=environment, fails=True)
    assert "too-recent versioned symbols" in text
    assert not list(project.root.glob("wheelhouse/*"))


# ---- Another project, and no checkout of the tool ---------------------------------------

OWN_IMAGES = """\
rust = "{rust}"
[base]
manylinux2014_x86_64 = "{image}"
"""
OWN_ROW = """\
[[target]]
triple = "x86_64-unknown-linux-gnu"
tags = ["manylinux_2_36_x86_64"]
image = "manylinux2014_x86_64"
"""


def with_own_images(project, rust):
    """All that a project says of images is what the stand-in has."""
    for name in ("ci", "docker"):
        (project / name).mkdir()
    images = OWN_IMAGES.format(rust=rust, image=STAND_IN)
    (project / "docker/images.toml").write_text(images)
    (project / "ci/targets.toml").write_text(OWN_ROW)


def check_both_backends(words, project, environment):
    def verb(*more):
        return run(*words, *more, cwd=project, env=environment, timeout=900)

    verb("header")
    assert IMAGE in verb("image", "manylinux2014_x86_64").splitlines()
    for backend, stage in [("docker", "repair"), ("cibuildwheel", "cibuildwheel")]:
        text = verb("wheels", "--json", "--backend", backend)
        (row,) = json.loads(text[text.index("[\n") :])
        assert stage in dict(row["stages"]) and row["wheel"].endswith("-manylinux_2_36_x86_64.whl")


def test_images_and_cibuildwheel_need_no_checkout(stand_in, engine, tmp_path):
    project, program = other_project(tmp_path / "project"), tool(tmp_path)
    with_own_images(project, stand_in)
    check_both_backends(program, project, dict(engine, CIBW_BUILD=PYTHONS))


def test_another_command_is_run_in_an_image(stand_in, engine, tmp_path):
    """By the image's compiler, and in cibuildwheel by zig's; of two libraries, each."""
    project = command.make(tmp_path / "project", "two")
    # The stand-in has no make.
    compiler = "${CC:-cc} -shared -fPIC -O2 -Iinclude"
    both = f'{compiler} $LDFLAGS -o "$OUTPUT" thing.c && '
    both += f'{compiler} $LDFLAGS_THING_NAMES -o "$OUTPUT_THING_NAMES" thing_names.c'
    project.edit(project.python / "setup.cfg", command.documented("NAMES="), both)
    link_tools(project)
    with_own_images(project.root, stand_in)
    check_both_backends([*FFIWHEEL, "--"], project.root, dict(engine, CIBW_BUILD="cp313-*"))


# ---- What goes wrong --------------------------------------------------------------------


def failure(project, environment, *words):
    """The one error of a run that fails."""
    text = ffiwheel(project, *words, env=environment, fails=True)
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    assert 1 <= len(errors) <= 2 and "panicked" not in text, text  # one a target, one of all
    return text


def test_failures_are_told(docker_project, images):
    wheels = ["wheels", "--backend", "docker", "manylinux_x86_64"]
    for environment, words, expected in [
        (dict(CONTAINER_ENGINE="no-engine"), wheels, "cannot run no-engine: install it"),
        (dict(DOCKER_HOST="unix:///nowhere"), wheels, "docker does not respond: start it"),
        ({}, ["wheels", "--backend", "docker", "musllinux_x86_64"], "make image NAME=musllinux"),
        ({}, ["wheels", "--backend", "docker", "win_amd64"], "there is no image for win_amd64"),
        ({}, ["wheels", "--backend", "cross", "win_amd64"], "there is no image for win_amd64"),
        (
            {},
            ["wheels", "--backend", "cibuildwheel", "manylinux_armv7l"],
            "there is no image for manylinux_armv7l",
        ),
        ({}, ["image", "nope"], "it has manylinux2014_aarch64, "),
    ]:
        assert expected in failure(docker_project, dict(images, **environment), *words)
    docker_project.edit(docker_project.root / "docker/images.toml", 'rust = "', 'rust = "9')
    text = failure(docker_project, images, *wheels)
    assert "requires 9" in text and "run `make image NAME=manylinux2014_x86_64`" in text
    # The stand-in has neither that Rust nor curl.
    text = failure(docker_project, images, "image", "manylinux2014_x86_64")
    assert "curl" in text and "build/image/manylinux2014_x86_64.log" in text


def test_cross_is_missing(docker_project, images, cross):
    folders = images["PATH"].split(os.pathsep)
    path = os.pathsep.join(name for name in folders if not Path(name, "cross").exists())
    program = BIN / "cross"
    program.rename(BIN / "hidden")
    try:
        words = ["wheels", "--backend", "cross", "manylinux_aarch64"]
        text = failure(docker_project, dict(images, PATH=path), *words)
    finally:
        (BIN / "hidden").rename(program)
    assert "BACKEND=cross needs cross" in text and "make cross" in text
