"""Scenarios of the conformance server, run through both of our clients."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from userstream_client import (
    AsyncUserStreamClient,
    AverageAge,
    AverageAgeProgress,
    DataIntegrityError,
    Page,
    User,
    UserFilter,
    UserStreamClient,
    UserStreamError,
)
from userstream_conformance.scenario import Scenario

from userstream_testing.client_runs import QUICK

__all__ = ["run_scenario"]


@dataclass
class _Seen:
    """What a client delivered so far, as the report that `outcome_faults` takes."""

    ids: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)

    def take(self, item: Any) -> None:
        """Count an item of a stream, or an answer."""
        if isinstance(item, AverageAge):
            if not isinstance(item, AverageAgeProgress) or item.final:
                self.report |= {"age_sum": item.age_sum, "user_count": item.user_count}
            return
        users = item.users if isinstance(item, Page) else item
        self.ids += [user.user_id for user in ([users] if isinstance(users, User) else users)]

    def end(self, error: UserStreamError | None) -> dict[str, Any]:
        """Return the report of a run that ended so."""
        crc = crc32("".join(self.ids).encode())
        return {"user_count": len(self.ids), "user_id_crc32": crc} | self.report | _ended(error)


def run_scenario(kind: str, target: str, scenario: Scenario) -> dict[str, Any]:
    """Run a scenario under the name `NAME:KIND`; return the client's report.

    Args:
        kind: `sync` or `async`.
        target: The conformance server.
        scenario: Which one.
    """
    run = _run if kind == "sync" else _run_async
    where = UserFilter(name_prefix=f"conformance:{scenario.name}:{kind}")
    settings = scenario.client
    options = {
        "resume": QUICK,
        "attempt_timeout_seconds": settings.attempt_timeout_seconds or None,
        "timeout_seconds": settings.timeout_seconds or None,
    }
    report = run(target, scenario, where, options)
    return asyncio.run(report) if asyncio.iscoroutine(report) else report


def _run(target: str, scenario: Scenario, where: UserFilter, options: Any) -> dict[str, Any]:
    seen, most = _Seen(), scenario.client.cancel_after_messages
    with UserStreamClient(target, **options) as client:
        try:
            call = _call(client, scenario, where)
            for number, item in enumerate([call] if isinstance(call, AverageAge) else call, 1):
                seen.take(item)
                if number == most:
                    call.close()
                    return seen.end(None) | {"result": "cancelled"}
        except UserStreamError as error:
            return seen.end(error)
    return seen.end(None)


async def _run_async(
    target: str, scenario: Scenario, where: UserFilter, options: Any
) -> dict[str, Any]:
    seen, most = _Seen(), scenario.client.cancel_after_messages
    async with AsyncUserStreamClient(target, **options) as client:
        try:
            call = _call(client, scenario, where)
            if asyncio.iscoroutine(call):
                seen.take(await call)
                return seen.end(None)
            number = 0
            async for item in call:
                seen.take(item)
                if (number := number + 1) == most:
                    await call.aclose()
                    return seen.end(None) | {"result": "cancelled"}
        except UserStreamError as error:
            return seen.end(error)
    return seen.end(None)


def _call(client: Any, scenario: Scenario, where: UserFilter) -> Any:
    fields = {name: value for name, value in scenario.fields.items() if name != "page_limit"}
    methods = {
        "StreamUsers": client.stream_users,
        "BatchUsers": client.batch_users,
        "Paginate": client.lazy_paginate,
        "AverageAge": client.average_age,
        "StreamAverageAge": client.stream_average_age,
    }
    return methods[scenario.method](where=where, **fields)


def _ended(error: UserStreamError | None) -> dict[str, Any]:
    if error is None:
        return {"result": "complete"}
    if isinstance(error, DataIntegrityError):
        return {"result": "integrity"}
    return {
        "result": "status",
        "code": error.code.name if error.code else "",
        "reason": error.reason,
        "field_violations": {v.field: v.description for v in error.field_violations},
    }
