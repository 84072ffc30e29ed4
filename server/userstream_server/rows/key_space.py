"""Keys as whole numbers: a range of keys can then be cut in equal parts, and a key be found between two others."""

from collections.abc import Sequence

__all__ = ["KeySpace"]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASES = (10, 16, 36)
"""Those that `int` reads. The smallest that has all characters is used, or whole ranges would hold no key."""
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
_LONGEST = 40


class KeySpace:
    """A way to write numbers as keys.

    What all keys have in common is left out: what they begin with, and separators such as the hyphens of a
    UUID. The numbers ascend as the keys do where keys ascend byte by byte, or without regard to case. In
    other orders they are only near.

    Args:
        samples: Some keys of either end of the table, at least one.
    """

    def __init__(self, samples: Sequence[str]) -> None:
        # Lower case only: how a collation orders the two cases is not known here, and most take them as one.
        folded = [key.lower() for key in samples]
        self._prefix = _common_beginning(folded)
        rests = [key[len(self._prefix) :] for key in folded]
        self._separators = _separators(rests)
        bare = [self._bare(rest) for rest in rests]
        self._width = max(1, min(_LONGEST, max(map(len, bare))))
        used = set("".join(bare))
        self._base = next((base for base in _BASES if used <= set(_DIGITS[:base])), 0)
        self._alphabet = _DIGITS[: self._base] or _PRINTABLE
        self._characters = set(self._alphabet)

    def number(self, key: str) -> int:
        """Return a key's number."""
        folded, alphabet = key.lower(), self._alphabet
        if not folded.startswith(self._prefix):
            return 0 if folded < self._prefix else len(alphabet) ** self._width - 1
        bare = self._bare(folded[len(self._prefix) :])[: self._width]
        bare = bare.ljust(self._width, alphabet[0])
        if self._base and self._characters.issuperset(bare):
            return int(bare, self._base)
        return self._spelled(bare)

    def key(self, number: int) -> str:
        """Return the key that has a number."""
        chars: list[str] = []
        for _ in range(self._width):
            number, digit = divmod(number, len(self._alphabet))
            chars.append(self._alphabet[digit])
        text = "".join(reversed(chars))
        for at, separator in self._separators.items():
            text = text[:at] + separator + text[at:]
        return self._prefix + text

    def _bare(self, rest: str) -> str:
        if not self._separators:
            return rest
        return "".join(char for at, char in enumerate(rest) if at not in self._separators)

    def _spelled(self, bare: str) -> int:
        number = 0
        for char in bare:
            digit = sum(known < char for known in self._alphabet)
            number = number * len(self._alphabet) + min(digit, len(self._alphabet) - 1)
        return number


def _common_beginning(texts: Sequence[str]) -> str:
    # What the least and the greatest begin with, all between them begin with.
    least, greatest = min(texts), max(texts)
    differing = (at for at, char in enumerate(least) if greatest[at : at + 1] != char)
    return least[: next(differing, len(least))]


def _separators(rests: Sequence[str]) -> dict[int, str]:
    """Return what is no letter or digit and the same in all texts, by its place."""
    shortest = min(rests, key=len)
    return {
        at: char
        for at, char in enumerate(shortest)
        if not char.isalnum() and all(rest[at] == char for rest in rests)
    }
