from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userstream_client import AverageAge


@pytest.mark.parametrize(
    ("age_sum", "user_count", "text"),
    [
        (6238, 100, "62.38"),
        (1, 8, "0.13"),
        (-1, 8, "-0.13"),
        (1, 200, "0.01"),
        (-1, 1000, "0.00"),
        (0, 3, "0.00"),
        (199, 2, "99.50"),
        (10**18 + 5, 1, "1000000000000000005.00"),
    ],
)
def test_average_is_rounded_from_the_integers(age_sum: int, user_count: int, text: str) -> None:
    """Two decimals, halves away from zero, no negative nought, and no double in between."""
    assert text == AverageAge(user_count, age_sum).text


def test_no_users_have_no_average() -> None:
    """There is neither a number nor a text for it."""
    empty = AverageAge(0, 0)

    assert (None, None) == (empty.average, empty.text)


@given(st.integers(-(2**62), 2**62), st.integers(1, 2**40))
def test_average_agrees_with_decimal_arithmetic(age_sum: int, user_count: int) -> None:
    """Any sum and count give what exact decimal arithmetic gives."""
    scaled, rest = divmod(abs(age_sum) * 100, user_count)
    exact = (scaled + Decimal(rest) / user_count).quantize(Decimal(1), ROUND_HALF_UP)

    assert exact == abs(Decimal(AverageAge(user_count, age_sum).text or "")) * 100
