"""Tables on terminals of 80 and 140 columns: they fit, can be copied, and keep emoji whole; columns can be chosen."""

import json
import os
from pathlib import Path

import pytest
from rich.cells import cell_len
from userstream.v1 import user_service_pb2 as pb
from userstream_client.cli._formats import escaped
from userstream_client.cli._table import TerminalTable, _cut
from userstream_testing.command import plain, run_here, run_on_terminal
from userstream_testing.scripted_server import ScriptedServer, made_users, scan_script

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
CODER = "👩🏽\u200d💻"
WALES = "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
EMOJI = [FAMILY, CODER, WALES, "🇩🇪", "❤️", "1️⃣", "👍🏿"]
NAMES = [
    "Ann",
    "日本語の名前がとても長い場合",
    FAMILY * 20,
    "🇩🇪" * 20,
    "é" * 60,
    "क्षत्रिय",
    "x" * 255,
]
USERS = made_users(len(NAMES))
for user, name in zip(USERS, NAMES, strict=True):
    user.name = name


def table(*options: str, columns: int, folder: Path, users: list[pb.User] = USERS) -> list[str]:
    """Return the lines of `stream` on a terminal."""
    with ScriptedServer(scan_script(users)) as server:
        ran = run_on_terminal(
            *("stream", *options, "--target", server.target), cwd=folder, columns=columns
        )
    assert 0 == ran.code
    return plain(ran.out).splitlines()[: len(users) + 1]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 140])
def test_a_table_fits(columns: int, tmp_path: Path) -> None:
    """No line is wider than the terminal or ends in spaces; keys and ages are whole, and the columns stand in line."""
    lines = table(columns=columns, folder=tmp_path)
    ages = {cell_len(line) for line in lines}

    assert ages == {columns}
    assert [line for line in lines if line.endswith(" ")] == []
    assert [u.user_id for u in USERS] == [line[:36] for line in lines[1:]]
    assert [str(u.age) for u in USERS] == [line.split()[-1] for line in lines[1:]]


@pytest.mark.slow
def test_wide(tmp_path: Path) -> None:
    """--wide cuts nothing: every name can be copied."""
    lines = table("--wide", columns=80, folder=tmp_path)

    assert [name for name, line in zip(NAMES, lines[1:], strict=True) if name not in line] == []


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 140])
def test_partitions_are_never_cut(columns: int, tmp_path: Path) -> None:
    """A token that is longer than the line wraps; what is copied from the terminal is the token."""
    response = pb.PartitionUsersResponse()
    tokens = ["short", "t" * 200]
    for token in tokens:
        response.partitions.add(partition=token, estimated_users=3)
    with ScriptedServer([response]) as server:
        ran = run_on_terminal(
            "partitions", "--target", server.target, cwd=tmp_path, columns=columns
        )

    lines = plain(ran.out).splitlines()
    assert tokens == [line.split()[0] for line in lines[1:]]
    assert ["3", "3"] == [line.split()[1] for line in lines[1:]]


@pytest.mark.slow
def test_columns_on_a_terminal(tmp_path: Path) -> None:
    """Chosen columns get the room of the others."""
    lines = table("--columns", "email,age", columns=80, folder=tmp_path)

    assert ["email", "age"] == lines[0].split()
    assert {80} == {cell_len(line) for line in lines}


def test_columns_in_every_format(tmp_path: Path) -> None:
    """In the order of the option."""
    with ScriptedServer(*[scan_script(made_users(1))] * 4) as server:
        csv, tsv, ndjson, batch = (
            run_here(*words, "--columns", "age, name", "--target", server.target, cwd=tmp_path).out
            for words in (
                ("stream", "--format", "csv"),
                ("stream",),
                ("stream", "--format", "ndjson"),
                ("batch", "--no-header"),
            )
        )

    assert "age,name\n1,Name 1\n" == csv
    assert "age\tname\n1\tName 1\n" == tsv
    assert [("age", 1), ("name", "Name 1")] == list(json.loads(ndjson).items())
    assert "1\tName 1\n" == batch


@pytest.mark.parametrize("columns", ["nope", "age,age", ",", "age,"])
@pytest.mark.parametrize("command", ["stream", "batch", "pages", "partitions"])
def test_wrong_columns(command: str, columns: str, tmp_path: Path) -> None:
    """They are refused before a call is made, with those that exist."""
    with ScriptedServer() as server:
        ran = run_here(command, "--columns", columns, "--target", server.target, cwd=tmp_path)

    assert (2, "", []) == (ran.code, ran.out, server.calls)
    assert ran.err.startswith("userstream: --columns: takes some of ")


def test_no_header(tmp_path: Path) -> None:
    """For what is appended to a file that has one."""
    with ScriptedServer(scan_script(made_users(1)), scan_script([])) as server:
        target = ("--target", server.target)
        some = run_here("stream", "--format", "csv", "--no-header", *target, cwd=tmp_path)
        none = run_here("stream", "--no-header", *target, cwd=tmp_path)

    assert 1 == len(some.out.splitlines())
    assert "" == none.out


@pytest.mark.parametrize("emoji", EMOJI)
def test_emoji_are_whole(emoji: str) -> None:
    """A cut falls between two of them, at every width, and the result is never too wide."""
    text = emoji * 9
    for width in range(1, cell_len(text)):
        cut = _cut(text, width)
        assert cut.endswith("…")
        assert cell_len(cut) <= width
        assert cut[:-1] == emoji * (len(cut[:-1]) // len(emoji))


@pytest.mark.parametrize("emoji", EMOJI)
def test_emoji_are_not_escaped(emoji: str) -> None:
    """Their joiners are not printable by themselves, and yet belong to them."""
    assert f"a {emoji} b" == escaped(f"a {emoji} b")


@pytest.mark.parametrize("bad", ["\u202e", "\x1b", "\u2028", "\U000e0041", "\ufeff", "\x9b", "\n"])
def test_what_steers_a_terminal_is_escaped(bad: str) -> None:
    """Also beside emoji: overrides of the direction, tags without a flag, control characters."""
    shown = escaped(f"{FAMILY}{bad}{CODER}")

    assert bad not in shown
    assert shown.startswith(FAMILY + "\\")
    assert shown.endswith(CODER)


def test_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing fits, keys still are whole."""
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((20, 5)))
    TerminalTable(("user_id", "name"), wide=False, heading=False).write([("k" * 36, "n" * 30)])

    assert f"{'k' * 36}  {'n' * 7}…\n" == capsys.readouterr().out
