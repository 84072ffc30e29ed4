"""The program: `python users.py --help`."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from typing import Any
from zlib import crc32

from call_again import CallError
from userstream.v1 import user_service_pb2 as pb
from verify import IntegrityError, Verifier

from client import Client


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one call; print users on stdout, and a report as one line of JSON on stderr."""
    options = _options(arguments)
    token = os.environ.get("USERSTREAM_TOKEN")
    client = Client(
        [("authorization", f"Bearer {token}")] if token else [],
        timeout_seconds=options.timeout,
        message_timeout_seconds=options.message_timeout,
        backoff_seconds_max=options.backoff_max,
    )
    try:
        report = _run(client, options)
    finally:
        client.close()
    print(json.dumps(report), file=sys.stderr)
    return 0 if report["result"] in {"complete", "cancelled"} else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Read users from USERSTREAM_TARGET.")
    calls = ["stream", "batches", "pages", "average", "running-average"]
    parser.add_argument("call", choices=calls)
    parser.add_argument("--name-prefix", default="", help="only names that begin so")
    parser.add_argument("--age-over", type=int, help="only users older than this, in years")
    parser.add_argument("--limit", type=int, default=0, help="the most users; 0 for all")
    parser.add_argument("--size", type=int, default=0, help="users in a batch or page")
    parser.add_argument("--timeout", type=float, help="seconds for the whole call")
    parser.add_argument("--message-timeout", type=float, default=60, help="seconds for a message")
    parser.add_argument("--backoff-max", type=float, default=5, help="seconds between attempts")
    parser.add_argument("--cancel-after", type=int, default=0, help="messages")
    return parser.parse_args(arguments)


def _run(client: Client, options: argparse.Namespace) -> dict[str, Any]:
    where = pb.UserFilter(name_prefix=options.name_prefix, age_over=options.age_over)
    if options.call == "average":
        return _averaged(lambda: [client.average(pb.AverageAgeRequest(filter=where))])
    if options.call == "running-average":
        request = pb.StreamAverageAgeRequest(filter=where)
        return _averaged(lambda: client.running_average(request))
    groups, verifier = _scan(client, where, options)
    printed = Printed()
    ended = _ended(lambda: printed.all_of(groups, options.cancel_after))
    resumed = verifier.receipt.resumed_count if verifier.receipt else 0
    counts = {"user_count": printed.count, "user_id_crc32": printed.crc, "resumed_count": resumed}
    return counts | ended


def _scan(client: Client, where: Any, options: Any) -> tuple[Generator[Any], Verifier]:
    request: Any
    if options.call == "pages":
        request = pb.PaginateRequest(filter=where, page_size=options.size)
        verifier = Verifier(request)
        return client.pages(request, verifier), verifier
    if options.call == "batches":
        request = pb.BatchUsersRequest(filter=where, limit=options.limit, batch_size=options.size)
    else:
        request = pb.StreamUsersRequest(filter=where, limit=options.limit)
    verifier = Verifier(request)
    method = type(request).__name__.removesuffix("Request")
    return client.users(method, request, verifier), verifier


class Printed:
    """Prints users, and remembers which."""

    def __init__(self) -> None:
        self.count = 0
        self.crc = 0

    def all_of(self, groups: Generator[Any], cancel_after: int) -> str:
        """Print the users of each message; return how that ended."""
        for number, users in enumerate(groups, 1):
            for user in users:
                print(f"{user.user_id}\t{user.age}")
                self.count += 1
                self.crc = crc32(user.user_id.encode(), self.crc)
            if number == cancel_after:
                groups.close()
                return "cancelled"
        return "complete"


def _averaged(figures: Callable[[], Any]) -> dict[str, Any]:
    report: dict[str, Any] = {}

    def read() -> str:
        for last in figures():
            print(f"{last.user_count} users, average age {last.average_age:.2f}")
            report.update(user_count=last.user_count, age_sum=last.age_sum)
        return "complete"

    ended = _ended(read)
    # Figures that are not final are not reported.
    return report | ended if ended["result"] == "complete" else ended


def _ended(run: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"result": run()}
    except CallError as failure:
        return {
            "result": "status",
            "code": failure.code,
            "reason": failure.reason,
            "message": failure.message,
            "field_violations": failure.field_violations,
        }
    except IntegrityError as error:
        return {"result": "integrity", "message": str(error)}


if __name__ == "__main__":
    sys.exit(main())
