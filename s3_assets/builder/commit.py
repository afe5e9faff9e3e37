"""Commits an assembled hour file: data and ledger at once, on condition that nobody else was faster.

Small files go in one PUT; large ones in one multipart upload whose parts are mostly copied on the server.
"""

from __future__ import annotations

import logging
from concurrent.futures import FIRST_COMPLETED, wait
from datetime import timedelta
from typing import TYPE_CHECKING

from s3_assets.errors import DamagedTargetError, StoreError
from s3_assets.hour_file.segments import GZIP_HEADER, crc32
from s3_assets.hour_file.splice import CopyPart, Old, part_plan
from s3_assets.store.contract import MAX_PARTS, MIN_PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from s3_assets.builder.assemble import Assembly
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.spool import Spool
    from s3_assets.builder.target import Target
    from s3_assets.hour_file.splice import Piece, PutPart
    from s3_assets.store.contract import ObjectInfo, OpenUpload, Upload

WHOLE_PUT_BYTES = 16 * 1024 * 1024
"""An hour file up to this size is written in one PUT; beyond it, what stands is copied on the server."""

PUT_PART_BYTES = 8 * 1024 * 1024
COPY_PART_BYTES = 512 * 1024 * 1024
"""About how much goes into one part; more where an upload would have too many parts."""

PARTS_AT_ONCE = 4
"""Parts of one upload under way at once: bounds memory to as many uploaded parts."""

ABANDONED_AFTER = timedelta(hours=12)
"""An open upload that is older was left by a builder that died. A living one may be using a younger one: the largest
hours take a few hours on a slow line, and the clocks of two hosts may differ. One that lives all the same loses time
only: it is told that its upload is gone, and plans anew."""

logger = logging.getLogger(__name__)


def commit(pipeline: Pipeline, key: str, assembly: Assembly, spool: Spool, target: Target | None) -> ObjectInfo:
    """Write the new hour file in place of `target`, or where there is none.

    Raises:
        PreconditionFailedError: Another write was faster: nothing was written.
        DamagedTargetError: A segment that was to stand is damaged: nothing was written.
        StoreError: What the store raises.
    """
    reader = _Reader(pipeline, spool, target)
    if_match = None if target is None else target.etag
    if assembly.size <= WHOLE_PUT_BYTES:
        data = reader.read(assembly.pieces)
        _check_reused(key, assembly, data)
        return pipeline.target.put(key, data, if_match=if_match, if_absent=target is None)
    scale = max(1, -(-assembly.size // (PUT_PART_BYTES * MAX_PARTS // 2)))
    parts = part_plan(
        assembly.pieces, min_part=MIN_PART_BYTES, put_part=PUT_PART_BYTES * scale, copy_part=COPY_PART_BYTES * scale
    )
    abort_abandoned(pipeline, key)
    with pipeline.target.start_upload(key) as upload:
        running: set[Future[None]] = set()
        for number, part in enumerate(parts, start=1):
            running.add(pipeline.workers.fetch.submit(_write_part, upload, number, part, reader))
            if len(running) >= PARTS_AT_ONCE:
                running = _settle(running)
        while running:
            running = _settle(running)
        return upload.complete(if_match=if_match, if_absent=target is None)


def abandoned(pipeline: Pipeline, uploads: Iterable[OpenUpload]) -> Iterator[OpenUpload]:
    """Those of `uploads` that nobody can be at work on any more."""
    before = pipeline.clock() - ABANDONED_AFTER
    return (upload for upload in uploads if upload.initiated < before)


def abort_abandoned(pipeline: Pipeline, key: str) -> int:
    """Throw away what killed builders left open of this very key; how many that were.

    No reader sees them, they cost storage only: where they can't be listed or aborted, the log says so, and the commit
    goes on.
    """
    aborted = 0
    try:
        for upload in abandoned(pipeline, pipeline.target.list_uploads(key)):
            if upload.key == key:
                pipeline.target.abort_upload(upload)
                aborted += 1
                logger.info("aborted an upload of %r that was left open at %s", key, upload.initiated)
    except StoreError as error:
        logger.warning("uploads of %r that were left open, if there are any, stay: %s", key, error)
    return aborted


def _settle(running: set[Future[None]]) -> set[Future[None]]:
    """Wait for a part; if one failed, for all of them, so that none is under way when the upload is aborted."""
    done, still = wait(running, return_when=FIRST_COMPLETED)
    if any(future.exception() for future in done):
        wait(still)
    for future in done:
        future.result()
    return still


def _write_part(upload: Upload, number: int, part: CopyPart | PutPart, reader: _Reader) -> None:
    if isinstance(part, CopyPart):
        key, etag = reader.standing
        upload.copy_part(number, key, part.old.start, part.old.stop, if_match=etag)
    else:
        upload.put_part(number, reader.read(part.pieces))


class _Reader:
    """Reads pieces out of the hour file as it is and out of the spool."""

    def __init__(self, pipeline: Pipeline, spool: Spool, target: Target | None) -> None:
        self._pipeline = pipeline
        self._spool = spool
        self._target = target

    @property
    def standing(self) -> tuple[str, str]:
        """Key and ETag of the hour file as it is."""
        if self._target is None:
            msg = "there is no hour file to copy from"
            raise ValueError(msg)
        return self._target.key, self._target.etag

    def read(self, pieces: Iterable[Piece]) -> bytes:
        """The bytes of `pieces`, joined."""
        return b"".join(
            self._target.read(self._pipeline.target, piece.start, piece.stop)
            if isinstance(piece, Old) and self._target is not None
            else self._spool.read(piece.start, piece.stop)
            for piece in pieces
        )


def _check_reused(key: str, assembly: Assembly, data: bytes) -> None:
    """What passes through this host on its way must be what the ledger says."""
    if not data.startswith(GZIP_HEADER):
        raise DamagedTargetError(key, "it does not begin as an hour file does")
    for segment, old in assembly.reused:
        if crc32(data[segment.offset : segment.stop]) != segment.stored_crc:
            raise DamagedTargetError(key, f"the segment at byte {old.offset} does not have the CRC-32 of its record")
