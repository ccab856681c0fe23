"""No import names the library, so PyInstaller needs to be given it."""

from PyInstaller.utils.hooks import collect_dynamic_libs  # type: ignore

binaries = collect_dynamic_libs("hello_pyrust")
