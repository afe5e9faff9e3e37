"""What a materialization of one hour shows a person, without opening S3.

All of it is bounded, whatever sources are called and hold: Dagster keeps it for as long as the hour, in its database.
As Dagster serializes it, a materialization takes some kB, and never more than `MOST_BYTES`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import dagster as dg

from s3_assets.builder.build import HourResult
from s3_assets.builder.history import Changes, made_changes
from s3_assets.builder.left_out import LeftOut, left_out, standing
from s3_assets.builder.pipeline import Pipeline
from s3_assets.errors import shortened
from s3_assets.hour_file.ledger import Ledger, Quarantined
from s3_assets.hour_file.plan import Change
from s3_assets.hour_file.rows import column_names

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NEWEST_SOURCES = 10
"""Rows of the table of the newest sources."""

MOST_QUARANTINED = 50
"""Quarantined sources that are listed one by one, as far as `MOST_TABLE_BYTES` goes."""

MOST_COLUMNS = 300
"""Columns of an hour file that are listed one by one; of one with more the first few are named, and all are counted."""

MOST_COLUMN_BYTES = 64_000
"""The same for the JSON of their names."""

FIRST_COLUMNS = 10
"""Columns that are named of an hour file with too many."""

MOST_HEADER_BYTES = 1024 * 1024
"""A longer header row is not read for the names of its columns."""

MOST_NAME = 200
"""Characters of one foreign text: a column's name, a source's, a reason."""

MOST_TABLE_BYTES = 16_000
"""JSON of the rows of a table of sources."""

MOST_WORDS = 600
"""Characters of a sentence."""

MOST_BYTES = 200_000
"""JSON of all metadata of a materialization at most, as Dagster serializes it: half of it are columns."""


CONSOLES = {"amazonaws.com": "https://s3.console.aws.amazon.com", "amazonaws.com.cn": "https://console.amazonaws.cn"}
"""Where people look at buckets in a browser, by the domain of the endpoint."""


def console_of(client: "S3Client") -> str | None:
    """Where AWS shows the objects that `client` reaches; None where they are on another store, which has no such page.

    Args:
        client: As the S3Resource of a run makes it, which knows what names the endpoint: the resource, the environment
            or a profile. Nothing is sent.
    """
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    return next((page for domain, page in CONSOLES.items() if host.endswith(f".{domain}")), None)


def object_link(console: str | None, uri: str) -> dict[str, Any]:
    """A link to an object's page, for those who may see it; `dagster/uri` says where it is in any case."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    page = f"{console}/s3/object/{bucket}?prefix={quote(key, safe='')}"
    return {} if console is None else {"open_in_s3": dg.MetadataValue.url(page)}


def folder_link(console: str | None, uri: str) -> dict[str, Any]:
    """Where a folder is, `s3://bucket/prefix/`, and a link to its page."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    page = f"{console}/s3/buckets/{bucket}?prefix={quote(prefix, safe='')}"
    return {"sources_at": uri} | ({} if console is None else {"open_in_s3": dg.MetadataValue.url(page)})


def hour_metadata(pipeline: Pipeline, result: HourResult, console: str | None = None) -> dict[str, Any]:
    """The metadata of one hour's materialization.

    Args:
        pipeline: Whose hour it is.
        result: What was done with it.
        console: As `console_of` says.
    """
    plan, ledger, late = result.plan, result.ledger, len(result.late)
    changes, left = made_changes(result), what_is_left_out(result)
    moved = (result.traffic_source, result.traffic_target)
    metadata: dict[str, Any] = {
        **({} if ledger is None else {"dagster/uri": pipeline.target_uri(result.hour)}),
        **({} if ledger is None else object_link(console, pipeline.target_uri(result.hour))),
        "verdict": str(plan.verdict),
        "why": shortened(standing(plan, left), MOST_WORDS),
        "rows": 0 if ledger is None else ledger.rows,
        "rows_added": changes.rows_added,
        "rows_removed": changes.rows_removed,
        "sources": len(result.sources),
        "late_sources": late,
        **({"late_share": round(late / len(result.sources), 4)} if result.sources else {}),
        "quarantined_sources": len(result.left_out),
    }
    if changes.rows_removed:
        metadata["rows_changed"] = shortened(changes.sentence(), MOST_WORDS)
    if left:
        metadata["left_out"] = shortened(_left_out(left, result), 2 * MOST_WORDS)
    if plan.vanished:
        metadata["vanished_sources_kept"] = len(plan.vanished)
    if result.left_out:
        metadata["quarantined"] = _quarantined(result.left_out)
    if result.sources:
        metadata["newest_sources"] = _newest(result)
    metadata |= {
        "source_bytes": sum(source.size for source in result.sources),
        "hour_file_bytes": result.size,
        "bytes_downloaded": sum(traffic.bytes_down for traffic in moved),
        "bytes_uploaded": sum(traffic.bytes_up for traffic in moved),
        "bytes_copied_on_server": sum(traffic.bytes_copied for traffic in moved),
        "requests": sum(sum(traffic.requests.values()) for traffic in moved),
        "requests_by_kind": dict(sum((Counter(traffic.requests) for traffic in moved), Counter())),
        "segments_reused": result.reused,
        "segments_made": result.made,
        "seconds": round(result.seconds, 3),
        "tries": result.tries,
        "fingerprint": plan.fingerprint,
    }
    if result.version_id is not None:
        metadata["version_id"] = result.version_id
    if plan.actions:
        counts = plan.counts
        metadata["changes"] = {str(change): counts[change] for change in Change if counts[change]}
    if ledger is not None:
        metadata |= _of_ledger(ledger, result.size)
    return metadata


def materialization_text(result: HourResult, changes: Changes) -> str:
    """The description of a materialization: why, and how many rows came and left by it."""
    words = standing(result.plan, what_is_left_out(result))
    said = f"{words}; {changes.sentence()}" if result.plan.writes else words
    return shortened(said, 2 * MOST_WORDS)


def what_is_left_out(result: HourResult) -> LeftOut:
    """What the hour leaves out or keeps although its source is gone."""
    return left_out(result.left_out, result.plan.vanished, result.sources, result.doubtful)


def _left_out(left: LeftOut, result: HourResult) -> str:
    pairs = zip(left.clauses(), left.changed_by(result.hour), strict=True)
    return "; ".join(f"{clause} ({change})" for clause, (_, change) in pairs)


def _of_ledger(ledger: Ledger, size: int) -> Mapping[str, Any]:
    table: dict[str, Any] = {"dagster/partition_row_count": ledger.rows, "dagster/storage_kind": "s3"}
    ratio = {"compression_ratio": round(ledger.raw_length / size, 3)} if size else {}
    return {**table, **_columns_of(ledger.header), "plain_bytes": ledger.raw_length, **ratio}


def _columns_of(header: bytes | None) -> Mapping[str, Any]:
    """The columns as a table or, of too many, as a count and a text."""
    if header is None:
        return {}
    if len(header) > MOST_HEADER_BYTES:
        beginning = shortened(header[: 4 * MOST_NAME].decode("utf-8", "backslashreplace"))
        return {"columns": f"a header row of {len(header):,} bytes, which begins: {beginning}"}
    return _columns(header) if len(header) <= MOST_COLUMN_BYTES else _columns.__wrapped__(header)


@lru_cache(maxsize=64)
def _columns(header: bytes) -> Mapping[str, Any]:
    """The same of a header row of a size that can be read. Most hours of a run have the same."""
    names = [shortened(name.decode("utf-8", "backslashreplace"), MOST_NAME) for name in column_names(header)]
    if len(names) > MOST_COLUMNS or sum(len(json.dumps(name)) for name in names) > MOST_COLUMN_BYTES:
        first = shortened(", ".join(names[:FIRST_COLUMNS]), MOST_WORDS)
        return {"column_count": len(names), "columns": f"{len(names):,} columns, of which the first are: {first}"}
    columns = [dg.TableColumn(name or f"column {place}", "string") for place, name in enumerate(names, start=1)]
    if len({column.name for column in columns}) < len(columns):  # Dagster takes no two of one name
        return {"column_count": len(names)}
    return {"dagster/column_schema": dg.TableSchema(columns)}


_NEWEST = dg.TableSchema(
    [
        dg.TableColumn("state", "string", description="what this materialization did with it"),
        dg.TableColumn("source", "string", description="the file name; event and date are the partition's"),
        dg.TableColumn("rows", "int"),
        dg.TableColumn("bytes", "int", description="as stored at the source"),
        dg.TableColumn("arrived", "string", description="Last-Modified: month-day and time, UTC"),
    ]
)


def _newest(result: HourResult) -> dg.TableMetadataValue:
    """The newest sources by arrival, with what became of each."""
    rows = {} if result.ledger is None else {source.key: source.rows for source in result.ledger.held}
    bad = {source.key: source.reason for source in result.left_out}
    changes = {action.key: str(action.change) for action in result.plan.actions}
    dated = [(source.last_modified, source) for source in result.sources if source.last_modified is not None]
    dated.sort(key=lambda pair: (pair[0], pair[1].key), reverse=True)
    table = (
        {
            "state": f"quarantined: {_cut(bad[source.key])}" if source.key in bad else changes.get(source.key, "held"),
            "source": _cut(source.key.rpartition("/")[2]),
            "rows": rows.get(source.key, 0),
            "bytes": source.size,
            "arrived": when.strftime("%m-%d %H:%M:%S"),
        }
        for when, source in dated[:NEWEST_SOURCES]
    )
    return dg.MetadataValue.table(_records(table), _NEWEST)


def _quarantined(every: Sequence[Quarantined]) -> dg.TableMetadataValue:
    table = (
        {"reason": _cut(bad.reason), "source": _cut(bad.key.rpartition("/")[2]), "detail": _cut(bad.detail)}
        for bad in every[:MOST_QUARANTINED]
    )
    columns = [dg.TableColumn(name, "string") for name in ("reason", "source", "detail")]
    return dg.MetadataValue.table(_records(table), dg.TableSchema(columns))


def _records(rows: Iterable[Mapping[str, Any]]) -> list[dg.TableRecord]:
    """The rows of a table, as many of the first as take `MOST_TABLE_BYTES`."""
    records: list[dg.TableRecord] = []
    left = MOST_TABLE_BYTES
    for row in rows:
        left -= len(json.dumps(row))
        if left < 0:
            break
        records.append(dg.TableRecord(row))
    return records


def _cut(text: str) -> str:
    """A foreign text of bounded length."""
    return shortened(text, MOST_NAME)
