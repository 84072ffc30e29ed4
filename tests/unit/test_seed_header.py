"""Files that are no CSV of users: each has a message of its own, before a database is opened."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.csv_format import CsvFormatError, shown
from userstream_server.seeding.seed import seed_csv

CSV = "name,email,age\nAnn,ann@x.com,30\n"
MUST = "The first line must name the columns name,email,age"

# name: (bytes, words of the message, first line as shown)
FILES: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "is empty", ""),
    "blank lines": (b"\n \r\n\n", "is empty", ""),
    "byte order mark alone": (b"\xef\xbb\xbf", "is empty", ""),
    "gzip": (gzip.compress(CSV.encode()), "compressed with gzip", "\\x1f"),
    "bzip2": (bz2.compress(CSV.encode()), "compressed with bzip2", "BZh"),
    "xz": (lzma.compress(CSV.encode()), "compressed with xz", "\\udcfd7zXZ"),
    "spreadsheet": (b"PK\x03\x04\x14\x00rest", "spreadsheet (.xlsx)", "PK\\x03"),
    "UTF-16": (CSV.encode("utf-16"), "UTF-16", "name,email,age"),
    "UTF-16 big": (b"\xfe\xff" + CSV.encode("utf-16-be"), "UTF-16", "name,email,age"),
    "UTF-16 without mark": (CSV.encode("utf-16-le"), "UTF-16", "name,email,age"),
    "UTF-16 big without mark": (CSV.encode("utf-16-be"), "UTF-16", "name,email,age"),
    "semicolons": (CSV.replace(",", ";").encode(), "by semicolons", "name;email;age"),
    "quoted semicolons": (b'"name";"email";"age"\n', "by semicolons", '"name";"email";"age"'),
    "tabs": (CSV.replace(",", "\t").encode(), "by tabs", "name\\temail\\tage"),
    "bars": (CSV.replace(",", "|").encode(), "by vertical bars", "name|email|age"),
    "whole line quoted": (b'"name,email,age"\n', "whole stands in quotes", '"name,email,age"'),
    "quotes within": (b'"""name"",""email"",""age"""\n', "whole stands in quotes", '"""name'),
    "open quote": (b'"name,email,age\nA,a@x.com,1\n', "quotes of the first line", '"name,email,age'),
    "other open quote": (b'id,"city\nA,a@x.com,1\n', "quotes of the first line", 'id,"city'),
    "missing comma": (b"name email,age\n", "missing between name and email", "name email,age"),
    "all commas missing": (b"user_id name email age\n", "between user_id and name", "user_id name"),
    "no header": (b"Ann,ann@x.com,30\n", "looks like a user", "Ann,ann@x.com,30"),
    "no header, with key": (b"7f,Ann,ann@x.com,30\n", "looks like a user", "7f,Ann,ann@x.com,30"),
    "Python": (b"import csv\nprint(1)\n", "looks like a program", "import csv"),
    "Python, imports from": (b"from csv import reader\n", "looks like a program", "from csv import"),
    "Python, docstring": (b'"""Seeds the\ndatabase."""\n', "looks like a program", '"""Seeds the'),
    "Python, function": (b"def main(a, b):\n  pass\n", "looks like a program", "def main(a, b):"),
    "script": (b"#!/usr/bin/env python3\n", "looks like a program", "#!/usr/bin/env python3"),
    "web page": (b"<!DOCTYPE html>\n<html>", "web page", "<!DOCTYPE html>"),
    "JSON": (b'[{"name": "Ann"}]', "JSON", '[{"name": "Ann"}]'),
    "SQL": (b"INSERT INTO user_data VALUES (1)\n", "SQL", "INSERT INTO"),
    "hint for spreadsheets": (b"sep=;\nname;email;age\n", "sep=", "sep=;"),
    "column missing": (b"user_id,name,age\n", "does not name email", "user_id,name,age"),
    "columns missing": (b"a,b\n", "does not name name, email, age", "a,b"),
    "column twice": (b"name,email,age,e-mail\n", "names email twice", "name,email,age,e-mail"),
    "endless line": (b"n" * 100_000, "too long", "n" * 80 + "..."),
    "escape codes": (b"\x1b[31mname\x07,b\n", "does not name", "\\x1b[31mname\\x07,b"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_each_has_a_message_of_its_own(name: str, tmp_path: Path) -> None:
    """The message names the likely cause, the first line is shown, and no database is made."""
    raw, words, first_line = FILES[name]
    path, database = tmp_path / "u.csv", tmp_path / "x.db"
    path.write_bytes(raw)
    with pytest.raises(CsvFormatError) as raised:
        seed_csv(DatabaseUrl("sqlite", path=database), path)

    assert words in str(raised.value)
    assert raised.value.first_line.startswith(first_line)
    assert raised.value.first_line.isprintable()
    assert ["u.csv"] == [p.name for p in tmp_path.iterdir()]


def test_the_messages_hold_nothing_of_the_file(tmp_path: Path) -> None:
    """Only `first_line` does, which is for the terminal of whoever has the file."""
    path = tmp_path / "u.csv"
    path.write_bytes(b"Secret Person,secret@x.com,30\n")
    with pytest.raises(CsvFormatError, match=MUST) as raised:
        seed_csv(DatabaseUrl("sqlite", path=tmp_path / "x.db"), path)

    assert "ecret" not in str(raised.value)


def test_a_gz_name_without_gzip_inside(tmp_path: Path) -> None:
    """The other way round."""
    path = tmp_path / "u.csv.gz"
    path.write_bytes(CSV.encode())
    with pytest.raises(CsvFormatError, match="not compressed"):
        seed_csv(DatabaseUrl("sqlite", path=tmp_path / "x.db"), path)


def test_an_empty_file_named_gz(tmp_path: Path) -> None:
    """Nothing at all, and nothing compressed, are both empty."""
    path = tmp_path / "u.csv.gz"
    for raw in (b"", gzip.compress(b"")):
        path.write_bytes(raw)
        with pytest.raises(CsvFormatError, match="is empty"):
            seed_csv(DatabaseUrl("sqlite", path=tmp_path / "x.db"), path)


@pytest.mark.parametrize("kept_bytes", [4, 12, 20])
def test_a_gz_file_that_ends_in_its_header_line(tmp_path: Path, kept_bytes: int) -> None:
    """It is refused before the database is opened."""
    path = tmp_path / "u.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode())[:kept_bytes])
    with pytest.raises(CsvFormatError, match=r"damaged \.gz"):
        seed_csv(DatabaseUrl("sqlite", path=tmp_path / "x.db"), path)

    assert not (tmp_path / "x.db").exists()


def test_a_first_line_is_shortened_and_printable() -> None:
    """Eighty characters, without what would move a terminal's cursor."""
    assert "é\\x1b[2J\\udcff" == shown("é\x1b[2J\udcff\r\nnext")
    assert "x" * 80 + "..." == shown("x" * 81)
