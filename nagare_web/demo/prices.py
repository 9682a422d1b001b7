"""What invented models charge, and how text is counted in tokens. No model of these names exists."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

_BYTES_A_TOKEN: Final = 4
_MILLION: Final = 1_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Dollars for a million tokens, and how quickly the model writes."""

    input_usd: float
    cached_usd: float
    output_usd: float
    ms_a_token: float


PRICES: Final = {
    "orion-3": Price(input_usd=3.00, cached_usd=0.30, output_usd=15.00, ms_a_token=18.0),
    "orion-3-mini": Price(input_usd=0.40, cached_usd=0.04, output_usd=1.60, ms_a_token=7.0),
    "lyra-2": Price(input_usd=1.10, cached_usd=0.11, output_usd=4.40, ms_a_token=11.0),
    "vela-1-large": Price(input_usd=5.00, cached_usd=0.50, output_usd=25.00, ms_a_token=24.0),
}


@lru_cache(maxsize=4096)
def tokens(text: str) -> int:
    """Return how many tokens a text counts: a token for every four bytes, rounded up."""
    return -(-len(text.encode()) // _BYTES_A_TOKEN)


def cost_usd(model: str, *, read: int, cached: int, written: int) -> float:
    """Return what a call costs; `cached` are those of the tokens `read` that the model had kept."""
    price = PRICES[model]
    fresh = (read - cached) * price.input_usd
    return round((fresh + cached * price.cached_usd + written * price.output_usd) / _MILLION, 6)


def latency_ms(model: str, *, read: int, written: int, jitter: float) -> float:
    """Return how long a call takes; `jitter` is between 0 and 1."""
    return round(700 + 1800 * jitter + 0.05 * read + PRICES[model].ms_a_token * written, 1)
