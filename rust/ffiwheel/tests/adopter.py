"""A small project of another author's, with the kit of this one: a crate of two functions, one of
which can fail, and a package of three lines."""

import shutil

from support import PACKAGE, ROOT, Tree

SETTINGS = """\
[metadata]
name = {distribution}
license_files = {licences}

[options]
packages = {module}
python_requires = >=2.7
install_requires =
    cffi>=1.15.1; platform_python_implementation != "PyPy"
"""

KIT = ["setup.py", "build_library.py", "platform_tag.py", "sources.py", "pyproject.toml"]

MODULE = '''\
"""Halves numbers."""
from ._native import check, lib, text_out
def halve(n): return check(lib.{prefix}_halve(n), -1), text_out(lib.{prefix}_name_new())
'''

MANIFEST = """\
[package]
name = "{crate}"
version = "1.2.0-rc.3"
edition = "2021"
rust-version = "1.63"
description = "Halves numbers"
license = "{licence}"

[lib]
{lib}crate-type = ["cdylib"]

[profile.release]
strip = "symbols"
panic = "unwind"

[workspace]
"""

LOCK = """\
version = 3

[[package]]
name = "{crate}"
version = "1.2.0-rc.3"
"""

SOURCE = """\
//! Halves numbers.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod ffi;

use ffi::{{export, Error, OwnedText}};

export! {{
    /// Half of an even number.
    ///
    /// @return the half, or -1 on an error: of kind `Argument` for an odd number.
    fn {prefix}_halve(number: u32) -> i64 {{
        match number % 2 {{
            0 => Ok(i64::from(number / 2)),
            _ => Err(Error::argument("the number is odd")),
        }}
    }}

    /// The name of the crate.
    ///
    /// @return UTF-8, to be freed with `{prefix}_text_free`; NULL on an error.
    fn {prefix}_name_new() -> OwnedText {{
        OwnedText::new(env!("CARGO_PKG_NAME"))
    }}
}}
"""


def make(
    folder,
    distribution,
    module,
    crate,
    lib=None,
    licences=("LICENSE",),
    licence="MIT",
    place="rust",
    settings="",
):
    """Writes the project into a new folder. crate: the name of cargo's package; lib: that of its
    library, where it has a name of its own; place: the crate's folder; settings: what setup.cfg
    says below [build_library]."""
    names = dict(
        distribution=distribution,
        module=module,
        crate=crate,
        prefix=lib or crate.replace("-", "_"),
        lib=f'name = "{lib}"\n' if lib else "",
        licences=", ".join(licences),
        licence=licence,
    )
    files = {
        ".gitignore": "build/\ndist/\ntarget/\n*.egg-info/\n*.so\n*.so.json\n",
        "python/setup.cfg": SETTINGS + (settings and f"\n[build_library]\n{settings}"),
        "README.md": "# {distribution}\n\nHalves numbers.\n",
        f"python/{module}/__init__.py": MODULE,
        f"{place}/Cargo.toml": MANIFEST,
        f"{place}/Cargo.lock": LOCK,
        f"{place}/src/lib.rs": SOURCE,
    }
    files.update({name: f"{name}: do as you like.\n" for name in licences})
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(**names), "utf-8")
    copy_kit(folder, folder / place, names)
    project = Tree(folder, module)
    project.crate = folder / place
    project.source = project.crate / "src/lib.rs"
    return project


def copy_kit(folder, crate, names):
    for name in KIT:
        shutil.copy(ROOT / "python" / name, folder / "python")
    package = folder / "python" / names["module"]
    for path in (ROOT / "python" / PACKAGE).glob("_[a-z]*.py"):
        if path.name != "_ffi.py":
            shutil.copy(path, package)
    shutil.copy(ROOT / "rust/src/ffi.rs", crate / "src")
    shutil.copytree(ROOT / "rust/src/ffi", crate / "src/ffi")
