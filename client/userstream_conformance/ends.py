"""Scenarios of whole answers, and of ends after which a client must not call again."""

import grpc
from userstream.v1 import user_service_pb2 as pb

from userstream_conformance.breaks import AWAY
from userstream_conformance.scenario import IDS, Attempt, ClientSettings, Outcome, Scenario, sent
from userstream_conformance.steps import Fail, Hang, in_collation_order, messages_of

__all__ = ["ENDS"]

_CODE = grpc.StatusCode
_NO_GRPC = Fail(_CODE.UNKNOWN, "the answer is not gRPC")
_LARGE = 6000
_MIXED_CASE = [
    pb.User(user_id=key, name=name, email="user@example.com", age=age)
    for key, name, age in (
        ("00000000-0000-4000-8000-00000000000A", "Zoë", 0),
        ("00000000-0000-4000-8000-00000000000a", "Ünal \N{GRINNING FACE}", 130),
        ("A0000000-0000-4000-8000-000000000001", "line\nbreak\ttab", -1),
        ("a0000000-0000-4000-8000-000000000000", "", 9_999_999_999),
    )
]
_ANY_CASE = sorted(_MIXED_CASE[1:], key=lambda user: user.user_id.lower())
_GIANTS = [
    pb.User(
        user_id=f"00000000-0000-4000-8000-{n:012d}",
        name="\N{GRINNING FACE}" * 255,
        email="u" * 255,
        age=n % 100,
    )
    for n in range(_LARGE)
]


def _final(name: str, rule: str, failure: Fail) -> Scenario:
    """Return a scenario of a final failure after one message."""
    outcome = Outcome(
        "status", IDS[:2], failure.code.name, failure.reason, dict(failure.violations)
    )
    return Scenario(name, rule, [Attempt("", [*sent(1), failure])], outcome)


def _collation_order() -> Scenario:
    return Scenario(
        "collation-order",
        "KEY_ORDER_COLLATION: only the database knows the order, so user_ids need not ascend byte by byte.",
        [Attempt("", in_collation_order(messages_of(_ANY_CASE)))],
        Outcome("complete", [user.user_id for user in _ANY_CASE]),
    )


def _large_batch() -> Scenario:
    return Scenario(
        "large-batch",
        "Accept messages of 64 MiB: a batch of long names is larger than gRPC's default of 4 MiB.",
        [Attempt("", messages_of(_GIANTS, per_message=_LARGE, response=pb.BatchUsersResponse))],
        Outcome("complete", [user.user_id for user in _GIANTS]),
        method="BatchUsers",
        fields={"batch_size": _LARGE},
    )


ENDS = (
    Scenario("whole", "Deliver all users and check the receipt.", [Attempt("", sent())]),
    Scenario(
        "empty",
        "No users is a whole answer: one message, with a receipt of zero.",
        [Attempt("", messages_of([]))],
        Outcome("complete"),
    ),
    Scenario(
        "byte-order",
        "Compare user_ids byte by byte: upper case comes before lower case.",
        [Attempt("", messages_of(_MIXED_CASE))],
        Outcome("complete", [user.user_id for user in _MIXED_CASE]),
    ),
    _collation_order(),
    _large_batch(),
    _final(
        "invalid-argument",
        "INVALID_ARGUMENT is final; show the fields at fault.",
        Fail(
            _CODE.INVALID_ARGUMENT,
            "limit must not be negative",
            "INVALID_REQUEST",
            violations={"limit": "must be 0 or more"},
        ),
    ),
    _final(
        "internal",
        "INTERNAL with a reason is the service's own word: final.",
        Fail(_CODE.INTERNAL, reason="INTERNAL"),
    ),
    _final(
        "exhausted-for-good",
        "RESOURCE_EXHAUSTED with a reason but without RetryInfo is final.",
        Fail(_CODE.RESOURCE_EXHAUSTED, reason="TOO_LARGE"),
    ),
    _final(
        "unauthenticated",
        "UNAUTHENTICATED is final.",
        Fail(_CODE.UNAUTHENTICATED, reason="TOKEN_INVALID"),
    ),
    _final(
        "permission-denied",
        "PERMISSION_DENIED is final.",
        Fail(_CODE.PERMISSION_DENIED, reason="CALLER_REFUSED"),
    ),
    _final(
        "failed-precondition",
        "FAILED_PRECONDITION is final: an operator must act.",
        Fail(_CODE.FAILED_PRECONDITION, reason="TABLE_MISSING"),
    ),
    _final(
        "cancelled-by-the-service",
        "CANCELLED with a reason is the service's own word: final.",
        Fail(_CODE.CANCELLED, "closing", reason="CALL_CLOSED"),
    ),
    Scenario(
        "gives-up",
        "Stop after a bounded number of attempts in a row that bring no message.",
        [Attempt("", [AWAY]), Attempt("", [AWAY])],
        Outcome("status", (), "UNAVAILABLE", "DATABASE_AWAY"),
        calls_most=100,
    ),
    Scenario(
        "gives-up-on-the-transport",
        "A failure without ErrorInfo that comes every time is reported after a bounded number of attempts.",
        [Attempt("", [_NO_GRPC]), Attempt("", [_NO_GRPC])],
        Outcome("status", (), "UNKNOWN"),
        calls_most=100,
    ),
    Scenario(
        "deadline",
        "The limit of the whole call holds, and the server is told of it.",
        [Attempt("", [*sent(1), Hang()])],
        Outcome("status", IDS[:2], "DEADLINE_EXCEEDED"),
        client=ClientSettings(timeout_seconds=0.6),
    ),
    Scenario(
        "cancel",
        "Cancelling ends the call at the server, too.",
        [Attempt("", [*sent(1), Hang()])],
        Outcome("cancelled", IDS[:2]),
        client=ClientSettings(cancel_after_messages=1),
    ),
)
