"""Users as Arrow columns, without a Python object for each user. Needs the extra `arrow` (pyarrow)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from userstream_client._decoding import ASCENDING, UserList, decode_users, parse
from userstream_client._native_users import load_decoder

try:
    import pyarrow as pa
except ImportError as error:
    raise ImportError("this needs pyarrow: run pip install 'userstream[arrow]'") from error

__all__ = ["SCHEMA", "UserColumns", "decode_columns", "decoder_of", "reader_of"]

_TYPES = {"user_id": pa.string(), "name": pa.string(), "email": pa.string(), "age": pa.int64()}
SCHEMA = pa.schema([pa.field(name, kind, nullable=False) for name, kind in _TYPES.items()])
"""The columns of a record batch with all fields: texts, and the age in whole years."""


@dataclass(slots=True)
class UserColumns:
    """The users of a message as a record batch.

    Attributes:
        users: The users, in the order received; the columns are those of `SCHEMA`, or some of them.
        user_ids: Their user_ids, joined, in UTF-8.
        ascending: Whether those ascend byte by byte.
    """

    users: Any
    user_ids: bytes
    ascending: bool

    @property
    def distinct(self) -> bool:
        """Whether no user_id is repeated."""
        return self.ascending or len(self.users.column(0).unique()) == len(self.users)

    @property
    def first_id(self) -> str:
        """The first user's user_id."""
        text: str = self.users.column(0)[0].as_py()
        return text

    @property
    def last_id(self) -> str:
        """The last user's user_id."""
        text: str = self.users.column(0)[-1].as_py()
        return text

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.users)


def decode_columns(data: bytes, method: str) -> tuple[UserColumns, Any]:
    """Return a message's users as columns, and the message with at least its other fields.

    Args:
        data: A message's bytes.
        method: `StreamUsers` or `BatchUsers`.

    Raises:
        DataIntegrityError: The bytes are no such message.
    """
    decoder = load_decoder()
    if decoder and (found := decoder.columns(data)):
        rest, order, user_ids, *buffers = found
        batch = _batch_of_buffers([user_ids, *buffers])
        return UserColumns(batch, user_ids, order == ASCENDING), parse(rest, method)
    tuples, message = decode_users(data, method)
    return _columns_of(tuples), message


def decoder_of(columns: Sequence[str]) -> Callable[[bytes, str], tuple[UserColumns, Any]]:
    """Return `decode_columns` for a stream of some fields.

    Args:
        columns: Their names, in the order of `SCHEMA`.
    """
    if list(columns) == SCHEMA.names:
        return decode_columns

    def decode(data: bytes, method: str) -> tuple[UserColumns, Any]:
        found, message = decode_columns(data, method)
        found.users = found.users.select(columns)
        return found, message

    return decode


def reader_of(batches: Any, columns: Sequence[str]) -> Any:
    """Return a pyarrow.RecordBatchReader over an iterator of record batches.

    Args:
        batches: The record batches.
        columns: The names of their columns.
    """
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    return pa.RecordBatchReader.from_batches(schema, batches)


def _batch_of_buffers(buffers: list[bytes]) -> Any:
    """Return a record batch over texts with their ends, three times, and ages; nothing is copied."""
    *texts, ages = map(pa.py_buffer, buffers)
    rows = ages.size // 8
    columns = [
        pa.Array.from_buffers(pa.string(), rows, [None, ends, text])
        for text, ends in zip(texts[::2], texts[1::2], strict=True)
    ]
    columns.append(pa.Array.from_buffers(pa.int64(), rows, [None, ages]))
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _columns_of(tuples: UserList) -> UserColumns:
    columns = list(zip(*tuples.users, strict=True)) or [(), (), (), ()]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
    return UserColumns(batch, tuples.user_ids, tuples.ascending)
