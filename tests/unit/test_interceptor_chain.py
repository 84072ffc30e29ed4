"""The one gRPC interceptor: blocks in order around calls, hooks at messages, everything closed in order."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import grpc
import pytest
from userstream_server.auth.access import Access
from userstream_server.auth.certificate_names import ClientNames
from userstream_server.interceptors.base import Call, CallInterceptor, MessageHook
from userstream_server.interceptors.chain import InterceptorChain
from userstream_server.rpc.call_interceptors import call_interceptors
from userstream_server.settings import load_settings
from userstream_testing.repository import ROOT

METHOD = "/userstream.v1.UserService/StreamUsers"
CONTEXT = cast("grpc.ServicerContext", object())


class Noted(CallInterceptor, MessageHook):
    """Writes down what happens to it.

    Args:
        name: What it is called.
        notes: Where it writes.
        hooks: Whether it wants to see messages.
        refuses: Whether it refuses calls.
    """

    def __init__(
        self, name: str, notes: list[str], *, hooks: bool = False, refuses: bool = False
    ) -> None:
        self._name = name
        self._notes = notes
        self._hooks = hooks
        self._refuses = refuses

    @contextmanager
    def around(self, call: Call) -> Iterator[MessageHook | None]:
        assert call == Call(METHOD, CONTEXT)
        if self._refuses:
            raise PermissionError
        self._notes.append(f"{self._name} opens")
        try:
            yield self if self._hooks else None
        except Exception as error:
            self._notes.append(f"{self._name} sees {type(error).__name__}")
            raise
        finally:
            self._notes.append(f"{self._name} closes")

    def sending(self, message: Any) -> None:
        self._notes.append(f"{self._name} sends {message}")

    def sent(self) -> None:
        self._notes.append(f"{self._name} sent")


def surrounded(
    behaviour: Callable[..., Any], *interceptors: CallInterceptor, kind: str, method: str = METHOD
) -> Callable[..., Any]:
    """Return a behaviour as the chain surrounds it."""
    handler = getattr(grpc, f"{kind}_rpc_method_handler")(behaviour)
    details = cast("grpc.HandlerCallDetails", type("", (), {"method": method}))
    wrapped = InterceptorChain(interceptors).intercept_service(lambda _: handler, details)

    return cast("Callable[..., Any]", getattr(wrapped, kind))


@pytest.fixture
def notes() -> list[str]:
    return []


def numbers(notes: list[str]) -> Callable[..., Iterator[int]]:
    """Return a stream of two messages that writes down when it ends."""

    def behaviour(request: int, context: object) -> Iterator[int]:  # noqa: ARG001
        try:
            yield from (request + 1, request + 2)
        finally:
            notes.append("stream closes")

    return behaviour


def test_a_stream_is_surrounded_from_its_request_to_its_end(notes: list[str]) -> None:
    """The first interceptor is the outermost; only hooks see the messages."""
    call = surrounded(
        numbers(notes), Noted("a", notes), Noted("b", notes, hooks=True), kind="unary_stream"
    )

    assert [11, 12] == list(call(10, CONTEXT))
    assert notes == [
        "a opens", "b opens",
        "b sends 11", "b sent", "b sends 12", "b sent",
        "stream closes", "b closes", "a closes",
    ]  # fmt: skip


def test_a_stream_that_is_left_early_ends_before_what_surrounds_it(notes: list[str]) -> None:
    """Its queries end first; what measures it still counts them."""
    call = surrounded(numbers(notes), Noted("a", notes, hooks=True), kind="unary_stream")
    stream = call(10, CONTEXT)
    next(stream)
    stream.close()

    assert notes == ["a opens", "a sends 11", "stream closes", "a closes"]


def test_a_single_answer_is_surrounded_too(notes: list[str]) -> None:
    """Its one message is seen once, on its way out."""
    call = surrounded(
        lambda request, _: request + 1, Noted("a", notes, hooks=True), kind="stream_unary"
    )

    assert call(10, CONTEXT) == 11
    assert notes == ["a opens", "a sends 11", "a closes"]


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_what_is_inside_a_refusal_never_opens(notes: list[str], kind: str) -> None:
    """The outer ones see the error and close; the handler does not run."""
    call = surrounded(
        numbers(notes),
        Noted("a", notes),
        Noted("b", notes, refuses=True),
        Noted("c", notes),
        kind=kind,
    )
    with pytest.raises(PermissionError):
        list(call(10, CONTEXT))

    assert notes == ["a opens", "a sees PermissionError", "a closes"]


def test_health_checks_are_not_surrounded(notes: list[str]) -> None:
    """Their handler is served as it is."""

    def behaviour(*_: object) -> None:
        """Answer nothing."""

    method = "/grpc.health.v1.Health/Check"
    call = surrounded(behaviour, Noted("a", notes), kind="unary_unary", method=method)

    assert call is behaviour


def test_handlers_are_wrapped_once() -> None:
    """The serving thread does it at the first call; methods that do not exist leave nothing behind."""
    chain = InterceptorChain([Noted("a", [])])
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda *_: None)
    details = cast("grpc.HandlerCallDetails", type("", (), {"method": METHOD}))
    unknown = cast("grpc.HandlerCallDetails", type("", (), {"method": "/a/b"}))

    wrapped = chain.intercept_service(lambda _: handler, details)
    assert wrapped is not handler
    assert wrapped is chain.intercept_service(lambda _: handler, details)
    assert chain.intercept_service(lambda _: None, unknown) is None
    assert [METHOD] == list(chain._wrapped)


class Everything:
    """Stands for whatever a part of the server needs; its attributes are of the same kind."""

    client_names = ClientNames.parse("someone")

    def __getattr__(self, name: str) -> "Everything":
        return Everything()


def test_the_order_is_the_documented_one() -> None:
    """docs/architecture.md lists the same interceptors in the same order."""
    everything = cast("Any", Everything())
    access = cast("Access", everything)
    found = call_interceptors(load_settings(), access, everything, everything, everything)
    modules = [type(i).__module__.rpartition(".")[2] for i in found[:-2]]
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    table = page.split("## What surrounds a call")[1].split("\n## ")[0]

    assert re.findall(r"^\| `(\w+)\.py`", table, re.MULTILINE) == [*modules, "draining", "stalls"]
