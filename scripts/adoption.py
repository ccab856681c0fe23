"""Measures what it takes to package the same two functions with this tool and with its peers.

It writes the table of docs/comparison.md. In adoption/ are the files that an author writes for each
tool, after its generator or, where it has none, its documentation, and the commands. Each tool
starts with an empty home, cargo folder and pip cache; peers come from PyPI and crates.io, in their
newest versions. What a tool checks is found by doing it wrong: the same change for each.
"""

import contextlib
import datetime
import functools
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import venv
import zipfile
from pathlib import Path

import page

ROOT = Path(__file__).resolve().parents[1]
FILES = Path(__file__).resolve().with_suffix("")
PYTHON = platform.python_version()
CPYTHONS = ["2.7", *(f"3.{minor}" for minor in range(6, 15))]
PYTHONS = [*((version, "cp", version) for version in CPYTHONS), ("PyPy", "pp", "3.11")]

# Changes to the Rust source, and calls that show what became of them.
HOOK = "import sys; sys.excepthook = lambda kind, *_: sys.stderr.write(kind.__name__)\n"
RIGHT_CALL = (FILES / "ffiwheel/scripts/smoke.py").read_text()
NARROW, NARROW_CALL = ("u32", "u8"), "import greet; assert greet.subtract(300, 200) == 100"
PANIC = ("checked_sub(number)", "checked_sub([number][number as usize / 7])")
CHANGES = {
    "`u32` becomes `u8` in Rust": (NARROW_CALL, NARROW),
    "a function answers wrongly": (RIGHT_CALL, ("Welcome, ", "Farewell, ")),
    "a function panics": ("import greet; greet.subtract(9, 7)", PANIC),
}
# What says why. An error of pip, or this tool's first line, only says that another command failed.
ERROR = re.compile(r"(?i)error(\[\w+\])?: (?!subprocess|.*a command failed)|^\w+Error\b|is stale: ")


class Failed(Exception):
    """A command of a tool failed; the text is the first line of its error."""


class Author:
    """Somebody who has Rust, Python, git and make, and nothing else."""

    def __init__(self, tool, folder, links):
        self.tool, self.folder, self.project = tool, folder, folder / "greet"
        self.notes = []
        (folder / "home").mkdir(parents=True)
        (folder / "home/.gitconfig").write_text("[user]\nname = a\nemail = a@example.org\n")
        dropped = ("MAKE", "CARGO", "RUSTC", "RUSTFLAGS", "FFIWHEEL", "PYTHON", "PIP_FIND", "ASKED")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(dropped)}
        self.env = {
            **kept,
            "HOME": str(folder / "home"),
            "CARGO_HOME": str(folder / "home/.cargo"),
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME") or os.path.expanduser("~/.rustup"),
            "FFIWHEEL_FIND_LINKS": str(links),
            "VIRTUAL_ENV": str(folder / "tools"),
            "PATH": f"{folder / 'tools/bin'}{os.pathsep}{os.environ['PATH']}",
        }
        for name in ("tools", "user"):
            venv.create(folder / name, with_pip=True)
            self.run(f"{folder / name}/bin/python -m pip install --quiet --upgrade pip", folder)

    def run(self, command, cwd=None):
        """Runs a command of the shell; returns what it printed. Raises Failed."""
        command = ["sh", "-c", f"exec 2>&1; {command}"]
        options = {"cwd": cwd or self.project, "env": self.env, "text": True}
        done = subprocess.run(command, stdout=subprocess.PIPE, **options)
        if done.returncode:
            lines = [line.strip() for line in done.stdout.splitlines()]
            errors = [line for line in lines if ERROR.search(line)]
            error = (errors or lines[-1:] or command)[0].replace(str(self.folder), "…")
            raise Failed(textwrap.shorten(error.replace("`", "'"), 150, placeholder=" …"))
        return done.stdout

    def write(self):
        """Writes the author's files. Returns the numbers of the files that the tool has written,
        of the lines that are new, of all lines, and of the files that these are in."""
        self.project.mkdir(exist_ok=True)
        self.run("git init && git add --all && git commit --allow-empty --message new")
        written = len(self.run("git ls-files").splitlines())
        own, total = FILES / self.tool["folder"], 0
        places = {path.relative_to(own): path for path in own.rglob("*") if path.is_file()}
        for name, path in [*places.items(), *self.tool["borrowed"].items()]:
            total += len((FILES / path).read_text().splitlines())
            (self.project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(FILES / path, self.project / name)
        rows = self.run("git add --all && git diff --cached --numstat").splitlines()
        return written, sum(int(row.split()[0]) for row in rows), total, len(rows)

    def change(self, name, old, new):
        path = self.project / name
        text = path.read_text()
        assert old in text, (path, old)
        path.write_text(text.replace(old, new) if old else text)

    def build(self, commands):
        """Builds a wheel and puts it aside. Raises Failed."""
        for command in commands:
            self.run(command)
        (wheel,) = (self.project / self.tool["wheels"]).glob("*.whl")
        return Path(shutil.move(wheel, tempfile.mkdtemp(dir=self.folder)))

    def outcome(self, code, wheel=None):
        """What the package does, after a wheel is installed: right, wrong answer, the name of an
        exception, or of the signal that ended the process."""
        if wheel:
            pip = f"{self.folder}/user/bin/python -m pip install --quiet"
            self.run(f"{pip} {wheel} && {pip} --force-reinstall --no-deps {wheel}", self.folder)
        command = [self.folder / "user/bin/python", "-c", HOOK + code]
        home = self.folder / "home"
        done = subprocess.run(command, cwd=home, env=self.env, capture_output=True, text=True)
        if done.returncode <= 0:
            return signal.Signals(-done.returncode).name if done.returncode else "right"
        error = done.stderr.splitlines()[-1]
        # The calls are right ones: to say that 100 is less than 200 is a wrong answer, too.
        return "wrong answer" if error in ("AssertionError", "ValueError") else error

    def tried(self, row, judge, command=None, change=("", "")):
        """What comes of a change to the Rust source alone, and the last command of the build or
        another one: refused, or what `judge` says of the wheel."""
        self.change(self.tool["source"], *change)
        try:
            return judge(self.build([command or self.tool["build"][-1]]))
        except Failed as error:
            self.notes.append(f"{self.tool['title']}, {row}: `{error}`")
            return "refused"
        finally:
            self.change(self.tool["source"], *reversed(change))

    def swapped(self, wheel):
        """What comes of a wheel whose library is of other sources than the rest."""
        self.change(self.tool["source"], *NARROW)
        other = self.build(self.tool["build"])
        self.change(self.tool["source"], *reversed(NARROW))
        self.outcome(RIGHT_CALL, wheel)
        (site,) = (self.folder / "user/lib").glob("python*/site-packages")
        with zipfile.ZipFile(other) as archive:
            (name,) = (it for it in archive.namelist() if it.endswith(".so"))
            archive.extract(name, site)
        return self.outcome(NARROW_CALL)

    def serves(self, wheel):
        """The Pythons that pip would install the wheel for."""
        options = "--dry-run --no-deps --no-index --only-binary :all: --target x --quiet"
        found = []
        for name, kind, version in PYTHONS:
            words = f"--implementation {kind} --python-version {version} {wheel}"
            with contextlib.suppress(Failed):
                self.run(f"pip install {options} {words}", self.folder)
                found.append(name)
        return re.sub(r"(3\.\d+)(, 3\.\d+)*, (3\.\d+)", r"\1 to \3", ", ".join(found))

    def versions(self):
        package = self.tool["package"]
        shown = self.run(f"pip install {package} && pip show {package}")
        (found,) = re.findall(r"(?m)^Version: (.*)", shown)
        crates = "\n".join(path.read_text() for path in self.project.rglob("Cargo.lock"))
        beside = re.findall(r'name = "(pyo3|cbindgen)"\nversion = "(.*)"', crates)
        return ", ".join(map(" ".join, [(package, found), *beside]))


def allows(wheel):
    """The oldest platform tag that the library in a wheel allows."""
    command = [Path(sys.executable).parent / "auditwheel", "show", wheel]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "`{}`".format(*re.findall(r'platform\s+tag:\s+"(\w+)"', shown))


def measure(tool, folder, links, newer=None):
    """The tool's column, {row: cell}, and the errors that it stopped with."""
    print(tool["title"], flush=True)
    author = Author(tool, folder / f"{tool['folder']}{'-newer' if newer else ''}", links)
    begin = time.monotonic()
    for command in tool["before"]:
        author.run(command, author.folder)
    seconds = time.monotonic() - begin
    written, lines, total, files = author.write()
    if newer:
        author.change(*newer)
    begin = time.monotonic()
    try:
        wheel = author.build(tool["build"])
    except Failed as error:
        note = f"{tool['title']}, as documented, does not build: `{error}`"
        if newer or "newer" not in tool:
            return {"version": author.versions()}, [note]
        cells, notes = measure(tool, folder, links, tool["newer"])
        return cells, [f"{note}; the column is that with `{tool['newer'][2]}`", *notes]
    seconds += time.monotonic() - begin
    assert author.outcome(RIGHT_CALL, wheel) == "right", tool
    cells = {
        "version": author.versions(),
        "files that it writes": written or "–",
        "lines that you write": f"{lines} of {total}, in {files} file{'s' * (files > 1)}",
        "commands until there is a wheel": len(tool["before"] + tool["build"]),
        "seconds that they take": round(seconds),
        "the wheel's tag": f"`{wheel.stem.split('-', 2)[2]}`",
        "Pythons that pip installs it for": author.serves(wheel),
        "what auditwheel reads from it": allows(wheel),
    }
    row = "asked for `manylinux2014`"
    cells[row] = author.tried(row, allows, tool["for_2014"])
    for row, (call, change) in CHANGES.items():
        cells[row] = author.tried(row, functools.partial(author.outcome, call), change=change)
    cells["the library is exchanged for another"] = author.swapped(wheel)
    print(json.dumps([cells, author.notes], indent=2, ensure_ascii=False), flush=True)
    return cells, author.notes


def tool_wheel():
    """The folder with this tool's wheel, as setup.py builds it."""
    project = ROOT / "build/adoption/python"
    subprocess.check_call([sys.executable, ROOT / "scripts/tool_project.py", project.parent])
    shutil.rmtree(project / "dist", ignore_errors=True)
    subprocess.check_call([sys.executable, "setup.py", "-q", "bdist_wheel"], cwd=project)
    return project / "dist"


def main():
    tools = json.loads((FILES / "tools.json").read_bytes())
    with tempfile.TemporaryDirectory(prefix="adoption-") as folder:
        links, load = tool_wheel(), os.getloadavg()[0]
        columns, notes = zip(*(measure(it, Path(folder), links) for it in tools), strict=True)
    rows = [["", *(tool["title"] for tool in tools)]]
    rows += [[name, *(str(it.get(name, "")) for it in columns)] for name in columns[0]]
    rust = subprocess.check_output(["rustc", "--version"], text=True).split()[1]
    machine = f"{platform.machine()} Linux with {os.cpu_count()} cores and a load of {load:.0f}"
    text = f"{datetime.date.today()}, on {machine}, Rust {rust}, Python {PYTHON}.\n"
    notes = "".join(f"- {note}\n" for note in sum(notes, []))
    page.write("comparison.md", "test-adopt", f"{text}\n{page.table(rows)}\n{notes}")


if __name__ == "__main__":
    main()
