"""How new the data is that a scan has read so far, where several database hosts may be read."""

from dataclasses import dataclass

__all__ = ["UNKNOWN", "Freshness"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """What a scan carries from one host to the next, so that it never goes back in time.

    Attributes:
        position: Stands for a state of the data with all that was read; empty if none is known. Only the
            database understands it.
        is_kept: False once a part of the scan may be older than a part before it.
    """

    position: bytes = b""
    is_kept: bool = True


UNKNOWN = Freshness(is_kept=False)
"""Of a resumed scan whose token says nothing of what was read."""
