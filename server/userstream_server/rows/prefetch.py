"""Prefetch: the next chunk is read by another thread while the consumer works on the current one.

That keeps the database and the network busy at the same time. It costs a second chunk's memory, so
it begins only once a consumer has proved fast. A prefetched chunk is read completely and its
connection returned to the pool whatever the consumer does. Why, and what was measured:
docs/adr/0003-read-ahead.md.
"""

from collections.abc import Generator
from concurrent.futures import Executor, Future, wait
from contextlib import closing
from contextvars import copy_context
from typing import TypeVar

from userstream_server.rows.keyset import Chunk, ChunkPace

__all__ = ["prefetch"]

T = TypeVar("T")


def prefetch(
    chunks: Generator[Chunk[T]], pace: ChunkPace, executor: Executor
) -> Generator[Chunk[T]]:
    """Yield the same chunks, each next one prefetched for a fast consumer.

    Args:
        chunks: From `read_chunks`; closed at the end.
        pace: The same that `chunks` goes by.
        executor: Its threads read.

    Raises:
        UserStreamError: What `chunks` raised, after everything read before it was yielded.
    """
    with closing(chunks):
        chunk = next(chunks, None)
        while chunk is not None:
            ahead: Future[Chunk[T] | None] | None = None
            if not chunk.is_last and pace.is_fast(chunk.rows):
                ahead = executor.submit(copy_context().run, _next, chunks)
            try:
                yield chunk
            except BaseException:
                # The session must not end while a query runs.
                if ahead and not ahead.cancel():
                    wait((ahead,))
                raise
            chunk = ahead.result() if ahead else next(chunks, None)


def _next(chunks: Generator[Chunk[T]]) -> Chunk[T] | None:
    return next(chunks, None)
