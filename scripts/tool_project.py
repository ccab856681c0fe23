"""Makes the project of the tool: a folder in which the verbs build and release its wheels.

    tool_project.py FOLDER

The tool's crate embeds files from all over this repository. They are in `source`, at the same
places there; those of the package are in `source/python/kit`. In `python` are the kit's files, and
what rust/ffiwheel/package has; in `ci` is which of the table's rows are built. The folder is a
repository with one commit, of the time of this one's: so the wheels are those of a commit. What the
verbs left in the folder stays.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOL = "rust/ffiwheel"
# What the crate embeds, and what a release needs: files, and folders with a slash at the end.
EMBEDDED = [
    "Makefile",
    "LICENSE",
    "ci/",
    "docker/",
    "rust/src/ffi.rs",
    "rust/src/ffi/",
]
EMBEDDED += [f"{TOOL}/{name}" for name in ("Cargo.toml", "Cargo.lock", "build.rs")]
EMBEDDED += [f"{TOOL}/{name}/" for name in ("helpers", "package", "src", "template")]
LEFT_OUT = ["ci/local.mk"]  # this repository's own verbs
# The verbs' results, and the tools.
KEPT = [".git", ".venv", "build", "dist"]


def git(folder: Path, *words: str, **environment: str) -> str:
    command = ["git", *words]
    env = {**os.environ, **environment}
    done = subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, text=True)
    return done.stdout


def places() -> dict[str, str]:
    """{path in the project: path in this repository}"""
    found = {}
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        path = Path(name)
        of_kit = path.parent == Path("python") and path.suffix == ".py"
        embedded = any(name == it or it.endswith("/") and name.startswith(it) for it in EMBEDDED)
        if (of_kit or embedded) and name not in LEFT_OUT:
            found[f"source/{name}"] = name
        if of_kit:
            found[name] = name
        if path.parts[0] == "python" and path.name in ("_load.py", "_native.py"):
            found[f"source/python/kit/{path.name}"] = name
        if name.startswith(f"{TOOL}/package/"):
            found[name.replace(f"{TOOL}/package/", "python/")] = name
    return {
        **found,
        "source/python/pyproject.toml": "python/pyproject.toml",
        "python/pyproject.toml": "python/pyproject.toml",
        "LICENSE": "LICENSE",
        "CHANGELOG.md": "CHANGELOG.md",
        ".gitignore": ".gitignore",
    }


# The machines that the tool's users develop on.
ROWS = ["linux_x86_64", "linux_aarch64", "macosx_x86_64", "macosx_arm64", "win_amd64"]


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    wanted = {name: (ROOT / path).read_bytes() for name, path in places().items()}
    # The tool names no project: its address is that of this one.
    manifest = (ROOT / "rust/Cargo.toml").read_text()
    address = re.search('(?m)^repository = "(.*)"$', manifest)
    if address:
        line = f"[metadata]\nurl = {address.group(1)}\n".encode()
        settings = wanted["python/setup.cfg"]
        wanted["python/setup.cfg"] = settings.replace(b"[metadata]\n", line, 1)
    wanted["ci/targets.toml"] = f"only = {json.dumps(ROWS)}\n".encode()
    for path in folder.glob("*"):
        if path.name not in KEPT and path.is_dir():
            for left in path.rglob("*"):
                name = left.relative_to(folder).as_posix()
                if left.is_file() and name not in wanted and "/target/" not in name:
                    left.unlink()
    for name, contents in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # cargo goes by the times of files.
        if not path.is_file() or path.read_bytes() != contents:
            path.write_bytes(contents)
    venv = folder / ".venv"
    if not venv.is_symlink():
        venv.symlink_to(os.path.relpath(ROOT / ".venv", folder))
    shutil.rmtree(folder / ".git", ignore_errors=True)
    git(folder, "init", "--quiet")
    (folder / ".git/info/exclude").write_text(".venv\n")
    git(folder, "add", "--all")
    date = git(ROOT, "log", "-1", "--format=%cI").strip()
    by = {}
    for role in ("AUTHOR", "COMMITTER"):
        by.update({f"GIT_{role}_NAME": "ffiwheel", f"GIT_{role}_EMAIL": "ffiwheel"})
        by[f"GIT_{role}_DATE"] = date
    commit = git(ROOT, "rev-parse", "HEAD").strip()
    git(folder, "commit", "--quiet", "--message", f"The tool of {commit}", **by)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
