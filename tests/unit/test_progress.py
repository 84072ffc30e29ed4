"""How many users a scan will have had at its end, from a map of the keys: rules and limits of the estimate."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from structlog.testing import capture_logs
from userstream_server.databases.database import Database
from userstream_server.errors import UnavailableError
from userstream_server.rows.key_map import KeyMap
from userstream_server.rows.scan import Scan, UserFilter
from userstream_server.rows.table import Table
from userstream_server.rpc import progress
from userstream_server.rpc.progress import KeyMaps, ScanProgress
from userstream_server.rpc.tokens import Position

FILTERED = UserFilter(age_over=1)


class Numbered:
    """A map of a table whose n-th key is the number n, as it was when it had so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows = float(rows)
        self.asked = 0

    def rows_up_to(self, key: str) -> float:
        self.asked += 1
        return float(key)


def scanning(scan: Scan, rows: int = 10_000, at: Position | None = None) -> ScanProgress:
    """Begin a scan of a table with so many rows."""
    return ScanProgress(lambda: cast("KeyMap", Numbered(rows)), scan, at or Position())


def figures(made: ScanProgress) -> tuple[int, float]:
    return made.estimated_users, round(made.fraction, 3)


def test_short_scans_are_not_estimated() -> None:
    """Below 500 users nothing is asked or known."""
    made = scanning(Scan())
    made.advance(499, "499")
    assert (0, 0.0) == figures(made)

    made.advance(500, "500")
    assert (10_000, 0.05) == figures(made)


def test_without_a_map_nothing_is_known() -> None:
    """A scan waits for its map, and asks again a little later."""
    maps: list[Any] = []
    made = ScanProgress(lambda: maps[0] if maps else None, Scan(), Position())
    made.advance(500, "500")
    maps.append(Numbered(10_000))
    made.advance(550, "550")
    assert (0, 0.0) == figures(made)

    made.advance(551, "551")
    assert (10_000, 0.055) == figures(made)


def test_estimates_are_made_again_at_each_tenth_more() -> None:
    """Messages of one user stay cheap."""
    keys = Numbered(10_000)
    made = ScanProgress(lambda: cast("KeyMap", keys), Scan(), Position())
    for user_count in range(1, 2001):
        made.advance(user_count, str(user_count))

    assert keys.asked == 15


@pytest.mark.parametrize(
    ("scan", "user_count", "last_key", "estimated"),
    [
        (Scan(), 1000, "1000", 10_000),
        (Scan(FILTERED), 1000, "4000", 2500),  # each fourth row
        (Scan(after="2000"), 1000, "3000", 8000),
        (Scan(up_to="5000"), 1000, "1000", 5000),
        (Scan(FILTERED, after="2000", up_to="6000"), 1000, "4000", 2000),
        (Scan(FILTERED, limit=1500), 1000, "4000", 1500),
        (Scan(FILTERED, limit=2600), 1000, "4000", 2500),
    ],
)
def test_the_rest_is_like_what_came(
    scan: Scan, user_count: int, last_key: str, estimated: int
) -> None:
    """As many users per row of the key range, and never more than the limit."""
    made = scanning(scan)
    made.advance(user_count, last_key)

    assert (estimated, round(user_count / estimated, 3)) == figures(made)


@pytest.mark.parametrize(
    ("last_key", "estimated"),
    [
        ("1000", 10_000),
        (
            "1100",
            1000 + 8900 * 1000 // 1100,
        ),  # users per row within the map's error: taken as they are
        ("1250", 1000 + round(8750 * 0.87)),  # more: the map errs, but not by as much as this
        ("800", 1000 + round(9200 * 1.15)),
        ("1500", 1000 + 8500 * 1000 // 1500),  # much more: the table has changed since
        ("600", 1000 + 9400 * 1000 // 600),
    ],
)
def test_how_far_the_map_is_trusted(last_key: str, estimated: int) -> None:
    """Without a filter each row is a user, so users per row may differ from 1 by the map's error only."""
    made = scanning(Scan())
    made.advance(1000, last_key)

    assert estimated == made.estimated_users


@pytest.mark.parametrize("last_key", ["1250", "800"])
def test_with_a_filter_users_per_row_may_be_any(last_key: str) -> None:
    """Nothing is known of how many rows match."""
    made = scanning(Scan(FILTERED))
    made.advance(1000, last_key)

    rows = int(last_key)
    assert 1000 + (10_000 - rows) * 1000 // rows == made.estimated_users


def test_a_key_before_the_range_tells_nothing() -> None:
    """A map that errs about the beginning is not asked to divide by nothing."""
    made = scanning(Scan(after="2000"))
    made.advance(600, "2000")

    assert (0, 0.0) == figures(made)


def test_a_key_behind_the_range_is_its_end() -> None:
    """No users are expected behind the map's last row; while more come, there is at least one more."""
    made = scanning(Scan(FILTERED), rows=1000)
    made.advance(600, "1200")

    assert (601, 0.998) == figures(made)


@pytest.mark.parametrize(("user_count", "estimated"), [(999, 1000), (1000, 1001), (2000, 2002)])
def test_the_end_is_not_announced_too_early(user_count: int, estimated: int) -> None:
    """While users come, more are expected, and at least a thousandth is left."""
    made = scanning(Scan(), at=Position("0", 500, estimated_users=1000))
    made.advance(user_count, "10000")

    assert estimated == made.estimated_users
    assert made.fraction <= 0.999


def test_the_share_never_falls() -> None:
    """An estimate that grows would take the share back, so it grows only as far as the share allows."""
    made = scanning(Scan(FILTERED))
    made.advance(1000, "5000")
    assert (2000, 0.5) == figures(made)

    made.advance(1100, "5100")  # far fewer rows for these hundred: many more users would be to come
    assert made.fraction >= 0.5
    assert made.estimated_users <= 2200


def test_a_scan_that_is_resumed_goes_on() -> None:
    """What its token says of the estimate holds until the next one; the share follows from it."""
    made = scanning(Scan(FILTERED), at=Position("4000", 1000, estimated_users=2000))

    assert (2000, 0.5) == figures(made)
    assert (0, 0.0) == figures(scanning(Scan(), at=Position("40", 40)))
    made.advance(1000, "4000")
    assert made.estimated_users == 2000


class Tables:
    """The part of a database that `KeyMaps` uses: its sessions have a table, or fail, once they are let through."""

    def __init__(self) -> None:
        self.pool = self
        self.waiting = 0
        self.sessions = 0
        self.error: Exception | None = None
        self.table = Table("utf8mb4_bin")
        self.open = threading.Event()

    @contextmanager
    def session(self, *, deadline_seconds: float) -> Iterator["Tables"]:
        assert deadline_seconds == 10.0
        assert self.open.wait(20)
        self.sessions += 1
        if self.error:
            raise self.error
        yield self


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Return a database of which the n-th map is one of n rows."""
    monkeypatch.setattr(progress, "KeyRanges", lambda session: session)
    monkeypatch.setattr(progress, "map_keys", lambda session: Numbered(session.sessions))
    return Tables()


def get(maps: KeyMaps, table: Table) -> int | None:
    """Return the number of the map, None for none."""
    made = maps.get(table)
    return int(made.rows) if made else None


def finish(tables: Tables) -> None:
    """Let the maps that were begun be made."""
    tables.open.set()
    for thread in threading.enumerate():
        if thread.name == "key-map":
            assert thread.daemon
            thread.join(20)
    tables.open.clear()


def test_a_map_is_made_in_the_background(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it: there is none at first, and the old one is there while a new one is made, each minute."""
    now = [1000.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    maps, table = KeyMaps(cast("Database", tables)), tables.table

    assert [None, None] == [get(maps, table), get(maps, table)]
    finish(tables)
    now[0] += 59.9
    assert 1 == get(maps, table)
    now[0] += 0.1
    assert [1, 1] == [get(maps, table), get(maps, table)]
    finish(tables)
    assert (2, 2) == (get(maps, table), tables.sessions)
    assert get(maps, Table("latin1_bin")) is None


def test_no_map_while_calls_wait_for_a_connection(tables: Tables) -> None:
    """A map is an extra: it takes no connection for which others wait, and is made later."""
    maps = KeyMaps(cast("Database", tables))
    for tables.waiting, sessions in ((1, 0), (0, 1)):
        get(maps, tables.table)
        finish(tables)
        assert sessions == tables.sessions


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (UnavailableError("DATABASE_UNAVAILABLE", "x"), ("info", "DATABASE_UNAVAILABLE")),
        (ZeroDivisionError("secret"), ("error", "INTERNAL")),
    ],
)
def test_a_map_that_cannot_be_made(
    tables: Tables, error: Exception, logged: tuple[str, str]
) -> None:
    """It is logged by its reason, nobody fails, and it is not tried again at once."""
    tables.error = error
    maps = KeyMaps(cast("Database", tables))
    with capture_logs() as lines:
        for _ in range(2):
            assert get(maps, tables.table) is None
            finish(tables)

    assert tables.sessions == 1
    assert [("no_key_map", *logged)] == [
        (line["event"], line["log_level"], line["reason"]) for line in lines
    ]
