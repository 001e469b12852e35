"""What answers cost, in whole millionths of a US dollar, and at most how much a question may cost.

Prices are settings: they change, and nothing here knows any. Arithmetic is exact; what is left
over is rounded up, so that a sum of costs is never below what is charged. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil

from backend.analysis.scene.vlm.model import Question

_PICTURE_LABEL_TOKENS = 20
"""A picture's time goes with it as text."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, in and out."""

    input_usd_per_million: Decimal
    output_usd_per_million: Decimal

    def __post_init__(self) -> None:
        """Refuse what no price can be."""
        for price in (self.input_usd_per_million, self.output_usd_per_million):
            if not price.is_finite() or price < 0:
                raise ValueError(f"a price is 0 or more dollars, not {price}")


def cost_microusd(price: Price, input_tokens: int, output_tokens: int) -> int:
    """What so many tokens cost: a dollar for a million tokens is a millionth for each."""
    return ceil(
        input_tokens * Fraction(price.input_usd_per_million)
        + output_tokens * Fraction(price.output_usd_per_million)
    )


def usd(microusd: int) -> float:
    """In dollars, for results."""
    return float(Decimal(microusd) / 1_000_000)


def most_microusd(
    price: Price,
    question: Question,
    *,
    picture_tokens: int = 1200,
    video_tokens_per_frame: int = 300,
) -> int:
    """At most what a question costs, before it is asked.

    Text counts a token for each byte: no tokenizer makes more of it, and numbers and scripts other
    than Latin come near to that.
    """
    text = question.instructions + question.text + json.dumps(dict(question.schema))
    tokens = len(text.encode(errors="replace"))
    tokens += len(question.pictures) * (picture_tokens + _PICTURE_LABEL_TOKENS)
    if (clip := question.clip) is not None:
        frames = ceil(clip.seconds * clip.fps) + 1
        tokens += frames * video_tokens_per_frame
    return cost_microusd(price, tokens, question.max_output_tokens)
