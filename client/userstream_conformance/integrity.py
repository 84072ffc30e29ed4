"""Scenarios of answers that a client must recognise as wrong, and must not retry in silence."""

from collections.abc import Sequence
from typing import Any

from userstream.v1 import user_service_pb2 as pb

from userstream_conformance.breaks import AWAY
from userstream_conformance.scenario import IDS, USERS, Attempt, Outcome, Scenario, sent
from userstream_conformance.steps import in_collation_order, messages_of, receipt_of

__all__ = ["INTEGRITY"]


_OTHER = pb.User(user_id=IDS[6][:-1] + "8")


def _wrong(
    name: str, rule: str, messages: list[Any], user_ids: Sequence[str], **fields: Any
) -> Scenario:
    """Return a scenario of one wrong answer, of which at most these users may be delivered."""
    outcome = Outcome("integrity", user_ids)
    return Scenario(name, rule, [Attempt("", messages)], outcome, fields=fields)


def _receipt(resumed: int = 0, **changes: Any) -> list[Any]:
    """Return the whole stream with some fields of its receipt changed."""
    messages = sent(after=4 if resumed else 0, resumed=resumed)
    for name, value in changes.items():
        setattr(messages[-1].receipt, name, value)
    return messages


def _with_users(*numbers: int) -> list[Any]:
    """Return a stream of some of USERS, by number from 1, under the receipt of all."""
    return _under_the_receipt([USERS[n - 1] for n in numbers])


def _under_the_receipt(users: list[pb.User], *, per_message: int = 2) -> list[Any]:
    """Return a stream of any users under the receipt of USERS."""
    messages = messages_of(users, per_message=per_message)
    messages[-1].receipt.CopyFrom(receipt_of(USERS))
    return messages


def _doubled_in_collation_order() -> Scenario:
    users = [USERS[n] for n in (0, 1, 0, 3, 4, 5, 6)]
    return _wrong(
        "collation-doubled-user",
        "KEY_ORDER_COLLATION: no user comes twice in a message, nor is the one before it.",
        list(in_collation_order(_under_the_receipt(users, per_message=4))),
        IDS[:2],
    )


def _doubled_across_a_resume() -> Scenario:
    again = messages_of(USERS, after=3, resumed_count=1)
    return Scenario(
        "doubled-across-a-resume",
        "The order is checked across resumes: the first user must come after the last one received.",
        [Attempt("", [*sent(2), AWAY]), Attempt("after:4", again)],
        Outcome("integrity", IDS[:4]),
    )


def _resume_not_counted() -> Scenario:
    return Scenario(
        "resume-not-counted",
        "The receipt of a resumed scan counts at least the resumes that brought a message.",
        [
            Attempt("", [*sent(2), AWAY]),
            Attempt("after:4", _receipt(resumed=1, resumed_count=0)),
        ],
        Outcome("integrity", IDS),
    )


def _after_the_receipt() -> list[Any]:
    extra = pb.StreamUsersResponse(resume_token="after:7")
    extra.users.add(user_id="ffffffff-0000-4000-8000-000000000000")
    return [*sent(), extra]


INTEGRITY = (
    _wrong(
        "wrong-count",
        "The receipt's user_count must be the number of users received.",
        _receipt(user_count=8),
        IDS,
    ),
    _wrong(
        "wrong-crc",
        "The receipt's CRC-32 must be that of the user_ids received.",
        _receipt(user_id_crc32=1),
        IDS,
    ),
    _wrong(
        "wrong-consistency",
        "The receipt's consistency must be the one requested.",
        _receipt(consistency=pb.CONSISTENCY_SNAPSHOT),
        IDS,
    ),
    _wrong(
        "missing-message",
        "A message that never came shows in the receipt.",
        _with_users(1, 2, 5, 6, 7),
        [IDS[n - 1] for n in (1, 2, 5, 6, 7)],
    ),
    _wrong(
        "other-user",
        "A user in place of another shows in the CRC-32 alone.",
        _under_the_receipt([*USERS[:6], _OTHER]),
        [*IDS[:6], _OTHER.user_id],
    ),
    _wrong(
        "out-of-order",
        "user_ids ascend within a message, too.",
        _with_users(1, 2, 4, 3, 5, 6, 7),
        [*IDS[:2], IDS[3]],
    ),
    _wrong("doubled-user", "No user comes twice.", _with_users(1, 2, 2, 3, 4, 5, 6), IDS[:2]),
    _doubled_in_collation_order(),
    _doubled_across_a_resume(),
    _resume_not_counted(),
    _wrong(
        "no-receipt",
        "A stream that ends OK without a receipt may lack users.",
        sent(receipt=False),
        IDS,
    ),
    _wrong(
        "after-the-receipt-a-message",
        "Nothing follows the receipt.",
        _after_the_receipt(),
        IDS,
    ),
    _wrong(
        "over-the-limit",
        "Never more users than the limit.",
        sent(),
        IDS[:5],
        limit=5,
    ),
)
