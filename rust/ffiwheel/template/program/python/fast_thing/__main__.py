"""`python -m fast_thing` is the program fast-thing."""

from fast_thing._program import run

run("fast-thing")
