"""The commands, from their --help."""

import re
import subprocess
import sys
import textwrap

from userstream_testing.command import clean_environment

__all__ = ["commands_page"]

_START = """\
# Commands

What `--help` says, of each command.
"""
_EXAMPLES = re.compile(r"^Examples:\n((?:  .*\n)+)", re.MULTILINE)


def commands_page() -> str:
    """Return the page."""
    userstream = _documented("userstream_client.cli", "app", "userstream")
    server = _documented("userstream_server.__main__", "_app", "userstream-server")
    conformance = _run("-m", "userstream_conformance", "--help").rstrip()
    conformance = f"## `userstream-conformance`\n\n```console\n{conformance}\n```\n"
    return f"{_START}\n{userstream}\n{server}\n{conformance}"


def _documented(module: str, app: str, name: str) -> str:
    """Return what Typer writes about a program, with its headings one level down and its examples as code."""
    text = _run("-m", "typer", "--app", app, module, "utils", "docs", "--name", name)
    text = re.sub(r"^#", "##", text, flags=re.MULTILINE)
    return _EXAMPLES.sub(_as_code, text)


def _as_code(examples: re.Match[str]) -> str:
    return f"Examples:\n\n```console\n{textwrap.dedent(examples[1])}```\n"


def _run(*arguments: str) -> str:
    environment = clean_environment(TERM="dumb")
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout
