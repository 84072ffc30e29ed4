"""`userstream health`: whether the server is ready, for people and for probes."""

import typer

from userstream_client.cli import _arguments as args
from userstream_client.cli._output import say_verdict
from userstream_client.models import HealthStatus

__all__ = ["EXAMPLES", "health"]

EXAMPLES = (
    "userstream health",
    "userstream health --target db1.example:50051 --timeout 2",
)


def health(*, target: args.Target = None, timeout: args.Timeout = None) -> None:
    """Print SERVING and exit 0, or NOT_SERVING and exit 1."""
    with args.open_client(target, timeout) as client:
        found = client.health()
    worst = found.service if found.server is HealthStatus.SERVING else found.server
    say_verdict(worst.name)
    if not found.serving:
        raise typer.Exit(1)
