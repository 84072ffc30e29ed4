"""Scenarios of breaks after which a client must call again."""

import grpc
from userstream.v1 import user_service_pb2 as pb

from userstream_conformance.scenario import USERS, Attempt, ClientSettings, Scenario, sent
from userstream_conformance.steps import Fail, Hang, messages_of

__all__ = ["AWAY", "BREAKS"]

AWAY = Fail(
    grpc.StatusCode.UNAVAILABLE, "the database is away", "DATABASE_AWAY", retry_after_seconds=0.0
)
_CODE = grpc.StatusCode


def _resumed(name: str, rule: str, failure: Fail, *, after_seconds: float = 0.0) -> Scenario:
    """Return a scenario of one break after two messages."""
    again = Attempt("after:4", sent(after=4, resumed=1), after_seconds)
    return Scenario(name, rule, [Attempt("", [*sent(2), failure]), again])


def _many_breaks() -> Scenario:
    attempts = [
        Attempt(
            f"after:{n}:{n - 1}" if n > 1 else "after:1" if n else "",
            [*sent(1, after=n, resumed=n, per_message=1), AWAY],
        )
        for n in range(6)
    ]
    last = Attempt("after:6:5", sent(after=6, resumed=6))
    rule = "A message begins a new count of failed attempts."
    return Scenario("many-breaks", rule, [*attempts, last])


def _pause() -> Scenario:
    pause = pb.StreamUsersResponse(resume_token="further", progress=pb.StreamProgress(users_sent=2))
    attempts = [
        Attempt("", [*sent(1), pause, AWAY]),
        Attempt("further", sent(after=2, resumed=1)),
    ]
    return Scenario(
        "no-users-but-a-token", "Take the token of a message without users too.", attempts
    )


def _batches() -> Scenario:
    whole = messages_of(USERS, response=pb.BatchUsersResponse)
    rest = messages_of(USERS, after=4, resumed_count=1, response=pb.BatchUsersResponse)
    return Scenario(
        "batches",
        "BatchUsers is resumed as StreamUsers is, with the same batch_size.",
        [Attempt("", [*whole[:2], AWAY]), Attempt("after:4", rest)],
        method="BatchUsers",
        fields={"batch_size": 2},
    )


BREAKS = (
    _resumed(
        "unavailable",
        "A connection that broke: resume with the last token.",
        Fail(_CODE.UNAVAILABLE, "Socket closed"),
    ),
    _resumed("database-away", "UNAVAILABLE from the service: resume with the last token.", AWAY),
    _resumed(
        "aborted",
        "ABORTED without details is a broken connection in some libraries: resume.",
        Fail(_CODE.ABORTED, "http/2 stream closed"),
    ),
    _resumed(
        "deadlock", "ABORTED from the service: resume.", Fail(_CODE.ABORTED, reason="DEADLOCK")
    ),
    _resumed(
        "rst-stream",
        "INTERNAL without ErrorInfo is the transport's: resume.",
        Fail(_CODE.INTERNAL, "Received RST_STREAM with error code 2"),
    ),
    _resumed(
        "proxy-reset",
        "The text of a failure decides nothing: INTERNAL without ErrorInfo is resumed in any words.",
        Fail(_CODE.INTERNAL, "upstream request timeout"),
    ),
    _resumed(
        "network-error",
        "UNKNOWN without ErrorInfo is a broken connection in a browser: resume.",
        Fail(_CODE.UNKNOWN, "network error"),
    ),
    _resumed(
        "cancelled-by-transport",
        "CANCELLED that you did not ask for, without ErrorInfo: resume.",
        Fail(_CODE.CANCELLED, "Received RST_STREAM with error code 8"),
    ),
    _resumed(
        "consumer-stalled",
        "RESOURCE_EXHAUSTED without ErrorInfo: you read too slowly, or the transport had enough. Resume.",
        Fail(_CODE.RESOURCE_EXHAUSTED, "CONSUMER_STALLED: Nothing was taken for 60 seconds."),
    ),
    _resumed(
        "lock-wait",
        "DEADLINE_EXCEEDED while your own limit has time left: resume.",
        Fail(_CODE.DEADLINE_EXCEEDED, reason="LOCK_WAIT_TIMEOUT"),
    ),
    _resumed(
        "retry-info",
        "RESOURCE_EXHAUSTED with RetryInfo: wait at least that long, then resume.",
        Fail(_CODE.RESOURCE_EXHAUSTED, reason="POOL_BUSY", retry_after_seconds=0.3),
        after_seconds=0.3,
    ),
    _resumed(
        "retry-info-unavailable",
        "UNAVAILABLE with RetryInfo: wait at least that long, then resume.",
        Fail(_CODE.UNAVAILABLE, reason="DATABASE_AWAY", retry_after_seconds=0.3),
        after_seconds=0.3,
    ),
    Scenario(
        "before-the-first-message",
        "A stream that broke before its first message begins at the start again.",
        [Attempt("", [AWAY]), Attempt("", [AWAY]), Attempt("", sent())],
    ),
    Scenario(
        "before-the-receipt",
        "All users came but no receipt: fetch it with the last token.",
        [
            Attempt("", [*sent(receipt=False), AWAY]),
            Attempt("after:7", sent(after=7, resumed=1)),
        ],
    ),
    Scenario(
        "after-the-receipt",
        "After the receipt nothing is missing, whatever the status says: do not call again.",
        [Attempt("", [*sent(), Fail(_CODE.UNAVAILABLE, "Socket closed")])],
    ),
    Scenario(
        "limit-reached",
        "A limit that was reached needs no further call; one for the receipt is allowed.",
        [
            Attempt("", [*sent(receipt=False), AWAY]),
            Attempt("after:7", sent(after=7, resumed=1), optional=True),
        ],
        fields={"limit": 7},
    ),
    Scenario(
        "stall",
        "No message for longer than the attempt's limit: end the call and resume.",
        [Attempt("", [*sent(2), Hang()]), Attempt("after:4", sent(after=4, resumed=1))],
        client=ClientSettings(attempt_timeout_seconds=0.5),
    ),
    _many_breaks(),
    _pause(),
    _batches(),
)
