"""The tests' fixtures, of which the helper `testing` and `support` tell."""

import pytest

pytest_plugins = ["testing", "support"]

# A slow test runs on these: the oldest, the newest, and the one that differs most. With the others
# it is a long one.
FEW_PYTHONS = {"2.7", "3.13", "pypy3"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        python = getattr(item, "callspec", None) and item.callspec.params.get("interpreter")
        if python and python not in FEW_PYTHONS and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.long)
