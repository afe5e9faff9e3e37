"""Does the target take what the pipeline writes, and refuse what it must refuse? On scratch keys, one writer alone.

A store that ignores a condition is named with what that means. Several writers at once: `races`.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from s3_assets.doctor.findings import Finding, Verdict, failed, passed, warned
from s3_assets.doctor.races import STALE, commit_race, create_race, replace_race
from s3_assets.doctor.scratch import Scratch
from s3_assets.errors import PreconditionFailedError, StoreError
from s3_assets.store.s3_commit import Commit
from s3_assets.store.s3_server import COMPLETE_NOT_ATOMIC, known

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_assets.doctor.places import Place
    from s3_assets.store.contract import ObjectInfo
    from s3_assets.store.s3_probe import Findings

_log = logging.getLogger(__name__)

_UNSAFE = (
    "two writers can take each other's rows away: use a store that honours it (docs/stores.md); until then let only "
    "one run work at a time (pool hour_files with a limit of 1, one deployment), and run no `s3-assets sync` beside it"
)
_BODY = b"written by s3-assets doctor"


class _StopError(Exception):
    """What comes next makes no sense."""


def writing(place: Place, *, rounds: int | None = None, stopped: threading.Event | None = None) -> Iterator[Finding]:
    """Conditional writes, versions, uploads in parts and races, `rounds` of a kind; then all of it is removed.

    Once `stopped` is set, no further race is begun. What is left where nobody listens any more is told in the log.
    """
    scratch, stop = Scratch(place), stopped or threading.Event()
    is_heard = False
    try:
        for step in (_puts, _uploads, lambda some: _races(some, rounds, stop)):
            try:
                yield from step(scratch)
            except StoreError as error:
                yield place.diagnosis(error)
                break
            except _StopError:
                break
        is_heard = True
    finally:
        left = scratch.remove()
        if left.verdict is not Verdict.PASS and (stop.is_set() or not is_heard):
            _log.warning("%s -> %s", left.seen, left.todo)
    yield left


def _is_refused(write: Callable[[], object]) -> bool:
    try:
        write()
    except PreconditionFailedError:
        return True
    return False


# --- one PUT -------------------------------------------------------------------------------------------------------


def _puts(scratch: Scratch) -> Iterator[Finding]:
    store, key = scratch.place.store, scratch.key("put")
    first = store.put(key, _BODY, if_absent=True)
    second = store.put(key, _BODY + b" twice", if_match=first.etag)
    ignored = [
        header
        for header, refused in (
            ("If-None-Match", _is_refused(lambda: store.put(key, b"over", if_absent=True))),
            ("If-Match", _is_refused(lambda: store.put(key, b"stale", if_match=STALE))),
        )
        if not refused
    ]
    if ignored:
        yield failed(f"{_name(scratch.place)} ignores {' and '.join(ignored)} of PutObject", _UNSAFE)
        raise _StopError
    yield passed("PutObject is taken where its condition holds, and refused where it does not")
    yield from _reads(scratch, key, first, second)
    yield _versions(scratch.place, first)


def _reads(scratch: Scratch, key: str, first: ObjectInfo, second: ObjectInfo) -> Iterator[Finding]:
    store = scratch.place.store
    body = _BODY + b" twice"
    if store.get(key, if_match=second.etag).read() != body or store.get(key, suffix=5).read() != body[-5:]:
        yield failed("GetObject does not give the bytes that were just written", "use a store that reads its writes")
        raise _StopError
    if first.etag != second.etag and not _is_refused(lambda: store.get(key, if_match=first.etag).read()):
        yield failed(
            f"{_name(scratch.place)} ignores If-Match of GetObject",
            "a source that changes while it is read would be taken in as another: use a store that honours it",
        )
    else:
        yield passed("GetObject gives what was written, by its ETag and by a range")


def _versions(place: Place, written: ObjectInfo) -> Finding:
    bucket = place.location.bucket
    if written.version_id is None:
        return warned(
            f"versioning of bucket {bucket} is off or suspended: what overwrites or deletes an hour file leaves "
            "nothing of it, `history` has one version to show, and a rebuild can't bring back rows of sources that "
            "are gone",
            "switch versioning on, with a lifecycle rule that expires noncurrent versions, such as after 30 days, and "
            "aborts old uploads",
        )
    return passed(f"bucket {bucket} keeps versions (a lifecycle rule should expire noncurrent ones)")


# --- uploads in parts ----------------------------------------------------------------------------------------------


def _uploads(scratch: Scratch) -> Iterator[Finding]:
    store, key = scratch.place.store, scratch.key("upload")
    source = store.put(scratch.key("source"), _BODY, if_absent=True)
    found = store.probe()
    yield _way(scratch.place, found)
    with store.start_upload(key) as upload:
        upload.put_part(1, _BODY)
        made = upload.complete(if_absent=True)
    with store.start_upload(key) as upload:
        upload.copy_part(1, source.key, 0, source.size, if_match=source.etag)
        upload.complete(if_match=made.etag)
    ignored = []
    for header, condition in (("If-None-Match", {"if_absent": True}), ("If-Match", {"if_match": STALE})):
        with store.start_upload(key) as upload:
            upload.put_part(1, b"stale")
            if not _is_refused(lambda complete=upload.complete, given=condition: complete(**given)):  # type: ignore[misc]
                ignored.append(header)
    if ignored:
        yield failed(
            f"{_name(scratch.place)} ignores {' and '.join(ignored)} when an upload is committed by {found.commit}",
            f"set S3_ASSETS_LARGE_COMMIT to auto, or leave it out; as it is, {_UNSAFE}",
        )
        raise _StopError
    left = list(store.list_uploads(scratch.prefix))
    if left:
        yield failed(f"{len(left)} uploads are still open after they were aborted", "look at the store's own log")
    else:
        yield passed("uploads in parts are committed where the condition holds, refused where not, and aborted whole")


def _way(place: Place, found: Findings) -> Finding:
    """How hour files over 16 MiB are committed."""
    server = place.answers.server
    quirk = known(server, COMPLETE_NOT_ATOMIC)
    if found.commit is Commit.COMPLETE and quirk is not None:
        return failed(
            f"S3_ASSETS_LARGE_COMMIT is complete, and {quirk} is known to let several racing completes win",
            f"set it to auto or stage; as it is, {_UNSAFE}",
        )
    words = f"large hour files are committed by {found.commit} ({found.reason})"
    copied = "" if found.copies_checked else "; UploadPartCopy takes a source that changed, so this host copies parts"
    if found.commit is Commit.SPOOL:
        return Finding(
            Verdict.WARN,
            f"{words}{copied}: {_name(place)} does not keep to conditions when an upload or a copy is committed",
            "rows are safe; every byte of a large hour file goes through this host and its disk, 5 GiB at most: use a "
            "store that honours them if hours get large (docs/stores.md)",
        )
    if found.commit is Commit.STAGE:
        return passed(f"{words}: one more copy on the server, 5 GiB at most{copied}")
    return passed(f"{words}{copied}")


# --- races ---------------------------------------------------------------------------------------------------------


def _races(scratch: Scratch, rounds: int | None, stopped: threading.Event) -> Iterator[Finding]:
    for what, race in (
        ("PutObject with If-None-Match", create_race),
        ("PutObject with If-Match", replace_race),
        ("large commits with If-Match and a PutObject", commit_race),
        ("a large commit with If-Match and a PutObject", partial(commit_race, uploads=1)),
    ):
        result = race(scratch, rounds, stopped)
        words = f"{result.rounds} races of {result.writers} writers, {what}"
        if result.several:
            yield failed(
                f"{words}: in {result.several} of them more than one writer was told that it won (up to {result.most})",
                _UNSAFE,
            )
        elif result.torn:
            yield failed(f"{words}: in {result.torn} of them what stands is not what the winner wrote", _UNSAFE)
        elif result.undecided:
            yield warned(
                f"{words}: one winner each, but for {result.undecided} in which nobody was told to have won",
                "look again when the store is quiet: answers were lost, or it was throttled",
            )
        else:
            yield passed(f"{words}: exactly one writer won each")


def _name(place: Place) -> str:
    return place.answers.server or f"the store at {place.clients.endpoint_url}"
