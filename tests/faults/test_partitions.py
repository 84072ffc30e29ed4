"""Partitions read by many callers, in any order, broken and resumed, for keys of every kind."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from userstream_client import UserStreamClient
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_users
from userstream_testing.client_runs import KINDS, PATIENT, read_users, verified
from userstream_testing.fault_proxy import FaultProxy, Plan
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import serving

ROWS = 4_000
_rng = random.Random(11)

KEYS: dict[str, Callable[[int], UUID]] = {
    "random": lambda _: UUID(int=_rng.getrandbits(128), version=4),
    # Milliseconds first, then randomness, as version 7 has it.
    "UUIDv7-like": lambda n: UUID(int=(1_790_000_000_000 + n // 3) << 80 | _rng.getrandbits(76)),
    "sequential": lambda n: UUID(int=n + 1),
    # Nine of ten share their first half.
    "skewed": lambda n: UUID(int=_rng.getrandbits(128) if n % 10 == 0 else _rng.getrandbits(60)),
}


@pytest.mark.parametrize("kind", KEYS)
def test_partitions_add_up(
    mysql_database: str, tmp_path: Path, faults: FaultReport, kind: str
) -> None:
    """Eight ranges of about equal size, read at once over breaking connections, are the table exactly once."""
    ids = sorted(str(KEYS[kind](n)) for n in range(ROWS))
    seed_users(
        DatabaseUrl.parse(mysql_database), [UserRow(i, "A", f"{i}@example.com", 30) for i in ids]
    )
    with (
        serving(mysql_database, tmp_path) as server,
        FaultProxy(server.port) as proxy,
        UserStreamClient(server.target) as client,
        ThreadPoolExecutor(8) as callers,
        faults.round(f"1 eight partitions, {kind} keys, broken and resumed"),
    ):
        parts = client.partitions(8)
        assert len(parts) == 8
        proxy.plans.extend(Plan(cut_after=_rng.randrange(3_000, 30_000)) for _ in range(24))
        shuffled = _rng.sample(parts, 8)
        outcomes = [
            callers.submit(
                read_users,
                KINDS[number % 2],
                proxy.target,
                resume=PATIENT,
                partition=part.partition,
                max_users_per_message=11,
            )
            for number, part in enumerate(shuffled)
        ]
        found = {}
        for part, outcome in zip(shuffled, outcomes, strict=True):
            users = [user.user_id for user in outcome.result(60).users]
            assert verified(outcome.result(), users)
            assert ROWS / 16 < len(users) < ROWS / 4
            found[part.partition] = users
        receipts = [outcome.result().receipt for outcome in outcomes]
        assert sum(receipt.resumed_count for receipt in receipts if receipt) >= 8
        in_order = [user_id for part in parts for user_id in found[part.partition]]

        assert ids == in_order
