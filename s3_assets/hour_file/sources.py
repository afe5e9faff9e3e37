"""Source objects, the set of them that makes an hour, and that set's fingerprint.

A set differs or it doesn't: new, late, rewritten and restored are one case. Times never decide.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.errors import KeyGrammarError
from s3_assets.hour_file.keys import Hour, KeyGrammar, order_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

NAMED_REJECTS = 20
"""How many keys that do not parse are named; the rest is counted."""


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One CSV at the source, known by key, ETag and size.

    Attributes:
        key: Relative to the source prefix.
        etag: Opaque.
        size: Bytes as stored, so compressed ones where it is a gzip.
        last_modified: For lateness only; not part of what it is. None where only a ledger knows the object.
    """

    key: str
    etag: str
    size: int
    last_modified: datetime | None = field(default=None, compare=False)


def in_order(sources: Iterable[SourceObject]) -> tuple[SourceObject, ...]:
    """Sorted as their rows stand in the hour file."""
    return tuple(sorted(sources, key=lambda source: order_key(source.key)))


def fingerprint(identities: Iterable[tuple[str, str, int]], content_token: str) -> str:
    """Digest of a set of source objects under the settings that shape rows: a partition's data version.

    Args:
        identities: (key, ETag, size) of each; their order does not matter.
        content_token: `EventPolicy.content_token()`.

    Returns:
        32 hexadecimal digits: half of a SHA-256.
    """
    digest = hashlib.sha256(f"s3_assets 1 {content_token}\n".encode())
    for key, etag, size in sorted(identities):
        name, tag = key.encode(), etag.encode()
        digest.update(b"%d:%b%d:%b%d\n" % (len(name), name, len(tag), tag, size))
    return digest.hexdigest()[:32]


def listing_fingerprint(sources: Iterable[SourceObject], content_token: str) -> str:
    """`fingerprint` of what a listing shows of one hour."""
    return fingerprint(((source.key, source.etag, source.size) for source in sources), content_token)


@dataclass(slots=True)
class Listing:
    """What a listing of source keys says, hour by hour, and what in it is no source of a partition.

    Attributes:
        hours: Sources per hour, in the order they were listed.
        rejected: How many keys were left out, per reason.
        named: The first few of those keys, with their reasons.
    """

    hours: dict[Hour, list[SourceObject]] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    named: list[tuple[str, str]] = field(default_factory=list)

    @property
    def source_count(self) -> int:
        """All sources of all hours."""
        return sum(map(len, self.hours.values()))

    def reject(self, key: str, reason: str) -> None:
        """Count `key` under `reason`, and name it if there is room."""
        self.rejected[reason] += 1
        if len(self.named) < NAMED_REJECTS:
            self.named.append((key, reason))


class Sorter:
    """Sorts listed objects into hours, and counts and names those that belong to none."""

    def __init__(
        self,
        grammar: KeyGrammar,
        *,
        first_label: str,
        last_label: str,
        start_label: str | None = None,
        now_label: str | None = None,
    ) -> None:
        """Take hours from `first_label` to `last_label`, both included (`YYYY-MM-DD-HH:00`).

        What is older than `start_label` or newer than `now_label` belongs nowhere and is counted; they are the first
        and the last label unless given. What lies between is somebody else's business, and passed over.
        """
        self.grammar = grammar
        self.first_label = first_label
        self.last_label = last_label
        self.start_label = first_label if start_label is None else start_label
        self.now_label = last_label if now_label is None else now_label

    def sort(self, sources: Iterable[SourceObject], into: Listing | None = None) -> Listing:
        """Add `sources` to a listing, a new one by default."""
        listing = Listing() if into is None else into
        for source in sources:
            try:
                hour = self.grammar.source_hour(source.key)
            except KeyGrammarError as error:
                listing.reject(source.key, str(error))
                continue
            if hour.label < self.start_label:
                listing.reject(source.key, "before the start date")
            elif hour.label > self.now_label:
                listing.reject(source.key, "in the future")
            elif self.first_label <= hour.label <= self.last_label:
                listing.hours.setdefault(hour, []).append(source)
        return listing
