"""Which sources of an hour may stand together, and under which columns: what stands, stands. A naive model.

It judges what was committed by what was promised, and does not work out one only right answer: where several newcomers
come at once and each makes room for others, more than one answer keeps every promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s3_assets_tests.soak.bodies import LIMITS, PINNED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Names = tuple[str, ...]


class BrokenPromiseError(AssertionError):
    """An hour file holds what it may not, or lacks what it must hold."""


def expect(condition: object, message: str) -> None:
    """Fail the history with `message` unless `condition`."""
    if not condition:
        raise BrokenPromiseError(message)


@dataclass(frozen=True)
class Headed:
    """A usable source under a header of its own, and what became of it.

    Attributes:
        key: Which.
        names: Its columns.
        count: How many rows it has.
        certain: Whether its rows show that its first line is a header.
        came: Whether it was read for this commit; else its rows stood, and are to stay.
        held: Whether its rows are in the hour file now; else it waits.
    """

    key: str
    names: Names
    count: int
    certain: bool
    came: bool
    held: bool


@dataclass(frozen=True)
class Rules:
    """What the event's settings say.

    Attributes:
        pinned: Whether the columns are given.
        union: Whether other columns than those of the hour are let in.
    """

    pinned: bool = False
    union: bool = True

    def fits(self, own: Names, others: Names, *, certain: bool) -> bool:
        """Whether rows under `own` can stand beside rows under `others`."""
        if own == others:
            return True
        if not self.union:
            return False
        mine, theirs = set(own), set(others)
        return bool(mine & theirs) and (certain or mine <= theirs or theirs <= mine)

    def vote(self, sources: Iterable[Headed]) -> Names:
        """The columns that most rows have, the first of those with as many.

        Rows that stay have the only say where no others are let in.
        """
        voters = [source for source in sources if source.count]
        if not self.union:
            voters = [source for source in voters if not source.came] or voters
        votes: dict[Names, int] = {}
        for voter in voters:
            votes[voter.names] = votes.get(voter.names, 0) + voter.count
        return max(votes, key=votes.__getitem__, default=())

    def judge(self, before: Names, after: Names, sources: Sequence[Headed], *, anew: bool) -> None:
        """What a commit made of an hour's columns, and of the sources that came.

        Args:
            before: The columns of the hour file that it replaced.
            after: Those of the new one.
            sources: In key order.
            anew: Whether an operator asked for a rebuild.

        Raises:
            BrokenPromiseError: It is not what was promised.
        """
        held = [source for source in sources if source.held]
        came = [source for source in sources if source.came]
        if self.pinned:
            expect(after == PINNED, f"the columns are {after}, not those that are pinned")
            expect(all(source.held for source in came), "a source waits although the event pins its columns")
            return
        stands = bool(before) and not anew and any(source.count for source in held if not source.came)
        base = before if stands else self.vote(sources)
        expect(after[: len(base)] == base, f"the columns are {after}, and not {base} first, which stood or won")
        used = [source.names for source in held if source.count or not source.came]
        expect(set(after) == set(base).union(*used), f"the columns are {after}, and rows have {used}")
        expect(len(set(after)) == len(after), f"a column is there twice: {after}")
        is_room = len(set(base).union(*(source.names for source in sources))) <= LIMITS["max_columns"]
        for one in came:
            let_in = self.fits(one.names, base, certain=one.certain)
            if one.held and not let_in:
                names = base + tuple(name for other in held if other is not one and other.count for name in other.names)
                expect(
                    self.fits(one.names, tuple(dict.fromkeys(names)), certain=one.certain),
                    f"{one.key!r} with {one.names} was let in beside {names}",
                )
            expect(one.held or not (let_in and is_room), f"{one.key!r} with {one.names} waits, and fits {base}")
        grew = len(after) > len(before if stands else ())
        expect(not grew or len(after) <= LIMITS["max_columns"], f"{len(after)} columns are too many")

    def can_join(self, after: Names, waits: Headed) -> bool:
        """Whether a source that waits could stand beside what stands."""
        new = [name for name in waits.names if name not in after]
        return self.fits(waits.names, after, certain=waits.certain) and len(after) + len(new) <= LIMITS["max_columns"]
