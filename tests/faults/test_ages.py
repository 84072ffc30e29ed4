"""Fault 2 for a running average that takes seconds: broken in its middle, it goes on to the exact figures."""

from pathlib import Path

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_testing.client_runs import KINDS, PATIENT
from userstream_testing.every_call import everything, held
from userstream_testing.fault_proxy import FaultProxy, Plan
from userstream_testing.fault_report import FaultReport
from userstream_testing.server_process import serving


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_long_running_average(
    huge_url: str, tmp_path: Path, faults: FaultReport, kind: str
) -> None:
    """Cut behind each of its running figures, it reads no age twice and leaves none out."""
    expected = held(huge_url, "StreamAverageAge")
    ((host, port),) = DatabaseUrl.parse(huge_url).hosts
    with FaultProxy(port) as slow:
        # So that a hundred thousand ages take longer than the second between two messages.
        slow.plans.extend(Plan(latency_seconds=0.1, slice_bytes=50_000) for _ in range(100))
        url = huge_url.replace(f"{host}:{port}", slow.target)
        with serving(url, tmp_path) as server, FaultProxy(server.port) as proxy:
            proxy.plans.extend(Plan(cut_after=after) for after in (400, 380, 390))
            with faults.round("2 StreamAverageAge cut in its middle, resumed"):
                assert expected == everything(
                    kind, proxy.target, "StreamAverageAge", resume=PATIENT
                )
            calls = [call["rows"] for call in server.events("call")]
        assert len(calls) > 1
        assert calls[-1] < 400_000, "the last attempt began where one before it stopped"
