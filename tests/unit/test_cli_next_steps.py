"""Errors that say the next step, each for what went wrong; exit codes that are the same in all commands."""

import os
import socket
import subprocess
import threading
from pathlib import Path

import grpc
import pytest
from userstream_client.cli import app
from userstream_testing.certificates import Authority
from userstream_testing.command import COMMAND, Ran, clean_environment, run, run_here
from userstream_testing.scripted_server import Fail, ScriptedServer, made_users, scan_script
from userstream_testing.server_process import serving

REFUSED = Fail(grpc.StatusCode.UNAUTHENTICATED, "Send one of …", reason="TOKEN_REFUSED")
COMMANDS = [command.name or "" for command in app.registered_commands]


def stream(target: str, folder: Path, *options: str, **settings: str) -> Ran:
    return run_here("stream", "--no-resume", "--target", target, *options, cwd=folder, **settings)


@pytest.mark.slow
def test_no_token_is_told_from_a_wrong_one(tmp_path: Path) -> None:
    """A real server with tokens: what was sent, and from where, decides about the next step."""
    (tmp_path / "tokens").write_text("the-right-token-of-some-length\n")
    (tmp_path / "tokens").chmod(0o600)
    (tmp_path / "wrong").write_text("wrong\n")
    (tmp_path / "right").write_text("the-right-token-of-some-length\n")
    url = f"sqlite:///{tmp_path}/users.db"
    with serving(url, tmp_path, AUTH_TOKENS_FILE=tmp_path / "tokens") as server:
        none = stream(server.target, tmp_path)
        setting = stream(server.target, tmp_path, USERSTREAM_TOKEN="wrong")
        file = stream(server.target, tmp_path, USERSTREAM_TOKEN_FILE="wrong")
        option = run_here(
            "--token-file", "wrong", "stream", "--target", server.target, cwd=tmp_path
        )
        right = run_here(
            *("--token-file", "right", "--target", server.target, "stream", "--limit", "1"),
            cwd=tmp_path,
        )

    assert [1, 1, 1, 1, 0] == [ran.code for ran in (none, setting, file, option, right)]
    assert none.err == (
        "userstream: the server requires a token, and none was sent;"
        " set USERSTREAM_TOKEN, or use --token-file FILE\n"
    )
    refusal = (
        "userstream: the server refuses the token of {}; ask its operator for one of its tokens\n"
    )
    assert refusal.format("USERSTREAM_TOKEN") == setting.err
    assert refusal.format("wrong (token file)") == file.err
    assert refusal.format("--token-file wrong") == option.err


def test_a_token_in_a_profile(tmp_path: Path) -> None:
    """The profile's token is meant where the profile has one."""
    (tmp_path / "userstream").mkdir()
    (tmp_path / "userstream/config.toml").write_text('[profile.p]\ntoken = "wrong"\n')
    with ScriptedServer([REFUSED]) as server:
        ran = run_here(
            *("--profile", "p", "--target", server.target, "stream"),
            cwd=tmp_path,
            XDG_CONFIG_HOME=str(tmp_path),
        )

    assert "the server refuses the token of profile p;" in ran.err


def test_nothing_listens(tmp_path: Path) -> None:
    """The target is named, and gRPC's own words are not."""
    with ScriptedServer() as server:
        target = server.target
    ran = stream(target, tmp_path)

    assert ran == Ran(
        1,
        "",
        f"userstream: the server cannot be reached at {target}: nothing listens there;"
        " start userstream-server, or check --target or USERSTREAM_TARGET\n",
    )


def test_no_such_host(tmp_path: Path) -> None:
    """The target may come from the settings."""
    ran = run_here("stream", "--no-resume", cwd=tmp_path, USERSTREAM_TARGET="no.invalid:1")

    assert 1 == ran.code
    assert "cannot be reached at no.invalid:1: there is no such host; check --target" in ran.err


def test_tls_on_one_side_only(tmp_path: Path) -> None:
    """Each side's mismatch names the setting that ends it, and so does a certificate that is not trusted."""
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    credentials = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.cert.read_bytes())])
    other = Authority(tmp_path, "other")
    with ScriptedServer() as plain, ScriptedServer(credentials=credentials) as secure:
        wants = stream(secure.target, tmp_path)
        has_none = stream(plain.target, tmp_path, USERSTREAM_TLS="true")
        untrusted = stream(secure.target, tmp_path, USERSTREAM_TLS_CA=str(other.ca))

    assert "set USERSTREAM_TLS=true if it requires TLS" in wants.err
    assert "it does not speak TLS; unset USERSTREAM_TLS" in has_none.err
    assert "its certificate is not trusted; set USERSTREAM_TLS_CA" in untrusted.err
    assert [1, 1, 1] == [ran.code for ran in (wants, has_none, untrusted)]


def test_a_port_of_something_else(tmp_path: Path) -> None:
    """A web server, for one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        ran = stream(f"127.0.0.1:{listener.getsockname()[1]}", tmp_path)

    assert "what listens there is not a gRPC server; check the port in --target" in ran.err


def test_a_stream_that_breaks_is_not_called_a_tls_problem(tmp_path: Path) -> None:
    """To gRPC, both are `Socket closed`."""
    broken = Fail(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    with ScriptedServer(scan_script(made_users(3), broken, messages=1)) as server:
        ran = stream(server.target, tmp_path)

    assert (1, False) == (ran.code, "TLS" in ran.err)


@pytest.mark.slow
def test_wrong_fields_are_named_as_options(tmp_path: Path) -> None:
    """What a real server refuses is said in the words of the command line."""
    with serving(f"sqlite:///{tmp_path}/users.db", tmp_path) as server:
        ages = stream(server.target, tmp_path, "--age-over", "9", "--age-up-to", "8")
        token = stream(server.target, tmp_path, "--resume-token", "x")
        count = run_here("partitions", "--count", "0", "--target", server.target, cwd=tmp_path)

    assert (2, "userstream: --age-up-to: must be above age_over\n") == (ages.code, ages.err)
    assert (2, True) == (token.code, token.err.startswith("userstream: --resume-token: "))
    assert (2, True) == (count.code, "--count" in count.err)


@pytest.mark.parametrize(
    "arguments", [("batch", "--batch-size", "10001"), ("pages", "--page-size", "10001")]
)
def test_sizes_have_a_maximum(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Both are refused before a call is made: a page that is silently smaller helps nobody."""
    with ScriptedServer() as server:
        ran = run_here(*arguments, "--target", server.target, cwd=tmp_path)

    assert (2, "", []) == (ran.code, ran.out, server.calls)
    assert arguments[1] in ran.err
    assert "10000" in ran.err


def closed_pipe(*arguments: str, cwd: Path, target: str) -> tuple[int, str]:
    """Run a command whose standard output nobody reads; return its exit code and what it said."""
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=clean_environment(USERSTREAM_TARGET=target),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    return ran.returncode, ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        *[("stream", "--format", style) for style in ("csv", "ndjson", "table")],
        *[(c,) for c in COMMANDS if c not in {"stream", "export", "verify", "get", "top", "bench"}],
        ("bench", "--seconds", "0.1"),
        ("--help",),
        ("--version",),
        ("stream", "--help"),
    ],
)
def test_a_reader_that_has_enough_is_no_failure(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Every command ends 0 and says nothing when its reader is gone, as `head` is; this reader read nothing at all."""
    with serving(f"sqlite:///{tmp_path}/users.db", tmp_path) as server:
        assert (0, "") == closed_pipe(*arguments, cwd=tmp_path, target=server.target)


@pytest.mark.slow
def test_a_verdict_does_not_depend_on_its_reader(tmp_path: Path) -> None:
    """The exit code of verify and health is the answer, so a reader that is gone does not make it 0."""
    url = f"sqlite:///{tmp_path}/users.db"
    with serving(url, tmp_path) as server:
        export = ("export", "--output", "users.csv", "--target", server.target)
        assert 0 == run(*export, cwd=tmp_path).code
        (tmp_path / "bad.csv").write_text("user_id,name,email,age\n")
        verdicts = [
            closed_pipe("verify", name, cwd=tmp_path, target=server.target)
            for name in ("users.csv", "bad.csv")
        ]

    assert [(0, ""), (1, "")] == verdicts
