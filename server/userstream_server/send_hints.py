"""Messages that may leave together: gRPC's core takes a hint for it, which its Python side does not pass on.

A message sent with GRPC_WRITE_BUFFER_HINT may wait in the core until one without it comes, or 64 KiB have gathered.
Its send is over at once, and neither the socket nor the consumer is woken for it: docs/adr/0009-send-hints.md.

Source: GRPC_WRITE_BUFFER_HINT in gRPC's include/grpc/impl/grpc_types.h.
"""

from typing import Any

from grpc import _server
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # missing in the types only

from userstream_server.account import current_account

__all__ = ["pass_on_hints"]

_NAME = "_get_send_message_op_flags_from_state"
_BUFFER_HINT: int = cygrpc.WriteFlag.buffer_hint


def pass_on_hints() -> None:
    """Make gRPC's servers in this process send a message with the hint if its call's account says that more follow.

    The function replaced is no public one. grpcio is pinned to a version that has it; without it, nothing changes.
    """
    original = getattr(_server, _NAME, None)
    if original is None or getattr(original, "passes_on_hints", False):
        return

    def flags(state: Any) -> int:
        # Called by the thread that runs the call's handler, right before it hands the message over.
        given: int = original(state)
        return given | _BUFFER_HINT if current_account().more_follow else given

    flags.passes_on_hints = True  # type: ignore[attr-defined]
    setattr(_server, _NAME, flags)
