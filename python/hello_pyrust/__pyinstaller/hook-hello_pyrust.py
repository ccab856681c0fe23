"""No import names the library, so PyInstaller needs to be given it."""

import os

from PyInstaller.utils.hooks import collect_dynamic_libs  # type: ignore

# PyInstaller finds a hook by its file's name, which ends with the package's.
package = os.path.splitext(os.path.basename(__file__))[0].partition("-")[2]
binaries = collect_dynamic_libs(package)
