"""A client that shares no code with ours, `buf curl`, calls every RPC through reflection."""

import json
import shutil
import subprocess
from typing import Any

import pytest
from userstream_server.rows.types import UserRow
from userstream_testing.server_process import ServerProcess

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("StreamUsers", {"limit": 5, "max_users_per_message": 2}),
    ("BatchUsers", {"batch_size": 3, "limit": 7, "filter": {"age_over": -1}}),
    ("Paginate", {"page_size": 4, "page_limit": 2}),
    ("BatchGetUsers", {"user_ids": ["nobody"], "read_mask": "userId,age"}),
    ("AverageAge", {"include_histogram": True}),
    ("StreamAverageAge", {}),
    ("PartitionUsers", {"partition_count": 3}),
]


def curl(
    server: ServerProcess, rpc: str, request: dict[str, Any], *options: str
) -> list[dict[str, Any]]:
    """Call an RPC; return its responses."""
    buf = shutil.which("buf")
    assert buf, "buf-bin is in requirements/dev.txt"
    url = f"http://{server.target}/userstream.v1.UserService/{rpc}"
    done = subprocess.run(
        [
            buf,
            "curl",
            "--protocol",
            "grpc",
            "--http2-prior-knowledge",
            *options,
            "-d",
            json.dumps(request),
            url,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    decoder, text, found = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].strip()
    return found


@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
@pytest.mark.parametrize(("rpc", "request_"), CALLS, ids=[rpc for rpc, _ in CALLS])
def test_every_rpc(
    shared_server: ServerProcess,
    users: list[UserRow],
    rpc: str,
    request_: dict[str, Any],
    version: str,
) -> None:
    """Each RPC answers a foreign client with what the table holds, whichever version of reflection it speaks."""
    responses = curl(shared_server, rpc, request_, "--reflect-protocol", version)
    ids = [user["userId"] for response in responses for user in response.get("users", [])]
    keys = [user.user_id for user in users]

    assert responses
    if rpc in {"StreamUsers", "BatchUsers", "Paginate"}:
        assert keys[: len(ids)] == ids
        assert len(ids) == request_.get("limit", 8)
    elif rpc == "BatchGetUsers":
        assert [{"missingUserIds": ["nobody"]}] == responses
    elif rpc in {"AverageAge", "StreamAverageAge"}:
        assert int(responses[-1]["ageSum"]) == sum(user.age for user in users)
    else:
        assert len(responses[0]["partitions"]) == 3
