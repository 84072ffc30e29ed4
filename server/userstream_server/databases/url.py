"""A database's address, parsed from one line of text.

sqlite:///relative.db    sqlite:////absolute.db
mysql://user:password@host[:port][,host2[:port]…]/database[?tls=required&tls_ca=FILE]

mariadb:// is the same as mysql://. User, password, database and file are percent-decoded.
"""

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote

__all__ = ["DEFAULT_DATABASE", "DatabaseUrl"]

DEFAULT_DATABASE = "ALX_prodev"
_DEFAULT_PORT = 3306
_MAX_DATABASE_CHARS = 64
_TAKES = "takes sqlite:///FILE or mysql://user:password@host[:port][,host2…]/database"
_OPTIONS = frozenset({"tls", "tls_ca", "tls_cert", "tls_key"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,19}")
_HOST = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<name>[\w.-]+))(?::(?P<port>[0-9]{1,6}))?")


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database's address, account and TLS options.

    Attributes:
        engine: `sqlite`, or `mysql` for MySQL and MariaDB.
        path: SQLite's file; None for MySQL.
        user: The database account.
        password: Its password; `repr` and `masked` never show it.
        hosts: (host, port) of each server, in the order to try them.
        database: The schema that holds user_data.
        tls: `required` (and verified), `off`, or None: off on loopback, elsewhere unverified TLS where offered.
        tls_ca: PEM file of certificate authorities; None for the system's.
        tls_cert: PEM file of the client certificate.
        tls_key: PEM file of its private key.
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
        """Parse a URL.

        Raises:
            ValueError: The URL is invalid. The message names the wrong part and shows nothing that may be a password.
        """
        scheme, separator, rest = text.strip().partition("://")
        scheme = scheme.lower()
        if not separator:
            raise ValueError(f"is no URL; it {_TAKES}")
        if scheme == "sqlite":
            return cls("sqlite", path=_sqlite_path(rest))
        if scheme in {"mysql", "mariadb"}:
            return cls._parse_mysql(rest)
        got = f"with {scheme}://" if _SCHEME.fullmatch(scheme) else "with something else"
        raise ValueError(f"begins {got}; it {_TAKES}")

    @classmethod
    def _parse_mysql(cls, rest: str) -> "DatabaseUrl":
        place, _, query = rest.partition("?")
        account, at, where = place.rpartition("@")
        user, _, password = account.partition(":")
        if not at or not user or "@" in query:
            raise ValueError(
                f"names no user, or has an @, / or ? that is not percent-encoded; it {_TAKES}"
            )
        hosts, _, database = where.partition("/")
        # Options first: if the password has an unencoded ?, the "host" is a part of the password and must not be shown.
        options = _options(query)
        return cls(
            "mysql",
            user=_decoded(user, "user"),
            password=_decoded(password, "password"),
            hosts=tuple(_host(part) for part in hosts.split(",")),
            database=_database(database),
            tls=options.pop("tls", None),  # type: ignore[arg-type]  # _options has checked it
            **options,  # type: ignore[arg-type]
        )

    @property
    def masked(self) -> str:
        """The URL with *** for the password, for logs and messages."""
        if self.engine == "sqlite":
            return f"sqlite:///{self.path}"
        hosts = ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in self.hosts)
        tls = f"?tls={self.tls}" if self.tls else ""
        return f"mysql://{quote(self.user)}:***@{hosts}/{quote(self.database)}{tls}"


def _sqlite_path(rest: str) -> Path:
    path = _decoded(rest.removeprefix("/"), "file")
    if not rest.startswith("/") or not path or path.endswith("/"):
        raise ValueError(
            "names no SQLite file; it takes sqlite:///relative.db or sqlite:////absolute.db"
        )
    if path == ":memory:":
        raise ValueError("names a database in memory, which no two connections share; name a file")
    if "?" in rest:
        raise ValueError("has options, and SQLite takes none (a ? in a file's name is %3F)")
    return Path(path)


def _host(text: str) -> tuple[str, int]:
    """Split host[:port]; an IPv6 address stands in brackets."""
    match = _HOST.fullmatch(text)
    if not match or (match["v6"] and not _is_ipv6(match["v6"])):
        raise ValueError(
            "has a host that cannot be understood; it takes host[:port][,host2[:port]…],"
            " an IPv6 address in brackets"
        )
    port = int(match["port"] or _DEFAULT_PORT)
    if not 0 < port < 65_536:
        raise ValueError(f"has the port {port}; it takes 1 to 65535")
    return match["v6"] or match["name"], port


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _database(text: str) -> str:
    name = _decoded(text, "database") or DEFAULT_DATABASE
    if "/" in text or "\0" in name or len(name) > _MAX_DATABASE_CHARS:
        raise ValueError(
            f"has a database name with a / or NUL, or of over {_MAX_DATABASE_CHARS} characters"
        )
    return name


def _decoded(text: str, part: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        # The original error would show bytes of the password.
        raise ValueError(f"has a {part} whose percent-encoding is not UTF-8") from None


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if unknown := sorted(set(options) - _OPTIONS):
        raise ValueError(
            f"has unknown options {', '.join(unknown)}; it takes {', '.join(sorted(_OPTIONS))}"
        )
    if len(options) < len(pairs) or "" in options.values():
        raise ValueError("has an option twice or without a value")
    tls = options.get("tls")
    if tls not in {None, "required", "off"}:
        raise ValueError("has a tls option that is neither required nor off")
    if tls != "required" and options.keys() - {"tls"}:
        # Without tls=required the certificates would not be verified at all.
        raise ValueError("has tls_ca, tls_cert or tls_key without tls=required")
    if ("tls_cert" in options) != ("tls_key" in options):
        raise ValueError("has only one of tls_cert and tls_key; they go together")
    return options
