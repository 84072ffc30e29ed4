"""What the database says of the table: its name, and how its key is stored and ordered."""

from dataclasses import dataclass
from zlib import crc32

__all__ = ["Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """The table as it is now.

    Attributes:
        collation: Orders and compares user_id; empty where that is not known.
    """

    collation: str = ""

    @property
    def is_bytewise(self) -> bool:
        """Whether user_ids of printable ASCII ascend byte by byte.

        They do in each binary collation. Those that ignore trailing spaces are no exception: no character
        that an id may hold sorts before the space.
        """
        return self.collation.lower() in {"", "binary"} or self.collation.endswith("_bin")

    @property
    def order(self) -> int:
        """A number of 32 bits that stands for the order; 0 for byte by byte. Tokens hold it."""
        return 0 if self.is_bytewise else crc32(self.collation.encode()) or 1
