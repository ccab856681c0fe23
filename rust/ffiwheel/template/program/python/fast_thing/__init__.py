"""Brings the program fast-thing."""
