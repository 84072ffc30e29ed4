"""The conformance server: each request names its scenario."""

from typing import Any

import grpc

from userstream_conformance.catalogue import SCENARIOS
from userstream_conformance.judge import Run
from userstream_conformance.scripted_server import UNSCRIPTED, Call, ScriptedServer
from userstream_conformance.steps import Fail, Script

__all__ = ["ConformanceServer"]

_PREFIX = "conformance"


class ConformanceServer(ScriptedServer):
    """Plays the scenario that `filter.name_prefix` names, `conformance:NAME`, and notes what it sees.

    A second run of a scenario takes a name of its own behind the scenario's: `conformance:NAME:2`.

    Args:
        host: Where to listen.
        port: 0 for any that is free.

    Attributes:
        runs: By name, without the prefix.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.runs: dict[str, Run] = {}
        super().__init__(host=host, port=port)

    def _script_for(self, call: Call) -> Script:
        run = self._run_of(call.request)
        if run is None:
            return [_unknown_scenario()]
        attempt = run.next_attempt(call)
        return attempt.steps if attempt else [UNSCRIPTED]

    def _run_of(self, request: Any) -> Run | None:
        prefix, _, name = request.filter.name_prefix.partition(":")
        scenario = SCENARIOS.get(name.partition(":")[0])
        if prefix != _PREFIX or scenario is None:
            return None
        return self.runs.setdefault(name, Run(name, scenario))


def _unknown_scenario() -> Fail:
    takes = f"must be {_PREFIX}:NAME, where `userstream-conformance --list` prints the names"
    return Fail(
        grpc.StatusCode.INVALID_ARGUMENT,
        f"filter.name_prefix {takes}",
        "INVALID_REQUEST",
        violations={"filter.name_prefix": takes},
    )
