"""How a count and its noun are written, wherever people read them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 hour`, `2,000 hours`: for nouns whose plural ends in s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
