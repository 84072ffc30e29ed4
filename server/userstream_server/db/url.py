"""A database's address as one line of text, taken apart.

sqlite:///relative.db    sqlite:////absolute.db
mysql://user:password@host[:port][,host2[:port]…]/database[?tls=required&tls_ca=FILE]
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote

__all__ = ["DEFAULT_DATABASE", "DatabaseUrl"]

DEFAULT_DATABASE = "ALX_prodev"
_DEFAULT_PORT = 3306
_TAKES = "takes sqlite:///FILE or mysql://user:password@host[:port][,host2…]/database"
_OPTIONS = frozenset({"tls", "tls_ca", "tls_cert", "tls_key"})


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Where the users are.

    Attributes:
        engine: `sqlite`, or `mysql` for MySQL and MariaDB.
        path: SQLite's file.
        user: Account name.
        password: Its password; never shown by `repr` or `masked`.
        hosts: (host, port) of each server, in the order to try them.
        database: The schema that holds user_data.
        tls: `required` (verified), `off`, or None: off on loopback, otherwise as the server offers.
        tls_ca: PEM file of authorities; None for the system's.
        tls_cert: PEM file of the client's certificate.
        tls_key: PEM file of its key.
    """

    engine: Literal["sqlite", "mysql"]
    path: Path | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    hosts: tuple[tuple[str, int], ...] = ()
    database: str = DEFAULT_DATABASE
    tls: Literal["required", "off"] | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None

    @classmethod
    def parse(cls, text: str) -> "DatabaseUrl":
        """Take a URL apart.

        Raises:
            ValueError: It cannot be understood; the message does not repeat it.
        """
        scheme, separator, rest = text.strip().partition("://")
        if not separator:
            raise ValueError(f"is no URL; it {_TAKES}")
        if scheme == "sqlite":
            if not rest.startswith("/") or rest == "/":
                raise ValueError(
                    "names no SQLite file; it takes sqlite:///relative.db or sqlite:////absolute.db"
                )
            return cls("sqlite", path=Path(unquote(rest[1:])))
        if scheme in {"mysql", "mariadb"}:
            return cls._parse_mysql(rest)
        raise ValueError(f"begins with neither sqlite:// nor mysql://; it {_TAKES}")

    @classmethod
    def _parse_mysql(cls, rest: str) -> "DatabaseUrl":
        place, _, query = rest.partition("?")
        account, at, where = place.rpartition("@")
        if not at or not account:
            raise ValueError(
                f"names no user (percent-encode an @ or / in the password); it {_TAKES}"
            )
        user, _, password = account.partition(":")
        hosts, _, database = where.partition("/")
        options = _options(query)
        return cls(
            "mysql",
            user=unquote(user),
            password=unquote(password),
            hosts=tuple(_host(part) for part in hosts.split(",")),
            database=unquote(database) or DEFAULT_DATABASE,
            tls=options.pop("tls", None),  # type: ignore[arg-type]  # _options has checked it
            **options,  # type: ignore[arg-type]
        )

    @property
    def masked(self) -> str:
        """The URL for people to read, with *** for the password."""
        if self.engine == "sqlite":
            return f"sqlite:///{self.path}"
        hosts = ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in self.hosts)
        tls = f"?tls={self.tls}" if self.tls else ""
        return f"mysql://{quote(self.user)}:***@{hosts}/{quote(self.database)}{tls}"


def _host(text: str) -> tuple[str, int]:
    """Split host[:port]; an IPv6 address stands in brackets."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not host or (port and not (port.isdigit() and 0 < int(port) < 65_536)):
        raise ValueError(
            "has a host or port that cannot be understood; it takes host[:port][,host2[:port]]"
        )
    return host, int(port) if port else _DEFAULT_PORT


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(set(options) - _OPTIONS):
        raise ValueError(
            f"has unknown options {', '.join(unknown)}; it takes {', '.join(sorted(_OPTIONS))}"
        )
    if options.get("tls", "off") not in {"required", "off"}:
        raise ValueError("has a tls option that is neither required nor off")
    return options
