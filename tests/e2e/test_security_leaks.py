"""Nothing personal and no secret in anything the server or the command writes, or answers a failed call with."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.rows.types import UserRow
from userstream_server.seeding.seed import seed_users
from userstream_server.settings import ServerSettings
from userstream_testing.admin import execute
from userstream_testing.command import run
from userstream_testing.mysql_server import PrivateServer, free_port
from userstream_testing.server_process import ServerProcess, run_to_end

PEOPLE = [
    UserRow(
        f"0000000{n}-0000-4000-8000-000000000000",
        f"Zoltán Secretname{n}",
        f"zs{n}@private.example",
        40 + n,
    )
    for n in range(1, 9)
]
PREFIX, DOMAIN, TOKEN, BAD_TOKEN = "Zoltán S", "private.example", "t0p-s3cret-token", "wr0ng-t0ken"
METHODS = (
    "StreamUsers",
    "BatchUsers",
    "Paginate",
    "BatchGetUsers",
    "AverageAge",
    "StreamAverageAge",
    "PartitionUsers",
)


def requests() -> list[tuple[str, bytes]]:
    """Return good and bad requests to every RPC, with personal data in the filters and in the noise."""
    wanted = pb.UserFilter(name_prefix=PREFIX, email_domain=DOMAIN)
    bad = pb.UserFilter(name_prefix="Zoltán Secretname1\0", email_domain="zs1@private.example")
    resumed = pb.StreamUsersRequest(filter=wanted, resume_token="zs2@private.example")
    good: list[tuple[str, Any]] = [
        ("StreamUsers", pb.StreamUsersRequest(filter=wanted)),
        ("StreamUsers", pb.StreamUsersRequest(filter=wanted, consistency=pb.CONSISTENCY_SNAPSHOT)),
        ("StreamUsers", pb.StreamUsersRequest(filter=bad)),
        ("StreamUsers", resumed),
        ("BatchUsers", pb.BatchUsersRequest(filter=wanted, batch_size=2)),
        ("BatchUsers", pb.BatchUsersRequest(filter=bad, batch_size=-1)),
        ("Paginate", pb.PaginateRequest(filter=wanted, page_token=PEOPLE[3].email)),
        ("Paginate", pb.PaginateRequest(filter=wanted, offset=3)),
        ("BatchGetUsers", pb.BatchGetUsersRequest(user_ids=[PEOPLE[0].email])),
        ("AverageAge", pb.AverageAgeRequest(filter=wanted, include_histogram=True)),
        ("StreamAverageAge", pb.StreamAverageAgeRequest(filter=wanted)),
        ("PartitionUsers", pb.PartitionUsersRequest(filter=wanted, partition_count=2)),
    ]
    encoded = [(method, request.SerializeToString()) for method, request in good]
    return encoded + [(m, b"\xff" + PEOPLE[4].email.encode()) for m in (*METHODS, "NoSuchMethod")]


def busy(target: str, token: str) -> str:
    """Make all these calls at once; return all that the failed ones were answered with."""
    metadata = [("authorization", f"Bearer {token}"), ("x-request-id", "suite")]

    def call(method: str, request: bytes) -> str:
        made: Any = channel.unary_stream(f"/userstream.v1.UserService/{method}")
        try:
            list(made(request, metadata=metadata, timeout=10))
        except grpc.RpcError as error:
            return f"{error.details()} {error!r} {error.trailing_metadata()}"
        return ""

    with grpc.insecure_channel(target) as channel, ThreadPoolExecutor(8) as threads:
        return "\n".join(threads.map(lambda made: call(*made), requests() * 3))


def found(text: str, secrets: list[str]) -> set[str]:
    """Return those of the secrets that stand in a text, in one of the ways that a log may write them."""
    ways = (str, ascii, lambda s: repr(s.encode()), lambda s: s.encode("utf-8").hex())
    return {s for s in secrets for way in ways if way(s).strip("b'\"") in text}


def command_failures(target: str, folder: Path, url: str) -> str:
    """Return what both commands write when they fail, with the same data in their arguments."""
    said = []
    for token in (TOKEN, BAD_TOKEN):
        for arguments in (
            ("stream", "--name-prefix", PREFIX, "--limit", "-1"),
            ("average-age", "--email-domain", PEOPLE[5].email),
        ):
            settings = {"USERSTREAM_TARGET": target, "USERSTREAM_TOKEN": token}
            ran = run(*arguments, cwd=folder, USERSTREAM_RESUME="false", **settings)
            said.append(ran.err)
    broken = url.replace("@", "@@").replace("/ALX", "?ALX")
    for given in (url, broken):
        done = run_to_end({"USERSTREAM_DATABASE_URL": given}, folder, "--check")
        said.append(done.stdout + done.stderr)
    return "\n".join(said)


def test_no_output_holds_what_is_private(tmp_path: Path) -> None:
    """Grep it all: debug logs, errors, --check, metrics; of good, bad and refused calls, and a failing database."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    with PrivateServer() as mysql:
        admin = f"{mysql.url}/ALX_prodev"
        seed_users(DatabaseUrl.parse(admin), PEOPLE)
        execute(admin, *_account())
        url = admin.replace(f"{mysql.user}:{mysql.password}@", "watcher:p4ssw0rd-of-mysql@")
        settings = {
            "USERSTREAM_DATABASE_URL": url,
            "USERSTREAM_AUTH_TOKENS_FILE": str(tokens),
            "USERSTREAM_LOG_LEVEL": "debug",
            "USERSTREAM_STREAMS_MAX": "4",
            "USERSTREAM_CALLS_WAITING_MAX": "1",
            "USERSTREAM_HEALTH_POLL_SECONDS": "0.2",
        }
        metrics = f"127.0.0.1:{free_port()}"
        if "metrics_listen" in ServerSettings.model_fields:
            settings["USERSTREAM_METRICS_LISTEN"] = metrics
        with ServerProcess(settings, folder=tmp_path) as server:
            answers = [busy(server.target, TOKEN), busy(server.target, BAD_TOKEN)]
            execute(admin, "RENAME TABLE user_data TO gone")
            answers.append(busy(server.target, TOKEN))
            execute(admin, "RENAME TABLE gone TO user_data", "ALTER TABLE user_data DROP email")
            answers.append(busy(server.target, TOKEN))
            execute(admin, "ALTER USER watcher IDENTIFIED BY 'another-p4ssw0rd'")
            while not any(
                e["reason"] == "DATABASE_CREDENTIALS" for e in server.events("not_serving")
            ):
                time.sleep(0.05)
            mysql.kill()
            answers.append(busy(server.target, TOKEN))
            answers.append(command_failures(server.target, tmp_path, url))
            if "metrics_listen" in ServerSettings.model_fields:
                with urlopen(f"http://{metrics}/metrics", timeout=5) as page:
                    answers.append(page.read().decode())
            assert server.terminate() == 0
            output = "\n".join([server.log, *answers])

    secrets = [TOKEN, BAD_TOKEN, "p4ssw0rd", PREFIX, mysql.password]
    secrets += [text for person in PEOPLE for text in (person.name, person.email, person.user_id)]
    assert set() == found(output, secrets)
    assert len(server.events("call")) >= 4 * 3 * len(requests())
    for reason in ("TOKEN_REFUSED", "INVALID_REQUEST", "TABLE_MISSING", "DATABASE_UNAVAILABLE"):
        assert reason in output
    assert found(f"{output}{PEOPLE[0].email}", secrets)


def _account() -> list[str]:
    account = "CREATE USER watcher IDENTIFIED BY 'p4ssw0rd-of-mysql'"
    return [account, "GRANT SELECT ON ALX_prodev.* TO watcher"]
