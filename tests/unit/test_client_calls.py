"""The calls other than streams of users, and what the requests hold."""

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from userstream.v1 import user_service_pb2 as pb
from userstream_client import (
    AgeCount,
    AsyncUserStreamClient,
    AverageAge,
    Consistency,
    HealthStatus,
    IncompleteStreamError,
    OutOfOrderError,
    Partition,
    UnavailableError,
    UserFilter,
    UserStreamClient,
)
from userstream_testing.client_runs import QUICK
from userstream_testing.scripted_server import (
    Fail,
    ScriptedServer,
    made_users,
    scan_script,
)

AWAY = Fail(grpc.StatusCode.UNAVAILABLE, "away", reason="DATABASE_AWAY")
USERS = made_users(5)
PAGES = [
    pb.PaginateResponse(users=USERS[:2], next_page_token="after:2", page_number=1),
    pb.PaginateResponse(users=USERS[2:4], next_page_token="after:4", page_number=2),
    pb.PaginateResponse(users=USERS[4:], page_number=3),
]


def test_pages_are_asked_for_one_at_a_time() -> None:
    """No call is made before the first page is asked for, nor one ahead of the caller."""
    with (
        ScriptedServer(*[[page] for page in PAGES]) as server,
        UserStreamClient(server.target) as client,
    ):
        pages = client.lazy_paginate(2)
        counts = [len(server.calls)]
        counts += [len(server.calls) for _ in pages]

    assert [0, 1, 2, 3] == counts
    assert ["", "after:2", "after:4"] == [call.request.page_token for call in server.calls]
    assert {1} == {call.request.page_limit for call in server.calls}


def test_pages_hold_what_the_server_sent() -> None:
    """Users, numbers and tokens, and a page that failed is asked for again."""
    with (
        ScriptedServer([PAGES[0]], [AWAY], [PAGES[1]], [PAGES[2]]) as server,
        UserStreamClient(server.target, resume=QUICK) as client,
    ):
        pages = list(client.lazy_paginate(2, offset=3))

    assert [1, 2, 3] == [page.page_number for page in pages]
    assert ["after:2", "after:4", ""] == [page.next_page_token for page in pages]
    assert [u.user_id for u in USERS] == [u.user_id for page in pages for u in page.users]
    assert [3, 0, 0, 0] == [call.request.offset for call in server.calls]


def test_page_limit() -> None:
    """No more pages are asked for than the caller allows."""
    with (
        ScriptedServer(*[[page] for page in PAGES]) as server,
        UserStreamClient(server.target) as client,
    ):
        pages = list(client.lazy_paginate(2, page_limit=2))

    assert (2, 2) == (len(pages), len(server.calls))


@pytest.mark.parametrize(
    ("second", "error"),
    [([], IncompleteStreamError), ([PAGES[0]], OutOfOrderError)],
    ids=["none", "doubled"],
)
def test_pages_are_verified(second: list[Any], error: type[Exception]) -> None:
    """A page that does not come, or comes twice, is an error."""
    with (
        ScriptedServer([PAGES[0]], second) as server,
        UserStreamClient(server.target) as client,
        pytest.raises(error),
    ):
        list(client.lazy_paginate(2))


def test_average_age_with_histogram() -> None:
    """Exact integers and bars; a server that is away is asked again."""
    response = pb.AverageAgeResponse(average_age=2.5, user_count=2, age_sum=5)
    response.histogram.add(age=2, user_count=1)
    response.histogram.add(age=3, user_count=1)
    with (
        ScriptedServer([AWAY], [response]) as server,
        UserStreamClient(server.target, resume=QUICK) as client,
    ):
        figures = client.average_age(include_histogram=True)

    assert AverageAge(2, 5, (AgeCount(2, 1), AgeCount(3, 1))) == figures
    assert server.calls[1].request.include_histogram


def running(count: int, total: int, *, final: bool = False) -> pb.StreamAverageAgeResponse:
    return pb.StreamAverageAgeResponse(
        user_count=count, age_sum=total, resume_token=f"after:{count}", final=final
    )


def test_running_average_goes_on_from_its_token() -> None:
    """The sum so far is in the token; the caller sees figures that only grow."""
    with (
        ScriptedServer(
            [running(2, 50), AWAY], [running(4, 90), running(5, 99, final=True)]
        ) as server,
        UserStreamClient(server.target, resume=QUICK) as client,
    ):
        steps = list(client.stream_average_age())

    assert [(2, "25.00"), (4, "22.50"), (5, "19.80")] == [(s.user_count, s.text) for s in steps]
    assert [False, False, True] == [step.final for step in steps]
    assert ["", "after:2"] == [call.request.resume_token for call in server.calls]


def test_running_average_without_its_end() -> None:
    """Figures that are not final are not passed off as final."""
    with (
        ScriptedServer([running(2, 50)]) as server,
        UserStreamClient(server.target) as client,
        pytest.raises(IncompleteStreamError),
    ):
        list(client.stream_average_age())


def test_partitions() -> None:
    """Names and estimates, in the server's order."""
    response = pb.PartitionUsersResponse()
    response.partitions.add(partition="a", estimated_users=3)
    response.partitions.add(partition="b", estimated_users=4)
    with ScriptedServer([response]) as server, UserStreamClient(server.target) as client:
        found = client.partitions(2, UserFilter(age_over=30))

    assert [Partition("a", 3), Partition("b", 4)] == found
    assert (2, 30) == (
        server.calls[0].request.partition_count,
        server.calls[0].request.filter.age_over,
    )


def test_requests_hold_every_option() -> None:
    """Each argument of a stream reaches its field, and an unset one stays unset."""
    with (
        ScriptedServer(scan_script([]), scan_script([])) as server,
        UserStreamClient(server.target) as client,
    ):
        where = UserFilter(age_up_to=0, name_prefix="A", email_domain="example.com")
        list(
            client.stream_users(
                where,
                limit=9,
                partition="p",
                consistency=Consistency.SNAPSHOT,
                max_users_per_message=1,
            )
        )
        list(client.batch_users(500))

    expected = pb.StreamUsersRequest(
        filter=pb.UserFilter(age_up_to=0, name_prefix="A", email_domain="example.com"),
        limit=9,
        partition="p",
        consistency=pb.CONSISTENCY_SNAPSHOT,
        max_users_per_message=1,
    )
    assert expected == server.calls[0].request
    assert (500, False) == (
        server.calls[1].request.batch_size,
        server.calls[1].request.HasField("filter"),
    )


def test_consistency_may_be_its_word() -> None:
    """A caller without a type checker gets what the word says; another word is refused at once."""
    with ScriptedServer(scan_script([])) as server, UserStreamClient(server.target) as client:
        list(client.stream_users(consistency="snapshot"))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="'frozen' is not a valid Consistency"):
            client.stream_users(consistency="frozen")  # type: ignore[arg-type]

    assert pb.CONSISTENCY_SNAPSHOT == server.calls[0].request.consistency


def test_health() -> None:
    """Both names are asked for; one that the server does not know is said to be so."""
    servicer = health.HealthServicer()
    with ScriptedServer() as server:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server.server)
        servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        with UserStreamClient(server.target) as client:
            before = client.health()
            servicer.set("userstream.v1.UserService", health_pb2.HealthCheckResponse.SERVING)
            after = client.health()

    assert (HealthStatus.SERVING, HealthStatus.SERVICE_UNKNOWN) == (before.server, before.service)
    assert (False, True) == (before.serving, after.serving)


def test_health_of_nobody() -> None:
    """A server that is not there is not asked twice."""
    with ScriptedServer() as server:
        target = server.target
    with UserStreamClient(target) as client, pytest.raises(UnavailableError):
        client.health()


def test_the_asyncio_client_has_the_same_calls() -> None:
    """Pages, averages, partitions and health, awaited."""
    servicer = health.HealthServicer()
    servicer.set("userstream.v1.UserService", health_pb2.HealthCheckResponse.NOT_SERVING)
    scripts: list[list[Any]] = [
        *[[page] for page in PAGES],
        [AWAY],
        [pb.AverageAgeResponse(user_count=2, age_sum=5)],
        [running(2, 50), AWAY],
        [running(5, 99, final=True)],
        [pb.PartitionUsersResponse(partitions=[pb.Partition(partition="a")])],
    ]

    async def ask(target: str) -> list[Any]:
        async with AsyncUserStreamClient(target, resume=QUICK) as client:
            return [
                [page.page_number async for page in client.lazy_paginate(2)],
                (await client.average_age()).text,
                [step.text async for step in client.stream_average_age()],
                await client.partitions(1),
                (await client.health()).service,
            ]

    with ScriptedServer(*scripts) as server:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server.server)
        answers = asyncio.run(ask(server.target))

    expected = [
        [1, 2, 3],
        "2.50",
        ["25.00", "19.80"],
        [Partition("a", 0)],
        HealthStatus.NOT_SERVING,
    ]
    assert expected == answers
