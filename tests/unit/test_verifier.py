"""What the client's verifier accepts, message by message, and what it makes of the rest."""

from dataclasses import replace
from zlib import crc32

import pytest
from userstream_client import (
    Checkpoint,
    Consistency,
    DataIntegrityError,
    IncompleteStreamError,
    OutOfOrderError,
    ReceiptMismatchError,
    UserStreamError,
)
from userstream_client._decoding import UserList
from userstream_client._verifier import Verifier
from userstream_client.models import Progress, Receipt, User

IDS = [f"00000000-0000-4000-8000-{n:012d}" for n in range(10)]
NO_PROGRESS = Progress(0, 0, 0.0)


def listed(*numbers: int) -> UserList:
    return UserList.of([User(IDS[number], "Name", "e@example.com", 30) for number in numbers])


def users(first: int, last: int) -> UserList:
    return listed(*range(first, last))


def crc(count: int) -> int:
    return crc32("".join(IDS[:count]).encode())


def receipt(count: int) -> Receipt:
    return Receipt(count, crc(count), Consistency.LIVE, 0)


def after(count: int, *, limit: int = 0, consistency: Consistency = Consistency.LIVE) -> Verifier:
    """Return a verifier that has taken so many users."""
    verifier = Verifier(Checkpoint(), limit=limit, consistency=consistency)
    if count:
        verifier.add(users(0, count), "token", Progress(count, 9, 0.5))
    return verifier


def test_a_new_verifier() -> None:
    """Nothing has come: no progress, no receipt, and a checkpoint at the start."""
    verifier = Verifier(Checkpoint())

    assert (None, None, False) == (verifier.progress, verifier.receipt, verifier.complete)
    assert Checkpoint("", 0, 0, "") == verifier.checkpoint
    assert "" == verifier.resume_token


def test_every_message_moves_the_checkpoint() -> None:
    """Token, count, CRC-32 and last user; a message without a token keeps the one before."""
    verifier = after(3)
    assert Checkpoint("token", 3, crc(3), IDS[2]) == verifier.checkpoint
    assert Progress(3, 9, 0.5) == verifier.progress

    verifier.add(users(3, 5), "", Progress(5, 9, 0.6))

    assert Checkpoint("token", 5, crc(5), IDS[4]) == verifier.checkpoint
    assert ("token", Progress(5, 9, 0.6)) == (verifier.resume_token, verifier.progress)
    verifier.add(listed(), "later", NO_PROGRESS)
    assert Checkpoint("later", 5, crc(5), IDS[4]) == verifier.checkpoint


@pytest.mark.parametrize(
    "order", [[3, 4, 4], [3, 3], [4, 3], [2, 3], [3, 5, 4], [5, 6, 3], [3, 4, 5, 5, 6], [1]]
)
def test_order(order: list[int]) -> None:
    """User_ids ascend strictly, within a message and across messages; nothing of a bad message is counted."""
    verifier = after(3)
    with pytest.raises(OutOfOrderError, match=r"^the server sent a user out of order, or twice$"):
        verifier.add(listed(*order), "token 2", NO_PROGRESS)

    assert Checkpoint("token", 3, crc(3), IDS[2]) == verifier.checkpoint


@pytest.mark.parametrize("order", [[1, 2], [9, 3, 4], [1], [5, 0, 9]])
def test_another_order_than_byte_by_byte(order: list[int]) -> None:
    """Only the database knows an order by a collation, so users may come in any."""
    verifier = after(3)
    verifier.add(listed(*order), "token 2", NO_PROGRESS, bytewise=False)

    assert ("token 2", IDS[order[-1]]) == (verifier.resume_token, verifier.checkpoint.last_user_id)


@pytest.mark.parametrize("order", [[2], [2, 5], [4, 4], [5, 4, 5], [1, 2, 3, 1]])
def test_twice_in_another_order(order: list[int]) -> None:
    """In any order no user comes twice in a message, and none begins with the last of the message before."""
    verifier = after(3)
    with pytest.raises(OutOfOrderError, match=r"^the server sent a user twice$"):
        verifier.add(listed(*order), "token 2", NO_PROGRESS, bytewise=False)

    assert Checkpoint("token", 3, crc(3), IDS[2]) == verifier.checkpoint


@pytest.mark.parametrize(("limit", "taken"), [(1, 0), (4, 0), (4, 3)])
def test_one_user_over_the_limit(limit: int, taken: int) -> None:
    """The limit itself may be reached, not exceeded by a single user, in one message or several."""
    after(taken, limit=limit).add(users(taken, limit), "token", NO_PROGRESS)

    with pytest.raises(DataIntegrityError, match=r"^the server sent more users than the limit$"):
        after(taken, limit=limit).add(users(taken, limit + 1), "token", NO_PROGRESS)


@pytest.mark.parametrize(
    ("limit", "count", "complete"),
    [(0, 0, False), (0, 5, False), (1, 0, False), (1, 1, True), (5, 4, False), (5, 5, True)],
)
def test_complete_at_the_limit(limit: int, count: int, *, complete: bool) -> None:
    """No call is needed once the limit is reached; without a limit only the receipt says so."""
    assert complete is after(count, limit=limit).complete


def test_complete_with_its_receipt() -> None:
    """The receipt is kept once it was compared, and nothing may follow it."""
    verifier = after(5)
    verifier.close(receipt(5))

    assert (receipt(5), True) == (verifier.receipt, verifier.complete)
    verifier.end()
    with pytest.raises(DataIntegrityError, match=r"^the server sent more after its receipt$"):
        verifier.add(users(5, 6), "token", NO_PROGRESS)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (replace(receipt(5), user_count=4), "5 users arrived, but the receipt says 4: read again"),
        (replace(receipt(5), user_count=6), "5 users arrived, but the receipt says 6: read again"),
        (
            replace(receipt(5), user_id_crc32=crc(4)),
            "the users that arrived are not those of the receipt (CRC-32 differs): read again",
        ),
    ],
)
def test_a_receipt_that_differs(wrong: Receipt, words: str) -> None:
    """A count or CRC-32 that differs is an error that says what to do, and leaves no receipt."""
    verifier = after(5)

    with pytest.raises(ReceiptMismatchError) as caught:
        verifier.close(wrong)

    assert (words, None) == (caught.value.message, verifier.receipt)


def test_an_end_without_a_receipt() -> None:
    """A stream that ends OK without one may lack users."""
    with pytest.raises(IncompleteStreamError) as caught:
        after(5).end()

    assert "the stream ended without its receipt: users may be missing" == caught.value.message


def test_from_a_checkpoint_everything_is_verified() -> None:
    """Count, CRC-32 and order go on from the users that came before."""
    verifier = Verifier(after(3).checkpoint)
    verifier.add(users(3, 5), "token", NO_PROGRESS)
    verifier.close(receipt(5))

    with pytest.raises(OutOfOrderError):
        Verifier(after(3).checkpoint).add(users(2, 5), "token", NO_PROGRESS)


def closed_from_a_bare_token(last: Receipt) -> Verifier:
    verifier = Verifier(Checkpoint("token"))
    verifier.add(users(3, 5), "token", Progress(5, 0, 0.0))
    verifier.close(last)
    return verifier


def test_from_a_bare_token_the_count_is_verified() -> None:
    """The first message's progress tells the count; the CRC-32 of users never seen cannot be known."""
    verifier = closed_from_a_bare_token(replace(receipt(5), user_id_crc32=7))

    assert Checkpoint("token", 5, None, IDS[4]) == verifier.checkpoint
    with pytest.raises(ReceiptMismatchError):
        closed_from_a_bare_token(receipt(6))


def test_figures_without_a_token_mean_nothing() -> None:
    """A scan from its start has neither users nor a CRC-32, whatever a checkpoint claims."""
    verifier = Verifier(Checkpoint("", 7, 8))

    assert (0, 0) == (verifier.checkpoint.user_count, verifier.checkpoint.user_id_crc32)


def test_a_receipt_of_another_consistency() -> None:
    """The consistency that was requested must be the one that was kept."""
    verifier = after(5, consistency=Consistency.SNAPSHOT)
    with pytest.raises(ReceiptMismatchError) as caught:
        verifier.close(receipt(5))

    words = "the call requested snapshot consistency, but the receipt says live: "
    assert f"{words}read again, and check the server's version" == caught.value.message


def resumed(times: int, *, consistency: Consistency = Consistency.LIVE) -> Verifier:
    """Return a verifier of five users, of which each attempt after the first brought one more."""
    verifier = Verifier(Checkpoint(), limit=5, consistency=consistency)
    verifier.begin_attempt()
    verifier.begin_attempt()  # the first one brought nothing, so there was no token to resume from
    verifier.add(users(0, 5 - times), "token", NO_PROGRESS)
    for number in range(5 - times, 5):
        verifier.begin_attempt()
        verifier.begin_attempt()  # an attempt that brings nothing is not counted by the server
        verifier.add(users(number, number + 1), "token", NO_PROGRESS)
    return verifier


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_receipt_that_hides_a_resume(times: int) -> None:
    """The server may count more resumes than this client made, not fewer."""
    for more in (0, 1, 7):
        resumed(times).close(replace(receipt(5), resumed_count=times + more))

    with pytest.raises(ReceiptMismatchError) as caught:
        resumed(times).close(replace(receipt(5), resumed_count=times - 1))

    words = f"the scan was resumed at least {times} times, but the receipt says {times - 1}: "
    assert f"{words}read again, and check the server's version" == caught.value.message


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("consistency", Consistency)
def test_a_lost_receipt_is_written_by_the_client(consistency: Consistency, times: int) -> None:
    """At the limit there is nothing left to ask for: count and CRC-32 are the client's own."""
    verifier = resumed(times, consistency=consistency)
    verifier.finish()

    assert Receipt(5, crc(5), consistency, times) == verifier.receipt


def test_a_receipt_that_came_is_kept() -> None:
    """The client writes none over it."""
    verifier = after(5, limit=5)
    verifier.close(replace(receipt(5), resumed_count=3))
    verifier.finish()

    assert replace(receipt(5), resumed_count=3) == verifier.receipt


def test_a_lost_receipt_behind_a_bare_token() -> None:
    """What cannot be known is 0."""
    verifier = Verifier(Checkpoint("token"))
    verifier.finish()

    assert Receipt(0, 0, Consistency.LIVE, 0) == verifier.receipt


def test_every_error_is_one_of_ours() -> None:
    """A caller that catches UserStreamError misses none."""
    assert issubclass(DataIntegrityError, UserStreamError)
    for kind in (OutOfOrderError, ReceiptMismatchError, IncompleteStreamError):
        assert issubclass(kind, DataIntegrityError)
