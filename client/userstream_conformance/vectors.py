"""The scenarios as JSON, for clients in other languages."""

import base64
import json
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from userstream_conformance.catalogue import SCENARIOS
from userstream_conformance.scenario import Attempt, Outcome, Scenario
from userstream_conformance.steps import Fail, Hang, Step

__all__ = ["vectors"]

_MESSAGE_BYTES_MAX = 64 * 1024


def vectors() -> dict[str, str]:
    """Return the text of each file, by its name."""
    return {
        f"{name}.json": json.dumps(_vector(scenario), indent=2) + "\n"
        for name, scenario in SCENARIOS.items()
    }


def _vector(scenario: Scenario) -> dict[str, Any]:
    """Return one scenario's vector."""
    return {
        "name": scenario.name,
        "rule": scenario.rule,
        "method": scenario.method,
        "request": _request(scenario.request),
        "client": _without_zeros(vars(scenario.client)),
        "calls": list(_calls(scenario)),
        "calls_at_least": scenario.least,
        "calls_at_most": scenario.most,
        "outcome": _outcome(scenario.outcome),
    }


def _request(request: Message) -> dict[str, Any]:
    fields = json_format.MessageToDict(request, preserving_proto_field_name=True)
    return {"fields": fields, "base64": _base64(request)}


def _calls(scenario: Scenario) -> Iterator[dict[str, Any]]:
    following = [*scenario.attempts[1:], None]
    for attempt, after in zip(scenario.attempts, following, strict=True):
        messages = [step for step in attempt.steps if isinstance(step, Message)]
        yield {
            "token": attempt.token,
            "messages": [_message(message) for message in messages],
            "end": _end(attempt.steps),
            "next": _next(after, scenario),
        }


def _message(message: Message) -> dict[str, Any]:
    data = message.SerializeToString()
    if len(data) > _MESSAGE_BYTES_MAX:
        # The conformance server sends it; here it would be megabytes of text.
        return {"bytes": len(data)}
    token = getattr(message, "resume_token", "") or getattr(message, "next_page_token", "")
    ids = [user.user_id for user in getattr(message, "users", ())]
    return {"base64": _base64(message), "user_ids": ids, "token": token}


def _end(steps: Sequence[Step]) -> dict[str, Any]:
    last = steps[-1] if steps else None
    if isinstance(last, Hang):
        return {"stalls": True}
    if not isinstance(last, Fail):
        return {"code": "OK"}
    end = {"code": last.code.name, "message": last.message}
    rich = last.rich_status()
    if rich.details:
        end["grpc_status_details_bin"] = _base64(rich)
    return end | _details(last)


def _details(failure: Fail) -> dict[str, Any]:
    """Return the decoded details of a failure; those that it lacks are left out."""
    details: dict[str, Any] = {}
    if failure.reason:
        details["error_info"] = {"reason": failure.reason, "domain": "userstream"}
    if failure.retry_after_seconds is not None:
        details["retry_delay_seconds"] = failure.retry_after_seconds
    if failure.violations:
        details["field_violations"] = dict(failure.violations)
    return details


def _next(after: Attempt | None, scenario: Scenario) -> dict[str, Any]:
    """Return what the client does after a call."""
    if after is None:
        repeats = scenario.most > len(scenario.attempts)
        return {"action": "call the same again, or give up"} if repeats else {"action": "end"}
    action = "call or end" if after.optional else "call"
    return {"action": action, "token": after.token, "wait_at_least_seconds": after.after_seconds}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    if outcome.age_sum is not None:
        return {
            "result": outcome.result,
            "user_count": outcome.user_count,
            "age_sum": outcome.age_sum,
        }
    status = {"code": outcome.code, "reason": outcome.reason} if outcome.code else {}
    return {
        "result": outcome.result,
        **status,
        **({"field_violations": outcome.field_violations} if outcome.field_violations else {}),
        "user_count": len(outcome.user_ids),
        "user_id_crc32": outcome.user_id_crc32,
    }


def _without_zeros(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _base64(message: Message) -> str:
    return base64.b64encode(message.SerializeToString(deterministic=True)).decode("ascii")
