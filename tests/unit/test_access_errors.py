"""What is said when the database refuses an account: which right is missing, and nothing of the driver's own text."""

import pytest
from userstream_server.databases.mysql.errors import translate
from userstream_server.errors import ConflictError, PreconditionError

TABLE = "command denied to user 'secret'@'10.0.0.7' for table 'hidden'"
CASES = [
    (1044, "Access denied for user 'secret'@'%' to database 'hidden'", "right to this database"),
    (1045, "Access denied for user 'secret'@'10.0.0.7' (using password: YES)", "the password"),
    (1698, "Access denied for user 'secret'@'localhost'", "the password"),
    (1130, "Host '10.0.0.7' is not allowed to connect", "this machine"),
    (1142, f"1142 (42000): SELECT {TABLE}", "GRANT SELECT ON <database>.user_data"),
    (1142, f"CREATE {TABLE}", "GRANT CREATE ON"),
    (1142, f"SELECT, INSERT {TABLE}", "GRANT SELECT, INSERT ON"),
    (1142, f"UPDATE {TABLE}", "lacks the right UPDATE"),
    (1142, "Der Befehl ist nicht erlaubt für 'secret'", "To seed: GRANT CREATE, SELECT, INSERT"),
    (1143, "INSERT command denied to user 'secret'@'%' for column 'hidden'", "GRANT INSERT"),
    (1227, "Access denied; you need (at least one of) the SUPER, SYSTEM_VARIABLES_ADMIN privilege(s) for"
           " this operation", "global right: SUPER, SYSTEM_VARIABLES_ADMIN"),
    (1227, "secret", "a global right"),
    (1345, "EXPLAIN/SHOW can not be issued; lacking privileges for hidden", "SHOW VIEW ON <database>.user_data"),
    (1862, "Your password has expired.", "expired"),
    (3118, "Access denied for user 'secret'@'%'. Account is locked.", "locked"),
    (3159, "Connections using insecure transport are prohibited", "?tls=required"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "text", "words"), CASES)
def test_the_missing_right_is_named(number: int, text: str, words: str) -> None:
    """Each number has its own advice; the reason stays one for programs."""
    error = translate(number, text)

    assert isinstance(error, PreconditionError)
    assert error.reason == "DATABASE_CREDENTIALS"
    assert words in error.message
    assert not any(part in error.message for part in ("secret", "hidden", "10.0.0.7", "denied"))


@pytest.mark.parametrize("text", ["DROP TABLE x command denied", "EVIL command denied", "denied"])
def test_only_known_rights_are_repeated(text: str) -> None:
    """Whatever else a message holds stays out."""
    message = translate(1142, text).message

    assert "lacks a right on user_data" in message
    assert "EVIL" not in message


@pytest.mark.parametrize("number", [1290, 1792, 1836, 1874])
def test_a_server_that_takes_no_writes(number: int) -> None:
    """It is named as what it is, and no defect."""
    error = translate(number, "The MySQL server is running with the --super-read-only option")

    assert isinstance(error, PreconditionError)
    assert error.reason == "DATABASE_READ_ONLY"


def test_a_row_that_changed_since_it_was_read() -> None:
    """MariaDB's error for it is a conflict, which is retried."""
    assert isinstance(translate(1020), ConflictError)
