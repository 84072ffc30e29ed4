"""Misspelt names of settings."""

from pathlib import Path

import pytest
from userstream_client._settings import ClientSettings
from userstream_server.setting_names import CLIENT_NAMES, unknown_settings


def test_the_client_s_names() -> None:
    """The server knows every setting of the client, which may stand in the same .env."""
    assert set(ClientSettings.model_fields) == CLIENT_NAMES


def test_unknown_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is named with where it stands and what it may mean; what somebody reads is not."""
    monkeypatch.setenv("USERSTREAM_POOLSIZE", "9")
    monkeypatch.setenv("USERSTREAM_TEST_ENGINE", "mysql")
    monkeypatch.setenv("userstream_log_level", "info")
    (tmp_path / ".env").write_text(
        "USERSTREAM_TARGET=a:1\nUSERSTREAM_QQQQ=1\nOTHER=1\n#USERSTREAM_NO=1\n"
    )
    lines = list(unknown_settings(tmp_path / ".env"))

    assert [
        "USERSTREAM_POOLSIZE in the environment is no setting; did you mean USERSTREAM_POOL_SIZE?",
        f"USERSTREAM_QQQQ in {tmp_path / '.env'} is no setting",
    ] == [line for line in lines if "POOLSIZE" in line or ".env" in line]
    assert not any("TEST_" in line or "log_level" in line for line in lines)


def test_no_file(tmp_path: Path) -> None:
    """Without a .env only the environment counts."""
    assert not [line for line in unknown_settings(tmp_path / ".env") if ".env" in line]
