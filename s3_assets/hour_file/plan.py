"""The plan: from what an hour file holds and what the source shows to what must change, and why.

Pure, and about sets only; which bytes can stay where is `layout`'s question.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from s3_assets.hour_file.sources import SourceObject, in_order, listing_fingerprint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.ledger import Held, Ledger, Quarantined
    from s3_assets.hour_file.policy import EventPolicy


RULES_SETTING = "rules"
RULES = "2"
"""Which rules decided what an hour file holds, in its ledger's settings; the first version wrote none.

The first rules judged sources by their neighbours: what they refused is read once more."""


UNREADABLE = "unreadable"
"""Why a ledger names a source that could not be read, and whose rows it has not: it is tried again at each look."""


class Verdict(StrEnum):
    """What is to be done with one hour."""

    NOTHING = "nothing"
    EMPTY = "empty"
    BUILD = "build"
    SPLICE = "splice"
    REMOVE = "remove"
    BREAKER = "breaker"


class Change(StrEnum):
    """Why one source object makes a difference."""

    NEW = "new"
    LATE = "late"
    REWRITTEN = "rewritten"
    VANISHED = "vanished"
    FORGET = "forget"
    RECHECK = "recheck"
    REREAD = "reread"


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a plan.

    Attributes:
        change: What is seen.
        key: Of the source object.
        size: Its bytes.
        reason: In words.
    """

    change: Change
    key: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision for one hour.

    Attributes:
        hour: Which.
        verdict: What is to be done.
        reason: Why, in a sentence.
        actions: Step by step; empty where nothing is to be done.
        stay: Held sources whose rows stay.
        read: Sources to be read, in key order.
        unusable: Quarantined sources that stay so.
        anew: Whether the header is decided anew, by all rows, since an operator asked for it or changed the settings;
            otherwise the one that stands stands.
        migrates: Whether sources that an earlier version left out because of their neighbours may come back.
        vanished: Keys of held sources that are gone from the source and whose rows stay.
        fingerprint: Of the listing it was made from: the data version once it is done.
    """

    hour: Hour
    verdict: Verdict
    reason: str
    actions: tuple[Action, ...]
    stay: tuple[Held, ...]
    read: tuple[SourceObject, ...]
    unusable: tuple[Quarantined, ...]
    vanished: frozenset[str]
    fingerprint: str
    anew: bool = False
    migrates: bool = False

    @property
    def writes(self) -> bool:
        """Whether carrying it out changes the target."""
        return self.verdict in (Verdict.BUILD, Verdict.SPLICE, Verdict.REMOVE)

    @property
    def bytes_to_read(self) -> int:
        """Source bytes that must be downloaded."""
        return sum(source.size for source in self.read)

    @property
    def counts(self) -> Counter[Change]:
        """How many actions are of each kind."""
        return Counter(action.change for action in self.actions)


def make_plan(
    hour: Hour,
    ledger: Ledger | None,
    sources: Iterable[SourceObject],
    policy: EventPolicy,
    *,
    rebuild: bool = False,
    accept_vanished: bool = False,
    accept_lost_rows: bool = False,
) -> Plan:
    """Decide what makes the hour file equal to its sources.

    Args:
        hour: Which.
        ledger: Of the hour file as it is; None where there is none.
        sources: Everything a complete listing shows for the hour; it must not be older than the ledger.
        policy: The event's.
        rebuild: Read every listed source again, changed or not. Rows of vanished sources are carried over.
        accept_vanished: Let vanished and emptied sources go although the breaker would block them.
        accept_lost_rows: With `rebuild`: name sources no more whose rows are gone for good.
    """
    listed = in_order(sources)
    keys = {source.key for source in listed}
    held = {} if ledger is None else {source.key: source for source in ledger.held}
    known_bad = {} if ledger is None else {source.key: source for source in ledger.quarantined}
    reread = _reread_reason(ledger, policy, keys, rebuild=rebuild)
    anew = ledger is not None and (rebuild or bool(policy.changed_settings(ledger.settings)))

    actions = [action for source in listed if (action := _look_at(hour, source, held, known_bad, reread)) is not None]
    gone = [source for source in held.values() if source.key not in keys]
    if policy.on_vanished == "drop":
        actions += [Action(Change.VANISHED, s.key, s.size, "gone from the source: its rows go") for s in gone]
    lost = {
        bad.key
        for bad in known_bad.values()
        if bad.key not in keys and is_lost(bad, policy) and not (rebuild and (accept_lost_rows or not bad.etag))
    }
    actions += [
        Action(Change.FORGET, source.key, source.size, "quarantined, and gone from the source")
        for source in known_bad.values()
        if source.key not in keys and source.key not in lost
    ]
    to_read = {action.key for action in actions if action.change not in (Change.VANISHED, Change.FORGET)}
    # What waits for the others is looked at again when they change; what the first rules refused, once.
    old_rules = ledger is not None and ledger.settings.get(RULES_SETTING) != RULES
    again = [
        Action(Change.RECHECK, source.key, source.size, f"was left out: {bad.reason}")
        for source in listed
        if (bad := known_bad.get(source.key)) is not None
        and source.key not in to_read
        and (old_rules or bad.reason == UNREADABLE or (actions and not bad.alone))
    ]
    to_read |= {action.key for action in again}
    actions += again
    dropped = {action.key for action in actions if action.change is Change.VANISHED}
    stay = tuple(s for s in held.values() if s.key not in to_read and s.key not in dropped)
    unusable = tuple(
        bad for bad in known_bad.values() if bad.key in lost or (bad.key in keys and bad.key not in to_read)
    )
    emptied = sum(
        action.change is Change.REWRITTEN and not action.size and held[action.key].rows > 0
        for action in actions
        if action.key in held
    )
    verdict, reason = _judge(
        ledger,
        actions,
        bool(stay or to_read or unusable),
        reread,
        len(dropped) + emptied,
        policy,
        accept_vanished=accept_vanished,
    )
    if rebuild and verdict is Verdict.NOTHING and stay:
        verdict, reason = (
            Verdict.BUILD,
            "a rebuild was asked for; all its sources are gone: their rows are carried over",
        )
    return Plan(
        hour=hour,
        verdict=verdict,
        reason=reason,
        actions=tuple(actions),
        stay=stay,
        read=tuple(source for source in listed if source.key in to_read),
        unusable=unusable,
        vanished=frozenset(source.key for source in gone if source.key not in dropped),
        fingerprint=listing_fingerprint(listed, policy.content_token()),
        anew=anew,
        migrates=reread is not None and not anew,
    )


def is_lost(bad: Quarantined, policy: EventPolicy) -> bool:
    """Whether the rows of a quarantined source that is gone could have stood, and did not beside the others.

    They are gone for good, unless an older version of the hour file has them: the ledger goes on naming them.
    """
    return not bad.alone and policy.on_vanished == "keep"


def _reread_reason(ledger: Ledger | None, policy: EventPolicy, listed: Collection[str], *, rebuild: bool) -> str | None:
    """Why sources are read although they did not change; None where they are not."""
    if ledger is None:
        return None
    if rebuild:
        return "a rebuild was asked for"
    changed = policy.changed_settings(ledger.settings)
    if changed:
        return f"the event's settings changed: {', '.join(changed)}"
    waiting = any(not bad.alone and bad.key in listed for bad in ledger.quarantined)
    if waiting and RULES_SETTING not in ledger.settings:
        return "an earlier version left sources out because of their neighbours"
    return None


def _look_at(
    hour: Hour,
    source: SourceObject,
    held: dict[str, Held],
    known_bad: dict[str, Quarantined],
    reread: str | None,
) -> Action | None:
    known = held.get(source.key) or known_bad.get(source.key)
    if known is None:
        late = source.last_modified is not None and source.last_modified >= hour.end
        reason = f"arrived {_age(hour, source)} after its hour closed" if late else "not in the hour file yet"
        return Action(Change.LATE if late else Change.NEW, source.key, source.size, reason)
    if (known.etag, known.size) != (source.etag, source.size):
        reason = f"its content changed: ETag {_short(known.etag)} became {_short(source.etag)}"
        return Action(Change.REWRITTEN, source.key, source.size, reason)
    return None if reread is None else Action(Change.REREAD, source.key, source.size, reread)


def _judge(  # noqa: PLR0911  (a table of verdicts, one return each)
    ledger: Ledger | None,
    actions: list[Action],
    anything_left: bool,  # noqa: FBT001
    reread: str | None,
    dropped: int,
    policy: EventPolicy,
    *,
    accept_vanished: bool,
) -> tuple[Verdict, str]:
    if ledger is None:
        if not actions:
            return Verdict.EMPTY, "no source objects, no hour file: nothing to write"
        if not any(action.size for action in actions):
            return Verdict.EMPTY, "all its source objects have 0 bytes: without a row there is no hour file"
        return Verdict.BUILD, f"no hour file yet; {_say(actions)}"
    if not actions:
        if not ledger.rows:
            return Verdict.REMOVE, "it holds no row: an empty gzip breaks its readers"
        return Verdict.NOTHING, "the hour file equals its sources"
    known = len(ledger.held)
    blocked = policy.breaker(dropped, known)
    if blocked is not None and not accept_vanished:
        return Verdict.BREAKER, blocked
    if not anything_left:
        return Verdict.REMOVE, f"its last source is gone; {_say(actions)}"
    if reread is not None:
        return Verdict.BUILD, f"{reread}; {_say(actions)}"
    return Verdict.SPLICE, _say(actions)


def _say(actions: list[Action]) -> str:
    counts: dict[Change, int] = {}
    for action in actions:
        counts[action.change] = counts.get(action.change, 0) + 1
    total = sum(counts.values())
    return ", ".join(f"{count} {change}" for change, count in counts.items()) + (
        " source" if total == 1 else " sources"
    )


def _age(hour: Hour, source: SourceObject) -> str:
    if source.last_modified is None:
        return "some time"
    seconds = int((source.last_modified - hour.end).total_seconds())
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join([f"{value:,} {unit}" for value, unit in parts if value][:2]) or "0 s"


def _short(etag: str) -> str:
    return etag if len(etag) <= 8 else etag[:8] + "…"  # noqa: PLR2004
