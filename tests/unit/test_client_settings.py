"""Settings and arguments: what is refused, in which words, and that no secret is among them."""

import os
from pathlib import Path

import pytest
from userstream_client import SettingsError, TlsOptions, UserStreamClient
from userstream_client._channel import Connection, connection_from
from userstream_client._retry import DEFAULT_RESUME
from userstream_testing.command import clean_environment

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the environment's own settings and a developer's .env."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def connection(
    target: str | None = None, *, tls: TlsOptions | None = None, token: str | None = None
) -> Connection:
    return connection_from(
        target,
        tls=tls,
        token=token,
        timeout_seconds=None,
        attempt_timeout_seconds=None,
        resume=DEFAULT_RESUME,
    )


def refusal(**settings: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(f"USERSTREAM_{name}", value)
        with pytest.raises(SettingsError) as raised:
            connection()
    return str(raised.value)


def test_defaults() -> None:
    """Without any setting: loopback, plaintext, no limit for a call, a minute for a message."""
    found = connection()

    assert ("127.0.0.1:50051", None, ()) == (found.target, found.credentials, found.metadata)
    assert (None, 60.0, DEFAULT_RESUME) == (
        found.timeout_seconds,
        found.attempt_timeout_seconds,
        found.resume,
    )


def test_env_file(tmp_path: Path) -> None:
    """`.env` is read, what belongs to the server is passed over, and empty means unset."""
    (tmp_path / ".env").write_text(
        "USERSTREAM_TARGET=127.0.0.1:7\nUSERSTREAM_POOL_SIZE=3\nUSERSTREAM_TLS_CA=\n"
        "USERSTREAM_TIMEOUT_SECONDS=2.5\nUSERSTREAM_RESUME=false\n"
    )
    found = connection()

    assert ("127.0.0.1:7", 2.5, None) == (found.target, found.timeout_seconds, found.resume)


def test_arguments_go_before_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caller says itself counts."""
    monkeypatch.setenv("USERSTREAM_TARGET", "127.0.0.1:7")
    monkeypatch.setenv("USERSTREAM_TOKEN", "theirs")
    found = connection("127.0.0.1:8", token="ours")

    assert "127.0.0.1:8" == found.target
    assert (("authorization", "Bearer ours"),) == found.metadata


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TIMEOUT_SECONDS", "soon", ["valid number", "'soon'"]),
        ("TIMEOUT_SECONDS", "-1", ["greater than 0", "'-1'"]),
        ("ATTEMPT_TIMEOUT_SECONDS", "0", ["greater than 0"]),
        ("TLS", "perhaps", ["boolean", "'perhaps'"]),
        ("TARGET", "a.invalid:1,b.invalid:1", ["cannot be resolved", "'a.invalid:1'"]),
        ("TARGET", "127.0.0.1:1,[::1]:1", ["not both"]),
        ("TLS_CA", "missing.pem", ["cannot read missing.pem"]),
        ("TOKEN_FILE", "missing", ["cannot read missing"]),
    ],
)
def test_bad_value(name: str, value: str, words: list[str]) -> None:
    """One line: the variable, what it takes, what it got."""
    line = refusal(**{name: value})

    assert line.startswith(f"USERSTREAM_{name}: ")
    assert 1 == len(line.splitlines())
    assert [] == [word for word in words if word not in line]


def test_settings_that_go_together() -> None:
    """Half a key pair and two tokens are refused by name."""
    assert "USERSTREAM_TLS_CLIENT_KEY" in refusal(TLS_CLIENT_CERT="cert.pem")
    assert "one, not both" in refusal(TOKEN=SECRET, TOKEN_FILE="token")


@pytest.mark.parametrize(
    "settings",
    [
        {"TOKEN": SECRET, "TIMEOUT_SECONDS": "soon"},
        {"TOKEN": SECRET, "TOKEN_FILE": "token"},
        {"TOKEN": f"{SECRET}\n"},
        {"TOKEN": f"{SECRET}\u00e9"},
        {"TOKEN": SECRET, "TARGET": "192.0.2.1:50051"},
    ],
)
def test_no_refusal_shows_a_token(settings: dict[str, str]) -> None:
    """Not even a part of it."""
    assert "hunter2" not in refusal(**settings)


def test_a_connection_does_not_show_its_token() -> None:
    """Neither in a log nor in a debugger's line."""
    assert "hunter2" not in repr(connection(token=SECRET))


def test_token_from_a_file(tmp_path: Path) -> None:
    """Its first line, without the line's end; an empty file is refused."""
    (tmp_path / "token").write_text("from-file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USERSTREAM_TOKEN_FILE", "token")
        found = connection()

    assert (("authorization", "Bearer from-file"),) == found.metadata
    (tmp_path / "token").write_text("\n")
    assert "is empty" in refusal(TOKEN_FILE="token")


def test_token_in_the_clear_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond loopback a token needs TLS, or so many words."""
    assert "ALLOW_PLAINTEXT" in refusal(TOKEN=SECRET, TARGET="192.0.2.1:50051")
    assert "ALLOW_PLAINTEXT" in refusal(TOKEN=SECRET, TARGET="dns:///users.example:50051")

    monkeypatch.setenv("USERSTREAM_ALLOW_PLAINTEXT", "true")
    assert connection("192.0.2.1:50051", token=SECRET).metadata
    assert connection("localhost:50051", token=SECRET).metadata


@pytest.mark.parametrize(
    ("target", "expected", "balanced"),
    [
        ("localhost:1", "localhost:1", False),
        ("unix:///run/userstream.sock", "unix:///run/userstream.sock", False),
        ("127.0.0.1:1,127.0.0.2:2", "ipv4:127.0.0.1:1,127.0.0.2:2", True),
        ("127.0.0.1:1, 127.0.0.2:2", "ipv4:127.0.0.1:1,127.0.0.2:2", True),
        ("[::1]:1,[::1]:2", "ipv6:[::1]:1,[::1]:2", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:2", "ipv4:127.0.0.1:1,127.0.0.2:2", True),
        ("dns:///users.example:1", "dns:///users.example:1", True),
    ],
)
def test_targets(target: str, expected: str, *, balanced: bool) -> None:
    """A list becomes what gRPC takes; targets of several addresses are balanced over those SERVING."""
    found = connection(target)

    assert (expected, balanced) == (found.target, bool(found.balancing))


def test_tls_by_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any setting of TLS turns it on, and none leaves it off."""
    monkeypatch.setenv("USERSTREAM_TLS_SERVER_NAME", "users.example")
    found = connection()

    assert found.credentials is not None
    assert ("grpc.ssl_target_name_override", "users.example") in found.options


def test_a_client_refuses_at_once() -> None:
    """The constructor raises; nothing was connected."""
    with pytest.raises(SettingsError):
        UserStreamClient(token="two words")


@pytest.mark.parametrize("name", ["timeout_seconds", "attempt_timeout_seconds"])
@pytest.mark.parametrize("seconds", [0, -1.5, float("nan"), float("inf")])
def test_time_limits_that_are_none(name: str, seconds: float) -> None:
    """A limit as an argument is refused by name like one of the settings; None is no limit."""
    with pytest.raises(SettingsError) as raised:
        UserStreamClient(**{name: seconds})  # type: ignore[arg-type]

    assert f"{name}: takes more than 0 seconds (got {seconds})" == str(raised.value)


@pytest.mark.parametrize("half", ["client_cert", "client_key"])
def test_half_a_key_pair_as_an_argument(half: str) -> None:
    """Both halves are needed; gRPC would leave the certificate out in silence."""
    with pytest.raises(SettingsError, match="client_cert and client_key go together"):
        UserStreamClient(tls=TlsOptions(**{half: Path("half.pem")}))  # type: ignore[arg-type]
