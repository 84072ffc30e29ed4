"""This program's version, as its package says it."""

from importlib.metadata import version

__all__ = ["VERSION"]

VERSION = version("userstream")
