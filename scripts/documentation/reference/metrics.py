"""The metrics, as a real server shows them to Prometheus."""

import tempfile
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from userstream_testing.command import run
from userstream_testing.scrapes import scrape_text
from userstream_testing.server_process import ServerProcess

__all__ = ["metrics_page"]

_START = """\
# Metrics

What a server with `USERSTREAM_METRICS_LISTEN` shows at `/metrics`, read from one that had served a call. The page
[Observability](../observability.md) explains labels and their values, and has the two
metrics of several database hosts.

| name | type | labels | meaning |
| --- | --- | --- | --- |
"""
_OF_BUCKETS = {"le"}


def metrics_page() -> str:
    """Return the page."""
    families = text_string_to_metric_families(_scraped())
    return _START + "".join(map(_row, sorted(families, key=lambda family: family.name)))


def _scraped() -> str:
    """Return the metrics of a server over the sample after a call."""
    settings = {"USERSTREAM_METRICS_LISTEN": "127.0.0.1:0", "USERSTREAM_LISTEN": "127.0.0.1:0"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ServerProcess(settings, folder=folder) as server:
            called = run("stream", "--limit", "1", cwd=folder, USERSTREAM_TARGET=server.target)
            if called.code:
                raise RuntimeError(called.err)
            return scrape_text(server.metrics_port or 0)


def _row(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = {label for sample in family.samples for label in sample.labels} - _OF_BUCKETS
    named = ", ".join(f"`{label}`" for label in sorted(labels))
    return f"| `{name}` | {family.type} | {named} | {family.documentation} |\n"
