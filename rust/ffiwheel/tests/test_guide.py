"""The guide, docs/: what it says is so in the sources, and what it tells to run works."""

import ast
import os
import re
import shutil
from pathlib import Path

import pytest

from support import BIN, FFIWHEEL, HELPERS, PACKAGE, ROOT, clean_environment, run

DOCS = ROOT / "docs"
MAKEFILE = (ROOT / "ci/local.mk").read_text("utf-8")


def page(name):
    return (DOCS / f"{name}.md").read_text("utf-8")


def fenced(text, language):
    """The blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


# ---- The table of contents -------------------------------------------------------------------


def test_the_list_of_pages_is_what_the_site_navigates_by():
    text = page("index")
    listed = re.findall(r"^- \[[^]]+\]\(([\w-]+)\.md\)", text, re.MULTILINE)
    trees = "".join(fenced(text, r"\{toctree\}"))
    assert listed == re.findall(r"^[\w-]+$", trees, re.MULTILINE)
    assert sorted(listed + ["index"]) == sorted(path.stem for path in DOCS.glob("*.md"))
    assert "](docs/index.md)" in (ROOT / "README.md").read_text("utf-8")


# ---- The reference ---------------------------------------------------------------------------


def test_each_setting_of_the_library_has_a_row():
    options = r'^        \("(\w+)=?", (?:None|"i"), "'
    source = (ROOT / "python/build_library.py").read_text("utf-8")
    text = page("settings")
    (table,) = re.findall(r"^Below `\[build_library\]`:\n\n(.*?)\n\n", text, re.M | re.DOTALL)
    rows = {
        name
        for row in table.split("\n")[2:]
        for name in re.findall(r"`(\w+)`", row[: row.index("|", 1)])
    }
    others = {name for name in re.findall(r"`--(\w+)`", text)}
    assert rows | others == set(re.findall(options, source, re.MULTILINE))
    assert others == {"library", "sbom", "inplace"} and not rows & others


def test_what_the_versions_cover_is_what_the_kit_offers():
    (listed,) = re.findall(r"of `ffi.rs`; (.*?) in\s+`_native.py`", page("versioning"), re.DOTALL)
    native = (ROOT / "python" / PACKAGE / "_native.py").read_text("utf-8")
    offered = set(re.findall(r"^(?:def|class) ([A-Za-z]\w*)", native, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", listed)) == offered | {"lib", "ffi"}


@pytest.mark.parametrize("verb", ["rehearse", "publish", "verify-release"])
def test_the_arguments_of_verbs_in_python_are_in_the_reference(verb):
    said = run(*FFIWHEEL, "--", verb, "--help", cwd=ROOT)
    (part,) = re.findall(rf"^## {verb}\n(.*?)(?=^## |\Z)", page("verbs"), re.M | re.DOTALL)
    options = set(re.findall(r"--[a-z-]+", said)) - {"--help"}
    assert options == set(re.findall(r"`(--[a-z-]+)", part))
    positionals = set(re.findall(r"^  ([a-zA-Z]+)\b", said, re.MULTILINE))
    assert {it.upper() for it in positionals} == set(re.findall(r"`[<[]([A-Z]+)[]>]", part))


# ---- Troubleshooting -------------------------------------------------------------------------


def texts_of_python(path):
    """The texts of a program, without what documents it; `…` stands for what is filled in."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = None
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = [it.value if isinstance(it, ast.Constant) else "…" for it in node.values]
            yield "".join(parts)


def texts_of_rust(path):
    text = path.read_text("utf-8").split("#[cfg(test)]")[0]
    text = re.sub(r"\\\n\s*", "", text)
    for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', text):
        yield literal.replace('\\"', '"')


@pytest.fixture(scope="module")
def messages():
    """Every text in the sources that an author may read."""
    folders = [ROOT / "python", ROOT / "python" / PACKAGE, HELPERS]
    found = [text for it in folders for path in it.glob("*.py") for text in texts_of_python(path)]
    for path in (ROOT / "rust/ffiwheel/src").glob("**/*.rs"):
        found += texts_of_rust(path)
    # What the compiler says of a constant of the gate.
    gate = (ROOT / "rust/src/ffi.rs").read_text("utf-8")
    return found + [f"constant `{it}` is never used" for it in re.findall(r"const ([A-Z]+):", gate)]


def headings():
    return re.findall(r"^### `(.*)`$", page("troubleshooting"), re.MULTILINE)


def test_each_heading_is_a_message():
    assert len(headings()) > 50
    assert len(headings()) == len(set(headings())) == page("troubleshooting").count("\n### ")


@pytest.mark.parametrize("heading", headings())
def test_a_message_is_still_in_the_sources(heading, messages):
    parts = [part.strip() for part in heading.split("…")]
    assert sum(map(len, parts)) > 10, "too short to be told from others"
    pattern = re.compile(".*".join(map(re.escape, filter(None, parts))), re.DOTALL)
    assert any(pattern.search(text) for text in messages)


def test_a_message_that_is_gone_is_found(messages):
    with pytest.raises(AssertionError):
        test_a_message_is_still_in_the_sources("the project's kat has the version …", messages)


# ---- An example ------------------------------------------------------------------------------


def test_the_pipeline_for_gitlab_fits_its_schema(tmp_path):
    path = tmp_path / "gitlab-ci.yml"
    words = [BIN / "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", path]
    (text,) = fenced(page("other-ci"), "yaml")
    path.write_text(text)
    run(*words, cwd=tmp_path)
    path.write_text(text.replace("script:", "scripts:"))
    run(*words, cwd=tmp_path, fails=True)
    verbs = re.findall(r"^    - make (.*)$", text, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for verb in " ".join(verbs).split():
        assert f"\n{verb}: ##" in makefile


# ---- The quick start, and the site -----------------------------------------------------------


@pytest.mark.long
def test_the_quick_start_works_from_nothing(links, tmp_path):
    """As it is written, in an empty folder, with an empty HOME."""
    home, folder, programs = [tmp_path / it for it in ("home", "empty", "bin")]
    for path in home, folder, programs:
        path.mkdir()
    for name in "uv", "uvx":
        (programs / name).symlink_to(BIN / name)
    rustup = os.environ.get("RUSTUP_HOME") or str(Path.home() / ".rustup")
    environment = clean_environment(
        HOME=str(home),
        PATH=os.pathsep.join([str(programs), os.environ["PATH"]]),
        RUSTUP_HOME=rustup,
        FFIWHEEL_FIND_LINKS=str(links),
        UV_FIND_LINKS=str(links),
    )
    for name in "CARGO_HOME", "CARGO_PROFILE_RELEASE_LTO", "LOCAL_SETTINGS":
        environment.pop(name, None)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page("quick-start"), re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks].count("sh") == 4
    printed = ""
    for kind, text in blocks:
        if kind == "sh":
            printed = run("sh", "-euc", f"{text}\npwd", cwd=folder, env=environment)
            folder = Path(printed.splitlines()[-1])
        elif kind == "text":
            assert text in printed
        elif kind == "rust":
            path = folder / "rust/src/lib.rs"
            source = path.read_text()
            assert source.endswith("    }\n}\n")
            path.write_text(source[: -len("}\n")] + "\n" + text + "}\n")
        elif kind == "python":
            path = folder / "python/fast_thing/__init__.py"
            path.write_text(path.read_text() + "\n\n" + text)
    assert folder.name == "fast-thing"
    run("make", "lint", cwd=folder, env=environment)


@pytest.mark.long
def test_the_site_is_built_and_refuses_a_broken_link(tmp_path):
    run("make", "docs", cwd=ROOT)
    assert (ROOT / "build/docs/site/quick-start.html").is_file()
    (generate,) = re.findall(r"^\t\$\(DOCS_BIN\)/(sphinx-build .*)$", MAKEFILE, re.MULTILINE)
    docs = tmp_path / "docs"
    shutil.copytree(DOCS, docs)
    for address, words in [
        ("no-such-page.md", "cross-reference target not found: 'no-such-page.md'"),
        ("concepts.md#no-such-heading", "no-such-heading"),
        ("http://pypi.org/", "is not an https:// address"),
        ("https://localhost/", "is not an https:// address"),
    ]:
        (docs / "names.md").write_text(f"{page('names')}\n[broken]({address})\n")
        program, *options = generate.split()
        command = [ROOT / "build/docs/venv/bin" / program, *options]
        assert words in run(*command, cwd=tmp_path, fails=True)
