"""What a materialization of one hour tells a person, without opening S3."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import dagster as dg

from s3_assets.builder.build import HourResult
from s3_assets.builder.pipeline import Pipeline
from s3_assets.hour_file.ledger import Ledger
from s3_assets.hour_file.plan import Change
from s3_assets.hour_file.rows import column_names

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NEWEST_SOURCES = 10
"""Rows of the table of the newest sources."""

MOST_QUARANTINED = 50
"""Quarantined sources that are listed one by one."""


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
    moved = (result.traffic_source, result.traffic_target)
    metadata: dict[str, Any] = {
        **({} if ledger is None else {"dagster/uri": pipeline.target_uri(result.hour)}),
        **({} if ledger is None else object_link(console, pipeline.target_uri(result.hour))),
        "verdict": str(plan.verdict),
        "why": plan.reason,
        "rows": 0 if ledger is None else ledger.rows,
        "sources": len(result.sources),
        "late_sources": late,
        **({"late_share": round(late / len(result.sources), 4)} if result.sources else {}),
        "quarantined_sources": 0 if ledger is None else len(ledger.quarantined),
    }
    if plan.vanished:
        metadata["vanished_sources_kept"] = len(plan.vanished)
    if ledger is not None and ledger.quarantined:
        metadata["quarantined"] = _quarantined(ledger)
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


def _of_ledger(ledger: Ledger, size: int) -> Mapping[str, Any]:
    table: dict[str, Any] = {"dagster/partition_row_count": ledger.rows, "dagster/storage_kind": "s3"}
    if ledger.header is not None and (columns := _columns(ledger.header)) is not None:
        table["dagster/column_schema"] = columns
    ratio = {"compression_ratio": round(ledger.raw_length / size, 3)} if size else {}
    return {**table, "plain_bytes": ledger.raw_length, **ratio}


@lru_cache(maxsize=64)
def _columns(header: bytes) -> dg.TableSchema | None:
    """The columns of a header row; None where two have one name. Most hours of a run have the same."""
    names = [name.decode("utf-8", "backslashreplace") for name in column_names(header)]
    columns = [dg.TableColumn(name or f"column {place}", "string") for place, name in enumerate(names, start=1)]
    return dg.TableSchema(columns) if len({column.name for column in columns}) == len(columns) else None


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
    bad = {} if result.ledger is None else {source.key: source.reason for source in result.ledger.quarantined}
    changes = {action.key: str(action.change) for action in result.plan.actions}
    dated = [(source.last_modified, source) for source in result.sources if source.last_modified is not None]
    dated.sort(key=lambda pair: (pair[0], pair[1].key), reverse=True)
    records = [
        dg.TableRecord(
            {
                "state": f"quarantined: {bad[source.key]}" if source.key in bad else changes.get(source.key, "held"),
                "source": source.key.rpartition("/")[2],
                "rows": rows.get(source.key, 0),
                "bytes": source.size,
                "arrived": when.strftime("%m-%d %H:%M:%S"),
            }
        )
        for when, source in dated[:NEWEST_SOURCES]
    ]
    return dg.MetadataValue.table(records, _NEWEST)


def _quarantined(ledger: Ledger) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord({"reason": bad.reason, "source": bad.key.rpartition("/")[2], "detail": bad.detail})
        for bad in ledger.quarantined[:MOST_QUARANTINED]
    ]
    columns = [dg.TableColumn(name, "string") for name in ("reason", "source", "detail")]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))
