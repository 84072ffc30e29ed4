"""What every interceptor here is: a block around one call, open from its request to its last message."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import grpc

__all__ = ["REFLECTION", "Call", "CallInterceptor", "MessageHook", "call_status"]

HEALTH = "/grpc.health.v1.Health/"
REFLECTION = "/grpc.reflection."


class Call(NamedTuple):
    """The call that interceptors surround.

    Attributes:
        method: Its full name, such as `/userstream.v1.UserService/StreamUsers`.
        context: gRPC's side of it.
    """

    method: str
    context: grpc.ServicerContext


class MessageHook:
    """What an interceptor does at each message of one call; by default nothing."""

    __slots__ = ()

    def sending(self, message: Any) -> None:
        """Take note of a message that gRPC gets now.

        Args:
            message: As the handler made it: serialized or not.
        """

    def sent(self) -> None:
        """Take note that gRPC has passed it on and asks for the next one. Only in streams."""


class CallInterceptor(ABC):
    """One concern of every call. `InterceptorChain` enters its block; the order is in `rpc/call_interceptors.py`."""

    @abstractmethod
    def around(self, call: Call) -> AbstractContextManager[MessageHook | None]:
        """Return the block around a call; it yields a hook if it must see each message."""

    def applies_to(self, method: str) -> bool:
        """Say whether calls of this method are surrounded; all but health checks, which must stay cheap and open."""
        return not method.startswith(HEALTH)


def call_status(context: grpc.ServicerContext) -> str:
    """Return the name of a call's status, at its end."""
    code = context.code()  # type: ignore[attr-defined]  # missing in the types only
    if code is None:
        return "OK" if context.is_active() else "CANCELLED"
    return code.name if isinstance(code, grpc.StatusCode) else str(code)
