"""Every reach into gRPC's private parts, each with its reason, its guard, its fallback and its test.

Import this module before anything that imports grpc: gRPC's core reads GRPC_EXPERIMENTS only once, when it loads.

1. `GRPC_EXPERIMENTS` selects how the core waits for sockets (docs/adr/0006-polling.md).
   Reason: the event engine adds a thread switch per message. Guard: `setdefault`, so the process's own value wins.
   Fallback: gRPC ignores names it does not know. Test: tests/unit/test_polling.py.
2. `pass_on_hints` sends messages that are ready together with a buffer hint (docs/adr/0009-send-hints.md).
   Reason: a one-user message costs half as much. Guard: the patched function must exist.
   Fallback: messages leave one by one. Test: tests/integration/test_send_hints.py.
3. `end_call` ends a call with a status while its handler is blocked inside gRPC.
   Reason: the public `cancel` can only say CANCELLED, which names the wrong culprit. Guard: the core call object must
   exist. Fallback: a plain cancel. Test: tests/e2e/test_limits_stalls.py.

Source of the write flag: GRPC_WRITE_BUFFER_HINT in gRPC's include/grpc/impl/grpc_types.h.
"""

import os
from typing import Any

from userstream_server.call_stats import current_call_stats

__all__ = ["GRPC_EXPERIMENTS", "end_call", "pass_on_hints"]

GRPC_EXPERIMENTS = "-event_engine_listener,-event_engine_client"
"""A minus sign turns an experiment off."""

os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)

# Only after the environment is set.
from grpc import _server  # noqa: E402
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # noqa: E402  # missing in the types only

_SEND_FLAGS = "_get_send_message_op_flags_from_state"
_BUFFER_HINT: int = cygrpc.WriteFlag.buffer_hint


def pass_on_hints() -> None:
    """Make this process's gRPC servers send a message with the buffer hint when its call stats say that more follow.

    Without the private function that this replaces, nothing changes.
    """
    original = getattr(_server, _SEND_FLAGS, None)
    if original is None or getattr(original, "passes_on_hints", False):
        return

    def flags(state: Any) -> int:
        # gRPC calls this in the handler's own thread, right before it hands the message over.
        given: int = original(state)
        return given | _BUFFER_HINT if current_call_stats().more_follow else given

    flags.passes_on_hints = True  # type: ignore[attr-defined]
    setattr(_server, _SEND_FLAGS, flags)


def end_call(context: Any, code: int, details: str) -> None:
    """End a call with a status from another thread, while its handler is blocked inside gRPC.

    The status overtakes queued messages. It cannot carry error details, so put the reason into the text.

    Args:
        context: The call's ServicerContext.
        code: The status as a number.
        details: The status's text.
    """
    core_call = getattr(getattr(context, "_rpc_event", None), "call", None)
    if core_call is None:
        context.cancel()
    else:
        core_call.cancel(code, details)
