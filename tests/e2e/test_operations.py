"""What an operator sees and does: the banner, --check, exit codes, signals."""

import json
from importlib.metadata import version
from pathlib import Path
from signal import SIGHUP, SIGTERM
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.settings import ServerSettings
from userstream_testing.admin import execute
from userstream_testing.calls import RichError, stub_for
from userstream_testing.certificates import Authority
from userstream_testing.scrapes import scrape
from userstream_testing.server_process import ServerProcess, run_to_end, serving
from userstream_testing.waiting import until


def test_the_banner(reader_url: str, tmp_path: Path) -> None:
    """One line at the start has the version and every effective setting, the password masked."""
    with serving(reader_url, tmp_path, STREAMS_MAX=7) as server:
        (banner,) = server.events("started")

    assert banner["version"] == version("userstream")
    assert set(ServerSettings.model_fields) == set(banner["settings"])
    assert banner["settings"]["streams_max"] == 7
    assert ":***@" in banner["settings"]["database_url"]
    assert DatabaseUrl.parse(reader_url).password not in json.dumps(banner)


def lines(said: str) -> dict[str, str]:
    """Return the state of each thing --check has looked at."""
    return {line.split()[0]: line.split()[1] for line in said.splitlines()}


def checked(settings: dict[str, object], folder: Path) -> tuple[int, dict[str, str]]:
    given = {f"USERSTREAM_{name}": str(value) for name, value in settings.items()}
    done = run_to_end(given, folder, "--check")
    return done.returncode, lines(done.stdout)


def test_check(reader_url: str, mysql_url: str, tmp_path: Path) -> None:
    """A line each for settings, TLS, tokens, database, table and driver; exit code 1 if one fails."""
    pair = Authority(tmp_path).issue("server")
    other = Authority(tmp_path, "another").issue("other")
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-that-is-long-enough\n")
    tokens.chmod(0o600)
    pair.key.chmod(0o600)
    other.key.chmod(0o600)
    good: dict[str, object] = {"DATABASE_URL": reader_url, "AUTH_TOKENS_FILE": tokens}
    good |= {"TLS_CERT": pair.cert, "TLS_KEY": pair.key}
    all_well = dict.fromkeys(
        ("settings", "files", "tls", "tokens", "fields", "database", "table", "driver"), "ok"
    )
    (tmp_path / "empty").touch()
    parsed = DatabaseUrl.parse(reader_url)

    assert checked(good, tmp_path) == (0, all_well)
    assert checked(good | {"TLS_KEY": other.key}, tmp_path) == (1, all_well | {"tls": "FAIL"})
    code, seen = checked(good | {"AUTH_TOKENS_FILE": tmp_path / "empty"}, tmp_path)
    assert (code, seen["tokens"], seen["database"]) == (1, "FAIL", "ok")
    code, seen = checked(
        good | {"DATABASE_URL": reader_url.replace(parsed.password, "x")}, tmp_path
    )
    assert (code, seen["database"], "table" in seen) == (1, "FAIL", False)
    name = f"{parsed.database}_empty"
    execute(mysql_url, f"CREATE DATABASE {name}")
    code, seen = checked(good | {"DATABASE_URL": f"{mysql_url}/{name}"}, tmp_path)
    execute(mysql_url, f"DROP DATABASE {name}")
    assert (code, seen["database"], seen["table"]) == (1, "ok", "FAIL")


def test_check_warns(reader_url: str, tmp_path: Path) -> None:
    """It warns of misspelt settings, a .env that everybody can read, and tokens that can be guessed; exit code 0."""
    (tmp_path / ".env").write_text("USERSTREAM_POOL_SIZ=9\n")
    (tmp_path / ".env").chmod(0o644)
    (tmp_path / "tokens").write_text("a-token-that-is-long-enough\nshort\n")
    (tmp_path / "tokens").chmod(0o600)
    settings = {
        "USERSTREAM_DATABASE_URL": reader_url,
        "USERSTREAM_AUTH_TOKENS_FILE": str(tmp_path / "tokens"),
        "USERSTREAM_TSL_CERT": "server.crt",
    }
    done = run_to_end(settings, tmp_path, "--check")
    warnings = [line for line in done.stdout.splitlines() if line.split()[1] == "warn"]
    (tmp_path / ".env").chmod(0o600)
    quiet = run_to_end(settings, tmp_path, "--check").stdout

    assert [
        "settings  warn  USERSTREAM_TSL_CERT in the environment is no setting; did you mean USERSTREAM_TLS_CERT?",
        "settings  warn  USERSTREAM_POOL_SIZ in .env is no setting; did you mean USERSTREAM_POOL_SIZE?",
        "secrets   warn  .env: every user of this system can read the file; chmod 600 .env",
        "tokens    warn  2 in the file, one with 5 characters: it may be guessed; use random ones of 20 or more",
    ] == warnings
    assert done.returncode == 0
    assert "secrets" not in quiet


def test_plaintext_in_so_many_words(reader_url: str, tmp_path: Path) -> None:
    """ALLOW_PLAINTEXT lets the service have an address that is not loopback; --check does not listen there."""
    elsewhere: dict[str, object] = {"LISTEN": "0.0.0.0:50051", "ALLOW_PLAINTEXT": "true"}
    code, seen = checked({"DATABASE_URL": reader_url} | elsewhere, tmp_path)

    assert (code, seen["settings"]) == (0, "ok")


def test_the_slow_driver(reader_url: str, tmp_path: Path) -> None:
    """Where the driver's C extension does not load, --check and the log warn, metrics say so, and all is served."""
    # As if it were not installed: how Python itself notes that a module is missing.
    hidden = "import sys; sys.modules['_mysql_connector'] = None"
    (tmp_path / "sitecustomize.py").write_text(hidden)
    settings = {"USERSTREAM_DATABASE_URL": reader_url, "PYTHONPATH": str(tmp_path)}
    done = run_to_end(settings, tmp_path, "--check")
    settings["USERSTREAM_METRICS_LISTEN"] = "127.0.0.1:0"
    with ServerProcess(settings, folder=tmp_path) as server, stub_for(server.target) as stub:
        assert stub.AverageAge(pb.AverageAgeRequest()).user_count == 60_000
        assert scrape(server).total("userstream_build_info", driver_kind="python") == 1
        assert len(server.events("slow_driver")) == 1

    assert (done.returncode, lines(done.stdout)["driver"]) == (0, "warn")


def test_check_of_an_expired_certificate(tmp_path: Path) -> None:
    """--check says that a certificate is out of date, before its clients do."""
    pair = Authority(tmp_path).issue("server", valid_hours=-0.5)
    done = run_to_end(
        {"USERSTREAM_TLS_CERT": str(pair.cert), "USERSTREAM_TLS_KEY": str(pair.key)},
        tmp_path,
        "--check",
    )

    assert done.returncode == 1
    assert "FAIL  the certificate is not valid: certificate has expired" in done.stdout


def test_exit_codes(tmp_path: Path) -> None:
    """2 for settings, 1 for what they lead to, 0 for a good end; each failure is one line."""
    for settings, code in (
        ({"USERSTREAM_STREAMS_MAX": "0"}, 2),
        ({"USERSTREAM_TLS_CLIENT_NAMES": "a"}, 2),
        ({"USERSTREAM_AUTH_TOKENS_FILE": "nowhere"}, 1),
        ({"USERSTREAM_TLS_CERT": "nowhere", "USERSTREAM_TLS_KEY": "nowhere"}, 1),
    ):
        done = run_to_end(settings, tmp_path)
        assert (code, 1) == (done.returncode, done.stderr.count("\n"))
    assert run_to_end({}, tmp_path, "--no-such-option").returncode == 2


def test_sighup_changes_the_log_level(reader_url: str, tmp_path: Path) -> None:
    """The level in .env counts from the SIGHUP on; a bad file changes nothing and ends nothing."""
    env = tmp_path / ".env"
    with serving(reader_url, tmp_path) as server, stub_for(server.target) as stub:

        def call() -> int:
            stub.AverageAge(pb.AverageAgeRequest())
            return len(server.events("call"))

        until(lambda: call() > 0)
        env.write_text("USERSTREAM_LOG_LEVEL=loud\n")
        server.process.send_signal(SIGHUP)
        until(lambda: server.events("reload_failed"))
        before = call()
        assert call() > before
        env.write_text("USERSTREAM_LOG_LEVEL=error\n")
        server.process.send_signal(SIGHUP)
        until(lambda: call() == call() == call())
        env.write_text("USERSTREAM_LOG_LEVEL=info\n")
        quiet = call()
        server.process.send_signal(SIGHUP)
        until(lambda: call() > quiet)


def refusal(stub: Any) -> RichError | None:
    """Make a small call; return how it was refused, None if it was served."""
    try:
        list(stub.StreamUsers(pb.StreamUsersRequest(limit=1), timeout=10))
    except grpc.RpcError as error:
        return RichError(error)
    return None


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_drains(reader_url: str, tmp_path: Path, workers: int) -> None:
    """SIGTERM: streams that run are served to their end, new calls go elsewhere, exit code 0."""
    arguments = ("--workers", str(workers)) if workers > 1 else ()
    settings = {"DRAIN_SECONDS": 20, "DRAIN_NOTICE_SECONDS": 0}
    with serving(reader_url, tmp_path, *arguments, **settings) as server:
        until(lambda: len(server.events("started")) == workers)
        with stub_for(server.target) as stub, stub_for(server.target) as another:
            running = stub.StreamUsers(pb.StreamUsersRequest())
            next(running)
            server.process.send_signal(SIGTERM)
            while (error := refusal(another)) is None:
                pass  # served until the server has closed its port
            *_, last = running
        assert server.process.wait(20) == 0

    assert last.receipt.user_count == 60_000
    # gRPC itself resets a call that comes in the very moment in which it stops;
    # our client goes on after both (tests/unit/test_client_resume.py).
    assert error.code.name in {"UNAVAILABLE", "CANCELLED"}


def test_sighup_at_the_start(reader_url: str, tmp_path: Path) -> None:
    """A SIGHUP right after the start reloads; it never ends the server."""
    with serving(reader_url, tmp_path) as server:
        for _ in range(5):
            server.process.send_signal(SIGHUP)
        until(lambda: server.events("reloaded"))
        with stub_for(server.target) as stub:
            assert stub.AverageAge(pb.AverageAgeRequest()).user_count == 60_000
