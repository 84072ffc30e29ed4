"""Each example program follows the rules of docs/clients.md, as the conformance server sees them."""

from collections.abc import Iterator

import pytest
from userstream_conformance.catalogue import SCENARIOS
from userstream_conformance.judge import outcome_faults
from userstream_conformance.server import ConformanceServer
from userstream_testing.example_programs import PROGRAMS, Program, programs
from userstream_testing.example_runs import run, scenario_arguments

SOME = (
    "after-the-receipt",
    "average",
    "batches",
    "doubled-across-a-resume",
    "invalid-argument",
    "network-error",
    "pages",
    "retry-info",
    "wrong-crc",
)
"""Those that every run of the tests makes, with the programs that need no toolchain."""


@pytest.fixture(scope="module")
def server() -> Iterator[ConformanceServer]:
    with ConformanceServer() as started:
        yield started


def faults(server: ConformanceServer, program: Program, scenario_name: str) -> list[str]:
    """Run a scenario; return what the program did or reported wrong."""
    scenario = SCENARIOS[scenario_name]
    done = run(program, server.target, *scenario_arguments(scenario, program.name))
    seen = server.runs[f"{scenario_name}:{program.name}"].faults()
    return [*outcome_faults(scenario.outcome, done.report), *seen]


@pytest.mark.parametrize("program", [program for program in PROGRAMS if not program.heavy], ids=str)
def test_some_scenarios(server: ConformanceServer, program: Program) -> None:
    """One of each kind: breaks, waits, final errors, checks, other calls."""
    chosen = [name for name in SOME if name not in program.left_out]

    assert {} == {name: found for name in chosen if (found := faults(server, program, name))}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", programs())
def test_every_scenario(server: ConformanceServer, program: Program) -> None:
    """All but those that the program's README leaves out."""
    chosen = [
        name for name in SCENARIOS if name not in {*program.left_out, *SOME * (not program.heavy)}
    ]

    assert {} == {name: found for name in chosen if (found := faults(server, program, name))}


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_what_is_left_out_is_named(program: Program) -> None:
    """A scenario that a program cannot follow stands in its README with the same reason."""
    page = program.folder.joinpath("README.md").read_text("utf-8")

    assert set(program.left_out) <= set(SCENARIOS)
    assert [] == [
        name for name, why in program.left_out.items() if f"| `{name}` | {why} |" not in page
    ]
