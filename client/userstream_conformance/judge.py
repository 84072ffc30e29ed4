"""What a client did in one run of a scenario, held against what it must do."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any
from zlib import crc32

from userstream_conformance.scenario import Attempt, Outcome, Scenario
from userstream_conformance.scripted_server import Call
from userstream_conformance.steps import Hang

__all__ = ["Run", "outcome_faults"]

_SLACK_SECONDS = 0.01
_END_SECONDS = 5.0
_TOKENS = ("resume_token", "page_token")
# What a client may change from call to call, or set without a word.
_FREE = (*_TOKENS, "max_users_per_message", "filter", "consistency")


class Run:
    """One client's calls of one scenario.

    Args:
        name: The scenario's, and what the client wrote behind it.
        scenario: What it must do.

    Attributes:
        calls: Those that came, in order.
    """

    def __init__(self, name: str, scenario: Scenario) -> None:
        self.name = name
        self.scenario = scenario
        self.calls: list[Call] = []

    def next_attempt(self, call: Call) -> Attempt | None:
        """Note a call; return how to answer it, or None where none must come any more."""
        self.calls.append(call)
        number = len(self.calls)
        attempts = self.scenario.attempts
        return attempts[min(number, len(attempts)) - 1] if number <= self.scenario.most else None

    def faults(self) -> list[str]:
        """Return what the client did wrong, a line each. Waits a little for calls to end."""
        return [*self._count_faults(), *self._call_faults(), *self._end_faults()]

    def _count_faults(self) -> Iterator[str]:
        made, scenario = len(self.calls), self.scenario
        if made < scenario.least:
            yield f"{made} calls came, but {scenario.least} must: the client stopped too early"
        if made > scenario.most:
            yield f"{made} calls came, at most {scenario.most} may: the client did not stop"

    def _call_faults(self) -> Iterator[str]:
        attempts = self.scenario.attempts
        for number, call in enumerate(self.calls[: self.scenario.most], 1):
            attempt = attempts[min(number, len(attempts)) - 1]
            for fault in self._faults_of(call, attempt):
                yield f"call {number}: {fault}"
        for number, (before, call) in enumerate(pairwise(self.calls[: len(attempts)]), 2):
            waited = call.arrived - before.last_step
            wanted = attempts[number - 1].after_seconds
            if waited < wanted - _SLACK_SECONDS:
                yield f"call {number}: came after {waited:.2f} s, but RetryInfo said {wanted:g} s"

    def _faults_of(self, call: Call, attempt: Attempt) -> Iterator[str]:
        if call.method != self.scenario.method:
            yield f"it is {call.method}, not {self.scenario.method}"
            return
        token = _token_of(call.request)
        if token != attempt.token:
            yield f"its token is {token!r}, not {attempt.token!r}"
        for field, value in self.scenario.request.ListFields():
            if field.name not in _FREE and getattr(call.request, field.name) != value:
                yield f"its {field.name} is not {value}"
        if _unchanging(call.request) != _unchanging(self.calls[0].request):
            yield "its fields are not those of the first call"
        if call.metadata.get("authorization") != self.calls[0].metadata.get("authorization"):
            yield "its authorization is not that of the first call"
        if self.scenario.client.timeout_seconds and call.seconds_left is None:
            yield "it has no deadline"

    def _end_faults(self) -> Iterator[str]:
        for number, (call, attempt) in enumerate(
            zip(self.calls, self.scenario.attempts, strict=False), 1
        ):
            stalls = isinstance(attempt.steps[-1], Hang)
            if stalls and not call.ended.wait(_END_SECONDS):
                yield f"call {number}: the client did not end it"


def outcome_faults(outcome: Outcome, report: Mapping[str, Any]) -> list[str]:
    """Return where a client's own report of a run differs from what it must say, a line each.

    Args:
        outcome: What it must say.
        report: `result`, and as far as they apply `code`, `reason`, `field_violations`, `user_count`,
            `user_id_crc32` (of the users delivered) and `age_sum`.
    """
    wanted: dict[str, Any] = {"result": outcome.result}
    if outcome.code:
        wanted |= {"code": outcome.code, "reason": outcome.reason}
    if outcome.field_violations:
        wanted["field_violations"] = outcome.field_violations
    if outcome.age_sum is not None:
        wanted |= {"age_sum": outcome.age_sum, "user_count": outcome.user_count}
    found = [
        f"its {name} is {report.get(name)!r}, not {value!r}"
        for name, value in wanted.items()
        if report.get(name) != value
    ]
    return found if outcome.age_sum is not None else [*found, *_user_faults(outcome, report)]


def _user_faults(outcome: Outcome, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the users delivered; those before an error may be fewer."""
    count = report.get("user_count", 0)
    most = len(outcome.user_ids)
    if count > most or (outcome.result == "complete" and count < most):
        yield f"its user_count is {count}, not {most}"
    elif report.get("user_id_crc32", 0) != crc32("".join(outcome.user_ids[:count]).encode()):
        yield "its user_id_crc32 is not that of the users that were sent"


def _token_of(request: Any) -> str:
    names = request.DESCRIPTOR.fields_by_name
    return next((getattr(request, name) for name in _TOKENS if name in names), "")


def _unchanging(request: Any) -> Any:
    """Return a copy without what may differ between attempts."""
    copy = type(request)()
    copy.CopyFrom(request)
    for name in (*_TOKENS, "max_users_per_message"):
        if name in request.DESCRIPTOR.fields_by_name:
            copy.ClearField(name)
    return copy
