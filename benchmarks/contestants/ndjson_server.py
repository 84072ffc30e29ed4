"""The contestant without gRPC as most would write it: FastAPI, a line of JSON a user. Prints its port.

It sends 1,000 lines at a time, as other contestants send batches; a line at a time is much slower.
"""

import json
import os
import socket
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from typing import Any

from userstream_server.databases.url import DatabaseUrl

from benchmarks.contestants.plain_cursor import users_cursor

__all__ = ["main"]

_CHUNK_ROWS = 1000


def main() -> None:
    """Serve GET /users?limit=N until a signal ends the process."""
    # No import statement: the project does without them, and their types.
    fastapi, responses, uvicorn = map(import_module, ("fastapi", "fastapi.responses", "uvicorn"))
    url = DatabaseUrl.parse(os.environ["USERSTREAM_DATABASE_URL"])

    def users(limit: int = 0) -> Any:
        return responses.StreamingResponse(_lines(url, limit), media_type="application/x-ndjson")

    app = fastapi.FastAPI()
    app.add_api_route("/users", users)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def _lines(url: DatabaseUrl, limit: int) -> Iterator[str]:
    with users_cursor(url, limit) as cursor:
        while rows := cursor.fetchmany(_CHUNK_ROWS):
            yield "".join(map(_line, rows))


def _line(row: tuple[str, str, str, Decimal]) -> str:
    user_id, name, email, age = row
    return json.dumps({"user_id": user_id, "name": name, "email": email, "age": int(age)}) + "\n"


if __name__ == "__main__":
    main()
