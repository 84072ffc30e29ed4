"""Bearer tokens: a file of secrets, any of which identifies a caller."""

import hmac
import threading
from hashlib import sha256
from pathlib import Path

__all__ = ["AuthTokens", "digest_of"]


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
            self._digests = tuple(map(digest_of, tokens))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._digests)

    def accepts(self, token: str) -> bool:
        """Say whether a token is one of them, in a time that tells nothing about them."""
        digest = digest_of(token)
        with self._lock:
            digests = self._digests
        # Every one is compared, found or not.
        return sum(hmac.compare_digest(digest, known) for known in digests) > 0


def digest_of(token: str) -> bytes:
    """Return the SHA-256 of a token; tokens themselves are not kept."""
    return sha256(token.encode()).digest()
