"""Writes the sources of the documentation site: docs/ as it is, the reference, and the files that pages link to."""
