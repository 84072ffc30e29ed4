"""Names in client certificates, and the allow-list of them as one line of text."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from typing import NamedTuple

__all__ = [
    "SERVICES",
    "CertificateName",
    "ClientNames",
    "fits",
    "names_in_certificate",
    "pattern_of",
]

SERVICES = (
    "userstream.v1.UserService",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
"""The services an entry can name. Health is open to every client whose certificate a trusted authority signed."""
_VERSIONS_OF_REFLECTION = {"grpc.reflection.v1alpha": "grpc.reflection.v1"}
_KINDS = ("dns", "uri", "email", "ip")
"""Kinds of alternative names, as gRPC names them: `peer_dns` and so on."""
_COMMON = "common"


class CertificateName(NamedTuple):
    """One name in a certificate.

    Attributes:
        kind: `dns`, `uri`, `email` or `ip` for an alternative name, `common` for the common name.
        text: The name.
    """

    kind: str
    text: str

    @property
    def shown(self) -> str:
        """The name for the log; of an e-mail address only a digest, because addresses are personal."""
        if "@" not in self.text:
            return self.text
        return f"email:{sha256(self.text.lower().encode()).hexdigest()[:12]}"


def names_in_certificate(properties: Mapping[str, Iterable[bytes]]) -> list[CertificateName]:
    """Return a certificate's alternative names, or its common name if it has none.

    Args:
        properties: What gRPC says of the peer (its auth context).
    """
    found = [
        CertificateName(kind, value.decode("utf-8", "replace"))
        for kind in _KINDS
        for value in properties.get(f"peer_{kind}", ())
    ]
    if found or properties.get("x509_subject_alternative_name"):
        return found
    common = properties.get("x509_common_name", ())
    return [CertificateName(_COMMON, value.decode("utf-8", "replace")) for value in common]


@dataclass(frozen=True, slots=True)
class ClientNames:
    """Which names may call which service.

    Attributes:
        entries: (service, name) in lower case; an empty service means all. A name that begins with `*.` matches every
            DNS name with one label more.
    """

    entries: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "ClientNames":
        """Parse `NAME`, `*.NAME` and `SERVICE=NAME`, with commas between them.

        Raises:
            ValueError: An entry cannot be understood.
        """
        return cls(tuple(_entry(part.strip()) for part in text.split(",") if part.strip()))

    def allowed(self, service: str, names: Iterable[CertificateName]) -> CertificateName | None:
        """Return the first of a certificate's names that may call a service; None if none may."""
        patterns = list(self._patterns(service))
        return next((n for n in names if any(fits(n, p) for p in patterns)), None)

    def _patterns(self, service: str) -> Iterator[CertificateName]:
        for of, name in self.entries:
            if of in {"", _one_version(service.lower())}:
                yield pattern_of(name)


def _entry(text: str) -> tuple[str, str]:
    service, equals, name = text.rpartition("=")
    service, name = service.strip().lower(), name.strip().lower()
    if equals and service not in {known.lower() for known in SERVICES}:
        raise ValueError(
            f"names an unknown service; it takes SERVICE=NAME for {', '.join(SERVICES)}"
        )
    if not name or "*" in name.removeprefix("*.") or name == "*.":
        raise ValueError(
            "takes NAME, *.NAME or SERVICE=NAME, with commas; * stands for a whole first label"
        )
    return _one_version(service), name


def _one_version(service: str) -> str:
    """Return a service's name; both versions of reflection tell the same and count as one."""
    package, dot, name = service.rpartition(".")
    return f"{_VERSIONS_OF_REFLECTION.get(package, package)}{dot}{name}"


def pattern_of(entry: str) -> CertificateName:
    """Return the name, or the pattern of names, that an entry of a list means."""
    return CertificateName(_kind_of(entry), entry.lower())


def _kind_of(entry: str) -> str:
    """Return the kind of alternative name that an entry of the list can only mean."""
    if "://" in entry or entry.startswith("urn:"):
        return "uri"
    if "@" in entry:
        return "email"
    return "ip" if _is_address(entry) else "dns"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def fits(name: CertificateName, pattern: CertificateName) -> bool:
    """Compare a name with a pattern of the same kind; a common name has no kind, and stands alone if it counts."""
    if name.kind not in {pattern.kind, _COMMON}:
        return False
    if pattern.text.startswith("*."):
        label, _, rest = name.text.lower().partition(".")
        return bool(label) and rest == pattern.text[2:]
    if pattern.kind == name.kind == "ip":
        return ip_address(name.text) == ip_address(pattern.text)
    return name.text.lower() == pattern.text
