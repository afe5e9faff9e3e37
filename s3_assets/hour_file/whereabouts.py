"""Where one source object's rows are, by the ledger of its hour file and by what is listed.

Pure, and about one object: a plan says the same of a whole hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3_assets.hour_file.ledger import Held, Ledger, Quarantined
    from s3_assets.hour_file.sources import SourceObject


class State(StrEnum):
    """What is the matter with a source object."""

    HELD = "held"
    REWRITTEN = "rewritten"
    VANISHED = "vanished"
    QUARANTINED = "quarantined"
    WAITING = "waiting"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source's rows stand in an hour file.

    Attributes:
        segment: Its number, from 0, as `show` has it.
        first_row: From 1, the header not counted; the source has `held.rows` rows from there.
        held: What the ledger says of it.
    """

    segment: int
    first_row: int
    held: Held

    @property
    def last_row(self) -> int:
        """Included; less than the first where it has none."""
        return self.first_row + self.held.rows - 1


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What is known of one source object.

    Attributes:
        state: In a word. `REWRITTEN` and `VANISHED` have a place too: that of the rows that stand.
        place: Where its rows are; None where the hour file holds none of it.
        bad: What the ledger says of it, where it is named as unusable.
        listed: As it is at the source; None where it is not there.
    """

    state: State
    place: Place | None
    bad: Quarantined | None
    listed: SourceObject | None


def whereabouts(key: str, ledger: Ledger | None, listed: SourceObject | None) -> Whereabouts:
    """Find a source object.

    Args:
        key: Relative to the source prefix.
        ledger: Of its hour file; None where there is none.
        listed: As a listing that is not older than the ledger shows it; None where it does not.
    """
    place = None if ledger is None else place_of(key, ledger)
    bad = None if ledger is None else next((one for one in ledger.quarantined if one.key == key), None)
    known = bad if place is None else place.held
    if listed is None:
        state = State.UNKNOWN if known is None else State.QUARANTINED if place is None else State.VANISHED
    elif known is None:
        state = State.WAITING
    elif (known.etag, known.size) != (listed.etag, listed.size):
        state = State.REWRITTEN
    else:
        state = State.HELD if place is not None else State.QUARANTINED
    return Whereabouts(state, place, bad, listed)


def place_of(key: str, ledger: Ledger) -> Place | None:
    """Where a source's rows stand; None where the hour file does not hold it."""
    row = 1
    for number, segment in enumerate(ledger.segments):
        for held in segment.sources:
            if held.key == key:
                return Place(number, row, held)
            row += held.rows
    return None
