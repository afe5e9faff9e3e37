"""What a check has to say: a verdict, what was seen, what to do. No check is in here, and no layout."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

AREAS: Final = (
    *("settings", "credentials", "connection", "source", "target", "writes", "clock"),
    *("hints", "backup", "dagster", "slack"),
)
"""The areas of a checkup, in their order."""


class Verdict(StrEnum):
    """How it stands."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a checkup.

    Attributes:
        verdict: How it stands.
        seen: What was tried, and what came of it.
        todo: What somebody should do; empty where there is nothing to do.
    """

    verdict: Verdict
    seen: str
    todo: str = ""


def passed(seen: str) -> Finding:
    """As it should be."""
    return Finding(Verdict.PASS, seen)


def warned(seen: str, todo: str) -> Finding:
    """It works, and something is lost by it."""
    return Finding(Verdict.WARN, seen, todo)


def failed(seen: str, todo: str) -> Finding:
    """It does not work, or what is promised does not hold."""
    return Finding(Verdict.FAIL, seen, todo)


def skipped(why: str) -> Finding:
    """It was not looked at, because."""
    return Finding(Verdict.SKIP, why)
