"""Scenarios of pages and averages."""

import grpc
from userstream.v1 import user_service_pb2 as pb

from userstream_conformance.breaks import AWAY
from userstream_conformance.scenario import IDS, USERS, Attempt, Outcome, Scenario
from userstream_conformance.steps import Fail

__all__ = ["OTHER_CALLS"]

_SUM = sum(user.age for user in USERS)
_AVERAGE = Outcome("complete", age_sum=_SUM, user_count=len(USERS))


def _page(number: int) -> pb.PaginateResponse:
    """Return a page of three users; the last of the three pages has one."""
    begin = 3 * (number - 1)
    token = f"page:{number + 1}" if begin + 3 < len(USERS) else ""
    return pb.PaginateResponse(
        users=USERS[begin : begin + 3], page_number=number, next_page_token=token
    )


def _running(count: int, *, final: bool = False) -> pb.StreamAverageAgeResponse:
    ages = [user.age for user in USERS[:count]]
    return pb.StreamAverageAgeResponse(
        average_age=sum(ages) / count,
        user_count=count,
        age_sum=sum(ages),
        resume_token=f"ages:{count}",
        progress=pb.StreamProgress(users_sent=count),
        final=final,
    )


def _average() -> pb.AverageAgeResponse:
    return pb.AverageAgeResponse(average_age=_SUM / len(USERS), user_count=len(USERS), age_sum=_SUM)


OTHER_CALLS = (
    Scenario(
        "pages",
        "Ask for a page at a time (page_limit 1) with the token of the page before, to the empty token.",
        [
            Attempt("", [_page(1)]),
            Attempt("page:2", [Fail(grpc.StatusCode.UNAVAILABLE, "Socket closed")]),
            Attempt("page:2", [_page(2)]),
            Attempt("page:3", [_page(3)]),
        ],
        Outcome("complete", IDS),
        method="Paginate",
        fields={"page_size": 3, "page_limit": 1},
    ),
    Scenario(
        "average",
        "A call with one answer is made again as a stream is.",
        [Attempt("", [AWAY]), Attempt("", [_average()])],
        _AVERAGE,
        method="AverageAge",
    ),
    Scenario(
        "running-average",
        "Running figures are resumed with the last token and are whole at the message marked final.",
        [Attempt("", [_running(4), AWAY]), Attempt("ages:4", [_running(7, final=True)])],
        _AVERAGE,
        method="StreamAverageAge",
    ),
    Scenario(
        "running-average-cut-short",
        "Running figures that end OK without a final message are not whole.",
        [Attempt("", [_running(4)])],
        Outcome("integrity"),
        method="StreamAverageAge",
    ),
)
