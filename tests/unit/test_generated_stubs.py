"""The committed stubs are those of the .proto file, serve every version allowed, and the contract only grows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from userstream.v1 import user_service_pb2_grpc
from userstream_testing.repository import PROJECT, ROOT, copy_of, run_script

pytestmark = pytest.mark.slow

PROTO = "protos/userstream/v1/user_service.proto"
BUF = Path(sys.prefix, "bin", "buf")
GENERATED = re.compile(r"^# Protobuf Python Version: (.+)$", re.MULTILINE)

needs_generator = pytest.mark.skipif(
    not Path(sys.prefix, "generator").is_dir(), reason="the stubs' generator is not installed here"
)
needs_buf = pytest.mark.skipif(not BUF.exists(), reason="buf is not installed here")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of what scripts/generate works on."""
    return copy_of(tmp_path, "scripts", "protos", "requirements", "pyproject.toml", "buf.yaml")


def change(root: Path, old: str, new: str) -> None:
    proto = root / PROTO
    text = proto.read_text("utf-8")
    assert old in text
    proto.write_text(text.replace(old, new), "utf-8")


def breaking(root: Path) -> subprocess.CompletedProcess[str]:
    """Compare the contract at `root` with the released one, as scripts/lint does."""
    return subprocess.run(
        [BUF, "breaking", "--against", "protos/released.txtpb"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


@needs_generator
def test_committed_stubs_are_fresh() -> None:
    """`scripts/generate --check` finds nothing to say about the repository."""
    checked = run_script(ROOT, "scripts/generate", "--check")

    assert (0, "") == (checked.returncode, checked.stderr)


@needs_generator
def test_changed_proto_is_noticed_and_mended(copy: Path) -> None:
    """A field more makes the check fail and name the stubs; after scripts/generate it passes."""
    change(copy, "int64 age = 4;", "int64 age = 4;\n  // nickname is new.\n  string nickname = 5;")

    stale = run_script(copy, "scripts/generate", "--check")
    generated = run_script(copy, "scripts/generate")
    fresh = run_script(copy, "scripts/generate", "--check")

    assert [1, 0, 0] == [stale.returncode, generated.returncode, fresh.returncode]
    assert "Stale stub: protos/userstream/v1/user_service_pb2.py." in stale.stderr
    assert "Stale stub: protos/userstream/v1/user_service_pb2.pyi." in stale.stderr


def test_stubs_import_by_their_proto_package() -> None:
    """The stubs import one another as `userstream.v1`, whatever folder they lie in."""
    text = (ROOT / "protos/userstream/v1/user_service_pb2_grpc.py").read_text("utf-8")

    assert "from userstream.v1 import user_service_pb2" in text


def bounds(name: str) -> tuple[Version, Version]:
    """Return the oldest version of a dependency and the first that is not allowed."""
    (wanted,) = (
        requirement
        for requirement in map(Requirement, PROJECT["project"]["dependencies"])
        if requirement.name == name
    )
    found = {clause.operator: Version(clause.version) for clause in wanted.specifier}
    return found[">="], found["<"]


def test_stubs_serve_every_grpcio_allowed() -> None:
    """Generated code refuses a grpcio older than its generator: that is the oldest one allowed."""
    oldest, _ = bounds("grpcio")

    assert oldest == Version(user_service_pb2_grpc.GRPC_GENERATED_VERSION)


def test_stubs_serve_every_protobuf_allowed() -> None:
    """Protobuf serves generated code of the same major version, if not newer, and of the one before."""
    text = (ROOT / "protos/userstream/v1/user_service_pb2.py").read_text("utf-8")
    (generated,) = map(Version, GENERATED.findall(text))
    oldest, excluded = bounds("protobuf")

    assert oldest == generated
    assert excluded == Version(str(generated.major + 2))


@needs_buf
def test_new_field_breaks_nobody(copy: Path) -> None:
    """`buf breaking` lets the contract grow."""
    change(copy, "int64 age = 4;", "int64 age = 4;\n  // nickname is new.\n  string nickname = 5;")

    assert 0 == breaking(copy).returncode


@needs_buf
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  int64 age = 4;", "  int64 age = 5;"),
        ("  int64 age = 4;", "  int32 age = 4;"),
        ("  int64 age = 4;", "  int64 years = 4;"),
        ("  rpc AverageAge(", "  rpc MeanAge("),
        ("CONSISTENCY_SNAPSHOT = 2", "CONSISTENCY_SNAPSHOT = 3"),
    ],
    ids=["renumbered field", "retyped field", "renamed field", "renamed rpc", "renumbered value"],
)
def test_break_of_the_contract_is_refused(copy: Path, old: str, new: str) -> None:
    """`buf breaking` names the file where the released contract is broken."""
    change(copy, old, new)

    found = breaking(copy)

    assert 100 == found.returncode
    assert "user_service.proto" in found.stdout
