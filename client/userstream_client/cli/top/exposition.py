"""Readings of a server's metrics, in Prometheus's text format."""

import re
from collections.abc import Iterator, Mapping

from userstream_client.cli._problems import Problem

__all__ = ["Reading", "fetched", "parsed", "url_of"]

Labels = frozenset[tuple[str, str]]
Sample = tuple[str, Labels]

_DEFAULT_PORT = 9464
_TIMEOUT_SECONDS = 5.0
_BYTES_MAX = 16 * 1024 * 1024
_LINE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(?P<name>\w+)="(?P<value>(?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


class Reading:
    """The samples of one process at one moment.

    Args:
        samples: Values by name and labels.
    """

    def __init__(self, samples: Mapping[Sample, float]) -> None:
        self._samples = samples

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        wanted = labels.items()
        return sum(
            value
            for (found, its_labels), value in self._samples.items()
            if found == name and wanted <= its_labels
        )

    def values_of(self, name: str, label: str) -> list[str]:
        """Return the values that a label of a metric has, in their order."""
        found = [dict(labels).get(label, "") for other, labels in self._samples if other == name]
        return list(dict.fromkeys(found))

    def growth(self, earlier: "Reading") -> "Reading":
        """Return how much each sample has grown; of a process that began anew, everything."""
        start = "process_start_time_seconds"
        if self.total(start) != earlier.total(start):
            return self
        before = earlier._samples  # noqa: SLF001 - the same class
        return Reading({key: value - before.get(key, 0.0) for key, value in self._samples.items()})


def url_of(text: str) -> str:
    """Return the address of an endpoint, which may be given as a host, host:port or whole URL."""
    if text.startswith(("http://", "https://")):
        return text
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        host, port = text, str(_DEFAULT_PORT)
    return f"http://{host}:{port}/metrics"


def fetched(url: str) -> Reading:
    """Return what an endpoint says now.

    Raises:
        Problem: It does not answer, or with something else than metrics of a userstream server.
    """
    # Late, because no other command needs HTTP.
    from http.client import HTTPException  # noqa: PLC0415
    from urllib.error import HTTPError  # noqa: PLC0415
    from urllib.request import ProxyHandler, build_opener  # noqa: PLC0415

    try:
        # Straight to the server: metrics are no matter for a proxy to the internet.
        with build_opener(ProxyHandler({})).open(url, timeout=_TIMEOUT_SECONDS) as answer:
            text = answer.read(_BYTES_MAX).decode("utf-8", "replace")
    except HTTPError as error:
        error.close()
        raise Problem(f"{url} answers {error.code}: give the URL of a server's metrics") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        shown = getattr(reason, "strerror", None) or type(reason).__name__
        raise Problem(
            f"cannot read metrics from {url}: {shown}; set USERSTREAM_METRICS_LISTEN at the server, or name its"
            " address as in: userstream top 127.0.0.1:9464"
        ) from None
    reading = parsed(text)
    if not reading.total("userstream_build_info"):
        raise Problem(f"{url} has no metrics of a userstream server: name the address of one")
    return reading


def parsed(text: str) -> Reading:
    """Return the samples of an endpoint's answer; lines that are no samples are passed over."""
    return Reading(dict(_samples(text)))


def _samples(text: str) -> Iterator[tuple[Sample, float]]:
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        labels = frozenset(
            (label["name"], _unescaped(label["value"]))
            for label in _LABEL.finditer(match["labels"] or "")
        )
        try:
            yield (match["name"], labels), float(match["value"])
        except ValueError:
            continue


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), text)
