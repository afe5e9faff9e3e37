"""Can both prefixes be read, and is there what the pipeline looks for? Nothing is written.

The calls are those of a tick and of a build: listings, a GET with If-Match, a GET of what is not there.
"""

from __future__ import annotations

import uuid
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

from s3_assets.doctor.cures import POLICY
from s3_assets.doctor.findings import Finding, failed, passed, skipped, warned
from s3_assets.doctor.policy import SCRATCH
from s3_assets.errors import AccessDeniedError, KeyGrammarError, NotFoundError, StoreError
from s3_assets.plural import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_assets.doctor.places import Place
    from s3_assets.hour_file.keys import KeyGrammar
    from s3_assets.store.contract import ObjectInfo

LOOKED_AT: Final = 1000
"""How many keys are looked at: one request."""

_TAIL_BYTES = 1024


def source(place: Place, grammar: KeyGrammar) -> Iterator[Finding]:
    """The source: its folders, its keys, one of its objects."""
    try:
        level = list(islice(place.store.list_level(place.prefix + grammar.events_prefix()), LOOKED_AT))
        found = list(islice(place.store.list(place.prefix), LOOKED_AT))
    except StoreError as error:
        yield place.diagnosis(error)
        return
    folders = sum(isinstance(one, str) for one in level)
    yield from _keys(place, grammar, found, folders)
    yield from _one_object(place, found)
    yield from _missing(place)


def _keys(place: Place, grammar: KeyGrammar, found: list[ObjectInfo], folders: int) -> Iterator[Finding]:
    others: Counter[str] = Counter()
    for info in found:
        try:
            grammar.source_hour(info.key[len(place.prefix) :])
        except KeyGrammarError as error:
            others[str(error)] += 1
    if not found:
        yield warned(
            f"there is nothing below {place.location}",
            f"check {place.variable}, if producers have sent something already",
        )
        return
    sources = len(found) - others.total()
    reasons = "".join(f"; {count:,} {reason}" for reason, count in others.most_common(3))
    words = (
        f"{place.location}: {counted(folders, 'folder')} of events; {counted(len(found), 'key')} looked at: "
        f"by name, {counted(sources, 'source')}"
    )
    if sources:
        yield passed(f"{words}{reasons}")
    else:
        todo = f"check {place.variable} and S3_ASSETS_SOURCE_PATTERN: nothing of this would be taken in"
        yield warned(f"{words}{reasons}", todo)


def _one_object(place: Place, found: list[ObjectInfo]) -> Iterator[Finding]:
    full = next((info for info in found if info.size), None)
    if full is None:
        yield skipped("no source object was read, because there is none with bytes in it")
        return
    try:
        place.store.get(full.key, if_match=full.etag, span=(0, 1)).read()
    except StoreError as error:
        yield place.diagnosis(error)
    else:
        yield passed("a source object can be read, by the ETag that was listed")


def target(place: Place, grammar: KeyGrammar) -> Iterator[Finding]:
    """The target: its keys, older versions, open uploads."""
    try:
        found = list(islice(place.store.list(place.prefix), LOOKED_AT))
    except StoreError as error:
        yield place.diagnosis(error)
        return
    hours = sum(grammar.target_hour(info.key[len(place.prefix) :]) is not None for info in found)
    looked = f"{counted(len(found), 'key')} looked at"
    yield passed(f"{place.location}: {looked}: by name, {counted(hours, 'hour file')}; none was read")
    yield from _missing(place)
    nowhere = _nowhere(place)
    yield from _wanted(
        place,
        "open uploads",
        lambda: list(place.store.list_uploads(nowhere)),
        "what killed builders leave open is not found, and is paid for: add a lifecycle rule that aborts uploads",
    )
    yield from _wanted(
        place,
        "older versions",
        lambda: list(place.store.list_versions(nowhere)),
        "`history` shows nothing, and a rebuild can't bring back rows of sources that are gone",
    )


def _wanted(place: Place, what: str, call: Callable[[], object], without: str) -> Iterator[Finding]:
    """Rights without which the pipeline works, and less well."""
    try:
        call()
    except AccessDeniedError as error:
        found = place.diagnosis(error)
        yield warned(found.seen, f"{found.todo}; without: {without}")
    except StoreError as error:
        yield place.diagnosis(error)
    else:
        yield passed(f"{what} can be listed")


def _missing(place: Place) -> Iterator[Finding]:
    """S3 says 403 of what is not there to who may not list: a new hour could not be told from a locked one."""
    key = _nowhere(place)
    try:
        place.store.get(key, suffix=_TAIL_BYTES)
    except NotFoundError:
        yield passed("what is not there is answered by 404")
    except AccessDeniedError as error:
        yield failed(
            f"GetObject of a key that is not there is refused, not answered by 404: {error.detail}",
            f"allow s3:GetObject on {place.resource('GetObject')}, and s3:ListBucket on "
            f"{place.resource('ListObjectsV2')} without or with `StringLikeIfExists` on s3:prefix; {POLICY}",
        )
    except StoreError as error:
        yield place.diagnosis(error)
    else:
        yield failed(f"GetObject of {key!r}, which was never written, gives something", "look at what answers there")


def _nowhere(place: Place) -> str:
    return f"{place.prefix}{SCRATCH}{uuid.uuid4().hex}.missing"
