"""Ends the command with advice, not a traceback, if the packages of the extra `server` are missing.

`pip install userstream` installs the client and a `userstream-server` that cannot run without the extra. Import this
module before anything that imports one of these packages.
"""

import sys
from importlib.util import find_spec

__all__ = ["MODULES", "missing_packages"]

MODULES = {
    "grpcio-reflection": "grpc_reflection",
    "mysql-connector-python": "mysql.connector",
    "opentelemetry-exporter-otlp-proto-grpc": "opentelemetry.exporter.otlp.proto.grpc",
    "opentelemetry-exporter-prometheus": "opentelemetry.exporter.prometheus",
    "opentelemetry-sdk": "opentelemetry.sdk",
    "prometheus-client": "prometheus_client",
    "sqlalchemy": "sqlalchemy",
    "structlog": "structlog",
}
"""Each package of the extra, with a module that only it has."""
_USAGE_ERROR = 2


def missing_packages() -> list[str]:
    """Return the packages of the extra that are not installed."""
    return [package for package, module in MODULES.items() if not _is_installed(module)]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # a package around it is missing
        return False


if missing := missing_packages():
    sys.stderr.write(
        f"userstream-server: not installed: {', '.join(missing)}."
        " Install the server's packages: pip install 'userstream[server]'\n"
    )
    sys.exit(_USAGE_ERROR)
