"""What scripts/mutation changes, and the tests that must notice."""

from dataclasses import dataclass

__all__ = ["GROUPS", "Group"]


@dataclass(frozen=True)
class Group:
    """Modules that the same tests are about.

    Attributes:
        modules: What is changed, below the source roots.
        tests: Tests that concern it, and take a second or two; mutmut runs those that reach the function changed.
        functions: Patterns of mutmut's names for the mutants to try; empty for all.
        untouched: Names outside functions that are left alone.
        imports: Whether functions run while the module is imported, so that each mutant needs a new process.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()
    imports: bool = False


_ROWS = tuple(
    f"userstream_server/rows/{name}.py"
    for name in ("batches", "generators", "keyset", "prefetch", "scan", "sql", "types")
)
GROUPS = {
    "rows": Group(
        _ROWS,
        (
            "tests/unit/test_batches.py",
            "tests/unit/test_keyset.py",
            "tests/unit/test_sql.py",
            "tests/integration/test_prefetch.py",
            "tests/integration/test_readers.py",
            "tests/integration/test_users.py",
        ),
        untouched=(
            "MYSQL_COLUMNS",
        ),  # only a real MySQL can judge it: tests/integration/test_mysql.py
    ),
    "encoding": Group(
        ("userstream_server/rows/encoding.py",),
        ("tests/unit/test_encoding.py", "tests/unit/test_batches.py"),
        imports=True,
    ),
    "tokens": Group(
        ("userstream_server/rpc/tokens.py",),
        (
            "tests/unit/test_forged_tokens.py",
            "tests/unit/test_released_tokens.py",
            "tests/unit/test_tokens.py",
        ),
    ),
    "messages": Group(
        ("userstream_server/rpc/messages.py",),
        ("tests/unit/test_batches.py", "tests/unit/test_messages.py"),
    ),
    "statuses": Group(
        ("userstream_server/errors.py", "userstream_server/interceptors/status.py"),
        ("tests/unit/test_statuses.py",),
        # How a call is ended and logged is for tests/e2e, with a real server.
        functions=("userstream_server.errors.*", "*.x_status_of__mutmut_*"),
    ),
    "client": Group(
        (
            "userstream_client/_decoding.py",
            "userstream_client/_retry.py",
            "userstream_client/_verifier.py",
        ),
        (
            "tests/unit/test_client_resume.py",
            "tests/unit/test_decoding.py",
            "tests/unit/test_retry.py",
            "tests/unit/test_verifier.py",
        ),
    ),
}
