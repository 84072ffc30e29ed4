"""Mutants of what mutmut leaves out: tables, constants, the defaults of classes, and decorated functions."""

import difflib
from collections.abc import Collection, Iterable, Iterator

import libcst as cst
import libcst.matchers as m
from mutmut.mutation.mutators import mutation_operators

__all__ = ["has_plain_functions", "other_mutants"]

_TYPE_VARIABLE = m.Assign(value=m.Call(func=m.Name("TypeVar")))
_STATUS_CODE = m.Attribute(value=m.Name("code_pb2") | m.Attribute(attr=m.Name("StatusCode")))
_NOT_FOR_US = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)
"""Types, imports and decorators are for mypy."""
_FOR_MUTMUT = {"staticmethod", "classmethod"}


def has_plain_functions(source: str) -> bool:
    """Say whether a module has functions for mutmut to change."""
    functions = m.findall(cst.parse_module(source), m.FunctionDef())
    return any(not _is_decorated(cst.ensure_type(node, cst.FunctionDef)) for node in functions)


def other_mutants(
    source: str, on_import: Collection[str] = ()
) -> Iterator[tuple[str, list[str], str]]:
    """Yield for each mutant its place (a function, or a name assigned), its lines as in a diff, and the whole source.

    Args:
        source: Of a module.
        on_import: Functions to change although they are not decorated.
    """
    module = cst.parse_module(source)
    found = _Found(on_import)
    module.visit(found)
    for name, original, mutated in found.changes:
        text = cst.ensure_type(module.deep_replace(original, mutated), cst.Module).code
        yield name, _changed_lines(source, text), text


class _Found(cst.CSTVisitor):
    """Collects a name, a node and what takes its place."""

    def __init__(self, on_import: Collection[str]) -> None:
        self.changes: list[tuple[str, cst.CSTNode, cst.CSTNode]] = []
        self._on_import = on_import
        self._name = "-"
        self._function: cst.CSTNode | None = None

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef) and self._function is None:
            self._name, self._function = node.name.value, node
            return self._is_ours(node)
        if isinstance(node, _NOT_FOR_US) or m.matches(node, _TYPE_VARIABLE):
            return False
        if isinstance(node, cst.Assign | cst.AnnAssign) and self._function is None:
            self._name = _name_of(node)
            if self._name == "__all__":
                return False
        self.changes += [(self._name, node, mutated) for mutated in _mutations(node)]
        return True

    def _is_ours(self, function: cst.FunctionDef) -> bool:
        return function.name.value in self._on_import or _is_decorated(function)

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if original_node is self._function:
            self._function = None


def _is_decorated(function: cst.FunctionDef) -> bool:
    decorators = {cst.Module([]).code_for_node(d.decorator) for d in function.decorators}
    return bool(decorators - _FOR_MUTMUT)


def _name_of(node: cst.Assign | cst.AnnAssign) -> str:
    target = node.targets[0].target if isinstance(node, cst.Assign) else node.target
    return target.value if isinstance(target, cst.Name) else "-"


def _mutations(node: cst.CSTNode) -> Iterable[cst.CSTNode]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            yield from operator(node)
    if m.matches(node, _STATUS_CODE):
        attribute = cst.ensure_type(node, cst.Attribute)
        other = "UNKNOWN" if attribute.attr.value != "UNKNOWN" else "NOT_FOUND"
        yield attribute.with_changes(attr=cst.Name(other))


def _changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[:1] in "-+" and line[:3] not in {"---", "+++"}]
