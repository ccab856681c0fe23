"""The tests' fixtures, of which the helper `testing` tells."""

pytest_plugins = ["testing"]
