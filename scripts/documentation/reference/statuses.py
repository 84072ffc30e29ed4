"""The statuses and reasons of errors, from the places in the code that raise them."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from google.rpc import code_pb2
from userstream_server.errors import STATUSES, InvalidRequestError

from scripts.documentation.repository import ROOT

__all__ = ["statuses_page"]

_START = """\
# Statuses and reasons

Every error of a call has a gRPC status and a `google.rpc.ErrorInfo` with the domain `userstream` and one of these
reasons. The texts are those that the caller reads; `…` stands for a name or a number. Errors of
`userstream-server seed` are among them. [Operations](../operations.md#statuses) says who fixes what.
"""
_CODES = {kind.__name__: code_pb2.Code.Name(code) for kind, (code, _) in STATUSES.items()}
_RETRY = {kind.__name__: seconds for kind, (_, seconds) in STATUSES.items()}
_INVALID = InvalidRequestError.__name__


def statuses_page() -> str:
    """Return the page."""
    texts: dict[tuple[str, str], set[str]] = defaultdict(set)
    modules = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "server").rglob("*.py")]
    for kind, reason, text in _raised(modules):
        texts[kind, reason].add(text)
    texts["InternalError", "INTERNAL"].add("")
    texts[_INVALID, "INVALID_REQUEST"].add("")
    return _START + "".join(_section(kind, texts) for kind in _CODES)


def _section(kind: str, texts: dict[tuple[str, str], set[str]]) -> str:
    reasons = sorted(reason for of, reason in texts if of == kind)
    if not reasons:
        return ""
    rows = "".join(f"| `{reason}` | {_text(kind, texts[kind, reason])} |\n" for reason in reasons)
    retry = (
        f"Carries RetryInfo, {_RETRY[kind]:g} s unless the error says otherwise.\n\n"
        if _RETRY[kind]
        else ""
    )
    return f"\n## {_CODES[kind]}\n\n{retry}| reason | text |\n| --- | --- |\n{rows}"


def _text(kind: str, texts: set[str]) -> str:
    if kind == _INVALID:
        return "each field at fault and what it takes, in `google.rpc.BadRequest` too"
    if kind == "InternalError":
        return "Internal error. The server's log has the details under the request id."
    known = {re.sub("…+", "…", text) for text in texts} - {"", "…"}
    return "<br>".join(sorted(known)) or "says what is wrong and what to do"


def _raised(modules: Sequence[ast.Module]) -> Iterator[tuple[str, str, str]]:
    """Yield class, reason and text of each error that the modules make."""
    named = {name: value for module in modules for name, value in _constants(module)}
    for node in (node for module in modules for node in ast.walk(module)):
        if isinstance(node, ast.Call) and (reason := _reason(node, named)):
            kind = node.func.id if isinstance(node.func, ast.Name) else ""
            text = _words(node.args[1], named) if len(node.args) > 1 else ""
            yield (kind, reason, text) if kind in _CODES else (_INVALID, reason, "")


def _constants(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _reason(call: ast.Call, named: dict[str, ast.expr]) -> str:
    """Return the reason that a call gives to an error; empty for any other call."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
    if name == "_refused":
        given = call.args[1:2]
    elif name in _CODES and name != _INVALID:
        given = call.args[:1]
    text = _words(given[0], named) if given else ""
    return text if text.isupper() else ""


def _words(node: ast.expr, named: dict[str, ast.expr]) -> str:
    """Return a text with … for what is only known when it is raised."""
    if isinstance(node, ast.Name) and node.id in named:
        return _words(named[node.id], named)
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part, named) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _words(node.left, named) + _words(node.right, named)
    return str(node.value) if isinstance(node, ast.Constant) else "…"
