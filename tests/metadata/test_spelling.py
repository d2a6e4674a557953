"""Numbers in the spelling of the 2022 form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymisation.metadata.spelling import difference, finite, two_decimals, up_to_two_decimals, with_dot


@pytest.mark.parametrize(
    ("written", "dotted"),
    [
        ("14,34", "14.34"), ("-0,5", "-0.5"), ("0,00", "0.00"), ("1,5e-3", "1.5e-3"), (" 1,5 ", "1.5"),
        ("1,", "1,"), (",5", ",5"), ("1,2,3", "1,2,3"), ("a1,5", "a1,5"), ("1.5", "1.5"), ("NaN", "NaN"), ("", ""),
    ],
)  # fmt: skip
def test_a_comma_between_digits_becomes_a_dot(written: str, dotted: str) -> None:
    assert with_dot(written) == dotted


@pytest.mark.parametrize(
    ("metre", "shown"),
    [(14.344, "14.34"), (34.2, "34.2"), (10.0, "10.0"), (1277.125, "1277.12"), (0.0, "0.0"), (1e16, "1" + 16 * "0")],
)  # fmt: skip
def test_a_metre_has_one_or_two_decimals(metre: float, shown: str) -> None:
    assert up_to_two_decimals(metre) in {shown, f"{shown}.0"}


@settings(max_examples=30)
@given(st.floats(-1e9, 1e9))
def test_a_speed_has_two_decimals_always(speed: float) -> None:
    shown = two_decimals(speed)
    assert shown is not None
    assert len(shown.partition(".")[2]) == 2
    assert abs(float(shown) - speed) <= 0.005 + 1e-6


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [(100.0, 40.0, "60"), (150.25, 39.75, "110.5"), (100.5, 40.5, "60.0"), (1.0, None, None), (None, 1.0, None)],
)
def test_a_difference_of_whole_numbers_is_whole(one: float | None, other: float | None, shown: str | None) -> None:
    assert difference(one, other) == shown


@pytest.mark.parametrize("text", [None, "NaN", "nan", "INF", "-Infinity", "1e400", "", "x", "1_000", "١"])
def test_what_is_no_finite_number_is_none(text: str | None) -> None:
    assert finite(text) is None
