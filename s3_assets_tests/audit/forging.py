"""Hour files that no builder wrote: any rows under any header, with a ledger that adds up.

So a test of the audit does not depend on what the builder makes of a source today.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.ledger import Held, Ledger, Quarantined, Segment, encode
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.segments import CODECS, GZIP_HEADER, SegmentEncoder, crc32
from s3_assets_tests.builder.bench import HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s3_assets.hour_file.keys import Hour
    from s3_assets.store.contract import ObjectInfo
    from s3_assets_tests.builder.bench import Bench


@dataclass(frozen=True)
class Rows:
    """A source's rows in a forged hour file.

    Attributes:
        info: Of the source object.
        data: The rows' bytes.
        count: How many the ledger says.
        header: The source's own header row; None where it has none.
    """

    info: ObjectInfo
    data: bytes
    count: int
    header: bytes | None


def forge(bench: Bench, header: bytes | None, sources: Sequence[Rows], **options: Any) -> Ledger:
    """Write the hour file of `HOUR`, and say what its ledger is."""
    bench.target.put(bench.key(), hour_file(HOUR, header, sources, policy=bench.policy, **options))
    return bench.ledger()


def hour_file(
    hour: Hour,
    header: bytes | None,
    sources: Sequence[Rows],
    *,
    policy: EventPolicy = EventPolicy(),  # noqa: B008  (frozen)
    quarantined: Sequence[Quarantined] = (),
    per_segment: int = 2,
) -> bytes:
    """Its bytes: `header`, and the rows in key order."""
    headers = tuple(dict.fromkeys(rows.header for rows in sources if rows.header is not None))
    held = sorted(
        (
            (
                Held(
                    _key(rows.info),
                    rows.info.etag,
                    rows.info.size,
                    None,
                    rows.count,
                    len(rows.data),
                    None if rows.header is None else headers.index(rows.header),
                ),
                rows.data,
            )
            for rows in sources
        ),
        key=lambda pair: order_key(pair[0].key),
    )
    file = GZIP_HEADER
    segments: list[Segment] = []
    runs = [held[at : at + per_segment] for at in range(0, len(held), per_segment)]
    for raw, members in [*([(header, ())] if header is not None else []), *((None, run) for run in runs)]:
        data = b"".join(rows for _, rows in members) if raw is None else raw
        encoder = SegmentEncoder(CODECS["default"])
        stored = encoder.feed(data) + encoder.finish()
        whose = tuple(one for one, _ in members)
        segments.append(Segment(len(file), len(stored), crc32(stored), len(data), encoder.crc, whose))
        file += stored
    settings = {**policy.row_settings(), "on_vanished": policy.on_vanished}
    ledger = Ledger(
        hour.event,
        hour.label,
        header,
        headers,
        tuple(segments),
        tuple(sorted(quarantined, key=lambda bad: order_key(bad.key))),
        settings,
        policy.content_token(),
    )
    return file + ledger.trailer() + encode(ledger)


def _key(info: ObjectInfo) -> str:
    return info.key.removeprefix("source/")


def evicted(info: ObjectInfo, rows: int | None) -> Quarantined:
    """As older versions named a source whose rows did not fit beside the others."""
    return Quarantined(_key(info), info.etag, info.size, "columns", "its columns are not the hour's", rows, alone=False)


def quarantined(info: ObjectInfo, reason: str = "unclosed quote") -> Quarantined:
    """A source that is unusable by itself."""
    return Quarantined(_key(info), info.etag, info.size, reason, "a quote is never closed", None, alone=True)
