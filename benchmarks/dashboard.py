"""`scripts/dashboard-picture`: a minute of calls, watched by a real Prometheus, in pictures.

One is drawn here, panel by panel, from what the dashboard's queries return: no screenshot of Grafana, which
draws them its own way. Two are screenshots of that Prometheus: its graphs of two of these queries, and its
alerts, one of which fires because some consumers stalled, and one is about to because the server is gone.
"""

import json
import os
import random
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.admin import execute
from userstream_testing.calls import stub_for
from userstream_testing.dashboard_calls import CALLS
from userstream_testing.debian_packages import PackageNotFoundError
from userstream_testing.prometheus import (
    Prometheus,
    find_prometheus_with_pages,
)
from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until

from benchmarks.line_charts import Panel, Series, picture
from benchmarks.screenshots import (
    BrowserNotFoundError,
    alerts_page,
    find_browser,
    graph_page,
    screenshot,
)

__all__ = ["main"]

_ROOT = Path(__file__).resolve().parent.parent
_DOCS = _ROOT / "docs"
_RULES = _ROOT / "deploy/prometheus/alerts.yml"
_SECONDS = 75.0
_ROWS = 100_000
_STALLED = 8
_VARIABLES = {"$__rate_interval": "10s", "$job": ".+", "$instance": ".+"}
_TITLE = "userstream's dashboard, as a real Prometheus answers its queries"
_SHOWN = (
    "Users a second",
    "Bytes a second",
    "Calls ended a second, by status",
    "Errors a second, by reason",
    "Time of a query",
    "Queries a second",
    "Connections",
    "Memory",
)
_PHOTOGRAPHED = ("Users a second", "Calls ended a second, by status")
_WIDTH, _GRAPHS_HEIGHT, _ALERTS_HEIGHT = 1100, 1640, 890


def main() -> int:
    """Write docs/dashboard.svg, graphs.png and alerts.png; return the exit code."""
    try:
        programs = find_prometheus_with_pages()
        browser = find_browser()
    except (PackageNotFoundError, BrowserNotFoundError) as error:
        sys.stderr.write(f"scripts/dashboard-picture: {error}\n")
        return 1
    mysql = os.environ["USERSTREAM_TEST_MYSQL_URL"]
    url = f"{mysql}/userstream_picture"
    seed_synthetic(DatabaseUrl.parse(url), _ROWS)
    settings = {
        "USERSTREAM_DATABASE_URL": url,
        "USERSTREAM_METRICS_LISTEN": "127.0.0.1:0",
        "USERSTREAM_SEND_TIMEOUT_SECONDS": "5",
    }
    with tempfile.TemporaryDirectory(prefix="us-picture-") as name:
        folder = Path(name)
        with ServerProcess(settings, folder=folder) as server:
            targets = [f"127.0.0.1:{server.metrics_port}"]
            with Prometheus(programs, folder, targets=targets, rules=[_RULES]) as prometheus:
                _keep_busy(server.target)
                panels = [_panel(prometheus, panel) for panel in _shown(_SHOWN)]
                _photograph_graphs(browser, prometheus)
                _photograph_alerts(browser, prometheus, server)
    execute(mysql, "DROP DATABASE userstream_picture")
    (_DOCS / "dashboard.svg").write_text(picture(_TITLE, panels), encoding="utf-8")
    return 0


def _photograph_graphs(browser: str, prometheus: Prometheus) -> None:
    queries = [_query(target["expr"]) for p in _shown(_PHOTOGRAPHED) for target in p["targets"]]
    page = graph_page(prometheus.url, queries, seconds=round(_SECONDS))
    screenshot(browser, page, _DOCS / "graphs.png", width=_WIDTH, height=_GRAPHS_HEIGHT)


def _photograph_alerts(browser: str, prometheus: Prometheus, server: ServerProcess) -> None:
    """Stop the server after consumers have stalled, and show what Prometheus makes of both."""
    server.terminate()
    wanted = {"UserstreamStalls": "firing", "UserstreamDown": "pending"}
    until(lambda: wanted.items() <= prometheus.alerts().items())
    page = alerts_page(prometheus.url)
    screenshot(browser, page, _DOCS / "alerts.png", width=_WIDTH, height=_ALERTS_HEIGHT)


def _keep_busy(target: str) -> None:
    """Make calls of all kinds from a few threads, more of them in the second half, and some that stall."""
    done = threading.Event()
    threads = [threading.Thread(target=_caller, args=(target, number, done)) for number in range(3)]
    with ExitStack() as stack:
        for thread in threads[:1]:
            thread.start()
        done.wait(_SECONDS / 2)
        stalled = _stall(stack.enter_context(stub_for(target, own=True)))
        for thread in threads[1:]:
            thread.start()
        done.wait(_SECONDS / 2)
        done.set()
        del stalled  # until here: a call that nobody holds is cancelled
    for thread in threads:
        thread.join()


def _caller(target: str, number: int, done: threading.Event) -> None:
    chance = random.Random(number)
    while not done.wait(chance.uniform(0.05, 0.4)):
        chance.choice(CALLS)(target)


def _stall(stub: Any) -> list[Any]:
    calls = [stub.StreamUsers(pb.StreamUsersRequest()) for _ in range(_STALLED)]
    for call in calls:
        next(call)
    return calls


def _shown(titles: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return panels as the dashboard has them; of two with the same title, the chart."""
    text = (_ROOT / "deploy/grafana/userstream.json").read_text(encoding="utf-8")
    charts = {p["title"]: p for p in json.loads(text)["panels"] if p["type"] == "timeseries"}
    return [charts[title] for title in titles]


def _query(expression: str) -> str:
    """Return an expression of the dashboard as Grafana would send it."""
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def _panel(prometheus: Prometheus, panel: dict[str, Any]) -> Panel:
    series = []
    for target in panel["targets"]:
        expression = _query(target["expr"])
        for found in prometheus.query_range(expression, seconds=_SECONDS, step_seconds=1):
            points = [(float(at), float(value)) for at, value in found["values"]]
            series.append(Series(_legend(target["legendFormat"], found["metric"]), points))
    return Panel(panel["title"], panel["fieldConfig"]["defaults"]["unit"], series)


def _legend(form: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        form = form.replace("{{" + name + "}}", value.rpartition("/")[2])
    return form


if __name__ == "__main__":
    sys.exit(main())
