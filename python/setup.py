# ffiwheel kit 0.1.0 3976f4d8713b2e1c: `ffiwheel update` replaces this file; use settings
"""Packs the compiled library with the Python package that loads it; see build_library.py."""

import os
import sys

# A PEP 517 front end does not put this folder there.
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import build_library

build_library.run()
