"""The Python client: which names stand in which order; mkdocstrings fills in the docstrings."""

import inspect

import userstream_client

__all__ = ["python_page"]

_START = """\
# Python client

`pip install .` in a clone installs the package `userstream_client`. Everything that it exports is on this page.
"""


def python_page() -> str:
    """Return the page."""
    groups: dict[str, list[str]] = {"Clients": [], "Streams": [], "Values": [], "Errors": []}
    for name in userstream_client.__all__:
        groups[_group(name)].append(name)
    sections = (
        f"\n## {title}\n" + "".join(f"\n::: userstream_client.{name}\n" for name in names)
        for title, names in groups.items()
    )
    return _START + "".join(sections)


def _group(name: str) -> str:
    exported = getattr(userstream_client, name)
    if inspect.isclass(exported) and issubclass(exported, Exception):
        return "Errors"
    if name.endswith("Client"):
        return "Clients"
    return "Streams" if name.endswith("Stream") else "Values"
