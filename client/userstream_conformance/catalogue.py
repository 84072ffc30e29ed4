"""All scenarios, by name."""

from userstream_conformance.breaks import BREAKS
from userstream_conformance.ends import ENDS
from userstream_conformance.integrity import INTEGRITY
from userstream_conformance.other_calls import OTHER_CALLS
from userstream_conformance.scenario import Scenario

__all__ = ["SCENARIOS"]

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for scenario in (*ENDS, *BREAKS, *INTEGRITY, *OTHER_CALLS)
}
