"""The one gRPC interceptor: it enters the blocks of all `CallInterceptor`s around a call, in order.

gRPC calls its interceptors before the handler runs, under the server's lock, so they do not see what
happens inside a stream. This one wraps the handler instead. Its blocks stay open until the last message.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from typing import Any, TypeAlias

import grpc

from userstream_server.interceptors.base import Call, CallInterceptor, MessageHook

__all__ = ["InterceptorChain"]

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in its types only
Behaviour = Callable[[Any, grpc.ServicerContext], Any]


class InterceptorChain(grpc.ServerInterceptor):
    """Surrounds every call with the same interceptors.

    Args:
        interceptors: Outermost first.
    """

    def __init__(self, interceptors: Sequence[CallInterceptor]) -> None:
        self._interceptors = tuple(interceptors)
        self._wrapped: dict[str, tuple[Handler, Handler]] = {}

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Handler | None"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return the method's handler, surrounded; None for a method that does not exist."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        # This runs on gRPC's only serving thread for each call, so handlers are wrapped once and kept.
        method = handler_call_details.method
        known, wrapped = self._wrapped.get(method, (None, None))
        if known is not handler:
            wrapped = self._wrap(method, handler)
            self._wrapped[method] = handler, wrapped
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        applying = [i for i in self._interceptors if i.applies_to(method)]
        if not applying:
            return handler
        surround = _streaming if handler.response_streaming else _single
        kind = (
            f"{'stream' if handler.request_streaming else 'unary'}_"
            f"{'stream' if handler.response_streaming else 'unary'}"
        )
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(  # type: ignore[no-any-return]
            surround(method, applying, getattr(handler, kind)),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _single(
    method: str, interceptors: Sequence[CallInterceptor], behaviour: Behaviour
) -> Behaviour:
    def call(request: Any, context: grpc.ServicerContext) -> Any:
        with ExitStack() as stack:
            hooks = _enter(stack, interceptors, Call(method, context))
            response = behaviour(request, context)
            for hook in hooks:
                hook.sending(response)
            return response

    return call


def _streaming(
    method: str, interceptors: Sequence[CallInterceptor], behaviour: Behaviour
) -> Behaviour:
    def call(request: Any, context: grpc.ServicerContext) -> Generator[Any]:
        with ExitStack() as stack:
            hooks = _enter(stack, interceptors, Call(method, context))
            # A stream that is left early must end its queries before the blocks around it end.
            messages = stack.enter_context(closing(behaviour(request, context)))
            for message in messages:
                for hook in hooks:
                    hook.sending(message)
                yield message
                for hook in hooks:
                    hook.sent()

    return call


def _enter(
    stack: ExitStack, interceptors: Sequence[CallInterceptor], call: Call
) -> list[MessageHook]:
    """Enter all blocks, outermost first, and return their hooks."""
    entered = [stack.enter_context(interceptor.around(call)) for interceptor in interceptors]
    return [hook for hook in entered if hook is not None]
