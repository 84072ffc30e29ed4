"""Turns the bytes of a StreamUsers or BatchUsers message into its users and the rest of the message."""

from dataclasses import dataclass
from operator import lt
from typing import Any, Protocol

from google.protobuf.message import DecodeError

from userstream_client._messages import RESPONSES, users_from
from userstream_client._native_users import load_decoder
from userstream_client.errors import DataIntegrityError
from userstream_client.models import User

__all__ = ["ASCENDING", "Received", "UserList", "decode_users", "parse"]

ASCENDING = 2
"""What native_users.c returns for user_ids that ascend byte by byte."""


class Received(Protocol):
    """What the verifier needs to know of a message's users."""

    @property
    def users(self) -> Any:
        """The users as the caller gets them: a list of `User`, or a record batch."""

    @property
    def user_ids(self) -> bytes:
        """All user_ids, one after the other, in UTF-8."""

    @property
    def ascending(self) -> bool:
        """Whether they ascend byte by byte, without a repetition."""

    @property
    def distinct(self) -> bool:
        """Whether none of them is repeated, in whatever order they are."""

    @property
    def first_id(self) -> str: ...

    @property
    def last_id(self) -> str: ...

    def __len__(self) -> int: ...


@dataclass(slots=True)
class UserList:
    """The users of a message as tuples.

    Attributes:
        users: The users, in the order received.
        user_ids: Their user_ids, joined, in UTF-8.
        ascending: Whether those ascend byte by byte.
    """

    users: list[User]
    user_ids: bytes
    ascending: bool

    @classmethod
    def of(cls, users: list[User]) -> "UserList":
        """Return the list with what the verifier needs of it."""
        ids = [user[0] for user in users]
        # Code points compare as UTF-8 bytes do.
        return cls(users, "".join(ids).encode(), all(map(lt, ids, ids[1:])))

    @property
    def distinct(self) -> bool:
        """Whether no user_id is repeated."""
        return self.ascending or len({user[0] for user in self.users}) == len(self.users)

    @property
    def first_id(self) -> str:
        """The first user's user_id."""
        return self.users[0][0]

    @property
    def last_id(self) -> str:
        """The last user's user_id."""
        return self.users[-1][0]

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.users)


def decode_users(data: bytes, method: str) -> tuple[UserList, Any]:
    """Return a message's users, and the message with at least its other fields.

    Args:
        data: A message's bytes.
        method: `StreamUsers` or `BatchUsers`.

    Raises:
        DataIntegrityError: The bytes are no such message.
    """
    decoder = load_decoder()
    if decoder and (found := decoder.tuples(data)):
        rest, order, user_ids, users = found
        return UserList(users, user_ids, order == ASCENDING), parse(rest, method)
    message = parse(data, method)
    return UserList.of(users_from(message.users)), message


def parse(data: bytes, method: str) -> Any:
    """Return a response of one of the service's methods from its bytes.

    Raises:
        DataIntegrityError: The bytes are no such message.
    """
    try:
        return RESPONSES[method].FromString(data)
    except DecodeError:
        raise DataIntegrityError(
            "the server sent bytes that are not a message of userstream.v1: check that the target is a"
            " userstream server, and what stands between"
        ) from None
