"""`userstream-server`: settings, logs, database, server, signals. Wiring only."""

import signal
import sys
import threading
from typing import Annotated

import structlog
import typer

from userstream_server.app import build_server
from userstream_server.db.database import Database
from userstream_server.db.open import open_database
from userstream_server.db.seed import ensure_embedded
from userstream_server.errors import UnavailableError, UserStreamError
from userstream_server.logs import configure_logs
from userstream_server.settings import ServerSettings, SettingsError, load_settings

__all__ = ["main"]

_log = structlog.get_logger()
_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@_app.command()
def serve(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Check settings, database and table, then exit.")
    ] = False,
) -> None:
    """Stream the users of a MySQL table over gRPC. Settings come from USERSTREAM_… and .env."""
    settings = _settings()
    configure_logs(level=settings.log_level, form=settings.log_format)
    if settings.database.engine == "sqlite":
        ensure_embedded(settings.database)
    if check:
        raise typer.Exit(_check(settings))
    _serve(settings)


def _serve(settings: ServerSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    database = open_database(settings)
    _refuse_wrong_database(database)
    try:
        server = build_server(settings, database)
    except (OSError, ValueError) as error:
        raise _failure(f"userstream-server: {error}", 1) from None
    server.start()
    _log.info(
        "started",
        port=server.port,
        health_port=server.health_port,
        database=settings.database.masked,
    )
    stop.wait()
    _log.info("stopping", grace_seconds=settings.drain_seconds)
    server.stop(settings.drain_seconds)
    database.close()
    _log.info("stopped")


def _refuse_wrong_database(database: Database) -> None:
    """End the start when somebody has to mend something; a database that is merely away may come back."""
    try:
        database.check()
    except UnavailableError:
        _log.warning("database_away", message="Serving NOT_SERVING until the database answers.")
    except UserStreamError as error:
        raise _failure(f"userstream-server: {error.message}", 1) from None


def _check(settings: ServerSettings) -> int:
    """Print one line for each thing checked; return the exit code."""
    print(f"settings  ok    {settings.database.masked}, listening on {settings.listen}")  # noqa: T201
    database = open_database(settings)
    try:
        print(f"database  ok    {database.check()}")  # noqa: T201
    except UserStreamError as error:
        print(f"database  FAIL  {error.message}")  # noqa: T201
        return 1
    finally:
        database.close()
    return 0


def _settings() -> ServerSettings:
    try:
        return load_settings()
    except SettingsError as error:
        raise _failure(str(error), 2) from None


def _failure(text: str, code: int) -> typer.Exit:
    sys.stderr.write(text + "\n")
    return typer.Exit(code)


def main() -> None:
    """Run the command."""
    _app()


if __name__ == "__main__":
    main()
