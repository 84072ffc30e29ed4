"""Mutants of what stands outside functions: tables, constants, and the defaults of classes."""

import difflib
from collections.abc import Collection, Iterable, Iterator

import libcst as cst
import libcst.matchers as m
from mutmut.mutation.mutators import mutation_operators

__all__ = ["mutants_outside_functions"]

_TYPE_VARIABLE = m.Assign(value=m.Call(func=m.Name("TypeVar")))
_STATUS_CODE = m.Attribute(value=m.Name("code_pb2") | m.Attribute(attr=m.Name("StatusCode")))
_NOT_FOR_US = (
    cst.Annotation,
    cst.Decorator,
    cst.FunctionDef,
    cst.Import,
    cst.ImportFrom,
)
"""Functions are mutmut's own; types, imports and how classes are decorated are mypy's."""


def mutants_outside_functions(
    source: str, untouched: Collection[str] = ()
) -> Iterator[tuple[list[str], str]]:
    """Yield each mutant's changed lines, as in a diff, and the whole mutated source.

    Args:
        source: Of a module.
        untouched: Names whose values stay as they are.
    """
    module = cst.parse_module(source)
    found = _Found({"__all__", *untouched})
    module.visit(found)
    for original, mutated in found.changes:
        text = cst.ensure_type(module.deep_replace(original, mutated), cst.Module).code
        yield _changed_lines(source, text), text


class _Found(cst.CSTVisitor):
    """Collects pairs of a node and what takes its place."""

    def __init__(self, untouched: Collection[str]) -> None:
        self.changes: list[tuple[cst.CSTNode, cst.CSTNode]] = []
        self._untouched = untouched

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, _NOT_FOR_US) or m.matches(node, _TYPE_VARIABLE):
            return False
        if isinstance(node, cst.Assign | cst.AnnAssign) and _name_of(node) in self._untouched:
            return False
        self.changes += [(node, mutated) for mutated in _mutations(node)]
        return True


def _name_of(node: cst.Assign | cst.AnnAssign) -> str:
    target = node.targets[0].target if isinstance(node, cst.Assign) else node.target
    return target.value if isinstance(target, cst.Name) else ""


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
