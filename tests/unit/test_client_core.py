"""The sync and the asyncio client are one client: the same calls, the same documentation, one shared core."""

import ast
import inspect
import pydoc
from collections.abc import Iterator
from pathlib import Path

import pytest
from userstream_client import (
    AsyncBatchStream,
    AsyncUserStream,
    AsyncUserStreamClient,
    BatchStream,
    InvalidRequestError,
    UserStream,
    UserStreamClient,
)
from userstream_testing.repository import ROOT

CLIENT = ROOT / "client/userstream_client"
CALLS = (
    "__init__",
    "average_age",
    "batch_get_users",
    "batch_users",
    "health",
    "lazy_paginate",
    "partitions",
    "stream_average_age",
    "stream_users",
)
PAIRS = [
    (UserStreamClient, AsyncUserStreamClient),
    (UserStream, AsyncUserStream),
    (BatchStream, AsyncBatchStream),
]
BOTH = [UserStreamClient, AsyncUserStreamClient]

IO_MODULES = {"_client", "_streams", "_watchdog", "_async_client", "_async_streams"}
"""Each client's I/O. The rest is the core that they share."""


def names_of(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")} - {"close", "aclose"}


@pytest.mark.parametrize(("sync", "asynchronous"), PAIRS)
def test_both_have_the_same_names(sync: type, asynchronous: type) -> None:
    """What one can do, the other can."""
    assert names_of(sync) == names_of(asynchronous)


@pytest.mark.parametrize("call", CALLS)
def test_both_take_the_same_arguments(call: str) -> None:
    """Names, order, defaults and annotations are the same; only what comes back differs in kind."""
    sync, asynchronous = (inspect.signature(getattr(kind, call)) for kind in BOTH)

    assert sync.parameters == asynchronous.parameters


@pytest.mark.parametrize("kind", BOTH)
def test_help_documents_every_call(kind: type) -> None:
    """help() shows every argument of every call, what comes back, and the errors."""
    shown = pydoc.plain(pydoc.render_doc(kind))

    for call in CALLS:
        text = inspect.getdoc(getattr(kind, call)) or ""
        assert {True} == {line.strip() in shown for line in text.splitlines()}
        assert "UserStreamError" in text or call == "__init__"
        parameters = set(inspect.signature(getattr(kind, call)).parameters) - {"self"}
        assert [] == [name for name in parameters if f"{name}: " not in text]


def test_what_awaits_is_a_coroutine_function() -> None:
    """Mocks and frameworks see by it which calls to await."""
    kinds = {name for name in CALLS if inspect.iscoroutinefunction(getattr(BOTH[1], name))}

    assert {"average_age", "batch_get_users", "partitions", "health"} == kinds
    assert inspect.isasyncgenfunction(AsyncUserStreamClient.lazy_paginate)


def test_a_negative_page_limit_is_refused() -> None:
    """It used to mean no page at all, in silence."""
    with UserStreamClient("127.0.0.1:1") as client, pytest.raises(InvalidRequestError) as raised:
        next(client.lazy_paginate(page_limit=-1))

    assert "page_limit: takes 0 for all pages, or more" == raised.value.message
    assert ["page_limit"] == [violation.field for violation in raised.value.field_violations]


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "userstream_client":
            yield from (f"userstream_client.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def core_modules() -> list[Path]:
    return [p for p in CLIENT.glob("*.py") if p.stem not in {*IO_MODULES, "__init__"}]


def test_the_core_does_no_io() -> None:
    """It neither sleeps, nor iterates over a call, nor knows the modules that do."""
    io = {"asyncio", "grpc.aio"} | {f"userstream_client.{name}" for name in IO_MODULES}

    assert set() == {
        f"{path.name} imports {name}"
        for path in core_modules()
        for name in imports_of(path)
        if name in io
    }
    assert [] == [path.name for path in core_modules() if "sleep(" in path.read_text("utf-8")]


@pytest.mark.parametrize(
    ("prefix", "others"),
    [("_async", ("_client", "_streams", "_watchdog")), ("", ("_async_client", "_async_streams"))],
)
def test_neither_client_imports_the_other(prefix: str, others: tuple[str, ...]) -> None:
    """A program that uses one loads only that one."""
    for name in ("client", "streams"):
        imported = set(imports_of(CLIENT / f"{prefix}_{name}.py"))

        assert set() == imported & {f"userstream_client.{other}" for other in others}
