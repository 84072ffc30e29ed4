""".env.example says what the settings are, and so can be trusted."""

import os
import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from userstream_client._settings import ClientSettings
from userstream_server.settings import ServerSettings
from userstream_testing.repository import ROOT

EXAMPLE = dict(
    re.findall(
        r"^# (USERSTREAM_\w+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE
    )
)
CLASSES: list[type[BaseSettings]] = [ServerSettings, ClientSettings]


def variable(field: str) -> str:
    return f"USERSTREAM_{field.upper()}"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the environment's own settings and a developer's .env."""
    for name in [name for name in os.environ if name.startswith("USERSTREAM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_example_names_every_setting_and_no_other() -> None:
    """The settings of server and client together are those of the file."""
    fields = {variable(field) for settings in CLASSES for field in settings.model_fields}

    assert fields == set(EXAMPLE)


@pytest.mark.parametrize("settings", CLASSES)
def test_example_shows_the_defaults(
    settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every value of the file, put into the environment, changes nothing."""
    defaults = settings()
    for name, value in EXAMPLE.items():
        if value:
            monkeypatch.setenv(name, value)

    assert defaults == settings()


@pytest.mark.parametrize("settings", CLASSES)
def test_example_has_a_value_wherever_there_is_a_default(settings: type[BaseSettings]) -> None:
    """Only a setting that is off by default stands without a value."""
    off = {variable(name) for name, value in settings() if value is None or value == ""}

    assert off == {variable(name) for name, _ in settings() if not EXAMPLE.get(variable(name))}
