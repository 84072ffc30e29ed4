"""What a comparison found, in words."""

from dataclasses import dataclass

from userstream_client.cli._columns import ALL_COLUMNS, Columns
from userstream_client.cli._formats import escaped
from userstream_client.cli._manifest import Figures
from userstream_client.cli._problems import DamagedFile
from userstream_client.models import UserFilter

__all__ = ["Comparison", "shown_id", "shown_users"]

_ID_CHARACTERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Comparison:
    """A file held against something.

    Attributes:
        other: What it was held against, such as "the table".
        in_file: Count and CRC-32 of the file's users, up to where it is damaged.
        in_other: Those that it should have.
        damage: Where the file stops being an export; None where it does not.
        findings: Every further difference, a line each.
    """

    other: str
    in_file: Figures
    in_other: Figures
    damage: DamagedFile | None = None
    findings: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.in_file == self.in_other and not self.damage and not self.findings

    def lines(self, file: str) -> list[str]:
        """Return what to print about a file of this name."""
        mine, other = self.in_file, self.in_other
        if self.equal:
            return [
                f"{file} is equal to {self.other}: {mine.user_count:,} users, CRC-32 {mine.user_id_crc32}"
            ]
        facts = [
            f"users: {mine.user_count:,} in the file, {other.user_count:,} in {self.other}",
            f"CRC-32: {mine.user_id_crc32} in the file, {other.user_id_crc32} in {self.other}",
            *([f"damaged: {self.damage}"] if self.damage else []),
            *self.findings,
        ]
        return [f"{file} differs from {self.other}", *(f"  {fact}" for fact in facts)]


def shown_id(user_id: str) -> str:
    """Return an id that cannot steer a terminal, whatever a damaged file has in its place."""
    return escaped(user_id[:_ID_CHARACTERS_MAX]) or "(empty)"


def shown_users(where: UserFilter, limit: int, columns: Columns = ALL_COLUMNS) -> str:
    """Return which users and fields of the table are meant, to put behind "the table"; empty for all."""
    conditions = [
        f"age over {where.age_over}" if where.age_over is not None else "",
        f"age up to {where.age_up_to}" if where.age_up_to is not None else "",
        f"name prefix {escaped(where.name_prefix)}" if where.name_prefix else "",
        f"e-mail domain {escaped(where.email_domain)}" if where.email_domain else "",
        f"limit {limit}" if limit else "",
        f"fields {' '.join(columns.fields)}" if columns.fields else "",
    ]
    shown = ", ".join(filter(None, conditions))
    return f" ({shown})" if shown else ""
