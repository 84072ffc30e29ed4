"""The command `userstream`: one subcommand a module."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from userstream_client.cli import (
    average_age,
    batch,
    bench,
    export,
    get,
    health,
    pages,
    partitions,
    stream,
    top,
    verify,
)
from userstream_client.cli._advice import said
from userstream_client.cli._examples import MARKUP, examples
from userstream_client.cli._global_options import (
    Profile,
    Server,
    Target,
    TokenFile,
    choose_server,
)
from userstream_client.cli._problems import Problem, UsageProblem
from userstream_client.errors import InvalidRequestError, SettingsError, UserStreamError

__all__ = ["app", "main"]

_EXAMPLES = (
    "userstream stream --limit 10",
    "userstream --target db1.example:50051 health",
    "userstream --profile prod export --output users.parquet",
    "userstream --show-completion    # what to source for TAB in your shell",
)
_COMMANDS: dict[str, tuple[Callable[..., None], Sequence[str]]] = {
    "stream": (stream.stream, stream.EXAMPLES),
    "batch": (batch.batch, batch.EXAMPLES),
    "pages": (pages.pages, pages.EXAMPLES),
    "get": (get.get, get.EXAMPLES),
    "average-age": (average_age.average_age, average_age.EXAMPLES),
    "partitions": (partitions.partitions, partitions.EXAMPLES),
    "health": (health.health, health.EXAMPLES),
    "export": (export.export, export.EXAMPLES),
    "verify": (verify.verify, verify.EXAMPLES),
    "top": (top.top, top.EXAMPLES),
    "bench": (bench.bench, bench.EXAMPLES),
}
app = typer.Typer(
    name="userstream",
    help="Read the users of a userstream server. Data goes to stdout, everything else to stderr.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, (_command, _examples) in _COMMANDS.items():
    app.command(_name, epilog=examples(*_examples))(_command)


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        try:
            typer.echo(f"userstream {version('userstream')}")
        except PackageNotFoundError:
            typer.echo("userstream (not installed)")
        raise typer.Exit


@app.callback(epilog=examples(*_EXAMPLES))
def _options(
    *,
    target: Target = None,
    profile: Profile = None,
    token_file: TokenFile = None,
    show_version: Annotated[  # noqa: ARG001 - its callback acts
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    choose_server(Server(target, profile, token_file))


def main() -> None:
    """Run the command line and exit with 0 for done, 1 failed, 2 bad input, 130 interrupted."""
    _silence_grpc()
    stdout = sys.stdout
    try:
        app(prog_name="userstream")
    except SystemExit as end:
        # typer replaces standard output when nobody reads it any more, as after `| head`: that is no failure.
        raise SystemExit(0 if sys.stdout is not stdout else end.code) from None
    except SettingsError as error:
        _fail(str(error), 2)
    except UsageProblem as error:
        _fail(f"userstream: {error}", 2)
    except Problem as error:
        _fail(f"userstream: {error}", 1)
    except InvalidRequestError as error:
        _fail(f"userstream: {said(error)}", 2)
    except UserStreamError as error:
        _fail(f"userstream: {said(error)}", 1)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _fail(f"userstream: cannot read or write{where}: {error.strerror}", 1)


def _silence_grpc() -> None:
    """Silence gRPC's own log lines, unless the environment asks for them.

    Setting GRPC_VERBOSITY here would be too late: gRPC's C core reads it when it is imported. The core
    writes to file descriptor 2, so that is sent to /dev/null, and sys.stderr gets a copy of the real one.
    """
    if sys.stderr is None or {"GRPC_VERBOSITY", "GRPC_TRACE"} & set(os.environ):
        return
    real, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    sys.stderr = open(real, "w", buffering=1, errors="backslashreplace")  # noqa: PTH123, SIM115


def _fail(line: str, code: int) -> None:
    print(line, file=sys.stderr)  # noqa: T201
    sys.exit(code)
