"""A server over several database hosts, as its operator sees it."""

from pathlib import Path
from typing import Any

from userstream.v1 import user_service_pb2 as pb
from userstream_server.databases.url import DatabaseUrl
from userstream_server.seeding.seed import seed_synthetic
from userstream_testing.calls import rich_error, stub_for
from userstream_testing.scrapes import scrape
from userstream_testing.server_process import ServerProcess, run_to_end, serving
from userstream_testing.waiting import until

DEAD = "127.0.0.1:1"


def of_hosts(url: str, *hosts: str) -> str:
    """Return a URL of the same database with other hosts."""
    account, _, rest = url.rpartition("@")
    _, _, database = rest.partition("/")
    return f"{account}@{','.join(hosts)}/{database}"


def host_of(url: str) -> str:
    ((name, port),) = DatabaseUrl.parse(url).hosts
    return f"{name}:{port}"


def check(url: str, folder: Path) -> tuple[int, list[str]]:
    done = run_to_end({"USERSTREAM_DATABASE_URL": url}, folder, "--check")
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    return done.returncode, [line for line in lines if line.split()[0] in {"host", "database"}]


def test_check_has_a_line_for_each_host(mysql_database: str, tmp_path: Path) -> None:
    """One that is left out is a warning while another is read; without any, all fail."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 10)
    alive = host_of(mysql_database)
    code, (database, *hosts) = check(of_hosts(mysql_database, DEAD, alive), tmp_path)
    none, (failed, *failures) = check(of_hosts(mysql_database, DEAD, "127.0.0.1:2"), tmp_path)

    assert (0, "ok") == (code, database.split()[1])
    assert [
        f"host      warn  {DEAD}: does not answer",
        f"host      ok    {alive}: stands alone, or is the source",
    ] == hosts
    assert (1, "FAIL") == (none, failed.split()[1])
    assert [
        f"host      FAIL  {DEAD}: does not answer",
        "host      FAIL  127.0.0.1:2: does not answer",
    ] == failures


def read(call: Any) -> tuple[int, pb.StreamReceipt, str]:
    """Return how many users a stream sent, its receipt, and its first token."""
    messages = list(call)
    count = sum(len(message.users) for message in messages)
    return count, messages[-1].receipt, messages[0].resume_token


def test_receipts_say_what_is_known(mysql_database: str, tmp_path: Path) -> None:
    """A scan that stays at one host goes not back in time; resumed without a position, that is unknown."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 2000)
    alive = host_of(mysql_database)
    several = of_hosts(mysql_database, alive, DEAD)
    with (
        serving(several, tmp_path) as server,
        serving(mysql_database, tmp_path) as single,
        stub_for(server.target) as stub,
        stub_for(single.target) as other,
    ):
        for method, request in (
            ("StreamUsers", pb.StreamUsersRequest()),
            ("BatchUsers", pb.BatchUsersRequest(batch_size=100, filter=pb.UserFilter(age_over=-1))),
        ):
            count, receipt, token = read(getattr(stub, method)(request))
            request.resume_token = token
            # This private server numbers no transactions.
            _, resumed, _ = read(getattr(stub, method)(request))
            _, elsewhere, token = read(getattr(other, method)(request))
            request.resume_token = token
            _, back, _ = read(getattr(stub, method)(request))

            assert (2000, pb.FRESHNESS_KEPT) == (count, receipt.freshness)
            assert (1, pb.FRESHNESS_UNKNOWN) == (resumed.resumed_count, resumed.freshness)
            assert pb.FRESHNESS_UNSPECIFIED == elsewhere.freshness
            assert (3, pb.FRESHNESS_UNKNOWN) == (back.resumed_count + 1, back.freshness)
            assert 2000 == resumed.user_count == elsewhere.user_count == back.user_count


def test_pages_and_averages_over_several_hosts(mysql_database: str, tmp_path: Path) -> None:
    """Their tokens work from server to server, too."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 500)
    several = of_hosts(mysql_database, host_of(mysql_database), DEAD)
    with serving(several, tmp_path) as server, stub_for(server.target) as stub:
        pages = list(stub.Paginate(pb.PaginateRequest(page_size=100, page_limit=2)))
        token = pages[-1].next_page_token
        rest = list(stub.Paginate(pb.PaginateRequest(page_size=100, page_token=token)))
        *_, final = stub.StreamAverageAge(pb.StreamAverageAgeRequest())
        request = pb.StreamAverageAgeRequest(resume_token=final.resume_token)
        (again,) = stub.StreamAverageAge(request)

    assert [1, 2, 3, 4, 5] == [page.page_number for page in (*pages, *rest)]
    assert 500 == final.user_count == again.user_count


def test_log_and_metrics(mysql_database: str, tmp_path: Path) -> None:
    """Both have the state of each host, and health goes by whether any may be read."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 10)
    alive = host_of(mysql_database)
    settings = {
        "USERSTREAM_DATABASE_URL": of_hosts(mysql_database, DEAD, alive),
        "USERSTREAM_METRICS_LISTEN": "127.0.0.1:0",
    }
    with ServerProcess(settings, folder=tmp_path) as server, stub_for(server.target) as stub:
        assert stub.AverageAge(pb.AverageAgeRequest()).user_count == 10
        seen = scrape(server)
        (down,), (up,) = server.events("host_down"), server.events("host_up")

        assert (DEAD, "does not answer") == (down["host"], down["message"])
        assert alive == up["host"]
        assert seen.total("userstream_database_host_up", host=DEAD) == 0
        assert seen.total("userstream_database_host_up", host=alive) == 1
        assert seen.total("userstream_pool_size") == 16
        assert seen.total("userstream_serving") == 1


def test_a_host_of_another_role_is_up(mysql_database: str, tmp_path: Path) -> None:
    """It is fit to be read, and only left out; an alert on hosts that are down must not fire for it."""
    seed_synthetic(DatabaseUrl.parse(mysql_database), 10)
    alive = host_of(mysql_database)
    settings = {
        "USERSTREAM_DATABASE_URL": of_hosts(mysql_database, DEAD, alive),
        "USERSTREAM_METRICS_LISTEN": "127.0.0.1:0",
        "USERSTREAM_READ_FROM": "replicas",
    }
    with ServerProcess(settings, folder=tmp_path) as server:
        until(lambda: scrape(server).total("userstream_database_host_up", host=alive) == 1)

        assert scrape(server).total("userstream_database_host_up", host=DEAD) == 0
        assert scrape(server).total("userstream_serving") == 0


def test_no_host_may_be_read(mysql_database: str, tmp_path: Path) -> None:
    """The server starts all the same, is NOT_SERVING, and calls end UNAVAILABLE with a reason."""
    settings = {
        "USERSTREAM_DATABASE_URL": of_hosts(mysql_database, DEAD, "127.0.0.1:2"),
        "USERSTREAM_METRICS_LISTEN": "127.0.0.1:0",
    }
    with ServerProcess(settings, folder=tmp_path) as server, stub_for(server.target) as stub:
        error = rich_error(stub.StreamUsers(pb.StreamUsersRequest()))

        assert "DATABASE_UNAVAILABLE" == error.info.reason
        assert error.retry_seconds
        assert scrape(server).total("userstream_serving") == 0
        assert server.terminate() == 0
