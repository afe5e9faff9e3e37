"""What an hour that is up to date leaves out or keeps although its source is gone, and what would change that.

Said wherever an hour is said to be in order. Pure: it decides nothing, and asks nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from s3_assets.errors import shortened
from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.mending import REBUILD, sync_command
from s3_assets.hour_file.plan import UNREADABLE, Verdict
from s3_assets.plural import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.ledger import Quarantined
    from s3_assets.hour_file.plan import Plan
    from s3_assets.hour_file.sources import SourceObject

MOST_NAMED = 3
"""Sources of a kind that are named; all are counted."""

MOST_WORDS = 60
"""Characters of a reason that are shown."""

QUARANTINED, WAITING, LOST, VANISHED, DOUBTFUL = "quarantined", "waiting", "lost", "vanished", "doubtful"
"""Short names of the kinds, beside `UNREADABLE`."""

HOLDS_ALL = "the hour file equals its sources"
HOLDS_USABLE = "the hour file holds all usable sources"
HOLDS_FITTING = "the hour file holds all sources that fit its header"


@dataclass(frozen=True, slots=True)
class Some:
    """Sources of one kind.

    Attributes:
        count: How many.
        first: The first few in key order: key relative to the source prefix, and the reason, which may be empty.
    """

    count: int = 0
    first: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: Some) -> Some:
        both = sorted(self.first + other.first, key=lambda one: order_key(one[0]))
        return Some(self.count + other.count, tuple(both[:MOST_NAMED]))

    def names(self, *, short: bool) -> str:
        """`07_30_bad.csv (unclosed quote), 07_40_b.csv and 3 more`; whole keys unless `short`."""
        said = ", ".join(
            shortened(key.rpartition("/")[2] if short else key) + (f" ({shortened(why, MOST_WORDS)})" if why else "")
            for key, why in self.first
        )
        return said + (f" and {self.count - len(self.first):,} more" if self.count > len(self.first) else "")

    @classmethod
    def of(cls, every: Iterable[tuple[str, str]]) -> Some:
        """All of them, in key order."""
        found = sorted(every, key=lambda one: order_key(one[0]))
        return cls(len(found), tuple(islice(found, MOST_NAMED)))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What one hour, or several together, leave out or keep.

    Attributes:
        quarantined: Sources that are unusable by their own content.
        waiting: Sources that are usable, and can't stand beside those that do.
        unreadable: Sources that are listed and could not be read.
        lost: Sources that were left out and are gone: their rows are in no hour file.
        vanished: Sources that are gone and whose rows stay.
        doubtful: Sources whose first line was taken for a header by this build, though nothing shows that it is one.
    """

    quarantined: Some = field(default_factory=Some)
    waiting: Some = field(default_factory=Some)
    unreadable: Some = field(default_factory=Some)
    lost: Some = field(default_factory=Some)
    vanished: Some = field(default_factory=Some)
    doubtful: Some = field(default_factory=Some)

    def __bool__(self) -> bool:
        return any(some.count for some in self.kinds().values())

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(
            self.quarantined + other.quarantined,
            self.waiting + other.waiting,
            self.unreadable + other.unreadable,
            self.lost + other.lost,
            self.vanished + other.vanished,
            self.doubtful + other.doubtful,
        )

    def kinds(self) -> dict[str, Some]:
        """By short names, in the order in which they are said."""
        return {
            QUARANTINED: self.quarantined,
            WAITING: self.waiting,
            UNREADABLE: self.unreadable,
            LOST: self.lost,
            VANISHED: self.vanished,
            DOUBTFUL: self.doubtful,
        }

    def clauses(self, *, short: bool = True) -> list[str]:
        """What there is, a clause for each kind: `1 source is quarantined: 07_30_bad.csv (unclosed quote)`."""
        said = []
        if some := self.quarantined.count:
            said.append(f"{_are(some)} quarantined: {self.quarantined.names(short=short)}")
        if some := self.waiting.count:
            verb = "waits" if some == 1 else "wait"
            said.append(f"{counted(some, 'source')} {verb}: {self.waiting.names(short=short)}")
        if some := self.unreadable.count:
            said.append(f"{_are(some)} unreadable: {self.unreadable.names(short=short)}")
        if some := self.lost.count:
            said.append(f"{_are(some)} gone and in no hour file: {self.lost.names(short=short)}")
        if some := self.vanished.count:
            verb = "is" if some == 1 else "are"
            said.append(f"rows of {counted(some, 'source')} that {verb} gone stay: {self.vanished.names(short=short)}")
        if some := self.doubtful.count:
            names = self.doubtful.names(short=short)
            said.append(
                f"the first line of {counted(some, 'source')} may be a row, and was taken for a header: {names}"
            )
        return said

    def changed_by(self, hour: Hour | None = None) -> Iterator[tuple[str, str]]:
        """What would change it, for each kind that there is; with the command for `hour`, or for hours in general."""
        rebuild = f"`{sync_command(hour, REBUILD)}`" if hour is not None else f"`s3-assets sync {REBUILD} …`"
        if some := self.quarantined.count:
            which = "it; it is" if some == 1 else "them; each is"
            yield QUARANTINED, f"the producer must fix {which} ingested when its content changes"
        if some := self.waiting.count:
            which = "it waits" if some == 1 else "they wait"
            yield WAITING, f"{which} because of the header that stands; {rebuild} decides anew by rows"
        if some := self.unreadable.count:
            yield UNREADABLE, f"{'it is' if some == 1 else 'they are'} tried again whenever the hour is looked at"
        if some := self.lost.count:
            yield LOST, f"{rebuild} looks for the rows in older versions of the hour file"
        if some := self.vanished.count:
            yield VANISHED, 'they stay under on_vanished = "keep"; "drop" lets them go'
        if self.doubtful.count:
            yield (
                DOUBTFUL,
                "`columns = […]` of the event settles it, or `header = false` if its files have no header line",
            )

    def document(self) -> dict[str, Any]:
        """As JSON: the kinds of which there are any."""
        return {
            name: {"sources": some.count, "first": [{"key": key, "reason": why} for key, why in some.first]}
            for name, some in self.kinds().items()
            if some.count
        }


def _are(count: int) -> str:
    return f"{counted(count, 'source')} {'is' if count == 1 else 'are'}"


def left_out(
    unusable: Iterable[Quarantined],
    vanished: Iterable[str],
    sources: Iterable[SourceObject],
    doubtful: Iterable[str] = (),
) -> LeftOut:
    """What an hour leaves out or keeps.

    Args:
        unusable: What its hour file names as unusable, or goes on to name.
        vanished: Keys of sources that are gone and whose rows stay.
        sources: What a complete listing shows.
        doubtful: Keys of sources whose first line was taken for a header though nothing shows that it is one.
    """
    bad = tuple(unusable)
    listed: Collection[str] = {source.key for source in sources} if bad else ()
    kinds: dict[str, list[tuple[str, str]]] = {kind: [] for kind in (QUARANTINED, WAITING, UNREADABLE, LOST)}
    for one in bad:
        kinds[kind_of(one, is_there=one.key in listed)].append((one.key, shortened(one.reason)))
    return LeftOut(
        quarantined=Some.of(kinds[QUARANTINED]),
        waiting=Some.of(kinds[WAITING]),
        unreadable=Some.of(kinds[UNREADABLE]),
        lost=Some.of(kinds[LOST]),
        vanished=Some.of((key, "") for key in vanished),
        doubtful=Some.of((key, "") for key in doubtful),
    )


def kind_of(bad: Quarantined, *, is_there: bool) -> str:
    """Which kind of source left out it is, by its short name."""
    if not is_there:
        return LOST
    if bad.reason == UNREADABLE:
        return UNREADABLE
    return QUARANTINED if bad.alone else WAITING


def standing(plan: Plan, left: LeftOut) -> str:
    """The reason of a plan; of one that finds nothing to do, with what the hour leaves out or keeps."""
    if plan.verdict is Verdict.EMPTY:
        return "; ".join([plan.reason, *left.clauses()])
    if plan.verdict is not Verdict.NOTHING:
        return plan.reason
    if not left:
        return HOLDS_ALL
    return "; ".join([HOLDS_FITTING if left.waiting.count else HOLDS_USABLE, *left.clauses()])
