"""The examples at the end of each command's help."""

import sys
from typing import Literal

__all__ = ["MARKUP", "examples"]

MARKUP: Literal["rich"] | None = "rich" if sys.stdout.isatty() and sys.stderr.isatty() else None
"""How typer writes help and usage errors: with boxes on a terminal, as plain text in pipes and logs."""


def examples(*lines: str) -> str:
    """Return an epilog that shows each line as it is, on a line of its own."""
    if MARKUP is None:
        # \b tells typer to leave the line ends of a paragraph alone.
        return "\n".join(["\b", "Examples:", *(f"  $ {line}" for line in lines)])
    return "\n\n".join(["Examples:", *(f"$ {line}" for line in lines)])
