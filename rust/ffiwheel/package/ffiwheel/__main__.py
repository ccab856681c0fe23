"""`python -m ffiwheel` is the program ffiwheel."""

from ffiwheel._program import run

run("ffiwheel")
