"""The way to the database: encrypted where it has to be, with no more rights than it takes, from a secret file."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.admin import admin_connection, execute
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.certificates import Authority
from userstream_testing.mysql_server import PrivateServer
from userstream_testing.reader import documented_grants
from userstream_testing.server_process import run_to_end, serving
from userstream_testing.waiting import until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def encrypted(authority: Authority) -> Iterator[str]:
    """Yield the URL of a small database on a MySQL with a certificate for 127.0.0.1."""
    pair = authority.issue("mysql")
    options = (f"--ssl-ca={authority.ca}", f"--ssl-cert={pair.cert}", f"--ssl-key={pair.key}")
    with PrivateServer(options=options) as mysql:
        seed_synthetic(DatabaseUrl.parse(f"{mysql.url}/ALX_prodev"), 100)
        yield f"{mysql.url}/ALX_prodev"


@pytest.fixture(scope="module")
def plaintext() -> Iterator[str]:
    """Yield the URL of a small database on a MySQL that offers no TLS."""
    with PrivateServer() as mysql:
        seed_synthetic(DatabaseUrl.parse(f"{mysql.url}/ALX_prodev"), 100)
        # Without TLS the database takes no password that it has not seen since its start.
        execute(mysql.url, "CREATE USER plain", "GRANT SELECT ON ALX_prodev.* TO plain")
        mysql.options = ("--tls-version=",)
        mysql.restart()
        yield f"mysql://plain@{mysql.host}:{mysql.port}/ALX_prodev"


def check(url: str, folder: Path) -> tuple[int, str]:
    done = run_to_end({"USERSTREAM_DATABASE_URL": url}, folder, "--check")
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_tls_to_the_database(encrypted: str, authority: Authority, tmp_path: Path) -> None:
    """tls=required verifies certificate and host; --check says that the connection is encrypted."""
    trusted = f"{encrypted}?tls=required&tls_ca={quote(str(authority.ca))}"
    code, said = check(trusted, tmp_path)
    assert (code, "encrypted (TLS" in said) == (0, True)
    with serving(trusted, tmp_path) as server, stub_for(server.target) as stub:
        assert stub.AverageAge(pb.AverageAgeRequest()).user_count == 100
        streamed = stub.StreamUsers(pb.StreamUsersRequest())
        assert sum(len(message.users) for message in streamed) == 100
    (tmp_path / "others").mkdir()
    stranger = Authority(tmp_path / "others")
    for url in (
        f"{encrypted}?tls=required&tls_ca={quote(str(stranger.ca))}",
        f"{encrypted}?tls=required",
        trusted.replace("127.0.0.1", "127.0.0.2"),
        f"{encrypted}?tls=required&tls_ca=/nowhere.pem",
    ):
        code, said = check(url, tmp_path)
        assert (code, "database  FAIL" in said) == (1, True)


def test_a_database_without_tls_is_refused(
    plaintext: str, authority: Authority, tmp_path: Path
) -> None:
    """With tls=required nothing is read from a server that offers none, whatever else fits."""
    url = f"{plaintext}?tls=required&tls_ca={quote(str(authority.ca))}"
    code, said = check(url, tmp_path)
    done = run_to_end({"USERSTREAM_DATABASE_URL": url}, tmp_path)
    without, _ = check(plaintext, tmp_path)

    assert (code, "FAIL" in said) == (1, True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert without == 0


def test_the_documented_account_serves_everything(reader_url: str, tmp_path: Path) -> None:
    """With SELECT on the one table, and nothing else, every RPC is served in both consistencies."""
    assert "GRANT SELECT ON" in documented_grants()
    assert documented_grants().count("GRANT") == 1
    with serving(reader_url, tmp_path) as server, stub_for(server.target) as stub:
        for consistency in (pb.CONSISTENCY_LIVE, pb.CONSISTENCY_SNAPSHOT):
            *_, last = stub.StreamUsers(pb.StreamUsersRequest(consistency=consistency))
            assert last.receipt.user_count == 60_000
        *_, last = stub.BatchUsers(pb.BatchUsersRequest(filter=pb.UserFilter(age_over=-1)))
        assert last.receipt.user_count == 60_000
        assert sum(len(p.users) for p in stub.Paginate(pb.PaginateRequest(page_limit=3))) == 300
        assert stub.AverageAge(pb.AverageAgeRequest()).user_count == 60_000
        *_, final = stub.StreamAverageAge(pb.StreamAverageAgeRequest())
        assert final.user_count == 60_000
        split = stub.PartitionUsers(pb.PartitionUsersRequest(partition_count=4))
        assert len(split.partitions) == 4


def test_the_documented_account_ends_its_own_queries(
    mysql_url: str, reader_url: str, tmp_path: Path
) -> None:
    """A call that is cancelled while its query waits in the database leaves no query behind."""
    parsed = DatabaseUrl.parse(reader_url)
    own = f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{parsed.user}'"
    waiting = own + " AND state LIKE '%lock%'"
    with serving(reader_url, tmp_path) as server, stub_for(server.target) as stub:
        locker = admin_connection(f"{mysql_url}/{parsed.database}")
        try:
            with locker.cursor() as cursor:
                cursor.execute("LOCK TABLES user_data WRITE")
            running = stub.StreamUsers(pb.StreamUsersRequest())
            until(lambda: execute(mysql_url, waiting)[0][0] == 1)
            running.cancel()
            until(lambda: execute(mysql_url, waiting)[0][0] == 0)
        finally:
            locker.close()
        assert rich_error(running).code is grpc.StatusCode.CANCELLED
        assert stub.AverageAge(pb.AverageAgeRequest()).user_count == 60_000


def test_a_url_from_a_file(reader_url: str, tmp_path: Path) -> None:
    """USERSTREAM_DATABASE_URL_FILE keeps the password out of the environment, and out of what is printed."""
    secret = tmp_path / "url"
    secret.write_text(f"{reader_url}\n")
    secret.chmod(0o600)
    done = run_to_end({"USERSTREAM_DATABASE_URL_FILE": str(secret)}, tmp_path, "--check")

    assert (done.returncode, "warn" in done.stdout) == (0, False)
    secret.chmod(0o644)
    done = run_to_end({"USERSTREAM_DATABASE_URL_FILE": str(secret)}, tmp_path, "--check")

    assert done.returncode == 0
    assert "warn  USERSTREAM_DATABASE_URL_FILE" in done.stdout
    assert DatabaseUrl.parse(reader_url).password not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "also", "complaint"),
    [
        (None, {}, "USERSTREAM_DATABASE_URL_FILE: the file it names cannot be read"),
        ("", {}, "USERSTREAM_DATABASE_URL_FILE: the file it names is empty"),
        ("mysql://u:topsecret@h:x/d", {}, "USERSTREAM_DATABASE_URL"),
        ("sqlite:///a.db", {"USERSTREAM_DATABASE_URL": "sqlite:///b.db"}, "set only one"),
    ],
)
def test_a_url_file_that_is_no_use(
    tmp_path: Path, text: str | None, also: dict[str, str], complaint: str
) -> None:
    """One line that says what is wrong and shows nothing of it, and exit code 2."""
    secret = tmp_path / "url"
    if text is not None:
        secret.write_text(text)
    done = run_to_end({"USERSTREAM_DATABASE_URL_FILE": str(secret), **also}, tmp_path)

    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "topsecret" not in done.stderr
