"""A message's users and what the verifier asks of them, with and without the compiled decoder."""

import pytest
from userstream.v1 import user_service_pb2 as pb
from userstream_client import DataIntegrityError, User
from userstream_client import _decoding as decoding
from userstream_client._decoding import UserList, decode_users, parse
from userstream_client._native_users import load_decoder


@pytest.fixture(params=["compiled", "protobuf"])
def _decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode with the compiled library, where there is one, or with protobuf."""
    library = load_decoder() if request.param == "compiled" else None
    monkeypatch.setattr(decoding, "load_decoder", lambda: library)


@pytest.mark.usefixtures("_decoder")
@pytest.mark.parametrize("method", ["StreamUsers", "BatchUsers"])
def test_a_message(method: str) -> None:
    """Users as typed tuples, their ids joined, and the rest of the message."""
    response = getattr(pb, f"{method}Response")(resume_token="token")
    for user_id, age in (("a", 30), ("é", 31)):
        response.users.add(user_id=user_id, name="Name", email="e@example.com", age=age)

    users, rest = decode_users(response.SerializeToString(), method)

    assert [User("a", "Name", "e@example.com", 30), User("é", "Name", "e@example.com", 31)] == [
        *users.users
    ]
    assert ("aé".encode(), True, "a", "é") == (
        users.user_ids,
        users.ascending,
        users.first_id,
        users.last_id,
    )
    assert ("token", 2) == (rest.resume_token, len(users))


@pytest.mark.usefixtures("_decoder")
@pytest.mark.parametrize(
    ("ids", "ascending", "distinct"),
    [
        ("a", True, True),
        ("abc", True, True),
        ("aab", False, False),
        ("abb", False, False),
        ("aba", False, False),
        ("acb", False, True),
        ("ba", False, True),
        ("bcabc", False, False),
    ],
)
def test_order_and_repetition(ids: str, *, ascending: bool, distinct: bool) -> None:
    """Ascending means strictly, byte by byte; distinct users may come in any order."""
    response = pb.StreamUsersResponse(users=[pb.User(user_id=user_id) for user_id in ids])
    users, _ = decode_users(response.SerializeToString(), "StreamUsers")

    assert (ascending, distinct) == (users.ascending, users.distinct)
    assert (ids[0], ids[-1]) == (users.first_id, users.last_id)


def test_no_users() -> None:
    """An empty list is in order."""
    users = UserList.of([])

    assert (0, b"", True, True) == (len(users), users.user_ids, users.ascending, users.distinct)


def test_bytes_that_are_no_message() -> None:
    """The error says what to look at."""
    with pytest.raises(DataIntegrityError) as caught:
        parse(b"\xff\xff", "StreamUsers")

    words = (
        "the server sent bytes that are not a message of userstream.v1: check that the target is a"
    )
    assert f"{words} userstream server, and what stands between" == caught.value.message
