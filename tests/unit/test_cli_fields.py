"""`--fields`: only these columns are asked for, shown, written and verified."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet
from userstream.v1 import user_service_pb2 as pb
from userstream_client.cli._columns import ALL_COLUMNS, columns_from
from userstream_testing.command import Ran, run_here
from userstream_testing.exports import USERS, export
from userstream_testing.exports import verify as verify_table
from userstream_testing.scripted_server import ScriptedServer, scan_script

pytestmark = pytest.mark.slow

NAMES = ["u.csv", "u.ndjson", "u.csv.gz", "u.parquet", "u.arrow"]
AGES = ("--fields", "age")
SOME = [(user.user_id, user.age) for user in USERS]
# What a server sends that knows read_mask. The scripted one sends all fields, as an older server does.
MASKED = [pb.User(user_id=user.user_id, age=user.age) for user in USERS]


def held(file: Path) -> list[tuple[Any, ...]]:
    """Return the rows of an export with two columns."""
    if file.suffix == ".parquet":
        return [tuple(row.values()) for row in parquet.read_table(file).to_pylist()]
    if file.suffix == ".arrow":
        with ipc.open_file(file) as opened:
            return [tuple(row.values()) for row in opened.read_all().to_pylist()]
    if file.suffix == ".ndjson":
        return [tuple(json.loads(line).values()) for line in file.read_text("utf-8").splitlines()]
    heading, *lines = file.read_text("utf-8").splitlines()
    assert heading == "user_id,age"
    return [(line.split(",")[0], int(line.split(",")[1])) for line in lines]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ("user_id", "name", "email", "age")),
        ("user_id", ("user_id",)),
        ("age", ("user_id", "age")),
        (" age , name ", ("user_id", "name", "age")),
        ("age,email,name,user_id", ("user_id", "name", "email", "age")),
    ],
)
def test_columns(text: str, names: tuple[str, ...]) -> None:
    """In the table's order, user_id first, however they are written; all of them are no --fields."""
    assert names == columns_from(text).names
    assert (columns_from(text) == ALL_COLUMNS) is (len(names) == 4)


@pytest.mark.parametrize("command", ["stream", "batch", "pages", "export", "verify"])
def test_unknown_names(command: str, tmp_path: Path) -> None:
    """Exit code 2, one line that says what it takes, and no call."""
    (tmp_path / "u.csv").write_text("user_id\n")
    rest = {"export": ("--output", "x.csv"), "verify": ("u.csv",)}.get(command, ())
    ran = run_here(command, *rest, "--fields", "age,phone", "--target", "127.0.0.1:1", cwd=tmp_path)

    takes = "--fields takes names with commas between: user_id, name, email, age"
    assert Ran(2, "", f"userstream: {takes}\n") == ran


@pytest.mark.parametrize("style", ["csv", "ndjson", "table"])
def test_stream_and_batch(style: str, tmp_path: Path) -> None:
    """These columns in each format, and a request for these fields."""
    for command in ("stream", "batch"):
        with ScriptedServer(scan_script(MASKED)) as server:
            options = ("--format", style, *AGES, "--target", server.target)
            ran = run_here(command, *options, cwd=tmp_path)
        first = {"csv": "user_id,age", "table": "user_id\tage"}.get(style, "")
        expected = {
            "csv": f"{SOME[0][0]},{SOME[0][1]}",
            "table": f"{SOME[0][0]}\t{SOME[0][1]}",
            "ndjson": f'"user_id":"{SOME[0][0]}","age":{SOME[0][1]}}}',
        }

        assert 0 == ran.code
        assert first in ran.out.splitlines()[0]
        assert expected[style] in ran.out
        assert USERS[0].email not in ran.out
        assert ["user_id", "age"] == list(server.calls[0].request.read_mask.paths)


def test_pages(tmp_path: Path) -> None:
    """Pages too."""
    page = pb.PaginateResponse(users=MASKED[:3], page_number=1)
    with ScriptedServer([page]) as server:
        ran = run_here("pages", "--format", "csv", *AGES, "--target", server.target, cwd=tmp_path)

    assert ["page,user_id,age", *(f"1,{i},{age}" for i, age in SOME[:3])] == ran.out.splitlines()
    assert ["user_id", "age"] == list(server.calls[0].request.read_mask.paths)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("users", [MASKED, USERS], ids=["server", "older-server"])
def test_exports(name: str, users: list[pb.User], tmp_path: Path) -> None:
    """A file with these columns, equal to the table and to its manifest; its manifest names them."""
    file = export(tmp_path, name, *AGES, "--manifest", users=users)
    if not name.endswith(".gz"):
        assert SOME == held(file)
    manifest = json.loads(file.with_name(f"{name}.manifest.json").read_text("utf-8"))
    against_manifest = run_here("verify", name, "--target", "127.0.0.1:1", cwd=tmp_path)

    assert ["user_id", "age"] == manifest["fields"]
    assert (0, 0) == (verify_table(file, users=users).code, against_manifest.code)


@pytest.mark.parametrize("name", NAMES)
def test_verify_is_told(name: str, tmp_path: Path) -> None:
    """Without a manifest, --fields says what the file holds; without both it differs, and the line says what to do."""
    file = export(tmp_path, name, *AGES)
    told, untold = verify_table(file, *AGES, users=MASKED), verify_table(file)

    assert 0 == told.code
    assert "is equal to the table (fields user_id age): 30 users" in told.out
    assert 1 == untold.code
    assert "user_id,age: if it was exported so, repeat its --fields" in untold.out


def test_a_change_is_found(tmp_path: Path) -> None:
    """An age that has changed since is named; a name that has changed is nothing to a file without names."""
    file = export(tmp_path, "u.csv", *AGES)
    now = [pb.User.FromString(user.SerializeToString()) for user in USERS]
    now[5].name = "Other"
    now[9].age += 1
    ran = verify_table(file, *AGES, users=now)

    assert f"changed: 1, first {USERS[9].user_id} (age)" in ran.out


def test_nothing_but_ids(tmp_path: Path) -> None:
    """A single column is a table too, in every format."""
    for name in NAMES:
        file = export(tmp_path, name, "--fields", "user_id")
        assert 0 == verify_table(file, "--fields", "user_id").code, name


def test_standard_output(tmp_path: Path) -> None:
    """The same to a pipe."""
    with ScriptedServer(scan_script(MASKED)) as server:
        ran = run_here("export", "--output", "-", *AGES, "--target", server.target, cwd=tmp_path)

    assert ["user_id,age", *(f"{i},{age}" for i, age in SOME)] == ran.out.splitlines()


def test_a_manifest_of_all_columns_is_as_before(tmp_path: Path) -> None:
    """Versions that know no fields still read it."""
    file = export(tmp_path, "u.csv", "--manifest")

    assert "fields" not in json.loads(file.with_name("u.csv.manifest.json").read_text("utf-8"))


@pytest.mark.parametrize("fields", [[], ["age"], ["age", "user_id"], ["user_id", "phone"], 7])
def test_a_manifest_with_columns_that_do_not_exist(fields: Any, tmp_path: Path) -> None:
    """It is damaged; exit code 2."""
    file = export(tmp_path, "u.csv", *AGES, "--manifest")
    path = file.with_name("u.csv.manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"fields": fields}))
    ran = run_here("verify", "u.csv", "--target", "127.0.0.1:1", cwd=tmp_path)

    assert 2 == ran.code
    assert "is damaged or of another version" in ran.err


def test_resume_wants_the_same_fields(tmp_path: Path) -> None:
    """A broken export continues with the fields it began with, and with no others."""
    with ScriptedServer(scan_script(MASKED, messages=2)) as server:
        begun = ("export", "--output", "u.csv", "--no-resume", "--target", server.target)
        run_here(*begun, *AGES, cwd=tmp_path)
    other = run_here(*begun, "--resume", cwd=tmp_path)
    with ScriptedServer(scan_script(MASKED)) as server:
        again = ("export", "--output", "u.csv", "--resume", *AGES, "--target", server.target)
        same = run_here(*again, cwd=tmp_path)

    assert 2 == other.code
    assert "the broken export had other options" in other.err
    assert (0, SOME) == (same.code, held(tmp_path / "u.csv"))


def test_columnar_files_have_only_these_columns(tmp_path: Path) -> None:
    """Their types are those of a whole export."""
    schema = parquet.read_schema(export(tmp_path, "u.parquet", *AGES))

    assert {"user_id": pa.string(), "age": pa.int64()} == dict(
        zip(schema.names, schema.types, strict=True)
    )
