"""The Makefile has no logic: each of its verbs is one of the tool's, which says the same of it."""

import re

from support import FFIWHEEL, ROOT, clean_environment, ffiwheel, run

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
LINE = re.compile(r"^([a-z-]+):[^#\n]*## (.*)$", re.MULTILINE)
# `help` lists the others; `venv` makes the folder that the tool is in.
OF_MAKE = {"help", "venv"}
# These make or change a project, for which there is no Makefile yet.
OF_THE_TOOL = {"init", "new", "rules", "help"}


def said_by_make():
    """{verb: what the Makefile says of it, without the variables}"""
    return {verb: re.sub(r" \(.*\)$", "", text) for verb, text in LINE.findall(MAKEFILE)}


def said_by_the_tool():
    text = run(*FFIWHEEL, "--", "--help", cwd=ROOT, env=clean_environment(COLUMNS="300"))
    return dict(re.findall(r"^  ([a-z-]+) +(\S.*)$", text.split("Commands:")[1], re.MULTILINE))


def test_they_have_the_same_verbs_and_say_the_same_of_them():
    make, tool = said_by_make(), said_by_the_tool()
    assert set(make) - OF_MAKE == set(tool) - OF_THE_TOOL - {"venv"}
    for verb in set(make) & set(tool):
        assert make[verb] == tool[verb], verb
    (verbs,) = re.findall(r"^VERBS := ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert set(verbs.replace("\\\n", " ").split()) == set(make) - OF_MAKE


def test_an_argument_is_a_variable_of_the_same_name(project):
    environment = clean_environment(TARGETS="linux", BACKEND="")
    by_variable = ffiwheel(project, "matrix", env=environment)
    assert by_variable == ffiwheel(project, "matrix", "linux")
    # What is written on the command line comes first.
    assert by_variable != ffiwheel(project, "matrix", "macos", env=environment)
    text = ffiwheel(project, "matrix", env=clean_environment(TARGETS="no_such"), fails=True)
    assert "no_such" in text
    text = ffiwheel(project, "wheels", env=clean_environment(JOBS="many"), fails=True)
    assert "invalid value 'many' for '--jobs <JOBS>'" in text
    text = ffiwheel(project, "audit", env=clean_environment(EXPLAIN="R210"))
    assert text == ffiwheel(project, "audit", "--explain", "R210")


def test_an_empty_variable_counts_as_unset_whichever_it_is(tmp_path):
    names = ["DEST", "CRATE", "KIND", "LICENSE", "FFIWHEEL_FIND_LINKS", "PYTHON", "JOBS", "NAME"]
    environment = clean_environment(**dict.fromkeys(names, ""), PIP_NO_INDEX="1")
    text = run(*FFIWHEEL, "--", "new", "thing", cwd=tmp_path, env=environment, fails=True)
    assert text.startswith("error: the index that pip is configured for has no ffiwheel")
    text = run(*FFIWHEEL, "--", "new", cwd=tmp_path, env=environment, fails=True)
    assert "not provided:\n  <NAME>" in text
