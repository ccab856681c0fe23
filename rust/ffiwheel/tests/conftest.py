"""The tests' fixtures, of which the helper `testing` and `support` tell."""

pytest_plugins = ["testing", "support"]
