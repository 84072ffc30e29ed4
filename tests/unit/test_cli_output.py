"""What the commands print, in which format and where; real processes against a real port."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from userstream.v1 import user_service_pb2 as pb
from userstream_testing.command import run, run_on_terminal
from userstream_testing.scripted_server import (
    Fail,
    ScriptedServer,
    made_users,
    messages_of,
    scan_script,
)

pytestmark = pytest.mark.slow  # starts a process per test

USERS = made_users(5)
AWKWARD = [
    'Ann "Quote", O\'Neil',
    "line\nfeed",
    "carriage\rreturn",
    "nul\0 tab\t",
    "\x1b[31mred",
    "Zoë 🦊 \u2028 日本",
    "=1+1",
    "[bold]markup[/bold]",
    "",
]
ODD = made_users(len(AWKWARD))
for user, name in zip(ODD, AWKWARD, strict=True):
    user.name = name


def rows(users: list[pb.User]) -> list[tuple[str, str, str, str]]:
    return [(u.user_id, u.name, u.email, str(u.age)) for u in users]


def test_stream_as_csv(tmp_path: Path) -> None:
    """A heading and a row a user; a CSV reader gets every value back, the awkward ones too."""
    with ScriptedServer(scan_script(ODD)) as server:
        ran = run("stream", "--format", "csv", "--target", server.target, cwd=tmp_path)

    found = list(csv.reader(io.StringIO(ran.out, newline="")))
    assert (0, "") == (ran.code, ran.err)
    assert ["user_id", "name", "email", "age"] == found[0]
    assert rows(ODD) == [tuple(row) for row in found[1:]]


def test_csv_quotes_only_where_needed(tmp_path: Path) -> None:
    """Ordinary rows stay as plain as they can be."""
    with ScriptedServer(scan_script(USERS[:1])) as server:
        ran = run("stream", "--format", "csv", "--target", server.target, cwd=tmp_path)

    assert f"user_id,name,email,age\n{USERS[0].user_id},Name 1,user1@example.com,1\n" == ran.out


def test_stream_as_ndjson(tmp_path: Path) -> None:
    """One object a line, in UTF-8 rather than escapes."""
    with ScriptedServer(scan_script(ODD)) as server:
        ran = run("stream", "--format", "ndjson", "--target", server.target, cwd=tmp_path)

    found = [json.loads(line) for line in ran.out.split("\n") if line]
    assert rows(ODD) == [(u["user_id"], u["name"], u["email"], str(u["age"])) for u in found]
    assert "Zoë 🦊" in ran.out


def test_a_table_in_a_pipe_is_tab_separated(tmp_path: Path) -> None:
    """No box and no colour; four fields a line whatever the names hold."""
    with ScriptedServer(scan_script(ODD)) as server:
        ran = run("stream", "--target", server.target, cwd=tmp_path)

    lines = ran.out.removesuffix("\n").split("\n")
    assert {4} == {len(line.split("\t")) for line in lines}
    assert len(ODD) + 1 == len(lines)
    assert "\x1b" not in ran.out
    assert r"\x1b[31mred" in ran.out


def test_a_table_on_a_terminal(tmp_path: Path) -> None:
    """Aligned, with a line about the receipt; names neither steer the terminal nor rich."""
    with ScriptedServer(scan_script(ODD)) as server:
        ran = run_on_terminal("stream", "--target", server.target, cwd=tmp_path)

    assert 0 == ran.code
    assert "\x1b[31m" not in ran.out
    assert "[bold]markup[/bold]" in ran.out
    assert f"{len(ODD)} users, all accounted for" in ran.out


def test_output_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    """A name that the locale cannot write is no reason to fail."""
    with ScriptedServer(scan_script(ODD)) as server:
        ran = run(
            "stream",
            "--format",
            "csv",
            "--target",
            server.target,
            cwd=tmp_path,
            PYTHONIOENCODING="ascii",
        )

    assert (0, True) == (ran.code, "Zoë 🦊" in ran.out)


def test_batches_are_numbered(tmp_path: Path) -> None:
    """Each row names its batch, and --batch-size is what is asked for."""
    with ScriptedServer(scan_script(USERS, per_message=2)) as server:
        ran = run("batch", "--batch-size", "2", "--target", server.target, cwd=tmp_path)

    assert ["batch", "1", "1", "2", "2", "3"] == [x.split("\t")[0] for x in ran.out.splitlines()]
    assert 2 == server.calls[0].request.batch_size


def test_pages_say_how_to_go_on(tmp_path: Path) -> None:
    """Data on stdout, the token of the next page on stderr, and none at the end."""
    first = pb.PaginateResponse(users=USERS[:2], next_page_token="after:2", page_number=1)
    last = pb.PaginateResponse(users=USERS[2:4], page_number=2)
    with ScriptedServer([first], [last]) as server:
        one = run("pages", "--page-limit", "1", "--target", server.target, cwd=tmp_path)
        two = run("pages", "--page-token", "after:2", "--target", server.target, cwd=tmp_path)

    assert ("more with: --page-token after:2\n", "") == (one.err, two.err)
    assert ["page", "1", "1"] == [line.split("\t")[0] for line in one.out.splitlines()]
    assert ["page", "2", "2"] == [line.split("\t")[0] for line in two.out.splitlines()]


def final(count: int, total: int) -> list[Any]:
    return [pb.StreamAverageAgeResponse(user_count=count, age_sum=total, final=True)]


def test_average_age(tmp_path: Path) -> None:
    """Exactly one line with two decimals; a clear one, and no failure, where there is nobody."""
    with ScriptedServer(final(100, 6238), final(0, 0)) as server:
        some = run("average-age", "--target", server.target, cwd=tmp_path)
        none = run("average-age", "--age-over", "200", "--target", server.target, cwd=tmp_path)

    assert (0, "Average age of users: 62.38\n", "") == (some.code, some.out, some.err)
    assert (0, "Average age of users: none, as no user matches\n") == (none.code, none.out)
    assert 200 == server.calls[1].request.filter.age_over


def test_histogram(tmp_path: Path) -> None:
    """A line an age, behind the average."""
    response = pb.AverageAgeResponse(user_count=3, age_sum=7)
    response.histogram.add(age=2, user_count=2)
    response.histogram.add(age=3, user_count=1)
    with ScriptedServer([response]) as server:
        ran = run("average-age", "--histogram", "--target", server.target, cwd=tmp_path)

    assert "Average age of users: 2.33\n2\t2\n3\t1\n" == ran.out


def test_partitions(tmp_path: Path) -> None:
    """Names and estimates, for scripts to take apart."""
    response = pb.PartitionUsersResponse()
    response.partitions.add(partition="abc", estimated_users=3)
    with ScriptedServer([response]) as server:
        ran = run("partitions", "--count", "4", "--target", server.target, cwd=tmp_path)

    assert "partition\testimated_users\nabc\t3\n" == ran.out
    assert 4 == server.calls[0].request.partition_count


@pytest.mark.parametrize(
    ("status", "line", "code"), [("SERVING", "SERVING\n", 0), ("NOT_SERVING", "NOT_SERVING\n", 1)]
)
def test_health(tmp_path: Path, status: str, line: str, code: int) -> None:
    """One word, and an exit code for probes."""
    servicer = health.HealthServicer()
    for name in ("", "userstream.v1.UserService"):
        servicer.set(name, health_pb2.HealthCheckResponse.ServingStatus.Value(status))
    with ScriptedServer() as server:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server.server)
        ran = run("health", "--target", server.target, cwd=tmp_path)

    assert (code, line, "") == (ran.code, ran.out, ran.err)


def test_interruptions_are_not_seen(tmp_path: Path) -> None:
    """A stream that had to be resumed prints what any other prints."""
    away = Fail(grpc.StatusCode.UNAVAILABLE, reason="DATABASE_AWAY")
    with ScriptedServer(
        scan_script(USERS, away, messages=1), scan_script(USERS), scan_script(USERS)
    ) as server:
        broken = run("stream", "--target", server.target, cwd=tmp_path)
        whole = run("stream", "--target", server.target, cwd=tmp_path)

    assert broken == whole


def test_every_option_reaches_the_request(tmp_path: Path) -> None:
    """Filter, limit, partition, consistency and token of the command are those of the call."""
    with ScriptedServer(messages_of([])) as server:
        options = (
            "--age-over 1 --age-up-to 2 --name-prefix A --email-domain example.com --limit 3"
            " --partition p --consistency snapshot --resume-token t"
        )
        run("stream", *options.split(), "--target", server.target, cwd=tmp_path)

    expected = pb.StreamUsersRequest(
        filter=pb.UserFilter(age_over=1, age_up_to=2, name_prefix="A", email_domain="example.com"),
        limit=3,
        partition="p",
        consistency=pb.CONSISTENCY_SNAPSHOT,
        resume_token="t",
    )
    assert expected == server.calls[0].request
