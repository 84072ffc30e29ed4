"""Which callers may read which fields, as one line of text."""

from collections.abc import Iterable
from dataclasses import dataclass

from userstream_server.auth.certificate_names import CertificateName, fits, pattern_of

__all__ = ["FIELDS", "TOKEN", "FieldRules"]

FIELDS = ("user_id", "name", "email", "age")
"""The fields that an entry can name."""
TOKEN = "token"  # noqa: S105 - a kind of name
"""The kind of name that a bearer token has, beside the kinds of names in certificates."""
_KEY = FIELDS[0]
_EVERYBODY = CertificateName("", "*")
_TAKES = f"takes CALLER=FIELD+FIELD with commas between, where a field is one of {', '.join(FIELDS)}, or *"


@dataclass(frozen=True, slots=True)
class FieldRules:
    """The fields of a user that each caller may read.

    Attributes:
        entries: Callers and their fields, user_id always among them. The first entry that fits a caller decides.
    """

    entries: tuple[tuple[CertificateName, frozenset[str]], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "FieldRules":
        """Parse `CALLER=FIELD+FIELD`, with commas between entries.

        A caller is a name in a certificate (`NAME` or `*.NAME`), `token:NAME`, or `*` for every caller.

        Raises:
            ValueError: An entry cannot be understood.
        """
        return cls(tuple(_entry(part.strip()) for part in text.split(",") if part.strip()))

    def allowed(self, names: Iterable[CertificateName]) -> frozenset[str]:
        """Return the fields that a caller may read; all without rules, user_id alone if no entry fits.

        Args:
            names: All names of the caller: those in its certificate, and that of its token.
        """
        if not self.entries:
            return frozenset(FIELDS)
        known = tuple(names)
        found = (fields for caller, fields in self.entries if _is_meant(caller, known))
        return next(found, frozenset({_KEY}))

    @property
    def token_names(self) -> frozenset[str]:
        """The names of tokens that the entries mention."""
        return frozenset(caller.text for caller, _ in self.entries if caller.kind == TOKEN)

    @property
    def needs(self) -> frozenset[str]:
        """The settings without which the callers that the entries mention are not known."""
        kinds = {caller.kind for caller, _ in self.entries if caller != _EVERYBODY}
        return frozenset("AUTH_TOKENS_FILE" if k == TOKEN else "TLS_CLIENT_CA" for k in kinds)


def _entry(text: str) -> tuple[CertificateName, frozenset[str]]:
    # From the right, because a URI may hold the sign too.
    caller, _, listed = text.rpartition("=")
    fields = {field.strip() for field in listed.split("+")}
    if fields == {"*"}:
        fields = {*FIELDS}
    if not fields <= {*FIELDS}:
        raise ValueError(_TAKES)
    return _caller(caller.strip()), frozenset({_KEY, *fields})


def _caller(text: str) -> CertificateName:
    kind, colon, name = text.partition(":")
    if text == _EVERYBODY.text:
        return _EVERYBODY
    if colon and kind.lower() == TOKEN:
        if not name.strip():
            raise ValueError(_TAKES)
        return CertificateName(TOKEN, name.strip())
    if not text or "*" in text.removeprefix("*.") or text == "*.":
        raise ValueError(_TAKES)
    return pattern_of(text)


def _is_meant(caller: CertificateName, names: tuple[CertificateName, ...]) -> bool:
    if caller == _EVERYBODY:
        return True
    if caller.kind == TOKEN:
        return caller in names
    return any(fits(name, caller) for name in names)
