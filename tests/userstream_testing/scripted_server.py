"""The conformance suite's scripted server and its steps, under one name for the tests."""

from userstream_conformance.scripted_server import Call, ScriptedServer
from userstream_conformance.steps import (
    Fail,
    Hang,
    Step,
    begin_of,
    made_users,
    messages_of,
    receipt_of,
    scan_script,
)

__all__ = [
    "Call",
    "Fail",
    "Hang",
    "ScriptedServer",
    "Step",
    "begin_of",
    "made_users",
    "messages_of",
    "receipt_of",
    "scan_script",
]
