"""Bearer tokens: who may call at all."""

import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import grpc

from userstream_server.errors import UnauthenticatedError
from userstream_server.interceptors.callers import as_caller
from userstream_server.interceptors.surrounding import SurroundingInterceptor

__all__ = ["AuthInterceptor", "AuthTokens"]


class AuthTokens:
    """The tokens of a file, one a line; several at once allow rotation.

    Empty lines and lines that begin with # are skipped.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds no token.
    """

    def __init__(self, path: Path) -> None:
        """See the class."""
        self._path = path
        self._lock = threading.Lock()
        self._digests: tuple[bytes, ...] = ()
        self.reload()

    def reload(self) -> None:
        """Read the file again; on an error the old tokens stay."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError("the file of USERSTREAM_AUTH_TOKENS_FILE is not UTF-8") from None
        lines = [line.strip() for line in text.splitlines()]
        tokens = [line for line in lines if line and not line.startswith("#")]
        if not tokens:
            raise ValueError("the file of USERSTREAM_AUTH_TOKENS_FILE holds no token")
        with self._lock:
            self._digests = tuple(map(_digest, tokens))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._digests)

    def accepts(self, token: str) -> bool:
        """Say whether a token is one of them, in a time that tells nothing about them."""
        digest = _digest(token)
        with self._lock:
            digests = self._digests
        # Every one is compared, found or not.
        return sum(hmac.compare_digest(digest, known) for known in digests) > 0


class AuthInterceptor(SurroundingInterceptor):
    """Refuses calls without one of the tokens in `authorization: Bearer …`.

    Args:
        tokens: The tokens.
    """

    def __init__(self, tokens: AuthTokens) -> None:
        """See the class."""
        self._tokens = tokens

    @contextmanager
    def around(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:  # noqa: ARG002
        """See the base class."""
        value = dict(context.invocation_metadata()).get("authorization", "")
        kind, _, token = str(value).partition(" ")
        if kind.lower() != "bearer" or not self._tokens.accepts(token.strip()):
            raise UnauthenticatedError(
                "TOKEN_REFUSED", "Send one of the server's tokens as `authorization: Bearer TOKEN`."
            )
        with as_caller(f"token:{_digest(token.strip()).hex()}"):
            yield


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
