"""Progress: a bar with rate, time left and resumes on a terminal, and a mark behind what is verified; else nothing."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client.cli._progress import Pace, shown_progress
from userstream_testing.command import plain, read_terminal, run, start_on_terminal
from userstream_testing.scripted_server import (
    Fail,
    ScriptedServer,
    Step,
    made_users,
    messages_of,
    scan_script,
)

USERS = made_users(40)
AWAY = Fail(grpc.StatusCode.UNAVAILABLE, reason="DATABASE_AWAY")


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pace() -> None:
    """Users before the first note do not count, so that an export that is resumed is not said to be quick."""
    pace = Pace(clock := Clock())
    pace.add(1_000_000)
    clock.now = 2.0
    pace.add(1_000_200)

    assert 100 == pace.rate()
    assert 10 == pace.seconds_left(1000)


def test_a_pause_brings_the_pace_down() -> None:
    """What is shown is of the last ten seconds, also while nothing comes."""
    pace = Pace(clock := Clock())
    pace.add(0)
    clock.now = 1.0
    pace.add(100)
    rates = []
    for clock.now in (1.0, 5.0, 30.0):
        rates.append(pace.rate())

    assert [100, 20, 0] == rates
    assert pace.seconds_left(10) is None


def test_an_old_burst_is_forgotten() -> None:
    """The rate goes by the window, not by the whole run."""
    pace = Pace(clock := Clock())
    pace.add(0)
    for second in range(1, 31):
        clock.now = float(second)
        pace.add(1_000_000 + second * 10)

    assert 10 == round(pace.rate())


def test_nothing_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard error is no terminal, nothing is written."""
    with shown_progress("reading") as bar:
        bar.update(1, 2, 3)
        bar.phase("writing")

    assert ("", "") == capsys.readouterr()


class Slow(list[Step]):
    """Steps with a pause after each."""

    def __iter__(self) -> Iterator[Step]:
        for step in super().__iter__():
            yield step
            time.sleep(0.12)


def slow_script(first: int = 0, last: int = 10) -> Slow:
    """Return some of ten messages of four users each, with the estimates of a scan of 40."""
    messages = messages_of(USERS, per_message=4)
    for message in messages:
        message.progress.estimated_users = 40
        message.progress.fraction = message.progress.users_sent / 40
    messages[-1].receipt.resumed_count = int(first > 0)
    return Slow(messages[first:last])


def shown_by(*arguments: str, folder: Path, columns: int, stdout: Path | None = None) -> str:
    """Return what a command shows on its terminal."""
    if stdout is None:
        ours, process = start_on_terminal(*arguments, cwd=folder, columns=columns)
    else:
        with stdout.open("wb") as out:
            ours, process = start_on_terminal(
                *arguments, cwd=folder, columns=columns, stdout=out.fileno()
            )
    shown = plain(read_terminal(ours))
    assert 0 == process.wait(60), shown[-300:]
    return shown


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize("command", ["stream", "batch", "export", "export -"])
def test_a_bar(command: str, columns: int, tmp_path: Path) -> None:
    """Users of all, rate, time left and resumes, in one line; then the mark, the count and the rate of the whole."""
    broken = Slow([*slow_script(0, 4), AWAY])
    output = ("--output", "users.csv") if command == "export" else ("--output", "-")
    arguments = (command.split(maxsplit=1)[0], *(output if "export" in command else ()))
    with ScriptedServer(broken, slow_script(4)) as server:
        shown = shown_by(
            *(*arguments, "--target", server.target),
            folder=tmp_path,
            columns=columns,
            stdout=tmp_path / "stdout",
        )

    lines = [line.strip("\r\n") for line in shown.replace("\r", "\n").splitlines()]
    figures = [line for line in lines if "/s, " in line and " left" in line]
    assert any(" of 40, " in line for line in figures), shown
    assert any("resumed 1x" in line for line in figures), shown
    assert any("0:00:0" in line for line in figures), shown
    assert {True} == {len(line) <= columns for line in lines}
    assert lines[-1].startswith("✓ 40 users, all accounted for"), shown
    assert "resumed once (" in lines[-1]
    file = tmp_path / ("users.csv" if command == "export" else "stdout")
    assert 41 == len(file.read_text().splitlines())


@pytest.mark.slow
def test_a_bar_of_average_age(tmp_path: Path) -> None:
    """The same bar; the result alone is on standard output."""
    steps = Slow()
    for count in (10, 20, 30):
        step = pb.StreamAverageAgeResponse(user_count=count, age_sum=count, resume_token="t")
        step.progress.estimated_users = 40
        steps.append(step)
    steps.append(pb.StreamAverageAgeResponse(user_count=40, age_sum=40, final=True))
    with ScriptedServer(steps) as server:
        shown = shown_by("average-age", "--target", server.target, folder=tmp_path, columns=80)

    assert " of 40, " in shown
    assert "Average age of users: 1.00\n" in shown


@pytest.mark.slow
def test_no_bar_beside_a_table(tmp_path: Path) -> None:
    """Rows that go to the same terminal show the progress themselves."""
    with ScriptedServer(slow_script()) as server:
        shown = shown_by("stream", "--target", server.target, folder=tmp_path, columns=140)

    assert " left" not in shown
    assert "✓ 40 users, all accounted for (" in shown


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("export", "--output", "users.csv"), ("stream",)])
def test_a_pipe_of_stderr(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """A log gets nothing of it, however slow the command is."""
    with ScriptedServer(slow_script()) as server:
        ran = run(*arguments, "--target", server.target, cwd=tmp_path)

    assert (0, "") == (ran.code, ran.err)


@pytest.mark.slow
def test_a_resumed_export(tmp_path: Path) -> None:
    """The bar begins at what is kept, and what is kept counts for no rate."""
    with ScriptedServer(
        scan_script(USERS, AWAY, messages=5, per_message=4), slow_script(5)
    ) as server:
        options = ("export", "--output", "users.csv", "--target", server.target)
        first = run(*options, "--no-resume", cwd=tmp_path)
        shown = shown_by(*options, "--no-resume", "--resume", folder=tmp_path, columns=100)

    assert 1 == first.code
    assert "resumed 1x" in shown
    assert "✓ 40 users, all accounted for, in users.csv, resumed once (" in shown


@pytest.mark.slow
def test_bars_do_not_swallow_output(tmp_path: Path) -> None:
    """What is printed while a bar is shown goes to standard output, not to the terminal of the bar."""
    program = (
        "from userstream_client.cli._progress import shown_progress\n"
        "import sys, time\n"
        "with shown_progress('reading') as bar:\n"
        "    bar.update(1, 2)\n"
        "    print('data', flush=True)\n"
        "    time.sleep(0.3)\n"
    )
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=theirs, cwd=tmp_path
    )
    os.close(theirs)
    shown = read_terminal(ours)
    out, _ = process.communicate(timeout=30)

    assert b"data\n" == out
    assert "reading" in shown
    assert "data" not in shown
