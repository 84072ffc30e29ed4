"""Ends the command with advice, not a traceback, if the packages of the extra `server` are missing.

`pip install userstream` installs the client and a `userstream-server` that cannot run without the extra. Import this
module before anything that imports one of these packages.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["MODULES", "missing_packages"]

MODULES = {
    "grpcio-reflection": "grpc_reflection",
    "mysql-connector-python": "mysql.connector",
    "opentelemetry-exporter-otlp-proto-grpc": "opentelemetry.exporter.otlp.proto.grpc",
    "opentelemetry-exporter-prometheus": "opentelemetry.exporter.prometheus",
    "opentelemetry-sdk": "opentelemetry.sdk",
    "prometheus-client": "prometheus_client",
    "structlog": "structlog",
}
"""Each package of the extra, with a module that only it has."""
_USAGE_ERROR = 2


def missing_packages() -> list[str]:
    """Return the packages of the extra that are not installed."""
    return [package for package, module in MODULES.items() if not _is_installed(module)]


def _is_installed(module: str) -> bool:
    """Look for a module without importing anything, as `find_spec` would do for a name with dots."""
    top, *inside = module.split(".")
    try:
        spec = find_spec(top)
    except ImportError:  # an import hook may refuse
        return False
    if spec is None:
        return False
    folders = spec.submodule_search_locations or ()
    return not inside or any(Path(folder, *inside).is_dir() for folder in folders)


if missing := missing_packages():
    sys.stderr.write(
        f"userstream-server: not installed: {', '.join(missing)}."
        " Install the server's packages: pip install 'userstream[server]'\n"
    )
    sys.exit(_USAGE_ERROR)
