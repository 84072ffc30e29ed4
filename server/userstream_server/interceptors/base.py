"""A server interceptor as a context manager around the whole call, stream and all.

gRPC's own interceptors run before the handler, under the server's lock; what happens inside a
stream passes them by. This one wraps the handler's behaviour, so that its block is open from the
request to the last message.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, TypeAlias

import grpc

__all__ = ["HEALTH", "REFLECTION", "SurroundingInterceptor", "call_status"]

HEALTH = "/grpc.health.v1.Health/"
REFLECTION = "/grpc.reflection."

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in its types only
Behaviour = Callable[[Any, grpc.ServicerContext], Any]


class SurroundingInterceptor(grpc.ServerInterceptor):
    """Base of the interceptors here."""

    @abstractmethod
    def around(self, method: str, context: grpc.ServicerContext) -> AbstractContextManager[None]:
        """Return the block around a call of a method such as `/userstream.v1.UserService/StreamUsers`."""

    def applies_to(self, method: str) -> bool:
        """Say whether calls of this method are surrounded; all but health checks, which must stay cheap and open."""
        return not method.startswith(HEALTH)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Wrap the handler; see `grpc.ServerInterceptor`."""
        handler = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not self.applies_to(method):
            return handler
        # This runs on gRPC's one serving thread for each call, and the handlers of a method never change.
        inner, wrapped = self._handlers.get(method, (None, None))
        if inner is not handler:
            wrapped = self._wrap(method, handler)
            self._handlers[method] = handler, wrapped
        return wrapped

    @cached_property
    def _handlers(self) -> dict[str, tuple[Handler, Handler]]:
        return {}

    def _wrap(self, method: str, handler: "Handler") -> "Handler":
        wrap = self._streaming if handler.response_streaming else self._single
        kind = (
            f"{'stream' if handler.request_streaming else 'unary'}_"
            f"{'stream' if handler.response_streaming else 'unary'}"
        )
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(  # type: ignore[no-any-return]
            wrap(method, getattr(handler, kind)),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _single(self, method: str, behaviour: Behaviour) -> Behaviour:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            with self.around(method, context):
                return behaviour(request, context)

        return call

    def _streaming(self, method: str, behaviour: Behaviour) -> Behaviour:
        def call(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self.around(method, context):
                yield from behaviour(request, context)

        return call


def call_status(context: grpc.ServicerContext) -> str:
    """Return the name of a call's status, at its end."""
    code = context.code()  # type: ignore[attr-defined]  # missing in the types only
    if code is None:
        return "OK" if context.is_active() else "CANCELLED"
    return code.name if isinstance(code, grpc.StatusCode) else str(code)
