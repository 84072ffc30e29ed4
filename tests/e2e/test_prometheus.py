"""The dashboard and the alerts, in a real Prometheus that watches a real server."""

import json
import math
import re
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.admin import execute
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.dashboard_calls import CALLS
from userstream_testing.debian_packages import PackageNotFoundError
from userstream_testing.prometheus import (
    Prometheus,
    PrometheusPrograms,
    find_prometheus,
)
from userstream_testing.repository import ROOT
from userstream_testing.scrapes import scrape
from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until

RULES = ROOT / "deploy/prometheus/alerts.yml"
RULE_TESTS = ROOT / "deploy/prometheus/alerts.test.yml"
DASHBOARD = json.loads((ROOT / "deploy/grafana/userstream.json").read_text("utf-8"))
VARIABLES = {"$__rate_interval": "1m", "$job": ".+", "$instance": ".+"}
NO_DATA_HERE = "UserstreamSlowDriver"
"""The driver's C extension is here, and this alert looks for servers without it."""


@pytest.fixture(scope="module")
def programs() -> PrometheusPrograms:
    """Return a real Prometheus, or skip."""
    try:
        return find_prometheus()
    except PackageNotFoundError as error:
        pytest.skip(f"NOT CHECKED against a real Prometheus: {error}")


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> dict[str, str]:
    """Return each panel's expressions as Grafana would send them."""
    found = {}
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            found[f"{panel['title']} {target['refId']}"] = expression
    return found


@pytest.mark.parametrize(
    "command",
    [("check", "rules", RULES), ("check", "config", RULES.with_name("prometheus.yml")), ("test", "rules", RULE_TESTS)],
)  # fmt: skip
def test_promtool(programs: PrometheusPrograms, command: tuple[object, ...]) -> None:
    """The rules are sound, and every alert fires when it should and not when it should not."""
    done = subprocess.run(
        [programs.tool, *map(str, command)], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_every_alert_has_its_tests() -> None:
    """Each is shown both firing and staying quiet, and is described in the docs."""
    alerts = re.findall(r"alert: (\w+)", RULES.read_text("utf-8"))
    tests = re.findall(r"name: (\w+) (fires|stays quiet)", RULE_TESTS.read_text("utf-8"))
    docs = (ROOT / "docs/observability.md").read_text("utf-8")

    assert len(alerts) > 10
    assert [(name, how) for name in alerts for how in ("fires", "stays quiet")] == tests
    assert [] == [name for name in alerts if f"`{name}`" not in docs]


def test_the_dashboard_is_well_formed() -> None:
    """Panels have ids of their own and do not lie over each other, and all follow the chosen data source."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(ids) == len(set(ids))
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert {"${datasource}"} == {
        part["datasource"]["uid"] for panel in panels() for part in (panel, *panel["targets"])
    }


@pytest.fixture(scope="module")
def watched(
    programs: PrometheusPrograms, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Prometheus, ServerProcess]]:  # fmt: skip
    """Yield a Prometheus that has watched a server through calls of every kind, and the server."""
    mysql: str = request.getfixturevalue("mysql_url")
    folder = tmp_path_factory.mktemp("watched")
    name = f"userstream_test_{secrets.token_hex(6)}"
    url = f"{mysql}/{name}"
    seed_synthetic(DatabaseUrl.parse(url), 5000)
    ((address, port),) = DatabaseUrl.parse(url).hosts
    settings = {
        # Two names of the one MySQL, as there are metrics of hosts only where there are several.
        "USERSTREAM_DATABASE_URL": url.replace(
            f"@{address}:{port}", f"@{address}:{port},localhost:{port}"
        ),
        "USERSTREAM_METRICS_LISTEN": "127.0.0.1:0",
        "USERSTREAM_STREAMS_MAX": "2",
        "USERSTREAM_CALL_WAIT_SECONDS": "0.2",
    }
    with ServerProcess(settings, folder=folder) as server:
        targets = [f"127.0.0.1:{server.metrics_port}"]
        with Prometheus(programs, folder, targets=targets, rules=[RULES]) as prometheus:
            until(lambda: prometheus.query('up{job="userstream"} == 1'))
            make_calls(server)
            # Two scrapes with calls between them make a rate.
            until(lambda: value_of(prometheus, "sum(userstream_rows_total)") > [0])
            make_calls(server)
            yield prometheus, server
    execute(mysql, f"DROP DATABASE {name}")


def make_calls(server: ServerProcess) -> None:
    """Make calls of every kind, and some that are refused."""
    for call in CALLS:
        call(server.target)
    with stub_for(server.target) as stub:
        refused(stub)


def refused(stub: Any) -> None:
    """Open more streams than the server takes."""
    request = pb.StreamUsersRequest(max_users_per_message=1)
    taken = [stub.StreamUsers(request) for _ in range(2)]
    for call in taken:
        next(call)
    assert rich_error(stub.StreamUsers(request)).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    for call in taken:
        list(call)


def value_of(prometheus: Prometheus, expression: str) -> list[float]:
    return [float(sample["value"][1]) for sample in prometheus.query(expression)]


def has_data(prometheus: Prometheus, expression: str) -> bool:
    values = value_of(prometheus, expression)
    return bool(values) and not all(math.isnan(value) for value in values)


def test_every_panel_has_data(watched: tuple[Prometheus, ServerProcess]) -> None:
    """Every expression of the dashboard is one that Prometheus takes, and returns figures."""
    prometheus, _ = watched
    expressions = dashboard_expressions()
    # No call failed by the server's own fault, and MySQL is no replica.
    for nothing in ("Failing calls A", "How far a host is behind A"):
        assert 0 == len(value_of(prometheus, expressions.pop(nothing)))

    assert len(expressions) > 25
    empty = set(expressions)

    def all_filled() -> bool:
        empty.difference_update({name for name in empty if has_data(prometheus, expressions[name])})
        return not empty

    until(all_filled)


def test_every_alert_has_something_to_look_at(watched: tuple[Prometheus, ServerProcess]) -> None:
    """What each alert compares returns figures, so that it is quiet because all is well; and all are quiet."""
    prometheus, _ = watched
    rules = prometheus._ask("rules")["groups"][0]["rules"]
    compared = {rule["name"]: re.sub(r"\s(==|>)\s[\d.]+$", "", rule["query"]) for rule in rules}
    compared[NO_DATA_HERE] = compared[NO_DATA_HERE].replace('"python"', '"c"')
    # No call failed by the server's own fault, so the same is asked of another status.
    compared["UserstreamFailing"] = compared["UserstreamFailing"].replace("INTERNAL", "OK")

    assert len(compared) == len(rules) > 10
    assert all(rule["health"] == "ok" for rule in rules)
    until(lambda: all(has_data(prometheus, expression) for expression in compared.values()))


def test_the_figures_are_the_servers(watched: tuple[Prometheus, ServerProcess]) -> None:
    """What Prometheus has stored is what was streamed."""
    prometheus, server = watched
    rows = scrape(server).total("userstream_rows_total", method="BatchUsers")

    until(lambda: value_of(prometheus, 'sum(userstream_rows_total{method="BatchUsers"})') == [rows])
    assert rows > 0


def test_a_server_that_is_gone_raises_the_alarm(watched: tuple[Prometheus, ServerProcess]) -> None:
    """Killed, it shows as down at once, and the alert waits for its minute."""
    prometheus, server = watched
    assert "UserstreamDown" not in prometheus.alerts()
    server.kill()

    until(lambda: prometheus.alerts().get("UserstreamDown") == "pending")
