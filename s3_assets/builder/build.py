"""Makes one hour right: read its ledger, list its sources, plan, assemble, commit; again if someone was faster.

Order matters: the ledger is read before the listing, so that the listing is never older than what it is compared
with. Then a source that is in the ledger and not in the listing is truly gone.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from s3_assets.builder.assemble import Stock, assemble
from s3_assets.builder.commit import commit
from s3_assets.builder.make import Identity, SourceChangedError
from s3_assets.builder.salvage import LostRowsError, Salvage, evicted, salvage
from s3_assets.builder.spool import Spool
from s3_assets.builder.target import Target, read_target
from s3_assets.errors import (
    BreakerOpenError,
    ContendedError,
    DamagedTargetError,
    NewerFormatError,
    NotFoundError,
    PreconditionFailedError,
    StoreUnavailableError,
    UnreadableSourcesError,
    WriteConflictError,
)
from s3_assets.hour_file.changes import data_version
from s3_assets.hour_file.guard import Decided, check_commit
from s3_assets.hour_file.mending import ACCEPT_VANISHED, REBUILD, hour_options, sync_command
from s3_assets.hour_file.plan import Plan, Verdict, make_plan
from s3_assets.hour_file.sources import Sorter, SourceObject, in_order
from s3_assets.store.metered import MeteredStore, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from s3_assets.builder.assemble import Assembly
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.errors import StoreError
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.ledger import Ledger, Quarantined

MAX_TRIES = 8
"""How often an hour that keeps changing is planned anew before it is left to the next look."""

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """An hour as it was seen: its file first, its sources after.

    Attributes:
        target: The hour file; None where there is none.
        sources: What a complete listing showed, in key order.
    """

    target: Target | None
    sources: tuple[SourceObject, ...]


@dataclass(frozen=True, slots=True)
class HourResult:
    """What was done with one hour. The hour file is on S3 when there is a result.

    Attributes:
        plan: What was decided, on the last try.
        ledger: What the hour file holds now; None where there is no hour file.
        before: What it held; None where there was none, or it could not be read.
        left_out: Sources that are quarantined; also where there is no hour file, since none has a usable row.
        doubtful: Keys of sources whose first line was taken for a header though nothing shows that it is one.
        sources: The listing it was decided on, in key order.
        size: Bytes of the hour file.
        etag: Of the hour file; empty where there is none.
        version_id: Where versioning is on and something was written.
        reused: Segments that stood.
        made: Segments that were made.
        traffic_source: Requests and bytes at the source's store,
        traffic_target: and at the target's.
        seconds: Wall time.
        tries: How many plans it took.
    """

    plan: Plan
    ledger: Ledger | None
    before: Ledger | None
    left_out: tuple[Quarantined, ...]
    sources: tuple[SourceObject, ...]
    size: int
    etag: str
    version_id: str | None
    reused: int
    made: int
    traffic_source: Traffic
    traffic_target: Traffic
    seconds: float
    tries: int
    doubtful: tuple[str, ...] = ()

    @property
    def hour(self) -> Hour:
        """Which."""
        return self.plan.hour

    @property
    def data_version(self) -> str:
        """What is to be recorded of the hour, so that it is left alone until something of it changes."""
        has_file = self.ledger is not None or not self.sources
        return data_version(self.plan.fingerprint, len(self.left_out), has_file=has_file)

    @property
    def late(self) -> list[SourceObject]:
        """Listed sources that arrived after the hour closed."""
        end = self.hour.end
        return [s for s in self.sources if s.last_modified is not None and s.last_modified >= end]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What an operator may ask for beyond making an hour right.

    Attributes:
        rebuild: Read every source again and write a new file, also in place of a damaged or foreign one.
        accept_vanished: Let sources lose all their rows at once although the breaker would block it.
        accept_lost_rows: Rebuild a damaged hour file also without the rows that no version has intact.
    """

    rebuild: bool = False
    accept_vanished: bool = False
    accept_lost_rows: bool = False


@dataclass(slots=True)
class Pauses:
    """Growing pauses with jitter between tries; `sleep` is replaceable so that tests need not wait."""

    sleep: Callable[[float], None] = time.sleep
    _next: float = field(default=_FIRST_PAUSE_S)

    def take(self) -> None:
        """Wait a while, the next time longer."""
        self.sleep(random.uniform(0, self._next))  # noqa: S311  (jitter, not a secret)
        self._next = min(self._next * 2, _LONGEST_PAUSE_S)


def see(pipeline: Pipeline, hour: Hour) -> Seen:
    """Read the hour's ledger, then list its sources."""
    target = read_target(pipeline.target, pipeline.target_key(hour), hour)
    sorter = Sorter(pipeline.grammar, first_label=hour.label, last_label=hour.label)
    listing = sorter.sort(pipeline.list_sources(pipeline.grammar.hour_prefix(hour)))
    return Seen(target, in_order(listing.hours.get(hour, ())))


def plan_hour(pipeline: Pipeline, hour: Hour, seen: Seen, options: BuildOptions = BuildOptions()) -> Plan:
    """What would make the hour right.

    Raises:
        DamagedTargetError: The hour file can't be read, and no rebuild was asked for.
        LostRowsError: It can't be read, and no version has all rows that a rebuild can't read at the source.
    """
    return _decide(pipeline, hour, seen, options)[0]


def _decide(pipeline: Pipeline, hour: Hour, seen: Seen, options: BuildOptions) -> tuple[Plan, Stock]:
    """The plan, and what there is to carry over."""
    target = seen.target
    problem = None if target is None else target.problem
    if problem is not None and (not options.rebuild or isinstance(problem, NewerFormatError)):
        raise _with_command(problem, hour)
    listed = {source.key for source in seen.sources}
    if options.rebuild and (target is None or target.ledger is None or any(evicted(target.ledger, listed))):
        saved = salvage(pipeline, hour, target, listed)
        if saved is not None:
            return _decide_on(saved, pipeline, hour, seen, options)
    stock = Stock(None, None) if target is None else Stock(target.ledger, target, keep_segments=not options.rebuild)
    plan = make_plan(
        hour,
        None if target is None else target.ledger,
        seen.sources,
        pipeline.policy(hour.event),
        rebuild=options.rebuild,
        accept_vanished=options.accept_vanished,
        accept_lost_rows=options.accept_lost_rows,
    )
    if problem is not None and plan.writes:
        reason = f"in place of a file that can't be read: {problem.detail}; {_count(plan)} to read"
        plan = replace(plan, reason=reason)
    return plan, stock


def _decide_on(saved: Salvage, pipeline: Pipeline, hour: Hour, seen: Seen, options: BuildOptions) -> tuple[Plan, Stock]:
    """The same for a damaged hour file of which that was saved."""
    if saved.lost and not options.accept_lost_rows:
        raise LostRowsError(pipeline.target_key(hour), hour, saved.lost)
    plan = make_plan(hour, saved.stock.ledger, seen.sources, pipeline.policy(hour.event), rebuild=True)
    unusable = (*plan.unusable, *saved.named(given_up=options.accept_lost_rows))
    if not (plan.stay or plan.read or unusable):
        return plan, saved.stock
    problem = None if seen.target is None else seen.target.problem
    if seen.target is None:
        place = "a file that is gone"
    else:
        place = "a file without rows that stood once" if seen.target.ledger is not None else "a damaged file"
    reason = f"in place of {place}{'' if problem is None else f': {problem.detail}'}; {_count(plan)} to read"
    if plan.stay or saved.lost:
        reason += f"; {saved.said()}"
    return replace(plan, verdict=Verdict.BUILD, unusable=unusable, reason=reason), saved.stock


def _count(plan: Plan) -> str:
    return f"{len(plan.read)} source{'' if len(plan.read) == 1 else 's'}"


def _with_command(error: DamagedTargetError, hour: Hour) -> DamagedTargetError:
    """The same error, with the command that mends this hour and no other."""
    if hour_options(hour) not in error.hint:
        error.hint = error.hint.replace(f"s3-assets sync {REBUILD}", sync_command(hour, REBUILD))
    return error


def build_hour(
    pipeline: Pipeline,
    hour: Hour,
    *,
    seen: Seen | None = None,
    options: BuildOptions = BuildOptions(),
    pauses: Pauses | None = None,
) -> HourResult:
    """Make one hour right; doing it again changes nothing.

    Args:
        pipeline: Where and how.
        hour: Which.
        seen: What was seen of it already; used for the first try only.
        options: What else is asked for.
        pauses: How to wait between tries.

    Raises:
        DamagedTargetError: The hour file is damaged or foreign; it was left alone.
        LostRowsError: The same, and a rebuild would lose rows that no version has.
        BreakerOpenError: Too many sources lost all their rows at once; nothing was written.
        RowsWouldLeaveError: Rows would have left that must stay; nothing was written.
        UnreadableSourcesError: Some sources can't be read; the hour file has all others.
        ContendedError: Others were faster on every try.
        S3AssetsError: Anything else that went wrong; the hour file is as it was, or as another left it.
    """
    began = time.monotonic()
    source, target = MeteredStore(pipeline.source), MeteredStore(pipeline.target)
    metered = pipeline.with_stores(source, target)
    if seen is not None and seen.target is not None:
        target.count("get", down=len(seen.target.tail))  # read for this hour, before it was handed over
    pauses = pauses or Pauses()
    suspects: set[Identity] = set()
    for attempt in range(1, MAX_TRIES + 1):
        now_seen = seen if seen is not None else see(metered, hour)
        seen = None
        try:
            plan, stock = _decide(metered, hour, now_seen, options)
        except PreconditionFailedError as error:  # while it was looked at what could be saved
            logger.info("%s changed under the build, try %d: %s", hour, attempt, error)
            pauses.take()
            continue
        if plan.verdict is Verdict.BREAKER:
            raise _breaker_error(plan.reason, hour)
        build = partial(_carry_out, metered, seen=now_seen, options=options, suspects=suspects)
        try:
            try:
                done = build(plan, stock)
            except DamagedTargetError:
                saved = _save(metered, hour, now_seen, options, stock)
                if saved is None:
                    raise
                plan, stock = _decide_on(saved, metered, hour, now_seen, options)
                done = build(plan, stock)
        except (SourceChangedError, NotFoundError, PreconditionFailedError, WriteConflictError) as error:
            logger.info("%s changed under the build, try %d: %s", hour, attempt, error)
            if isinstance(error, SourceChangedError):
                suspects.add(error.identity)
            pauses.take()
            continue
        except DamagedTargetError as error:
            raise _with_command(error, hour) from error.__cause__
        except BreakerOpenError as error:
            raise _breaker_error(str(error), hour) from error
        if done.unreadable:
            raise UnreadableSourcesError(dict(done.unreadable), len(now_seen.sources))
        return HourResult(
            plan=done.plan,
            ledger=done.ledger,
            before=None if now_seen.target is None else now_seen.target.ledger,
            left_out=done.left_out,
            sources=now_seen.sources,
            size=done.size,
            etag=done.etag,
            version_id=done.version_id,
            reused=done.reused,
            made=done.made,
            traffic_source=source.traffic,
            traffic_target=target.traffic,
            seconds=time.monotonic() - began,
            tries=attempt,
            doubtful=done.doubtful,
        )
    msg = f"{hour} changed under each of {MAX_TRIES} tries"
    raise ContendedError(msg)


def _save(pipeline: Pipeline, hour: Hour, seen: Seen, options: BuildOptions, stock: Stock) -> Salvage | None:
    """What can be saved where a rebuild met damage in rows that it was to carry over; None where none is asked for."""
    if not options.rebuild or stock.carried is not None:
        return None
    return salvage(pipeline, hour, seen.target, {source.key for source in seen.sources})


def _breaker_error(reason: str, hour: Hour) -> BreakerOpenError:
    hint = f"if they were meant to go: `{sync_command(hour, ACCEPT_VANISHED)}`, or raise the share"
    return BreakerOpenError(reason, hint=hint)


@dataclass(frozen=True, slots=True)
class _Done:
    plan: Plan
    ledger: Ledger | None
    size: int = 0
    etag: str = ""
    version_id: str | None = None
    reused: int = 0
    made: int = 0
    left_out: tuple[Quarantined, ...] = ()
    unreadable: Mapping[str, StoreError] = field(default_factory=dict)
    doubtful: tuple[str, ...] = ()


def _carry_out(
    pipeline: Pipeline,
    plan: Plan,
    stock: Stock,
    *,
    seen: Seen,
    options: BuildOptions,
    suspects: Collection[Identity],
) -> _Done:
    target = seen.target
    key = pipeline.target_key(plan.hour)
    if not plan.writes:
        return _as_it_is(plan, target)
    guard = partial(
        check_commit,
        None if target is None else target.ledger,
        listed={source.key: (source.etag, source.size) for source in seen.sources},
        policy=pipeline.policy(plan.hour.event),
        decided=Decided(options.rebuild, options.accept_vanished, options.accept_lost_rows),
    )
    if plan.verdict is Verdict.REMOVE:
        guard(None)
        if target is not None:
            pipeline.target.delete(key, if_match=target.etag)
        return _Done(plan, None)
    with Spool() as spool:
        assembly = assemble(pipeline, plan, stock, spool, suspects)
        ledger = assembly.ledger
        before = None if target is None else target.ledger
        if assembly.unreadable and (_is_same(assembly, before) or _is_half_read(pipeline, plan, assembly, before)):
            return replace(_as_it_is(plan, target), unreadable=assembly.unreadable)
        if not ledger.rows:
            return _without_rows(pipeline, plan, assembly, target, guard)
        guard(ledger)
        info = commit(pipeline, key, assembly, spool, target)
    return _Done(
        plan,
        ledger,
        assembly.size,
        info.etag,
        info.version_id,
        len(assembly.reused),
        len(ledger.segments) - len(assembly.reused),
        ledger.quarantined,
        assembly.unreadable,
        assembly.doubtful,
    )


def _as_it_is(plan: Plan, target: Target | None) -> _Done:
    if target is None:
        return _Done(plan, None)
    left_out = () if target.ledger is None else target.ledger.quarantined
    return _Done(plan, target.ledger, target.size, target.etag, target.version_id, left_out=left_out)


def _without_rows(
    pipeline: Pipeline,
    plan: Plan,
    assembly: Assembly,
    target: Target | None,
    guard: Callable[[Ledger | None], None],
) -> _Done:
    """An hour without a usable row has no hour file: an empty gzip breaks pandas, polars, pyarrow and DuckDB."""
    reason = f"no source object has a usable row, so there is no hour file; {plan.reason}"
    verdict = Verdict.EMPTY
    if target is not None:
        guard(assembly.ledger)
        pipeline.target.delete(pipeline.target_key(plan.hour), if_match=target.etag)
        verdict = Verdict.REMOVE
    plan = replace(plan, verdict=verdict, reason=reason)
    return _Done(
        plan,
        None,
        left_out=assembly.ledger.quarantined,
        unreadable=assembly.unreadable,
        doubtful=assembly.doubtful,
    )


def _is_half_read(pipeline: Pipeline, plan: Plan, assembly: Assembly, before: Ledger | None) -> bool:
    """Whether rows that stand were to be read under other settings, and can't be: then all of the hour waits."""
    if before is None or not pipeline.policy(plan.hour.event).changed_settings(before.settings):
        return False
    return any(held.key in assembly.unreadable and held.rows for held in before.held)


def _is_same(assembly: Assembly, before: Ledger | None) -> bool:
    """Whether a new hour file would hold what the standing one holds.

    That a store did not answer for an object is no fact about the object: it alone is not worth a write.
    """
    ledger = assembly.ledger
    if before is None:
        return False
    silent = {key for key, error in assembly.unreadable.items() if isinstance(error, StoreUnavailableError)}
    named = tuple(bad for bad in ledger.quarantined if bad.key not in silent or bad in before.quarantined)
    return (
        named == before.quarantined
        and (ledger.header, ledger.settings) == (before.header, before.settings)
        and [(held.key, held.etag, held.size) for held in ledger.held]
        == [(held.key, held.etag, held.size) for held in before.held]
    )
