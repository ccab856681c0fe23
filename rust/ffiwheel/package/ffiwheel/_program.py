# ffiwheel kit 0.1.0 ea1f2402bed20c14: `ffiwheel update` replaces this file; use settings
"""Finds the program that was installed with this package, and becomes it.

This file also runs on end users' machines, on Python 2.7 and 3.6 to the newest.
"""

import os
import subprocess
import sys
import sysconfig

PACKAGE = os.path.dirname(os.path.abspath(__file__))


def folders():
    """Where installers put programs, the likely places first."""
    found = []
    packages = os.path.dirname(PACKAGE)
    above = [packages]
    for _ in range(3):
        above.append(os.path.dirname(above[-1]))
    if os.path.basename(packages) in ("site-packages", "dist-packages"):
        # <prefix>/lib/python3.13/site-packages, or <prefix>/Lib/site-packages: that of an
        # environment, of `pip install --user` or --prefix, or of `uv run --with`.
        prefixes = [os.path.dirname(up) for up in above if up.lower().endswith(("lib", "lib64"))]
    else:
        prefixes = [packages]  # of `pip install --target`
    for prefix in prefixes:
        found += [os.path.join(prefix, name) for name in ("bin", "Scripts")]
    found.append(sysconfig.get_path("scripts"))  # also of an editable install
    # An environment on top of another, which has the package.
    base = getattr(sys, "base_prefix", getattr(sys, "real_prefix", sys.prefix))
    found.append(sysconfig.get_path("scripts", vars={"base": base}))
    if hasattr(sysconfig, "get_preferred_scheme"):  # from Python 3.10 on
        user = sysconfig.get_preferred_scheme("user")
    else:
        user = "osx_framework_user" if getattr(sys, "_framework", "") else os.name + "_user"
    if user in sysconfig.get_scheme_names():
        found.append(sysconfig.get_path("scripts", user))
    return [folder for number, folder in enumerate(found) if folder not in found[:number]]


def find(name):
    """The path of the program of that name. Ends the run where there is none."""
    file_name = name + (".exe" if os.name == "nt" else "")
    paths = [os.path.join(folder, file_name) for folder in folders()]
    for path in paths:
        if os.path.isfile(path):
            return path
    sys.exit(
        "error: the program %s, which is installed with the package %s, is none of\n  %s\n"
        "install the package again" % (name, os.path.basename(PACKAGE), "\n  ".join(paths))
    )


def run(name):
    """Runs the program of that name with this process's arguments, and ends with it."""
    command = [find(name)] + sys.argv[1:]
    if os.name != "nt":
        os.execv(command[0], command)
    try:  # Windows would begin a second process, and end this one at once.
        sys.exit(subprocess.call(command))
    except KeyboardInterrupt:  # The program got it, too.
        sys.exit(2)
