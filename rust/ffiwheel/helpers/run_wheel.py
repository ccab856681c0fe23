"""Runs a wheel on the closest available stand-in for its platform.

    run_wheel.py RUNNER [ARGUMENT...] WHEEL

RUNNER is a file of runners/, without its `.py`; runners/protocol.py says what it prints.
"""

import importlib
import sys

from runners import protocol

if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    name, *arguments = sys.argv[1:]
    protocol.main(importlib.import_module(f"runners.{name}").main, *arguments)
