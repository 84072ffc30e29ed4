"""The gRPC API, from the comments of the proto."""

import subprocess
from collections.abc import Iterator, Sequence

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from scripts.documentation.repository import ROOT

__all__ = ["api_page"]

_NAME = "userstream/v1/user_service.proto"
# Numbers of fields in descriptor.proto, of which the paths of comments are made.
_MESSAGES, _ENUMS, _SERVICES, _SYNTAX = 4, 5, 6, 12
_CHILDREN = 2  # fields of a message, values of an enum, methods of a service


class _Comments:
    """The comments of a file, by the path of what they stand before."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._by_path = {
            tuple(location.path): location.leading_comments
            for location in file.source_code_info.location
        }

    def at(self, *path: int) -> str:
        """Return a comment without its line breaks; lists keep theirs."""
        text = self._by_path.get(path, "").strip()
        return "\n".join(line.strip() for line in text.splitlines())


def api_page() -> str:
    """Return the page."""
    file = _described()
    comments = _Comments(file)
    parts = [
        "# gRPC API",
        f"Made from `{_NAME}`, which generates clients in every language.",
        comments.at(_SYNTAX).replace(
            "Rules that hold for every RPC:\n", "Rules that hold for every RPC:\n\n"
        ),
    ]
    for number, service in enumerate(file.service):
        parts += _service(service, comments, number)
    parts.append("## Messages")
    for number, message in enumerate(file.message_type):
        parts += _message(message, comments, number)
    parts.append("## Enumerations")
    for number, enum in enumerate(file.enum_type):
        parts += _enum(enum, comments, number)
    return "\n\n".join(parts) + "\n"


def _described() -> FileDescriptorProto:
    done = subprocess.run(
        ["buf", "build", "--as-file-descriptor-set", "--output", "-#format=binpb"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    files = FileDescriptorSet.FromString(done.stdout).file
    return next(file for file in files if file.name == _NAME)


def _service(service: ServiceDescriptorProto, comments: _Comments, number: int) -> Iterator[str]:
    yield f"## {service.name}"
    yield comments.at(_SERVICES, number)
    for index, method in enumerate(service.method):
        yield f"### {method.name}"
        stream = "stream of " if method.server_streaming else ""
        request, response = _link(method.input_type), _link(method.output_type)
        yield f"{request} → {stream}{response}"
        yield comments.at(_SERVICES, number, _CHILDREN, index)


def _message(message: DescriptorProto, comments: _Comments, number: int) -> Iterator[str]:
    yield f"### {message.name}"
    yield comments.at(_MESSAGES, number)
    rows = [
        (
            str(field.number),
            f"`{field.name}`",
            _type(field),
            comments.at(_MESSAGES, number, _CHILDREN, index),
        )
        for index, field in enumerate(message.field)
    ]
    yield _table(("number", "field", "type", "meaning"), rows)


def _enum(enum: EnumDescriptorProto, comments: _Comments, number: int) -> Iterator[str]:
    yield f"### {enum.name}"
    yield comments.at(_ENUMS, number)
    rows = [
        (str(value.number), f"`{value.name}`", comments.at(_ENUMS, number, _CHILDREN, index))
        for index, value in enumerate(enum.value)
    ]
    yield _table(("number", "value", "meaning"), rows)


def _type(field: FieldDescriptorProto) -> str:
    own = {FieldDescriptorProto.TYPE_MESSAGE, FieldDescriptorProto.TYPE_ENUM}
    name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    text = _link(field.type_name) if field.type in own else f"`{name}`"
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {text}"
    return f"optional {text}" if field.proto3_optional else text


def _link(full_name: str) -> str:
    package, _, name = full_name.removeprefix(".").rpartition(".")
    return (
        f"[{name}](#{name.lower()})"
        if package == "userstream.v1"
        else f"`{full_name.removeprefix('.')}`"
    )


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |" for line in lines
    )
