"""What must be said in more than one language, or in words, is the same everywhere."""

import re
import sys

import pytest

from support import PACKAGE, ROOT

sys.path.insert(0, str(ROOT / "python"))
import platform_tag

LOADER = ROOT / f"python/{PACKAGE}/_load.py"


def test_the_name_of_a_library():
    rust = (ROOT / "rust/ffiwheel/src/targets.rs").read_text()
    body = rust[rust.index("pub fn library_name") :].split("\n    }\n")[0]
    loader = LOADER.read_text()
    for system, sys_platform in [("linux", None), ("macos", "darwin"), ("windows", "win32")]:
        name = platform_tag.library_name(system, "%s")
        assert '"' + name.replace("%s", "{stem}") + '"' in body
        wanted = f'"{sys_platform}": "{name}"' if sys_platform else f'sys.platform, "{name}")'
        assert wanted in loader


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("rust/src/ffi/abi.rs", 'env!("CARGO_CRATE_NAME"), ".abi=")'),
        ("rust/ffiwheel/src/facts/library.rs", 'format!("{prefix}.abi=")'),
        ("python/platform_tag.py", r'b"\\.abi=([0-9a-f]{16})\0"'),
        (LOADER.relative_to(ROOT), r'"%s.abi=%s\0"'),
    ],
)
def test_the_mark_before_a_fingerprint(path, words):
    assert words in (ROOT / path).read_text()


def test_the_number_of_platforms_in_words():
    count = (ROOT / "ci/targets.toml").read_text().count("[[target]]")
    assert count == 20, "these say twenty"
    for path in ["RELEASING.md", "docs/ci.md"]:
        found = re.findall(r"\btwenty\b", (ROOT / path).read_text())
        assert found, path
