"""Profiles: which of the settings' sources counts, and what is refused, in which words."""

import os
from pathlib import Path

import pytest
from userstream_client import SettingsError
from userstream_client._profiles import config_path, profile_names
from userstream_client._settings import load_settings
from userstream_testing.command import clean_environment

SECRET = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder of the config file, and hide the environment's own settings."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "userstream").mkdir()
    return tmp_path / "userstream"


def write(folder: Path, text: str) -> None:
    (folder / "config.toml").write_text(text, "utf-8")


def refusal(name: str = "prod") -> str:
    with pytest.raises(SettingsError) as raised:
        load_settings(name)
    return str(raised.value)


def test_a_profile_goes_before_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was asked for by name is called, whatever a shell or .env holds; the rest comes from there."""
    write(folder, '[profile.prod]\ntarget = "prod:1"\n[profile.dev]\ntarget = "dev:1"\n')
    monkeypatch.setenv("USERSTREAM_TARGET", "elsewhere:1")
    monkeypatch.setenv("USERSTREAM_TIMEOUT_SECONDS", "7")
    found = load_settings("prod")

    assert ("prod:1", 7.0) == (found.target, found.timeout_seconds)
    assert "elsewhere:1" == load_settings().target
    assert ["dev", "prod"] == profile_names()


def test_a_profile_replaces_the_token_of_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Token and token file are one choice; a relative path starts at the config file."""
    write(folder, '[profile.prod]\ntoken_file = "prod.token"\n')
    (folder / "prod.token").write_text("theirs\n")
    monkeypatch.setenv("USERSTREAM_TOKEN", "ours")

    assert "theirs" == load_settings("prod").read_token()
    assert "ours" == load_settings().read_token()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "profile prod: not in {path}; it has none"),
        ("[profile.dev]\n[profile.ci]", "profile prod: not in {path}; it has ci, dev"),
        ("[profile.prod]\ntokn = 1", "profile prod: tokn is not a setting; did you mean token?"),
        ("[profile.prod]\nzzz = 1", "profile prod: zzz is not a setting; takes allow_plaintext,"),
        ("[profile.prod]\ntimeout_seconds = 'soon'", "profile prod: timeout_seconds: Input should"),
        ("[profile.prod", "profiles: {path} is not TOML: "),
        ("profile = 1", "profiles: {path}: takes tables named [profile.NAME]"),
        ("[profile]\nprod = 1", "profiles: {path}: takes tables named [profile.NAME]"),
    ],
)
def test_refusals(text: str, words: str, folder: Path) -> None:
    """Each says where, what and what to do instead."""
    write(folder, text)

    assert refusal().startswith(words.format(path=config_path()))


def test_a_missing_file() -> None:
    """It is named, with what to put into it."""
    assert (
        refusal() == f"profiles: {config_path()} is missing; create it with a table [profile.NAME]"
    )


def test_no_secret_is_shown(folder: Path) -> None:
    """A token of the wrong type is not printed."""
    write(folder, f'[profile.prod]\ntoken = ["{SECRET}"]\n')

    assert SECRET not in refusal()


def test_a_relative_config_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG specification has it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")

    assert Path.home() / ".config/userstream/config.toml" == config_path()
