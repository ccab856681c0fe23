"""Only for PyInstaller, which finds it by the entry point in setup.cfg."""

import os


def get_hook_dirs():
    return [os.path.dirname(os.path.abspath(__file__))]
