"""Which room of the server may import which: docs/architecture.md draws it, these rules hold it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from userstream_testing.repository import ROOT

SERVER = ROOT / "server/userstream_server"
PACKAGE = "userstream_server"

# room -> the rooms that it may import; the files at the top level count as rooms of their own.
EVERYBODY = {"errors", "call_stats", "version"}
ALLOWED = {
    "rows": set(),
    "databases": {"rows"},
    "seeding": {"databases", "rows", "settings"},
    "auth": set(),
    "telemetry": {"databases", "rows", "settings"},
    "interceptors": {"auth", "telemetry", "grpc_internals"},
    "rpc": {
        "interceptors", "auth", "telemetry", "databases", "rows", "settings", "grpc_internals",
        "file_limits", "ports",
    },
    "errors": set(),
    "call_stats": set(),
    "version": set(),
    "server_packages": set(),
    "logs": set(),
    "ports": set(),
    "signals": set(),
    "grpc_internals": set(),
    "settings": {"databases", "auth"},
    "file_limits": {"settings"},
    "setting_names": {"settings"},
    "workers": {"settings", "signals", "logs", "ports"},
    "preflight": {"settings", "databases", "auth", "file_limits", "setting_names"},
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(SERVER.rglob("*.py"))


def room_of(name: str) -> str:
    """Return the room of a dotted module name inside the package."""
    return name.split(".")[1] if "." in name else ""


def imports_of(path: Path) -> Iterator[str]:
    """Yield the full names that a module imports, also late and for types only."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the room"
            if node.module == PACKAGE:
                yield from (f"{PACKAGE}.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module


def room_of_file(path: Path) -> str:
    inside = path.relative_to(SERVER)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_stands_below_it(room: str) -> None:
    """The arrows of docs/architecture.md, and no others."""
    allowed = ALLOWED[room] | EVERYBODY | {room}
    strangers = {
        f"{path.relative_to(SERVER)} imports {name}"
        for path in modules()
        if room_of_file(path) == room
        for name in imports_of(path)
        if name.startswith(f"{PACKAGE}.") and room_of(name) not in allowed
    }

    assert set() == strangers


def test_every_room_has_a_rule() -> None:
    """A new room or top-level module gets its line above; __main__ may import everything."""
    rooms = {room_of_file(path) for path in modules()} - {"__init__", "__main__"}

    assert set(ALLOWED) == rooms


def test_there_are_no_circles() -> None:
    """What stands below never leads back up."""
    done: set[str] = set()
    while ready := [r for r, below in ALLOWED.items() if r not in done and below <= done]:
        done.update(ready)

    assert set(ALLOWED) == done


@pytest.mark.parametrize(
    ("room", "strangers"),
    [
        ("rows", ("grpc", "mysql", "sqlite3", "pydantic", "structlog", "opentelemetry")),
        ("databases", ("grpc", "pydantic", "opentelemetry")),
        ("auth", ("grpc_health", "mysql", "pydantic", "opentelemetry")),
        ("seeding", ("grpc", "mysql", "opentelemetry")),
        ("rpc", ("mysql", "sqlite3")),
        ("interceptors", ("mysql", "sqlite3")),
        ("errors", ("grpc", "mysql")),
        ("call_stats", ("grpc", "mysql")),
    ],
)
def test_libraries_stay_in_their_rooms(room: str, strangers: tuple[str, ...]) -> None:
    """The generators know nothing of gRPC or a driver, the service nothing of MySQL."""
    found = {
        f"{path.relative_to(SERVER)} imports {name}"
        for path in modules()
        if room_of_file(path) == room
        for name in imports_of(path)
        if name.split(".")[0] in strangers
    }

    assert set() == found


def test_only_one_folder_imports_the_driver() -> None:
    """MySQL's driver is known to databases/mysql alone."""
    users = {
        path.relative_to(SERVER).parent.as_posix()
        for path in modules()
        for name in imports_of(path)
        if name.split(".")[0] in {"mysql", "_mysql_connector"}
    }

    assert {"databases/mysql"} == users


def test_only_one_file_reaches_into_grpc() -> None:
    """Private parts of gRPC stand in grpc_internals.py, each with its guard and fallback."""
    found = {
        path.relative_to(SERVER).as_posix()
        for path in modules()
        for name in imports_of(path)
        if name.startswith("grpc._")
    }

    assert found <= {"grpc_internals.py"}
