"""Reads all users once through userstream's Python client, as its users write it; prints the seconds and the count."""

import json
import sys
import time

from userstream_client import UserFilter, UserStreamClient

__all__ = ["main"]


def main() -> None:
    """Read from the target named on the command line, one user at a time or (`batch`) a thousand."""
    target, method = sys.argv[1:]
    users = 0
    with UserStreamClient(target) as client:
        begin = time.perf_counter()
        if method == "batch":
            for batch in client.batch_users(1000, UserFilter(age_over=-1)):
                users += len(batch)
        else:
            for _ in client.stream_users():
                users += 1
        seconds = time.perf_counter() - begin
    print(json.dumps({"users": users, "seconds": seconds}))


if __name__ == "__main__":
    main()
