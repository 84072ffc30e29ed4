"""docs/operations.md and .env.example speak of what there is."""

import re

import pytest
from userstream_server.settings import ServerSettings
from userstream_testing.repository import ROOT

PAGE = (ROOT / "docs/operations.md").read_text("utf-8")
OF_SEEDING = {"DATABASE_FILE"}
SERVER = "\n".join(p.read_text("utf-8") for p in (ROOT / "server").rglob("*.py"))


def test_every_reason_is_explained() -> None:
    """Each reason an error of a call can have stands in the table of statuses."""
    raised = set(re.findall(r'(?:Error|_refused)\([^()]*?"([A-Z]+(?:_[A-Z]+)+)"', SERVER))
    raised |= set(re.findall(r'reason="([A-Z_]+)"', SERVER))
    table = PAGE[PAGE.index("## Statuses") : PAGE.index("## Scaling")]

    assert {"TOO_MANY_CALLS", "REQUEST_TOO_LARGE", "LOCK_WAIT", "INVALID_TOKEN"} <= raised
    assert set() == {reason for reason in raised - OF_SEEDING if f"`{reason}`" not in table}


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`(?:USERSTREAM_)?((?!USERSTREAM_)[A-Z]+(?:_[A-Z]+)+)`", PAGE)))
)
def test_every_name_is_a_setting_or_a_status(name: str) -> None:
    """What is written in capitals is a setting, a reason, or a status."""
    assert name.lower() in ServerSettings.model_fields or f'"{name}"' in SERVER
