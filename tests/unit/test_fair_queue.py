"""Who gets the next connection."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from userstream_server.databases.fair_queue import FairQueue, LeaseClass

LOOKUP, FILTERED, SCAN, SNAPSHOT = LeaseClass


@dataclass(eq=False)
class Claim:
    """A caller's query."""

    caller: str
    kind: LeaseClass = LOOKUP


def held_by(queue: FairQueue[Claim], callers: str, kind: LeaseClass = LOOKUP) -> list[Claim]:
    """Have a caller for each letter hold a connection."""
    claims = [Claim(caller, kind) for caller in callers]
    assert all(queue.try_take(claim) for claim in claims)
    return claims


def waiting(queue: FairQueue[Claim], callers: str, kind: LeaseClass = LOOKUP) -> list[Claim]:
    """Have a caller for each letter wait."""
    claims = [Claim(caller, kind) for caller in callers]
    for claim in claims:
        assert not queue.try_take(claim)
        queue.join(claim)
    return claims


def served(queue: FairQueue[Claim], released: Iterable[Claim]) -> list[Claim]:
    """Release connections one by one; return who gets them."""
    found = []
    for claim in released:
        queue.release(claim)
        found += list(queue.admit())
    return found


def test_callers_take_turns() -> None:
    """However many queries of one caller wait, another's first one comes second; within a caller, first come."""
    queue: FairQueue[Claim] = FairQueue(8)
    held = held_by(queue, "xxxxxxxx")
    a = waiting(queue, "aaaa")
    b, c = waiting(queue, "bb"), waiting(queue, "c")

    assert [a[0], b[0], c[0], a[1], b[1], a[2], a[3]] == served(queue, held)
    assert queue.callers == 0


def test_a_lone_caller_takes_all_that_is_idle() -> None:
    """The share counts only while others wait."""
    queue: FairQueue[Claim] = FairQueue(4, caller_share=0.25)
    held = held_by(queue, "aaaa")
    more = waiting(queue, "aa")

    assert more == served(queue, held[:2])


def test_a_caller_beyond_its_share_comes_last() -> None:
    """Those below their share go first, whoever has waited longer; beyond it callers take turns again."""
    queue: FairQueue[Claim] = FairQueue(4, caller_share=0.5)
    held = held_by(queue, "aaaa")
    a, b = waiting(queue, "aa"), waiting(queue, "bbb")

    assert [b[0], b[1], a[0], a[1]] == served(queue, [held[0], held[1], held[2], held[3]])
    assert [b[2]] == served(queue, [a[0]])


@pytest.mark.parametrize(
    ("size", "share", "scans", "filtered"),
    [
        (8, 0.25, 2, 4),
        (8, 0.5, 4, 7),
        (8, 1.0, 7, 7),
        (8, 0.01, 1, 1),
        (2, 1.0, 1, 1),
        (1, 1.0, 1, 1),
    ],
)
def test_scans_never_take_all(size: int, share: float, scans: int, filtered: int) -> None:
    """At most their share, one less than all, and at least one; queries with a filter twice as many."""
    for kind, most in ((SCAN, scans), (FILTERED, filtered)):
        queue: FairQueue[Claim] = FairQueue(size, scans_share=share)
        taken = [queue.try_take(Claim("a", kind)) for _ in range(size)]
        rest = [queue.try_take(Claim("b")) for _ in range(size)]

        assert (most, size - most) == (sum(taken), sum(rest))


def test_what_lasts_leaves_one() -> None:
    """Scans, queries with a filter and snapshots together leave one connection; the first of each is served."""
    queue: FairQueue[Claim] = FairQueue(8, scans_share=1.0)
    held_by(queue, "ab", SNAPSHOT)
    held_by(queue, "ab", SCAN)
    held_by(queue, "abc", FILTERED)

    assert [False, False] == [queue.try_take(Claim("c", kind)) for kind in (SCAN, FILTERED)]
    assert queue.try_take(Claim("d"))
    small: FairQueue[Claim] = FairQueue(2)
    assert [True, True] == [small.try_take(Claim("a", kind)) for kind in (SCAN, FILTERED)]


def test_scans_that_wait_hold_nobody_back() -> None:
    """A query that is no scan passes scans that may not run yet, also those of its own caller."""
    queue: FairQueue[Claim] = FairQueue(4, scans_share=0.5)
    scans = held_by(queue, "aa", SCAN)
    more = waiting(queue, "ab", SCAN)
    lookups = held_by(queue, "ab")
    late = waiting(queue, "a")

    assert late == served(queue, lookups[:1])
    assert more[::-1] == served(queue, scans)  # "a" still holds its share


def test_leaving() -> None:
    """A claim that gave up is not served, and its caller is forgotten with its last one."""
    queue: FairQueue[Claim] = FairQueue(1)
    held = held_by(queue, "x")
    gone, stays = waiting(queue, "a"), waiting(queue, "b", SCAN)
    queue.leave(gone[0])
    queue.leave(gone[0])

    assert {SCAN: 1} == queue.waiting()
    assert stays == served(queue, held)


def test_nothing_is_lost_or_handed_out_twice() -> None:
    """Over 5,000 random steps no more than all are held, nobody waits for a connection that is free to them."""
    dice = random.Random(1)
    queue: FairQueue[Claim] = FairQueue(5)
    held: set[Claim] = set()
    lines: set[Claim] = set()
    for _ in range(5_000):
        step = dice.random()
        if step < 0.5:
            claim = Claim(dice.choice("abc"), dice.choice((LOOKUP, FILTERED, SCAN)))
            if queue.try_take(claim):
                held.add(claim)
            else:
                queue.join(claim)
                lines.add(claim)
        elif step < 0.9 and held:
            claim = dice.choice(sorted(held, key=id))
            held.remove(claim)
            got = served(queue, [claim])
            assert set(got) <= lines
            held.update(got)
            lines.difference_update(got)
        elif lines:
            claim = dice.choice(sorted(lines, key=id))
            lines.remove(claim)
            queue.leave(claim)
        counts = Counter(claim.kind for claim in held)
        assert len(held) <= 5
        assert counts[SCAN] <= 1
        assert counts[FILTERED] <= 2
        assert counts == +queue.held
        assert len(lines) == queue.waiting().total()
        assert len(held) == 5 or all(claim.kind is not LOOKUP for claim in lines)
