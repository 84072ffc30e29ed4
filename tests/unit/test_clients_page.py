"""docs/clients.md, the rule for clients in any language, is what our client does."""

import re

import grpc
import pytest
from userstream_client import UserStreamError
from userstream_client._retry import DEFAULT_RESUME, is_transient
from userstream_client._settings import ClientSettings
from userstream_client.cli._arguments import _RESUME as RESUME_OF_THE_COMMAND
from userstream_conformance.catalogue import SCENARIOS
from userstream_testing.repository import ROOT

PAGE = (ROOT / "docs/clients.md").read_text("utf-8")
RULE = PAGE[PAGE.index("## When to call again") : PAGE.index("## How long to wait")]
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", RULE, re.MULTILINE)


def cells_of(code: grpc.StatusCode) -> tuple[str, str]:
    """Return what the table says of a status with and without ErrorInfo."""
    rows = [row for row in ROWS if re.search(rf"\b{code.name}\b", row[0])]
    _, with_info, without_info = (rows or [row for row in ROWS if row[0] == "anything else"])[0]
    return with_info, with_info if without_info == "the same" else without_info


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.name != "OK"])
def test_the_table_is_what_the_client_does(code: grpc.StatusCode) -> None:
    """Each status, with and without ErrorInfo, and RESOURCE_EXHAUSTED with RetryInfo."""
    with_info, without_info = cells_of(code)
    own = UserStreamError("no", code=code, reason="REASON")
    dated = UserStreamError("no", code=code, reason="REASON", retry_after_seconds=1.0)
    foreign = UserStreamError("no", code=code)

    assert without_info.startswith("call again") is is_transient(foreign)
    assert with_info.startswith("call again") is is_transient(dated)
    only_dated = "if there is a RetryInfo" in with_info
    assert (with_info.startswith("call again") and not only_dated) is is_transient(own)


def test_the_waits_are_those_of_the_client() -> None:
    """The numbers in the text are the defaults."""
    section = PAGE[PAGE.index("## How long to wait") : PAGE.index("## Where to continue")]

    assert f"0 and {DEFAULT_RESUME.initial_backoff_seconds:g} s" in section
    assert f"at most {DEFAULT_RESUME.max_backoff_seconds:g} s" in section
    assert f"The Python client makes {DEFAULT_RESUME.attempts}," in section
    assert f"`userstream` makes {RESUME_OF_THE_COMMAND.first_attempts}." in section
    default = ClientSettings.model_fields["attempt_timeout_seconds"].default
    assert f"no message for {default:g} s" in RULE


def test_the_scenarios_it_names_exist() -> None:
    """A word in code marks that is spelt like a scenario is one."""
    section = PAGE[PAGE.index("## Test your client") :]
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", section))

    assert named - {"userstream-conformance"} <= set(SCENARIOS)
