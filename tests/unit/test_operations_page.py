"""docs/operations.md and .env.example speak of what there is."""

import re

import pytest
from userstream_server.settings import ServerSettings
from userstream_testing.repository import ROOT

PAGE = (ROOT / "docs/operations.md").read_text("utf-8")
OBSERVABILITY = (ROOT / "docs/observability.md").read_text("utf-8")
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


def test_every_alert_has_its_runbook() -> None:
    """Each alert of deploy/prometheus has a section here and a line in docs/observability.md, in the same order."""
    rules = (ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8")
    alerts = re.findall(r"alert: (\w+)", rules)
    sections = re.findall(r"^### (\w+)\n(\S)", PAGE[PAGE.index("## Alerts") :], re.MULTILINE)

    assert len(alerts) > 10
    assert alerts == [name for name, _ in sections]
    assert alerts == re.findall(r"^\| `(Userstream\w+)` \|", OBSERVABILITY, re.MULTILINE)


def test_every_line_of_the_log_is_explained() -> None:
    """docs/observability.md names each event that the server logs, and none that it does not."""
    logged = set(re.findall(r'_log\.\w+\(\s*"([a-z_]+)"', SERVER))
    logged |= set(re.findall(r'"([a-z_]+_cancelled)"', SERVER))
    logs = OBSERVABILITY[
        OBSERVABILITY.index("Other log lines") : OBSERVABILITY.index("## Dashboard")
    ]
    told = set(
        re.findall(r"`([a-z_]+)`", " ".join(re.findall(r"^\| (`.*?) \|", logs, re.MULTILINE)))
    )

    assert logged == told | {"call"}
