"""What is wrong with a file whose first line is no header: the likely cause, and what to do."""

import re
from collections.abc import Callable
from typing import Final

__all__ = ["COLUMNS", "CsvFormatError", "column_of", "shown", "why_no_header"]

COLUMNS: Final = {"userid": "user_id", "name": "name", "email": "email", "age": "age"}
"""Our columns by the header's words, without case, blanks, hyphens and underscores."""
_REQUIRED = ("name", "email", "age")
_MUST = "The first line must name the columns name,email,age and optionally user_id."
_SHOWN_CHARS = 80
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_PROGRAM = re.compile(
    r"#!|import \w|from [\w.]+ import |(def|class|async def) \w+.*:\s*$|@\w+$|(\"\"\"|''')|# ?-\*-"
)
_SQL = re.compile(r"--|/\*|(create|insert|drop|use|set)\s+\w", re.IGNORECASE)


class CsvFormatError(ValueError):
    """The file as a whole is not a CSV file of users.

    Args:
        message: The likely cause and what to do, without any of the file's contents.
        text: The beginning of the file.

    Attributes:
        first_line: The file's first line, shortened and printable; empty when there is none. It may be a
            user's: it is for the terminal of whoever has the file, not for logs.
    """

    def __init__(self, message: str, text: str = "") -> None:
        super().__init__(message)
        self.first_line = shown(text)


def shown(text: str) -> str:
    """Return the first line of a text, shortened and printable."""
    line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    shortened = line[:_SHOWN_CHARS] + ("..." if len(line) > _SHOWN_CHARS else "")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shortened)


def column_of(heading: str) -> str | None:
    """Return which of our columns a heading names: "User ID", "user_id" and "E-Mail" are what they seem."""
    return COLUMNS.get(_plain(heading))


def why_no_header(line: str, fields: list[str] | None) -> str:
    """Return why a first line is no header of users, and what to do.

    Args:
        line: The first line as it is.
        fields: Its fields; None where its quotes do not match.
    """
    for cause in _CAUSES:
        if found := cause(line, fields or []):
            return f"{found} {_MUST}"
    if fields is None:
        return f"The quotes of the first line do not match, or it is too long. {_MUST}"
    return f"{_wrong_columns(fields)} {_MUST}"


def _plain(heading: str) -> str:
    return re.sub(r"[\s_-]", "", heading.lower())


def _names_users(headings: list[str]) -> bool:
    """Say whether at least two headings are columns of ours."""
    return sum(column_of(heading.strip(' "')) is not None for heading in headings) > 1


def _other_language(line: str, _fields: list[str]) -> str | None:
    text = line.strip()
    if _PROGRAM.match(text):
        return "The file looks like a program (Python or another script), not like CSV."
    if text.startswith("<"):
        return "The file looks like a web page or XML, as a failed download leaves it."
    if text.startswith(("{", "[")):
        return "The file looks like JSON. Convert it to CSV."
    if _SQL.match(text):
        return "The file looks like SQL. Load it with the database's own client, or export CSV."
    return None


def _excel_hint(line: str, _fields: list[str]) -> str | None:
    if re.fullmatch(r'"?sep=.?"?', line.strip(), re.IGNORECASE):
        return "The first line is a hint for spreadsheets (sep=). Remove it."
    return None


def _delimiter(line: str, _fields: list[str]) -> str | None:
    for delimiter, name in _DELIMITERS.items():
        if _names_users(line.split(delimiter)):
            return f"The columns are separated by {name}. Save the file with commas."
    return None


def _quoted_line(line: str, fields: list[str]) -> str | None:
    if len(fields) == 1 and _names_users(fields[0].split(",")):
        return "Each line as a whole stands in quotes. Remove the quotes around whole lines."
    if line.lstrip().startswith('"') and _names_users(line.strip().strip('"').split(",")):
        return "The quotes of the first line do not match. Remove them."
    return None


def _missing_comma(_line: str, fields: list[str]) -> str | None:
    one = "|".join(COLUMNS)
    for field in fields:
        if re.fullmatch(rf"(?:{one}){{2,}}", _plain(field)):
            first, second = re.findall(one, _plain(field))[:2]
            return f"A comma is missing between {COLUMNS[first]} and {COLUMNS[second]}."
    return None


def _no_header(_line: str, fields: list[str]) -> str | None:
    has_email = any("@" in field for field in fields)
    if has_email and any(field.strip().isdecimal() for field in fields):
        return "The first line looks like a user, not like a header. Put a header before it."
    return None


def _wrong_columns(fields: list[str]) -> str:
    found = [column for column in map(column_of, fields) if column]
    if missing := [name for name in _REQUIRED if name not in found]:
        return f"The first line does not name {', '.join(missing)}."
    twice = next(name for name in found if found.count(name) > 1)
    return f"The first line names {twice} twice."


_CAUSES: tuple[Callable[[str, list[str]], str | None], ...] = (
    # First: doubled quotes look like the beginning of a Python program.
    _quoted_line,
    _other_language,
    _excel_hint,
    _delimiter,
    _missing_comma,
    _no_header,
)
