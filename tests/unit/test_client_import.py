"""`import userstream_client` loads what every program needs; the rest comes when it is used."""

import subprocess
import sys

import pytest
import userstream_client

LATE = (
    "google.rpc",
    "grpc_health.v1",
    "grpc_status",
    "pydantic",
    "pydantic_settings",
    "rich",
    "typer",
    "userstream_client._async_client",
    "userstream_client._async_streams",
    "userstream_client._settings",
    "userstream_client.cli",
)
"""grpc itself imports asyncio, grpc.aio and the empty package grpc_health."""


def run(program: str) -> str:
    """Return what a fresh interpreter prints."""
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_import_loads_nothing_that_may_come_late() -> None:
    """Settings, health checks, the asyncio client and the command line wait for their first use."""
    loaded = run("import sys, userstream_client; print(*sys.modules)").split()

    assert "userstream_client._client" in loaded
    assert [] == [name for name in LATE if name in loaded]


def test_the_asyncio_client_is_imported_on_demand() -> None:
    """`from userstream_client import AsyncUserStreamClient` works in a fresh interpreter."""
    program = "from userstream_client import AsyncUserStream as S, AsyncUserStreamClient as C; print(C.__name__)"

    assert "AsyncUserStreamClient\n" == run(program)


def test_star_import_brings_every_name() -> None:
    """Also the late ones."""
    program = "from userstream_client import *; import userstream_client as u; print(*(set(u.__all__) - set(dir())))"

    assert "\n" == run(program)


def test_dir_lists_every_name() -> None:
    """Completion in a shell shows the late names before they are imported."""
    program = "import userstream_client as u; print(*(set(u.__all__) - set(dir(u))))"

    assert "\n" == run(program)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """With the words of an ordinary module."""
    with pytest.raises(AttributeError, match="module 'userstream_client' has no attribute 'Typo'"):
        userstream_client.Typo  # type: ignore[attr-defined] # noqa: B018
