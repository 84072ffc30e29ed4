"""The settings, from their types, defaults and docstrings."""

import ast
import inspect
from typing import Any

from pydantic_settings import BaseSettings
from userstream_client._settings import ClientSettings
from userstream_server.settings import ServerSettings

__all__ = ["settings_page"]

_START = """\
# Settings

Environment variables, or lines of a file `.env` in the folder where the program starts. Variables override the file.
"""
_HEADING = "| variable | default | takes | meaning |\n| --- | --- | --- | --- |\n"


def settings_page() -> str:
    """Return the page."""
    server = _HEADING + "\n".join(_rows(ServerSettings))
    client = _HEADING + "\n".join(_rows(ClientSettings))
    return (
        f"{_START}\n## Server\n\n`userstream-server`.\n\n{server}\n"
        f"\n## Client\n\nThe command `userstream` and the Python library.\n\n{client}\n"
    )


def _rows(settings: type[BaseSettings]) -> list[str]:
    documented = _docstrings(settings)
    schema = settings.model_json_schema()
    fields = {name: _resolved(schema, field) for name, field in schema["properties"].items()}
    return [
        f"| `USERSTREAM_{name.upper()}` | {_default(settings, name)} | {_takes(field)} | {documented[name]} |"
        for name, field in fields.items()
    ]


def _docstrings(settings: type[BaseSettings]) -> dict[str, str]:
    """Return the text below each field of a class."""
    (body,) = ast.parse(inspect.getsource(settings)).body
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - for the type checker
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(text, ast.Expr)  # noqa: S101 - every field has one
            found[field.target.id] = " ".join(ast.literal_eval(text.value).split())
    return found


def _default(settings: type[BaseSettings], name: str) -> str:
    value = settings.model_fields[name].default
    if value is None or value == "":
        return "none"
    secret = getattr(value, "get_secret_value", None)
    text = secret() if secret else getattr(value, "value", value)  # an enum's
    return f"`{str(text).lower() if isinstance(text, bool) else text}`"


def _resolved(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference to a definition, such as an enum, stands for."""
    reference: str | None = field.get("$ref")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else field


def _takes(field: dict[str, Any]) -> str:
    """Return what values a setting takes, from its JSON schema."""
    kinds = [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]
    (kind,) = kinds
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    if kind["type"] == "boolean":
        return "`true`, `false`"
    if kind["type"] == "string":
        return "path" if kind.get("format") == "path" else "text"
    return f"{_bounds(kind)}{'' if kind['type'] == 'integer' else ', decimal'}"


def _bounds(kind: dict[str, Any]) -> str:
    least = (
        f"{kind['minimum']:,} or more" if "minimum" in kind else f"over {kind['exclusiveMinimum']}"
    )
    most = kind.get("maximum")
    return least if most is None else f"{least}, at most {most:,}".replace(".0", "")
