"""Made-up users, the same ones for the same seed, as many as wanted."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Literal, get_args

from userstream_server.rows.types import UserRow

__all__ = ["KEY_KINDS", "KeyKind", "synthetic_users"]

KeyKind = Literal["uuid4", "uuid7", "sequential", "skewed"]
KEY_KINDS: tuple[KeyKind, ...] = get_args(KeyKind)

_FIRST = """
    Ada Amina Anne-Marie Björn Chidi Chloé Đorđe Elif Fatou Françoise Grace Håkon Ingrid Jürgen Kwame
    Lakshmi Łukasz María Mbali Ngozi Noor Oluwaseun Paweł Priya Quinn Rahel Søren Tamás Uma Víctor
    Wangari Xavier Yuki Zoë 李娜 Νίκος Мария يوسف さくら Seán
""".split()
_LAST = """
    Abebe Adeyemi Brontë Castillo D'Angelo Dvořák Eze Fernández García Haddad Ivanova Jensen Kowalska
    Lindqvist Mbeki Müller Nguyễn O'Brien Okonkwo Øster Papadopoulou Quispe Rossi Şahin Tanaka Ünal
    Van-der-Berg Wójcik Yılmaz Zhang
""".split()
_DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com")
_MAX_AGE = 120


def synthetic_users(
    rows: int, *, random_seed: int = 1, key_kind: KeyKind = "uuid4"
) -> Iterator[UserRow]:
    """Yield made-up users with unique keys and e-mail addresses, ages 1 to 120.

    Args:
        rows: How many.
        random_seed: The same seed gives the same users.
        key_kind: `uuid4` is random, `uuid7` begins with a time, `sequential` counts, `skewed` has
            nine in ten keys in one thousandth of the key space.
    """
    random = Random(random_seed)  # noqa: S311 - made-up data, no secrets
    key = _KEYS[key_kind]
    names = [f"{first} {last}" for first in _FIRST for last in _LAST]
    for number in range(rows):
        bits = random.getrandbits(160)
        yield UserRow(
            key(number, bits >> 32),
            names[bits % len(names)],
            f"user{number}@{_DOMAINS[bits & 3]}",
            (bits >> 8) % _MAX_AGE + 1,
        )


def _uuid4(_number: int, bits: int) -> str:
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _uuid7(number: int, bits: int) -> str:
    """Like RFC 9562's version 7: milliseconds, a counter in the next field, then random bits."""
    time = f"{1_700_000_000_000 + number // 4:012x}"
    return f"{time[:8]}-{time[8:]}-7{number & 0xFFF:03x}-a{bits & 0xFFF:03x}-{bits >> 80:012x}"


def _sequential(number: int, _bits: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def _skewed(number: int, bits: int) -> str:
    key = _uuid4(number, bits)
    return key if number % 10 == 0 else f"7f7{key[3:]}"


_KEYS: dict[KeyKind, Callable[[int, int], str]] = {
    "uuid4": _uuid4,
    "uuid7": _uuid7,
    "sequential": _sequential,
    "skewed": _skewed,
}
