"""Help, completion, version, and the options before the command."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from userstream_client.cli import app
from userstream_testing.command import (
    COMMAND,
    clean_environment,
    plain,
    run,
    run_here,
    run_on_terminal,
)
from userstream_testing.scripted_server import ScriptedServer, made_users, scan_script

COMMANDS = [command.name or "" for command in app.registered_commands]
USERS = made_users(2)
PROGRAMS = ("userstream_server", "userstream_conformance")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_examples(command: str, tmp_path: Path) -> None:
    """Every command shows some; each names a command and options that exist; no line is too long for 80 columns."""
    ran = run_here(*command.split(), "-h", cwd=tmp_path, COLUMNS="80")
    examples = re.findall(r"^ +\$ (userstream .*)$", ran.out, re.MULTILINE)

    assert (0, "") == (ran.code, ran.err)
    assert examples
    assert [] == [line for line in ran.out.splitlines() if len(line) > 80]
    for example in examples:
        words = shlex.split(example, comments=True)
        assert set(words) & set(COMMANDS) or "--show-completion" in words, example
        assert not command or command in words or "stream" in words, example


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_examples_exist(command: str, tmp_path: Path) -> None:
    """Every option in a command's own examples is in its help."""
    shown = run_here(command, "-h", cwd=tmp_path, COLUMNS="200").out
    options, _, examples = shown.partition("Examples:")
    own = [line for line in examples.splitlines() if f"userstream {command} " in line]

    assert [] == [o for o in re.findall(r"--[\w-]+", " ".join(own)) if o not in options]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 140])
def test_help_on_a_terminal(columns: int, tmp_path: Path) -> None:
    """Boxes there, plain text elsewhere; options are grouped, and the examples have a line each."""
    shown = plain(run_on_terminal("stream", "--help", cwd=tmp_path, columns=columns).out)
    piped = run("stream", "--help", cwd=tmp_path).out

    assert ("╭─ Filter " in shown, "╭" in piped) == (True, False)
    assert "\n $ userstream stream --limit 10 " in shown
    assert {columns} == {len(line) for line in shown.splitlines() if line.startswith("╭")}


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, tmp_path: Path) -> None:
    """What a package installs: one script a shell, without a question of which one is running."""
    ran = run(cwd=tmp_path, _USERSTREAM_COMPLETE=f"source_{shell}")

    assert (0, "") == (ran.code, ran.err)
    assert f"complete_{shell}" in ran.out


@pytest.mark.slow
def test_completion_in_bash(tmp_path: Path) -> None:
    """A real shell with the script of --show-completion completes commands, options, values and profiles."""
    (tmp_path / "userstream").mkdir()
    (tmp_path / "userstream/config.toml").write_text("[profile.prod]\n[profile.dev]\n")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/userstream"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    script = (
        'PATH="$PWD/bin:$PATH"; eval "$(userstream --show-completion)"\n'
        'complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_userstream_completion userstream; echo "${COMPREPLY[@]}"; }\n'
        "complete_it userstream ver\n"
        "complete_it userstream stream --consis\n"
        'complete_it userstream stream --consistency ""\n'
        "complete_it userstream --profile p\n"
    )
    ran = subprocess.run(
        ["bash", "--norc"],
        input=script,
        cwd=tmp_path,
        env=clean_environment(XDG_CONFIG_HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "verify\n--consistency\nlive snapshot\nprod\n" == ran.stdout, ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("option", ["-h", "--version"])
def test_every_program_has_help_and_version(program: str, option: str) -> None:
    """Not only the client."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", program, option],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    name = program.replace("_", "-")

    assert (0, "") == (ran.returncode, ran.stderr)
    assert ran.stdout.lower().startswith(f"usage: {name}" if option == "-h" else f"{name} ")


def test_the_target_before_the_command(tmp_path: Path) -> None:
    """It counts for the command; the command's own --target goes before it."""
    with ScriptedServer(scan_script(USERS), scan_script(USERS)) as server:
        one = run_here("--target", server.target, "stream", cwd=tmp_path)
        two = run_here("--target", "nowhere:1", "stream", "--target", server.target, cwd=tmp_path)

    assert (0, 3) == (one.code, len(one.out.splitlines()))
    assert one == two


def test_a_profile_and_a_token_file(tmp_path: Path) -> None:
    """--profile names the server and its token; --token-file goes before both; an export uses them all the way."""
    (tmp_path / "userstream").mkdir()
    (tmp_path / "mine.token").write_text("mine\n")
    with ScriptedServer(*[scan_script(USERS)] * 3) as server:
        (tmp_path / "userstream/config.toml").write_text(
            f'[profile.test]\ntarget = "{server.target}"\ntoken = "theirs"\n'
        )
        home = str(tmp_path)
        one = run_here("--profile", "test", "stream", cwd=tmp_path, XDG_CONFIG_HOME=home)
        two = run_here(
            *("--profile", "test", "--token-file", "mine.token", "export"),
            *("--output", "users.csv", "--manifest"),
            cwd=tmp_path,
            XDG_CONFIG_HOME=home,
        )
        tokens = [dict(call.metadata)["authorization"] for call in server.calls]

    assert (0, 0) == (one.code, two.code)
    assert ["Bearer theirs", "Bearer mine", "Bearer mine"] == tokens


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--profile", "nope"), "profiles: "),
        (("--token-file", "nope"), "--token-file: cannot read nope; takes a readable text file"),
    ],
)
def test_bad_global_options_exit_2(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    """One line, and no call is made."""
    ran = run_here(*options, "stream", cwd=tmp_path, XDG_CONFIG_HOME=str(tmp_path))

    assert (2, "", 1) == (ran.code, ran.out, len(ran.err.splitlines()))
    assert ran.err.startswith(words)
