"""What the database says of the table: its name, and how its key is stored and ordered."""

import re
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

__all__ = ["KeyType", "Table"]

KeyType = Literal["text", "binary", "uuid"]
"""Text; UUIDs in BINARY(16); MariaDB's type UUID."""
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Table:
    """The table as it is now.

    Attributes:
        collation: Orders and compares user_id; empty where that is not known. `uuid` for that type.
        name: As the database spells it.
        key_type: How user_id is stored.
        is_view: Whether it is a view.
    """

    collation: str = ""
    name: str = "user_data"
    key_type: KeyType = "text"
    is_view: bool = False

    @property
    def is_bytewise(self) -> bool:
        """Whether user_ids of printable ASCII ascend byte by byte.

        They do in each binary collation. Those that ignore trailing spaces are no exception: no character
        that an id may hold sorts before the space. The texts that are made of BINARY(16) ascend as its bytes do.
        """
        return self.collation.lower() in {"", "binary"} or self.collation.endswith("_bin")

    @property
    def order(self) -> int:
        """A number of 32 bits that stands for the order; 0 for text that ascends byte by byte. Tokens hold it.

        BINARY(16) has another number: among texts in bytes, "B…" comes before "a…", among UUIDs behind.
        """
        if self.key_type == "text" and self.is_bytewise:
            return 0
        return crc32(self.collation.encode()) or 1

    @property
    def converts_key(self) -> bool:
        """Whether queries make the text of user_id, which they may do for no other type than this one."""
        return self.key_type == "binary"

    def may_hold(self, user_id: str) -> bool:
        """Say whether a user_id may be in this table by its form."""
        return self.key_type == "text" or _UUID.fullmatch(user_id) is not None
