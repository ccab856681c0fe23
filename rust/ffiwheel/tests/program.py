"""A small project of another author's, whose wheels bring a program: half-way, which halves a
number, in the package half_way."""

import shutil

from support import ROOT, Tree

SETTINGS = """\
[metadata]
name = half-way
description = Halves numbers
long_description_content_type = text/markdown
license = MIT
license_files = LICENSE

[options]
packages = half_way
python_requires = >=2.7

[build_library]
kind = program
"""

BUILD_SYSTEM = """\
[build-system]
requires = ["setuptools>=44", "wheel; python_version < '3.8'"]
build-backend = "setuptools.build_meta"
"""

MAIN = '''\
"""`python -m half_way` is the program half-way."""

from half_way._program import run

run("half-way")
'''

MANIFEST = """\
[package]
name = "half-way"
version = "1.2.0-rc.3"
edition = "2021"
rust-version = "1.63"
license = "MIT"

[profile.release]
strip = "symbols"

[workspace]
"""

LOCK = """\
version = 3

[[package]]
name = "half-way"
version = "1.2.0-rc.3"
"""

SOURCE = """\
fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("--version") => println!("half-way {}", env!("CARGO_PKG_VERSION")),
        Some(number) => match number.parse::<u32>() {
            Ok(number) => println!("{}", number / 2),
            Err(error) => {
                eprintln!("{number}: {error}");
                std::process::exit(3)
            }
        },
        None => std::process::exit(2),
    }
}
"""

FILES = {
    ".gitignore": "build/\ndist/\ntarget/\n*.egg-info/\n",
    "CHANGELOG.md": "# Changelog\n\n## 1.2.0rc3 (2026-01-01)\n\n- The first one.\n",
    "python/setup.cfg": SETTINGS,
    "python/pyproject.toml": BUILD_SYSTEM,
    "python/README.md": "# half-way\n\nHalves numbers.\n",
    "python/LICENSE": "Do as you like.\n",
    "python/half_way/__init__.py": '"""Brings the program half-way."""\n',
    "python/half_way/__main__.py": MAIN,
    "rust/Cargo.toml": MANIFEST,
    "rust/Cargo.lock": LOCK,
    "rust/src/main.rs": SOURCE,
}


def make(folder):
    """Writes the project into a new folder, with the kit."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for name in ["setup.py", "build_library.py", "platform_tag.py", "sources.py"]:
        shutil.copy(ROOT / "python" / name, folder / "python")
    shutil.copy(ROOT / "rust/ffiwheel/package/ffiwheel/_program.py", folder / "python/half_way")
    project = Tree(folder, "half_way")
    project.source = folder / "rust/src/main.rs"
    return project
