"""What answers cost, worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.analysis.scene.vlm.model import Clip, Picture, Question
from backend.analysis.scene.vlm.price import Price, cost_microusd, most_microusd, usd

FLASH = Price(Decimal("0.30"), Decimal("2.50"))


@pytest.mark.parametrize(
    ("price", "tokens_in", "tokens_out", "microusd"),
    [
        # 1,234,567 * 0.30 = 370,370.1 and 89,012 * 2.50 = 222,530: together 592,900.1
        (FLASH, 1_234_567, 89_012, 592_901),
        (FLASH, 1_000_000, 0, 300_000),
        (FLASH, 0, 0, 0),
        (FLASH, 1, 0, 1),
        (FLASH, 10, 2, 8),
        # In binary floating point 0.1 * 3 is a little more than 0.3, and 30 would become 31.
        (Price(Decimal("0.1"), Decimal(0)), 300, 0, 30),
        (Price(Decimal(0), Decimal(0)), 10**9, 10**9, 0),
        (Price(Decimal("0.000001"), Decimal(0)), 10**15 + 1, 0, 10**9 + 1),
    ],
)
def test_costs_are_exact_and_rounded_up(
    price: Price, tokens_in: int, tokens_out: int, microusd: int
) -> None:
    assert cost_microusd(price, tokens_in, tokens_out) == microusd


@given(
    cents=st.integers(0, 10_000),
    tokens=st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)), max_size=9),
)
def test_a_sum_of_costs_is_never_below_what_is_charged(
    cents: int, tokens: list[tuple[int, int]]
) -> None:
    price = Price(Decimal(cents) / 100, Decimal("2.5"))
    ours = sum(cost_microusd(price, *one) for one in tokens)
    theirs = sum(
        (Fraction(cents, 100) * one[0] + Fraction(5, 2) * one[1] for one in tokens), Fraction(0)
    )
    assert theirs <= ours <= theirs + len(tokens)


def test_millionths_of_a_dollar_become_dollars() -> None:
    assert usd(592_901) == 0.592901
    assert usd(0) == 0.0


def question(**more: object) -> Question:
    plain = {"instructions": "a" * 60, "text": "b" * 38, "schema_name": "x", "schema": {}}
    return Question(**{**plain, "max_output_tokens": 1000, **more})  # type: ignore[arg-type]


ONE = Price(Decimal(1), Decimal(10))
"""A token in costs a millionth, a token out ten."""


@pytest.mark.parametrize(
    ("asked", "microusd"),
    [
        # 60 + 38 characters and the schema's 2, and 1,000 tokens out.
        (question(), 100 + 10_000),
        (question(text="한" * 38), 60 + 3 * 38 + 2 + 10_000),
        (question(clip=Clip(b"mp4", 30.0, 1.0)), 100 + 31 * 300 + 10_000),
        (question(clip=Clip(b"mp4", 30.0, 0.2)), 100 + 7 * 300 + 10_000),
        (question(pictures=(Picture(b"jpeg", 0.0),) * 3), 100 + 3 * 1220 + 10_000),
    ],
)
def test_the_most_that_a_question_costs_is_known_before(asked: Question, microusd: int) -> None:
    assert most_microusd(ONE, asked) == microusd


def test_other_models_take_other_numbers_of_tokens_for_a_picture() -> None:
    asked = question(clip=Clip(b"mp4", 9.0, 1.0), pictures=(Picture(b"jpeg", 0.0),))
    most = most_microusd(ONE, asked, picture_tokens=80, video_tokens_per_frame=70)
    assert most == 100 + 10 * 70 + 100 + 10_000


@pytest.mark.parametrize("wrong", [Decimal(-1), Decimal("nan"), Decimal("inf")])
def test_what_is_no_price_is_refused(wrong: Decimal) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Price(wrong, Decimal(1))
    with pytest.raises(ValueError, match="0 or more"):
        Price(Decimal(1), wrong)
