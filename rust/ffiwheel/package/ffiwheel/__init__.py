"""Brings the program ffiwheel."""
