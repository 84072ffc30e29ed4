"""Bearer tokens: which ones are accepted, and which one a call carries."""

import hmac
import re
import threading
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from userstream_server.errors import UnauthenticatedError

__all__ = ["SHORT_TOKEN_CHARS", "AuthTokens", "bearer_token", "digest_of"]

SHORT_TOKEN_CHARS = 20
"""A shorter token may be guessed: of random letters and digits, 20 hold about 119 bits."""


def bearer_token(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the token in a call's `authorization: Bearer …`; empty if there is none.

    Raises:
        UnauthenticatedError: There are several, so that a proxy and this server could each look at another one.
    """
    values = [str(value) for key, value in metadata if key == "authorization"]
    if len(values) > 1:
        raise UnauthenticatedError(
            "TOKEN_AMBIGUOUS", "The call has several `authorization` headers. Send one."
        )
    kind, _, token = values[0].partition(" ") if values else ("", "", "")
    return token.strip() if kind.lower() == "bearer" else ""


class AuthTokens:
    """The tokens of a file, one per line; several at once allow rotation.

    A line `name=NAME TOKEN` gives a token a name, which several may share. Empty lines and lines that begin with # are
    skipped. Tokens themselves are not kept, only digests.

    Args:
        path: The file.

    Attributes:
        shortest_chars: Length of the shortest token.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no token.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._names: dict[bytes, str] = {}
        self.shortest_chars = 0
        self.reload()

    def reload(self) -> None:
        """Read the file again. If it cannot be read or holds none, the old tokens stay; raises as the class does."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ValueError("the file of USERSTREAM_AUTH_TOKENS_FILE is not UTF-8") from None
        lines = [line.strip() for line in text.splitlines()]
        named = [_named_token(line) for line in lines if line and not line.startswith("#")]
        if not named:
            raise ValueError("the file of USERSTREAM_AUTH_TOKENS_FILE holds no token")
        with self._lock:
            self._names = {digest_of(token): name for name, token in named}
            self.shortest_chars = min(len(token) for _, token in named)

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self._names)

    def accepts(self, token: str) -> bool:
        """Say whether a token is one of them; how long it takes reveals nothing about them."""
        digest = digest_of(token)
        with self._lock:
            digests = tuple(self._names)
        # Compare with every one, even after a match.
        return sum(hmac.compare_digest(digest, known) for known in digests) > 0

    @property
    def names(self) -> frozenset[str]:
        """The names that tokens have."""
        with self._lock:
            return frozenset(self._names.values()) - {""}

    def name_of(self, token: str) -> str:
        """Return the name of an accepted token; empty if it has none."""
        with self._lock:
            return self._names.get(digest_of(token), "")


def _named_token(line: str) -> tuple[str, str]:
    """Split a line into a token's name, which may be empty, and the token."""
    match = re.fullmatch(r"name=(\S+)\s+(\S.*)", line)
    return (match[1], match[2]) if match else ("", line)


def digest_of(token: str) -> bytes:
    """Return the SHA-256 of a token."""
    return sha256(token.encode()).digest()
