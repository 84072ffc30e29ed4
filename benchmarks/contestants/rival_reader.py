"""Reading all users from Arrow Flight or as lines of JSON: prints the users and its own seconds.

Arguments: the server, the way, the most users (lines only, 0 for all), and `check` to have the CRC-32 of all ids, one
after the other, which is 0 otherwise.
"""

import json
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from zlib import crc32

__all__ = ["WAYS"]


def _record_batches(target: str, _limit: str, *, check: bool) -> tuple[int, int]:
    from pyarrow import flight  # noqa: PLC0415 - the other way does without

    users = crc = 0
    with flight.connect(f"grpc://{target}") as client:
        for chunk in client.do_get(flight.Ticket(b"")):
            users += chunk.data.num_rows
            if check:
                crc = crc32("".join(chunk.data.column("user_id").to_pylist()).encode("ascii"), crc)
    return users, crc


def _lines(target: str, limit: str, *, check: bool) -> tuple[int, int]:
    users = crc = 0
    connection = HTTPConnection(target)
    connection.request("GET", f"/users?limit={limit}")
    for line in connection.getresponse():
        user = json.loads(line)
        _ = user["user_id"], user["name"], user["email"], user["age"]
        users += 1
        if check:
            crc = crc32(user["user_id"].encode("ascii"), crc)
    connection.close()
    return users, crc


WAYS: dict[str, Callable[..., tuple[int, int]]] = {"flight": _record_batches, "ndjson": _lines}


def main() -> None:
    """Read by the way that is named."""
    target, way, limit, *check = sys.argv[1:]
    if way == "flight":
        # Imports are read once in a program; they are not what is measured.
        import pyarrow.flight  # noqa: F401, PLC0415
    begin = time.perf_counter()
    users, crc = WAYS[way](target, limit, check=bool(check))
    print(json.dumps({"users": users, "seconds": time.perf_counter() - begin, "crc32": crc}))


if __name__ == "__main__":
    main()
