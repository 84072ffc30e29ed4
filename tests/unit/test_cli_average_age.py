"""`average-age`: a plot on a terminal, figures while they grow, JSON."""

import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from userstream.v1 import user_service_pb2 as pb
from userstream_client.cli._plot import plotted
from userstream_client.models import AgeCount
from userstream_testing.command import plain, run_here, run_on_terminal
from userstream_testing.scripted_server import ScriptedServer


def histogram(*counts: tuple[int, int]) -> pb.AverageAgeResponse:
    """Return an answer with so many users of each age."""
    answer = pb.AverageAgeResponse(
        user_count=sum(n for _, n in counts), age_sum=sum(age * n for age, n in counts)
    )
    for age, users in counts:
        answer.histogram.add(age=age, user_count=users)
    return answer


def steps() -> list[pb.StreamAverageAgeResponse]:
    """Return the figures of a scan in three messages."""
    found = [
        pb.StreamAverageAgeResponse(
            user_count=n, age_sum=20 * n, resume_token=f"t{n}", final=n == 3
        )
        for n in (1, 2, 3)
    ]
    for step in found:
        step.progress.fraction = step.user_count / 3
    return found


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 140])
def test_a_plot_on_a_terminal(columns: int, tmp_path: Path) -> None:
    """The longest bar ends at the last column; groups without users are there too, and few rows for many ages."""
    answer = histogram(*[(age, age * 100) for age in range(20, 100) if not 40 <= age < 50])
    with ScriptedServer([answer]) as server:
        ran = run_on_terminal(
            *("average-age", "--histogram", "--target", server.target),
            cwd=tmp_path,
            columns=columns,
        )

    heading, *lines = plain(ran.out).splitlines()
    assert (0, True) == (ran.code, heading.startswith("Average age of users: "))
    assert columns == max(cell_len(line) for line in lines) == cell_len(lines[-1])
    assert ["20-24", "40-44", "95-99"] == [lines[i].split()[0] for i in (0, 4, 15)]
    assert ["0"] == lines[4].split()[1:]
    assert "█" in lines[-1]


def test_a_line_an_age_in_a_pipe(tmp_path: Path) -> None:
    """For programs, exact and in the order of ages."""
    with ScriptedServer([histogram((2, 2), (300, 1))]) as server:
        ran = run_here("average-age", "--histogram", "--target", server.target, cwd=tmp_path)

    assert "Average age of users: 101.33\n2\t2\n300\t1\n" == ran.out


@pytest.mark.parametrize(
    ("ages", "rows", "first"),
    [
        ([5], 1, "5"),
        ([0, 29], 30, "0"),
        ([0, 30], 16, "0-1"),
        ([-7, 120], 27, "-10 to -6"),
        ([0, 10**9], 21, "0-49999999"),
    ],
)
def test_groups(ages: list[int], rows: int, first: str) -> None:
    """Thirty rows at most, whatever the ages are, in round numbers of years."""
    lines = list(plotted([AgeCount(age, 1) for age in ages], 80, blocks=True))

    assert (rows, first) == (len(lines), lines[0].strip().partition("  ")[0])


def test_bars_have_eighths() -> None:
    """A bar is as long as its share, to an eighth of a column; without block characters, to a column."""
    counts = [AgeCount(1, 80), AgeCount(2, 1), AgeCount(3, 40)]

    assert ["1  80 " + "█" * 10, "2   1 ▏", "3  40 █████"] == list(plotted(counts, 16, blocks=True))
    assert ["1  80 ##########", "2   1", "3  40 #####"] == list(plotted(counts, 16, blocks=False))


def test_watch(tmp_path: Path) -> None:
    """A line for each message of the stream, and the result as the last."""
    with ScriptedServer(steps()) as server:
        ran = run_here("average-age", "--watch", "--target", server.target, cwd=tmp_path)

    assert (0, "") == (ran.code, ran.err)
    assert [
        "1 users 33% average 20.00",
        "2 users 67% average 20.00",
        "Average age of users: 20.00",
    ] == [" ".join(line.split()) for line in ran.out.splitlines()]


def test_json(tmp_path: Path) -> None:
    """One object; with --watch one a line, of which the last is final; null where there is nobody."""
    nobody = pb.StreamAverageAgeResponse(final=True)
    with ScriptedServer(steps(), steps(), [nobody], [histogram((2, 2))]) as server:
        options = ("average-age", "--format", "json", "--target", server.target)
        one, watched, none, bars = (
            [json.loads(line) for line in run_here(*options, *more, cwd=tmp_path).out.splitlines()]
            for more in ((), ("--watch",), (), ("--histogram",))
        )

    whole = {"average_age": 20.0, "user_count": 3, "age_sum": 60, "final": True}
    assert [whole] == one
    assert [False, False, True] == [figures["final"] for figures in watched]
    assert whole == watched[-1]
    assert [None] == [figures["average_age"] for figures in none]
    assert [{"age": 2, "user_count": 2}] == bars[0]["histogram"]


@pytest.mark.parametrize("option", [("--watch",), ("--resume-token", "t")])
def test_what_does_not_go_with_a_histogram(option: tuple[str, ...], tmp_path: Path) -> None:
    """It comes in one answer, without figures on the way."""
    with ScriptedServer() as server:
        ran = run_here(
            "average-age", "--histogram", *option, "--target", server.target, cwd=tmp_path
        )

    assert (2, []) == (ran.code, server.calls)
    assert f"{option[0]} does not go with --histogram: leave one out" in ran.err
