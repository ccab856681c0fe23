"""The workflows of GitHub Actions, the table's part in them, and what they pin."""

import configparser
import json
import os
import re
import subprocess
from importlib.resources import files

import pytest
from ruamel.yaml import YAML

from support import BIN, EXPECTED, EXTRA, ROOT, clean_environment, ffiwheel, long, run

tomllib = pytest.importorskip("tomllib", reason="the workflows' own Python is newer than 3.10")
WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*"), *ROOT.glob(".github/actions/*/*")])
# Those of them that call verbs.
TESTS = ["rust/ffiwheel/tests/test_docker.py", "rust/ffiwheel/tests/test_release.py"]
TESTS += ["rust/ffiwheel/tests/test_tool_project.py"]
TARGETS = tomllib.loads((ROOT / "ci/targets.toml").read_text())
TABLE = TARGETS["target"]
GITHUB = {row["name"]: row for row in TARGETS["github"]}
IMAGES = tomllib.loads((ROOT / "docker/images.toml").read_text())
# Every kind of machine that there is: https://docs.github.com/en/actions/reference/runners/github-hosted-runners
RUNNERS = {
    "macos-15",
    "macos-15-intel",
    "ubuntu-24.04",
    "ubuntu-24.04-arm",
    "windows-11-arm",
    "windows-2025",
}


def steps(node):
    """Every step in a workflow or an action, wherever it stands."""
    if isinstance(node, dict):
        if isinstance(node.get("uses", node.get("run")), str):
            yield node
        for value in node.values():
            yield from steps(value)
    elif isinstance(node, list):
        for value in node:
            yield from steps(value)


def executed_verbs():
    """The verbs that .ci/run, or a test that it runs, calls."""
    suites = [ROOT / ".ci/run", *map(ROOT.joinpath, TESTS)]
    call = re.compile(r'(?:^|\s|")make(?: |\(\w+, "|", "(?:-.*?", ")*)([a-z-]+)')
    return {verb for path in suites for verb in call.findall(path.read_text())}


def words(need):
    return [need] if isinstance(need, str) else need or []


def job_problems(workflow):
    """What is wrong with the jobs of a workflow, and what neither schema nor zizmor knows."""
    found = []
    jobs = workflow["jobs"]
    if workflow.get("permissions") != {}:
        found.append("permissions: not empty")
    for name, job in jobs.items():
        needs = words(job.get("needs"))
        found += [f"{name} needs {need}: no such job" for need in needs if need not in jobs]
        # What is called has jobs of its own.
        if "uses" not in job and "timeout-minutes" not in job:
            found.append(f"{name} has no timeout-minutes")
        for need, output in re.findall(r"\bneeds\.([\w-]+)\.outputs\.([\w-]+)", json.dumps(job)):
            if need not in needs or output not in jobs.get(need, {}).get("outputs", {}):
                found.append(f"{name} reads {output} of {need}")
        if "/alls-green@" in json.dumps(job) and set(needs) != set(jobs) - {name}:
            found.append(f"{name} is green without {set(jobs) - {name} - set(needs)}")
    return found


def problems(text):
    """What is wrong with a workflow or an action, a line each."""
    makefiles = [(ROOT / name).read_text() for name in ("Makefile", "ci/local.mk")]
    verbs = set(re.findall(r"^([a-z-]+):.*## ", "".join(makefiles), re.M)) & executed_verbs()
    node = YAML(typ="safe").load(text)
    found = job_problems(node) if "jobs" in node else []
    for step in steps(node):
        line = step.get("run")
        if line is not None and not re.fullmatch(rf"make ({'|'.join(verbs)})", line.strip()):
            found.append(f"run: {line}")
        action = step.get("uses", "")
        if "/upload-artifact@" in action:
            if step["with"].get("if-no-files-found") != "error":
                found.append(f"{action}: its files may be missing")
            if step["with"].get("overwrite") is not True:
                found.append(f"{action}: its job cannot be run again")
        if action.startswith("$/"):
            path = ROOT / action[2:]
            if not (path if path.suffix else path / "action.yml").is_file():
                found.append(f"uses: {action} is not there")
        elif action and not re.fullmatch(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}", action):
            found.append(f"uses: {action} is not pinned")
    for line in text.splitlines():
        if re.search(r"uses: .*@", line) and not re.search(r" # v\d+\.\d+\.\d+$", line):
            found.append(f"{line.strip()} says no version")
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT)))
def test_workflows_call_make_and_pin_what_they_use(path):
    assert problems(path.read_text()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("run: make lint", "run: cargo clippy"),
        ("run: make lint", "run: make lint && curl example.org"),
        ("run: make lint", "run: make lint${{ github.head_ref }}"),
        ("run: make lint", "run: make distclean"),  # no suite runs it
        ("actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "actions/checkout@main"),
        (" # v7.0.1", ""),
        ("uses: $/.github/workflows/wheels.yml", "uses: $/.github/workflows/wheel.yml"),
        ("$/.github/actions/setup", "$/.github/actions/other"),
        ("permissions: {}\n\nconcurrency", "permissions: read-all\n\nconcurrency"),
        ("    timeout-minutes: 20\n", ""),
        ("if-no-files-found: error", "if-no-files-found: warn"),
        ("          overwrite: true", "          overwrite: false"),
        ("needs: [lint, test, ", "needs: [test, "),
        ("needs: [matrix, build]", "needs: [matrix, build, lynt]"),
        ("needs: [matrix, build]", "needs: build"),
        ("needs.matrix.outputs.build)", "needs.matrix.outputs.built)"),
    ],
)
def test_a_bad_workflow_is_found(old, new):
    paths = [ROOT / f".github/workflows/{name}.yml" for name in ("ci", "wheels")]
    text = next(text for text in (path.read_text() for path in paths) if old in text)
    assert len(problems(text.replace(old, new, 1))) == 1


def test_an_action_has_one_version():
    pins = {}
    for path in WORKFLOWS:
        for action, sha in re.findall(r"uses: ([\w./-]+)@(\S+)", path.read_text()):
            pins.setdefault(action, set()).add(sha)
    assert pins and all(len(shas) == 1 for shas in pins.values()), pins


def test_what_a_newer_run_replaces_is_cancelled():
    workflow = YAML(typ="safe").load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert "github.ref" in workflow["concurrency"]["group"]


def test_no_release_cancels_another():
    workflow = YAML(typ="safe").load((ROOT / ".github/workflows/release.yml").read_text())
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert "github.ref" in workflow["concurrency"]["group"]


def test_one_job_can_upload_and_it_builds_nothing():
    """Nor has it anything that was built elsewhere but the files of the release, by their sums."""
    may = {}
    for path in ROOT.glob(".github/workflows/*"):
        workflow = YAML(typ="safe").load(path.read_text())
        for name, job in workflow["jobs"].items():
            more = set(job["permissions"].items()) - {("contents", "read")}
            if more:
                may[path.stem, name] = more
        if path.stem == "release":
            release = workflow
    assert may == {
        ("release", "publish"): {("id-token", "write")},
        ("release", "github-release"): {("contents", "write")},
    }
    publish = release["jobs"]["publish"]
    actions = [step["uses"].split("@")[0] for step in publish["steps"] if "uses" in step]
    assert actions == [
        "actions/checkout",
        "actions/download-artifact",
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
        "pypa/gh-action-pypi-publish",
    ]
    checks = [step for step in publish["steps"] if "run" in step]
    assert [step["run"] for step in checks] == ["make checksums"] * 2
    assert [step["env"] for step in checks] == [
        {"SUMS": "${{ needs.gather.outputs.sums }}"},
        {"SUMS": "${{ needs.tool.outputs.sums }}", "FOLDER": "build/tool"},
    ]
    assert publish["needs"] == ["gather", "rehearse", "tool"] and "environment" in publish
    uploads = [step["with"].get("packages-dir") for step in publish["steps"][-2:]]
    assert uploads == ["build/tool/dist", "dist"]


def test_a_release_takes_nothing_that_another_run_kept():
    release = YAML(typ="safe").load((ROOT / ".github/workflows/release.yml").read_text())
    settings = [job["with"] for job in release["jobs"].values() if "uses" in job]
    settings += [step["with"] for step in steps(release) if step.get("uses", "").endswith("/setup")]
    assert len(settings) == 5 and all(words["cache"] is False for words in settings)
    wheels = YAML(typ="safe").load((ROOT / ".github/workflows/wheels.yml").read_text())
    inner = [step["with"] for step in steps(wheels) if step.get("uses", "").endswith("/setup")]
    assert len(inner) == 3
    assert all(words["cache"] == "${{ inputs.cache }}" for words in inner)


def test_a_cache_is_keyed_by_every_lock_file():
    text = (ROOT / ".github/actions/setup/action.yml").read_text()
    for path in ["rust/Cargo.lock", "rust/ffiwheel/Cargo.lock", "ci/requirements.txt"]:
        assert re.search(rf"key: .*hashFiles\(.*'{path}'", text) and (ROOT / path).is_file()


def test_make_test_runs_on_every_python_of_its_runner():
    jobs = YAML(typ="safe").load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    (setup,) = [step for step in jobs["test"]["steps"] if "pythons" in step.get("with", {})]
    assert setup["with"]["pythons"].split() == GITHUB[jobs["test"]["runs-on"]]["pythons"].split()


def test_the_runners_have_every_python():
    """Of each system, on one of its machines, but for what actions/setup-python has of none."""
    for system, lacking in [("linux", {"3.6", "3.7"}), ("apple", set()), ("windows", set())]:
        rows = [row for row in GITHUB.values() if system in row["host"]]
        found = {python for row in rows for python in row["pythons"].split()}
        wanted = {name for name in EXPECTED + EXTRA if name[0] == "3"} - {"3.13t"} - lacking
        # PyPI has no cffi for free-threaded 3.13, and PyPy stands for CPython 2.7.
        assert found == wanted | {"pypy2.7", "pypy3.11"}


def test_lint_brings_what_a_minimal_rust_lacks(tmp_path):
    """Those of GitHub's runners lack it in every Rust but the newest."""
    cargo, rustup = tmp_path / "cargo", tmp_path / "rustup"
    cargo.write_text("#!/bin/sh\nexit 1\n")
    rustup.write_text('#!/bin/sh\necho "rustup: $*"\nexit 9\n')
    for program in (cargo, rustup):
        program.chmod(0o755)
    environment = clean_environment(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    command = ["make", "--old-file=.venv/installed", "lint", f"CARGO={cargo}"]
    text = run(*command, cwd=ROOT, env=environment, fails=True)
    assert "rustup: component add rustfmt clippy\n" in text and "Error 9" in text


def test_the_workflows_rust_is_that_of_the_images():
    for path in ROOT.glob(".github/workflows/*.yml"):
        assert f'RUSTUP_TOOLCHAIN: "{IMAGES["rust"]}"' in path.read_text()


def matrix(project, *words, **environment):
    text = ffiwheel(project, "matrix", *words, env=clean_environment(**environment))
    return {
        name: json.loads(value)["include"]
        for name, value in (line.split("=", 1) for line in text.splitlines())
    }


def test_the_matrix_has_every_row_of_the_table(project):
    found = matrix(project, "all")
    built = found["build"]
    assert len(built) == len(TABLE) == len({row["target"] for row in built})
    for row, target in zip(built, TABLE, strict=True):
        system, *machine = row["target"].split("_", 1)
        tag = target["tags"][-1]
        assert tag.startswith(system) and tag.endswith("".join(machine))
        assert row["runner"] in RUNNERS
        assert bool(row["image"]) == (row["backend"] == "cibuildwheel")
        pythons = row["pythons"].splitlines()
        at_home = row["target"] in ("manylinux_x86_64", "manylinux_aarch64")
        own = GITHUB[row["runner"]]["pythons"].split()
        assert pythons == (own if at_home else own[-1:])
        # Something runs it: the runner itself, an emulator, or a runner in the second stage.
        assert row["emulator"] or row["runner"] in target["native"]
    for row in found["native"]:
        assert row["pythons"].splitlines() == GITHUB[row["runner"]]["pythons"].split()
    ran = {(row["runner"], name) for row in found["native"] for name in row["targets"].split()}
    for row, target in zip(built, TABLE, strict=True):
        for runner in target.get("native", []):
            assert runner == row["runner"] or (runner, row["target"]) in ran
    assert {row["runner"] for row in [*built, *found["native"]]} == RUNNERS
    assert set(GITHUB) == RUNNERS


def test_the_matrix_of_some_targets(project, tmp_path):
    output = tmp_path / "output"
    output.write_text("earlier=1\n")
    found = matrix(
        project, "macosx_arm64 win_amd64", "musllinux_aarch64", GITHUB_OUTPUT=str(output)
    )
    assert [row["target"] for row in found["build"]] == [
        "musllinux_aarch64",
        "macosx_arm64",
        "win_amd64",
    ]
    assert found["build"][0]["runner"] == "ubuntu-24.04-arm"
    assert [row["runner"] for row in found["native"]] == ["macos-15", "windows-2025"]
    lines = output.read_text().splitlines()
    assert lines[0] == "earlier=1" and [line.split("=")[0] for line in lines[1:]] == [
        "build",
        "native",
    ]
    (row,) = matrix(project, "manylinux_aarch64", "--backend", "cross")["build"]
    assert row["image"] == IMAGES["cross"]["aarch64-unknown-linux-gnu"]
    assert row["runner"] == "ubuntu-24.04" and row["emulator"] == "debian arm64"
    text = ffiwheel(project, "matrix", "nope", fails=True)
    assert "no such target: nope" in text


def test_the_images_are_those_that_cibuildwheel_pins():
    """Digests that nobody here made up: https://github.com/pypa/cibuildwheel"""
    pinned = configparser.ConfigParser()
    pinned.read_string((files("cibuildwheel") / "resources/pinned_docker_images.cfg").read_text())
    for name, image in IMAGES["base"].items():
        libc, arch = re.fullmatch(r"(manylinux2014|musllinux_1_2)_(\w+)", name).groups()
        assert pinned[arch][libc].split()[0] == image
    for image in IMAGES["cross"].values():
        assert re.fullmatch(r"ghcr\.io/cross-rs/[\w.:-]+@sha256:[0-9a-f]{64}", image)
    named = {target["image"] for target in TABLE if "image" in target}
    assert named == set(IMAGES["base"])


def test_the_table_names_what_is_there(project):
    """A row's image, by docker/images.toml, and a backend that is known."""
    project.edit(project.root / "ci/targets.toml", 'ci = "cibuildwheel"', 'ci = "make"')
    text = ffiwheel(project, "matrix", "all", fails=True)
    assert "unknown variant `make`" in text and "targets.toml" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "platform",
    [
        "aarch64-apple-darwin",
        "x86_64-pc-windows-msvc",
        "x86_64-unknown-linux-gnu",
        *long("aarch64-pc-windows-msvc", "aarch64-unknown-linux-gnu", "x86_64-apple-darwin"),
    ],
)
def test_no_tool_is_compiled_on_any_runner(platform):
    """Each of ci/requirements.txt has a wheel for each kind of runner, or is not wanted there."""
    pins = re.sub(r"(?m)^\s.*|\\\n", "", (ROOT / "ci/requirements.txt").read_text())
    words = [BIN / "uv", "pip", "compile", "--quiet", "--no-header", "--only-binary", ":all:"]
    words += ["--python-version", "3.13", "--python-platform", platform, "--constraint", "-"]
    done = subprocess.run(
        [*words, ROOT / "ci/requirements.in"], input=pins, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for tool in re.findall(r"(?m)^([\w-]+)==", done.stdout):
        assert f"{tool}==" in pins
