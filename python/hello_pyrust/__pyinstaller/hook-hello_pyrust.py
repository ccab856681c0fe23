"""PyInstaller sees no import of the library, so it is named to it."""

from PyInstaller.utils.hooks import collect_dynamic_libs  # type: ignore

binaries = collect_dynamic_libs("hello_pyrust")
