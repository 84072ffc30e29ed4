"""`userstream-server`: settings, logs, database, server, signals. Wiring only."""

import gc
import sys
from contextlib import ExitStack
from typing import Annotated

from userstream_server import server_packages  # noqa: F401 - before anything that imports one of them

# isort: split
import structlog
import typer

from userstream_server import grpc_internals  # noqa: F401 - before anything that imports grpc
from userstream_server.databases.database import Database
from userstream_server.databases.open import open_database
from userstream_server.errors import UnavailableError, UserStreamError
from userstream_server.file_limits import raise_file_limit, shortage
from userstream_server.logs import configure_logs, set_level
from userstream_server.preflight import find_all
from userstream_server.rpc.server import UserStreamServer, build_server
from userstream_server.seeding.command import HELP_OPTIONS, seed
from userstream_server.seeding.seed import ensure_embedded
from userstream_server.settings import ServerSettings, SettingsError, load_settings
from userstream_server.signals import Signals
from userstream_server.telemetry import open_telemetry
from userstream_server.version import VERSION
from userstream_server.workers import run_workers

__all__ = ["main"]

_log = structlog.get_logger()
# Plain text, as the seed command has it: usage errors go to logs too, where boxes are no help.
_app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP_OPTIONS,
)
_EXAMPLES = """\b
Examples:
  userstream-server                       serve, as USERSTREAM_… and .env say
  userstream-server --check               look at settings, database and table
  userstream-server --workers 4           four processes on one port
  userstream-server seed --sample         create user_data with 1,000 users
  userstream-server seed --csv users.csv  create it from a file
"""
_app.command("seed", context_settings=HELP_OPTIONS)(seed)


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"userstream-server {VERSION}")
        raise typer.Exit


@_app.callback(invoke_without_command=True, epilog=_EXAMPLES)
def serve(
    context: typer.Context,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Check settings, database and table, then exit.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the port; default: USERSTREAM_WORKERS.")
    ] = None,
    show_version: Annotated[  # noqa: ARG001 - its callback acts
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    worker: Annotated[int | None, typer.Option(hidden=True)] = None,
    listen: Annotated[str | None, typer.Option(hidden=True)] = None,
    health_listen: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Stream the users of a MySQL table over gRPC. Settings come from USERSTREAM_… and .env."""
    if context.invoked_subcommand:
        if check or workers is not None:
            raise typer.BadParameter("--check and --workers do not go with a command")
        return
    options = {"workers": workers, "listen": listen, "health_listen": health_listen}
    given: dict[str, object] = {k: v for k, v in options.items() if v is not None}
    settings = _settings(given)
    configure_logs(level=settings.log_level, form=settings.log_format, worker=worker)
    if settings.database.engine == "sqlite":
        ensure_embedded(settings.database)
    if check:
        raise typer.Exit(_check(settings))
    if settings.workers > 1 and worker is None:
        raise typer.Exit(_supervise(settings))
    _serve(settings, worker, given)


def _supervise(settings: ServerSettings) -> int:
    """Run several workers; return the exit code."""
    try:
        return run_workers(
            settings.workers,
            listen=settings.listen,
            health_listen=settings.health_listen,
            drain_seconds=settings.drain_notice_seconds + settings.drain_seconds,
        )
    except OSError as error:
        raise _failure(f"userstream-server: {error}", 1) from None


def _serve(settings: ServerSettings, worker: int | None, given: dict[str, object]) -> None:
    """Run until SIGTERM or SIGINT, or as a worker until the process that started it is gone."""
    signals = Signals(stop_with_stdin=worker is not None)
    _prepare_files(settings)
    database = open_database(settings.database_options)
    if database.driver.kind == "python":
        _log.warning("slow_driver", message="The database driver's C extension does not load here.")
    _refuse_wrong_database(database)
    with ExitStack() as stack:
        try:
            telemetry = stack.enter_context(open_telemetry(settings, database, worker=worker))
            server = build_server(
                settings, database, share_port=worker is not None, telemetry=telemetry
            )
        except (OSError, ValueError) as error:
            raise _failure(f"userstream-server: {error}", 1) from None
        server.start()
        # What is here now stays to the end: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        _log.info(
            "started",
            version=VERSION,
            port=server.port,
            health_port=server.health_port,
            metrics_port=telemetry and telemetry.metrics_port,
            database=settings.database.masked,
            settings=settings.shown(),
        )
        signals.wait(lambda: _reload(server, given))
        _log.info("stopping", grace_seconds=settings.drain_seconds)
        server.stop(settings.drain_seconds, notice_seconds=settings.drain_notice_seconds)
        database.close()
    _log.info("stopped")


def _prepare_files(settings: ServerSettings) -> None:
    """Raise the limit of open files; warn if what is allowed is not enough."""
    raise_file_limit(settings)
    if warning := shortage(settings):
        _log.warning("few_open_files", message=warning)


def _reload(server: UserStreamServer, given: dict[str, object]) -> None:
    """Read settings and files again; the rest of the settings waits for a restart."""
    try:
        settings = load_settings(**given)
    except SettingsError as error:
        _log.error("reload_failed", message=str(error))
        return
    set_level(settings.log_level)
    server.reload(settings)
    _log.info("reloaded", log_level=settings.log_level)


def _refuse_wrong_database(database: Database) -> None:
    """End the start when operator action is required; a database that is only unreachable may come back."""
    try:
        database.check()
    except UnavailableError:
        _log.warning("database_away", message="Serving NOT_SERVING until the database answers.")
    except UserStreamError as error:
        raise _failure(f"userstream-server: {error.message}", 1) from None


def _check(settings: ServerSettings) -> int:
    """Print one line for each thing checked; return the exit code."""
    # What hosts say of themselves stands in the lines below.
    set_level("error")
    failed = False
    for finding in find_all(settings):
        print(finding)  # noqa: T201
        failed = failed or finding.state == "FAIL"
    return int(failed)


def _settings(given: dict[str, object]) -> ServerSettings:
    try:
        return load_settings(**given)
    except SettingsError as error:
        raise _failure(str(error), 2) from None


def _failure(text: str, code: int) -> typer.Exit:
    sys.stderr.write(text + "\n")
    return typer.Exit(code)


def main() -> None:
    """Run the command."""
    _app(prog_name="userstream-server")


if __name__ == "__main__":
    main()
