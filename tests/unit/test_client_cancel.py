"""However a caller leaves a stream, its call ends at the server."""

import asyncio
import gc
import threading
from collections.abc import Iterator

import pytest
from userstream_client import AsyncUserStreamClient, CallCancelledError, User, UserStreamClient
from userstream_testing.scripted_server import Hang, ScriptedServer, made_users, scan_script

USERS = made_users(6)


class AnyError(Exception):
    """Raised by the caller itself."""


def raise_after(_user: User) -> None:
    raise AnyError


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Yield a server whose stream never ends."""
    with ScriptedServer(scan_script(USERS, Hang(), messages=2)) as server:
        yield server


def assert_ended(server: ScriptedServer) -> None:
    assert server.calls[0].ended.wait(10)
    assert 1 == len(server.calls)


def test_leaving_a_loop(server: ScriptedServer) -> None:
    """`break` drops the stream, and that ends the call, without a collection of garbage."""
    gc.disable()
    try:
        with UserStreamClient(server.target) as client:
            for user in client.stream_users():
                assert USERS[0].user_id == user.user_id
                break
            assert_ended(server)
    finally:
        gc.enable()


def test_dropping_a_stream(server: ScriptedServer) -> None:
    """A stream that nobody holds any more ends its call."""
    with UserStreamClient(server.target) as client:
        stream = client.stream_users()
        next(stream)
        del stream
        assert_ended(server)


def test_an_exception_in_the_block(server: ScriptedServer) -> None:
    """`with` ends the call when its block fails."""
    with UserStreamClient(server.target) as client:
        stream = client.stream_users()
        with pytest.raises(AnyError), stream:
            raise_after(next(stream))
        assert_ended(server)


def test_closing_twice(server: ScriptedServer) -> None:
    """`close` may be called again; the stream is over then."""
    with UserStreamClient(server.target) as client:
        stream = client.stream_users()
        next(stream)
        stream.close()
        stream.close()
        assert_ended(server)

        # The rest of the message that had come is still there, and nothing after it.
        assert len(list(stream)) <= 1


def test_closing_the_client_wakes_its_streams(server: ScriptedServer) -> None:
    """A thread that waits for a user gets an error that it can tell from a failure."""
    client = UserStreamClient(server.target)
    raised: list[BaseException] = []

    def read() -> None:
        try:
            list(client.stream_users())
        except CallCancelledError as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    server.wait_until_hanging()
    client.close()
    thread.join(10)

    assert 1 == len(raised)
    assert_ended(server)


def test_a_stream_costs_no_thread_when_it_is_over() -> None:
    """The watchdog's thread goes with the last stream."""
    with (
        ScriptedServer(*[scan_script(USERS) for _ in range(5)]) as server,
        UserStreamClient(server.target) as client,
    ):
        for _ in range(5):
            list(client.stream_users())
        for thread in threading.enumerate():
            if thread.name == "userstream-watchdog":
                thread.join(10)

        assert "userstream-watchdog" not in [t.name for t in threading.enumerate()]


def test_streams_of_several_threads_share_a_client() -> None:
    """Each thread reads its own stream, whole."""
    with (
        ScriptedServer(*[scan_script(USERS) for _ in range(8)]) as server,
        UserStreamClient(server.target) as client,
    ):
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda: counts.append(len(list(client.stream_users()))))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

    assert [len(USERS)] * 8 == counts


def test_async_close(server: ScriptedServer) -> None:
    """`async with` ends the call when its block is left."""

    async def leave() -> None:
        async with AsyncUserStreamClient(server.target) as client:
            async with client.stream_users() as users:
                await anext(users)
            await asyncio.to_thread(assert_ended, server)

    asyncio.run(leave())


def test_async_task_cancelled(server: ScriptedServer) -> None:
    """Cancelling the task that waits for a user ends the call, and is not taken for a failure."""

    async def cancel() -> None:
        async with AsyncUserStreamClient(server.target) as client:

            async def read() -> None:
                async for _ in client.stream_users():
                    pass

            task = asyncio.create_task(read())
            await asyncio.to_thread(server.wait_until_hanging)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(assert_ended, server)

    asyncio.run(cancel())
