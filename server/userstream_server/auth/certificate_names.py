"""The names that client certificates may have, as one line of text."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["SERVICES", "ClientNames"]

SERVICES = ("userstream.v1.UserService", "grpc.reflection.v1alpha.ServerReflection")
"""The services a list can be about. Health is open to every client whose certificate is vouched for."""


@dataclass(frozen=True, slots=True)
class ClientNames:
    """Which names may call which service.

    Attributes:
        entries: (service, name) in lower case; an empty service stands for all, and a name that begins
            with `*.` for every name with one label more.
    """

    entries: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "ClientNames":
        """Take `NAME`, `*.NAME` and `SERVICE=NAME` apart, with commas between them.

        Raises:
            ValueError: An entry cannot be understood.
        """
        return cls(tuple(_entry(part.strip()) for part in text.split(",") if part.strip()))

    def allowed(self, service: str, names: Iterable[str]) -> str | None:
        """Return the first of a certificate's names that may call a service; None when none may."""
        patterns = [name for of, name in self.entries if of in {"", service.lower()}]
        return next((n for n in names if any(_fits(n.lower(), p) for p in patterns)), None)


def _entry(text: str) -> tuple[str, str]:
    service, equals, name = text.rpartition("=")
    service, name = service.strip().lower(), name.strip().lower()
    if equals and service not in {known.lower() for known in SERVICES}:
        raise ValueError(
            f"names an unknown service; it takes SERVICE=NAME for {' and '.join(SERVICES)}"
        )
    if not name or "*" in name.removeprefix("*.") or name == "*.":
        raise ValueError(
            "takes NAME, *.NAME or SERVICE=NAME, with commas; * stands for a whole first label"
        )
    return service, name


def _fits(name: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        label, _, rest = name.partition(".")
        return bool(label) and rest == pattern[2:]
    return name == pattern
