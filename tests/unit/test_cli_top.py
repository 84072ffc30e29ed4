"""`top`: what a server's metrics say, of real servers and of endpoints that are none."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from userstream_client.cli.top.exposition import Reading, parsed, url_of
from userstream_client.cli.top.figures import lines_of
from userstream_testing.command import (
    COMMAND,
    clean_environment,
    plain,
    read_terminal,
    run,
    run_here,
    start_on_terminal,
)
from userstream_testing.server_process import ServerProcess

TEXT = """\
# HELP userstream_calls_active calls
# TYPE userstream_calls_active gauge
userstream_build_info{engine="mysql",version="1.2.3"} 1.0
userstream_serving 1.0
process_start_time_seconds %(start)s
process_cpu_seconds_total %(cpu)s
process_resident_memory_bytes 1.048576e+08
userstream_pool_size 8.0
userstream_pool_in_use 5.0
userstream_pool_waiting 2.0
userstream_pool_callers_waiting 1.0
userstream_calls_stalled 4.0
userstream_stalls_cancelled_total 3.0
userstream_queries_killed_total 1.0
userstream_streams_resumed_total{method="StreamUsers"} 6.0
userstream_query_duration_seconds_count{method="StreamUsers",kind="read"} %(queries)s
userstream_query_duration_seconds_sum{method="StreamUsers",kind="read"} %(busy)s
userstream_calls_active{method="StreamUsers"} 7.0
userstream_calls_active{method="Paginate"} 0.0
grpc_server_call_started_total{grpc_method="userstream.v1.UserService/StreamUsers"} %(calls)s
userstream_rows_total{method="StreamUsers"} %(rows)s
userstream_payload_bytes_total{method="StreamUsers"} %(bytes)s
userstream_call_errors_total{method="StreamUsers",reason="POOL_EXHAUSTED"} 9.0
userstream_call_errors_total{method="StreamUsers",reason="INTERNAL"} 0.0
"""
EARLY = {"start": 1e9, "cpu": 10, "queries": 0, "busy": 0, "calls": 10, "rows": 0, "bytes": 0}
LATE = EARLY | {"cpu": 11, "queries": 20, "busy": 0.1, "calls": 30, "rows": 2e6, "bytes": 160e6}


def settings(folder: Path) -> dict[str, str]:
    return {
        "USERSTREAM_DATABASE_URL": f"sqlite:///{folder}/users.db",
        "USERSTREAM_METRICS_LISTEN": "127.0.0.1:0",
    }


@contextmanager
def endpoint(*answers: tuple[int, str]) -> Iterator[str]:
    """Yield the address of an HTTP server that gives these answers in turn, the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, text = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(code)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def lines(late: dict[str, float], seconds: float = 2.0, processes: int = 1) -> list[str]:
    before, now = parsed(TEXT % EARLY), parsed(TEXT % late)
    return lines_of([now] * processes, [before] * processes, seconds, 1e9 + 3661)


def test_figures() -> None:
    """Totals are those of now, rates those between two readings; all of it within 80 columns."""
    shown = lines(LATE)

    assert shown[:5] == [
        "userstream-server 1.2.3, mysql, SERVING, up 1:01:01",
        "load      1 process, CPU 50% of a core, memory 100 MiB",
        "pool      5 of 8 connections in use, 2 queries of 1 callers wait",
        "queries   10.0/s, 5.0 ms on average, 1 killed",
        "stalls    4 calls stalled now, 3 ended for it, 6 resumed",
    ]
    assert ["method", "active", "calls", "calls/s", "users/s", "MB/s", "errors"] == shown[6].split()
    assert ["StreamUsers", "7", "30", "10.0", "1,000,000", "80.0", "9"] == shown[8].split()
    assert ["all", "7", "30", "10.0", "1,000,000", "80.0", "9"] == shown[9].split()
    assert ["9", "POOL_EXHAUSTED"] == shown[-1].split()
    assert 80 >= max(map(len, shown))


def test_workers_are_added_up() -> None:
    """Each worker has an endpoint of its own."""
    shown = lines(LATE, processes=2)

    assert "2 processes, CPU 100% of a core, memory 200 MiB" in shown[1]
    assert "10 of 16 connections" in shown[2]


def test_a_server_that_was_restarted() -> None:
    """Its counters begin at zero; a rate is never negative."""
    shown = lines(EARLY | {"start": 1e9 + 5, "calls": 4, "rows": 2})

    assert ["StreamUsers", "7", "4", "2.0", "1", "0.0", "9"] == shown[8].split()


def test_values_and_labels_of_any_text() -> None:
    """Escapes, spaces and braces inside labels, special numbers, and lines that are no samples."""
    reading = parsed(
        'a{x="1\\"}2",y="q\\\\n\\n"} 3\na NaN\nb +Inf\nc{} 1e3\nnonsense\n# a 5\n{} 1\n'
    )

    assert 3 == reading.total("a", x='1"}2', y="q\\n\n")
    assert float("inf") == reading.total("b")
    assert 1000 == reading.total("c")
    assert ['1"}2', ""] == reading.values_of("a", "x")
    assert 0 == Reading({}).total("a")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:9465", "http://127.0.0.1:9465/metrics"),
        ("db1.example", "http://db1.example:9464/metrics"),
        ("[::1]:9464", "http://[::1]:9464/metrics"),
        ("https://a.example/m", "https://a.example/m"),
        ("file:///etc/passwd", "http://file:///etc/passwd:9464/metrics"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    """As the setting has them, or a URL of the web; no other scheme is opened."""
    assert url == url_of(text)


@pytest.mark.slow
def test_a_real_server(tmp_path: Path) -> None:
    """Calls and users of a server, after some were made."""
    with ServerProcess(settings(tmp_path), folder=tmp_path) as server:
        assert 0 == run_here("stream", "--target", server.target, cwd=tmp_path).code
        ran = run(
            "top", f"127.0.0.1:{server.metrics_port}", "--once", "--interval", "0.2", cwd=tmp_path
        )

    assert (0, "") == (ran.code, ran.err)
    assert ran.out.startswith("userstream-server ")
    assert ", sqlite, SERVING, up 0:00:" in ran.out
    (row,) = (line.split() for line in ran.out.splitlines() if line.startswith("StreamUsers"))
    assert ["0", "1"] == row[1:3]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 140])
def test_live_on_a_terminal(columns: int, tmp_path: Path) -> None:
    """It draws over itself, outlives a server that is away, and leaves the terminal as it was; Ctrl-C exits 130."""
    answers = [(200, TEXT % EARLY), (200, TEXT % LATE), (503, "away"), (200, TEXT % LATE)]
    with endpoint(*answers) as address:
        ours, process = start_on_terminal(
            "top", address, "--interval", "0.2", cwd=tmp_path, columns=columns
        )
        shown = b""
        while b"StreamUsers" not in shown or b"answers 503" not in shown:
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        text = shown.decode() + read_terminal(ours)

    assert 130 == process.wait(20)
    assert "pool      5 of 8 connections in use" in plain(text)
    assert text.rindex("\x1b[?1049l") > text.index("\x1b[?1049h")
    assert "Traceback" not in text


@pytest.mark.slow
def test_live_in_a_pipe(tmp_path: Path) -> None:
    """One block after another, without a terminal's sequences; a reader that has enough ends it."""
    with endpoint((200, TEXT % EARLY), (200, TEXT % LATE)) as address:
        shell = subprocess.run(
            [
                *("bash", "-c", '"$@" | head -40; exit ${PIPESTATUS[0]}', "-", *COMMAND, "top"),
                *(address, "--interval", "0.1"),
            ],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (0, "") == (shell.returncode, shell.stderr)
    assert shell.stdout.count("userstream-server 1.2.3") > 1
    assert "\x1b" not in shell.stdout


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, "up 1\n"), "has no metrics of a userstream server"),
        ((404, ""), "answers 404: give the URL of a server's metrics"),
    ],
)
def test_not_a_server(answer: tuple[int, str], words: str, tmp_path: Path) -> None:
    """Exit code 1 and a line with the address."""
    with endpoint(answer) as address:
        ran = run_here("top", address, "--once", cwd=tmp_path)

    assert (1, "", 1) == (ran.code, ran.out, len(ran.err.splitlines()))
    assert words in ran.err
    assert address in ran.err


def test_nobody(tmp_path: Path) -> None:
    """The line names the setting that turns metrics on."""
    ran = run_here("top", "127.0.0.1:1", "--once", cwd=tmp_path)

    assert 1 == ran.code
    assert ran.err.startswith("userstream: cannot read metrics from http://127.0.0.1:1/metrics: ")
    assert "set USERSTREAM_METRICS_LISTEN at the server" in ran.err
