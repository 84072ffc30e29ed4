"""Every reach into gRPC's private parts, each with its reason, its guard, its fallback and its test.

Import this module before anything that imports grpc: gRPC's core reads GRPC_EXPERIMENTS only once, when it loads.

1. `GRPC_EXPERIMENTS` selects how the core waits for sockets (docs/adr/0006-polling.md).
   Reason: the event engine adds a thread switch per message. Guard: `setdefault`, so the process's own value wins.
   Fallback: gRPC ignores names it does not know. Test: tests/unit/test_polling.py.
2. `pass_on_hints` sends a `BufferableMessage` with a buffer hint (docs/adr/0009-send-hints.md).
   Reason: a one-user message costs half as much. Guard: both patched functions must exist.
   Fallback: messages leave one by one. Test: tests/integration/test_send_hints.py.
3. `end_call` ends a call with a status while its handler is blocked inside gRPC.
   Reason: the public `cancel` can only say CANCELLED, which names the wrong culprit. Guard: the core call object must
   exist. Fallback: a plain cancel. Test: tests/e2e/test_limits_stalls.py.

Source of the write flag: GRPC_WRITE_BUFFER_HINT in gRPC's include/grpc/impl/grpc_types.h.
"""

import os
from typing import Any

__all__ = ["GRPC_EXPERIMENTS", "BufferableMessage", "end_call", "pass_on_hints"]

GRPC_EXPERIMENTS = "-event_engine_listener,-event_engine_client"
"""A minus sign turns an experiment off."""

os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)

# Only after the environment is set.
from grpc import _server  # noqa: E402
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # noqa: E402  # missing in the types only

_SERIALIZE = "_serialize_response"
_SEND_FLAGS = "_get_send_message_op_flags_from_state"
_BUFFER_HINT: int = cygrpc.WriteFlag.buffer_hint


class BufferableMessage(bytes):
    """A serialized message that gRPC may keep for a moment, because others that are made already follow it."""

    __slots__ = ()


def pass_on_hints() -> None:
    """Make this process's gRPC servers send each `BufferableMessage` with the buffer hint.

    Without the private functions that this replaces, nothing changes.
    """
    serialize, send_flags = (getattr(_server, name, None) for name in (_SERIALIZE, _SEND_FLAGS))
    if serialize is None or send_flags is None or hasattr(send_flags, "replaced"):
        return

    # gRPC calls both in the handler's thread for each message: first to serialize it, then right before it
    # sends it. Only the first one sees the message, both see the call's state.
    def serialize_and_note(rpc_event: Any, state: Any, response: Any, serializer: Any) -> Any:
        state.userstream_flags = _BUFFER_HINT if type(response) is BufferableMessage else 0
        return serialize(rpc_event, state, response, serializer)

    def noted_flags(state: Any) -> int:
        flags: int = send_flags(state)
        return flags | getattr(state, "userstream_flags", 0)

    serialize_and_note.replaced = serialize  # type: ignore[attr-defined]
    noted_flags.replaced = send_flags  # type: ignore[attr-defined]
    setattr(_server, _SERIALIZE, serialize_and_note)
    setattr(_server, _SEND_FLAGS, noted_flags)


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
