"""Loads `native_users.c`, the compiled decoder of user messages, where it was built.

scripts/build_native.py compiles it with the package if there is a compiler. Without it, _decoding.py uses protobuf.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

from userstream_client.models import User

__all__ = ["LIBRARY", "NativeDecoder", "load_decoder"]

LIBRARY = Path(__file__).with_name("libnative_users.so")
_INTERFACE = 1
"""What native_users.c says of itself; a library of another version is not used."""


class NativeDecoder:
    """The functions of the library. Both return None for a message that protobuf must decode.

    Args:
        library: What `load_decoder` loaded.
    """

    def __init__(self, library: ctypes.PyDLL) -> None:
        self._tuples = library.userstream_tuples
        self._tuples.argtypes = (ctypes.py_object, ctypes.py_object)
        self._columns = library.userstream_columns
        self._columns.argtypes = (ctypes.py_object,)
        self._tuples.restype = self._columns.restype = ctypes.py_object

    def tuples(self, message: bytes) -> tuple[bytes, int, bytes, list[User]] | None:
        """Return the message without its users, their order, their user_ids joined, and the users."""
        found: tuple[bytes, int, bytes, list[User]] | None = self._tuples(message, User)
        return found

    def columns(self, message: bytes) -> tuple[Any, ...] | None:
        """Return the message without its users, their order, and their columns as bytes.

        The columns are the user_ids joined and where each ends (int32, from 0 on), the same of names and
        e-mail addresses, and the ages (int64).
        """
        found: tuple[Any, ...] | None = self._columns(message)
        return found


@cache
def load_decoder(path: Path = LIBRARY) -> NativeDecoder | None:
    """Load the library; None if there is none, or one of another version.

    It refers to functions of the running interpreter (the stable ABI), and does not load where those are
    missing.
    """
    try:
        # PyDLL: the interpreter's lock is held, and exceptions that C sets are raised.
        library = ctypes.PyDLL(str(path))
        if library.userstream_interface() != _INTERFACE:
            return None
        return NativeDecoder(library)
    except (OSError, AttributeError):
        return None
