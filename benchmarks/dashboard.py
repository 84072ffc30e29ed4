"""`scripts/dashboard-picture`: a minute of calls, watched by a real Prometheus, drawn panel by panel.

It shows what the dashboard's queries return. It is no screenshot of Grafana, which draws them its own way.
"""

import json
import os
import random
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from userstream_server.db.seed import seed_synthetic
from userstream_server.db.url import DatabaseUrl
from userstream_testing.admin import execute
from userstream_testing.dashboard_calls import CALLS
from userstream_testing.prometheus import Prometheus, PrometheusNotFoundError, find_prometheus
from userstream_testing.server_process import ServerProcess

from benchmarks.panels import Panel, Series, picture

__all__ = ["main"]

_ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 75.0
_ROWS = 100_000
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


def main() -> int:
    """Write docs/dashboard.svg; return the exit code."""
    try:
        programs = find_prometheus()
    except PrometheusNotFoundError as error:
        sys.stderr.write(f"scripts/dashboard-picture: {error}\n")
        return 1
    mysql = os.environ["USERSTREAM_TEST_MYSQL_URL"]
    url = f"{mysql}/userstream_picture"
    seed_synthetic(DatabaseUrl.parse(url), _ROWS)
    settings = {"USERSTREAM_DATABASE_URL": url, "USERSTREAM_METRICS_LISTEN": "127.0.0.1:0"}
    with tempfile.TemporaryDirectory(prefix="us-picture-") as name:
        folder = Path(name)
        with ServerProcess(settings, folder=folder) as server:
            targets = [f"127.0.0.1:{server.metrics_port}"]
            with Prometheus(programs, folder, targets=targets, rules=[]) as prometheus:
                _keep_busy(server.target)
                panels = [_panel(prometheus, panel) for panel in _shown()]
    execute(mysql, "DROP DATABASE userstream_picture")
    (_ROOT / "docs/dashboard.svg").write_text(picture(_TITLE, panels), encoding="utf-8")
    return 0


def _keep_busy(target: str) -> None:
    """Make calls of all kinds from a few threads, more of them in the second half."""
    done = threading.Event()
    threads = [threading.Thread(target=_caller, args=(target, number, done)) for number in range(3)]
    for thread in threads[:1]:
        thread.start()
    done.wait(_SECONDS / 2)
    for thread in threads[1:]:
        thread.start()
    done.wait(_SECONDS / 2)
    done.set()
    for thread in threads:
        thread.join()


def _caller(target: str, number: int, done: threading.Event) -> None:
    chance = random.Random(number)
    while not done.wait(chance.uniform(0.05, 0.4)):
        chance.choice(CALLS)(target)


def _shown() -> list[dict[str, Any]]:
    """Return the panels to draw, as the dashboard has them; of two with the same title, the chart."""
    text = (_ROOT / "deploy/grafana/userstream.json").read_text(encoding="utf-8")
    charts = {p["title"]: p for p in json.loads(text)["panels"] if p["type"] == "timeseries"}
    return [charts[title] for title in _SHOWN]


def _panel(prometheus: Prometheus, panel: dict[str, Any]) -> Panel:
    series = []
    for target in panel["targets"]:
        expression = target["expr"]
        for name, value in _VARIABLES.items():
            expression = expression.replace(name, value)
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
