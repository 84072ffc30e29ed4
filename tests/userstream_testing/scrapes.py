"""Reading a server's metrics as Prometheus does."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from userstream_testing.server_process import ServerProcess
from userstream_testing.waiting import until

__all__ = ["Scrape", "scrape", "scrape_text", "settled"]


class Scrape:
    """The samples of one scrape, or the differences between two.

    Args:
        samples: The samples.
    """

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    @classmethod
    def of(cls, text: str) -> "Scrape":
        """Take an endpoint's answer apart."""
        families = text_string_to_metric_families(text)
        return cls([sample for family in families for sample in family.samples])

    def since(self, earlier: "Scrape") -> "Scrape":
        """Return how much each sample has grown."""
        before = {(s.name, *sorted(s.labels.items())): s.value for s in earlier.samples}
        return Scrape(
            [
                s._replace(value=s.value - before.get((s.name, *sorted(s.labels.items())), 0))
                for s in self.samples
            ]
        )

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @property
    def names(self) -> set[str]:
        """The samples' names."""
        return {sample.name for sample in self.samples}


def scrape_text(port: int) -> str:
    """Ask an endpoint."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def scrape(server: ServerProcess) -> Scrape:
    """Ask a server for its metrics."""
    assert server.metrics_port is not None
    return Scrape.of(scrape_text(server.metrics_port))


def settled(server: ServerProcess) -> Scrape:
    """Ask a server for its metrics once no call runs any more."""
    until(lambda: not scrape(server).total("userstream_calls_active"))
    return scrape(server)
