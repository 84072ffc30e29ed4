"""How near a stream's progress is to the truth over the way, whatever the keys, with and without filters."""

from collections.abc import Sequence
from time import sleep
from typing import Any

from userstream.v1 import user_service_pb2 as pb
from userstream_server.seeding.synthetic import KEY_KINDS, KeyKind
from userstream_testing.calls import stub_for

from benchmarks import report
from benchmarks.arena import Arena

__all__ = ["run"]

_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
_GOAL = 0.1
_FILTERS = {
    "everyone": pb.UserFilter(),
    "over 60": pb.UserFilter(age_over=60),
    "named Zoë": pb.UserFilter(name_prefix="Zoë"),
}
_HEAD = ("keys", "users", *(f"at {share:.0%}" for share in _SHARES), "worst from 10 %", "goal", "")


def run(arena: Arena, *, rows: int) -> report.Section:
    """Read tables with each kind of keys, and compare each message's estimate with the count at the end."""
    lines = []
    for kind in KEY_KINDS:
        table = arena.mysql.table(rows, key_kind=kind)
        with arena.userstream(table) as server, stub_for(server.target) as stub:
            _wait_for_estimates(stub)
            for name, wanted in _FILTERS.items():
                lines.append([_NAMES[kind], name, *_cells(_progress(stub, wanted))])
    body = [
        f"StreamUsers over {rows:,} users: `estimated_users` beside the number that came in the end.",
        report.table(_HEAD, lines),
    ]
    return report.Section("progress", body)


_NAMES: dict[KeyKind, str] = {
    "uuid4": "random (UUIDv4)",
    "uuid7": "in time order (UUIDv7)",
    "sequential": "sequential",
    "skewed": "skewed",
}


def _wait_for_estimates(stub: Any) -> None:
    """Read until the server has a map of the keys, which it makes in the background."""
    while not any(p.estimated_users for p in _progress(stub, pb.UserFilter(), limit=20_000)[:-1]):
        sleep(0.1)


def _progress(stub: Any, wanted: pb.UserFilter, *, limit: int = 0) -> list[pb.StreamProgress]:
    request = pb.StreamUsersRequest(filter=wanted, limit=limit, max_users_per_message=500)
    return [message.progress for message in stub.StreamUsers(request)]


def _cells(progress: Sequence[pb.StreamProgress]) -> list[str]:
    """Return the errors at some shares of the way, and the worst of all."""
    *before, last = progress
    total = last.users_sent
    errors = [(p.users_sent / total, p.estimated_users / total - 1) for p in before]
    at = [min(errors, key=lambda error: abs(error[0] - share))[1] for share in _SHARES]
    worst = max((error for share, error in errors if share >= _SHARES[0]), key=abs)
    fractions = [p.fraction for p in before]
    is_steady = fractions == sorted(fractions) and fractions[-1] < 1
    met = "met" if abs(worst) <= _GOAL and is_steady else "**missed**"
    return [*(f"{error:+.1%}" for error in at), f"**{worst:+.1%}**", f"within {_GOAL:.0%}", met]
