"""Rules of a multipart upload that hold for every store, so that no server's leniency shows.

Not here: sending anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3_assets.errors import StoreError
from s3_assets.store.contract import MAX_PART_BYTES, MAX_PARTS, MIN_PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_part(key: str, number: int, size: int) -> None:
    """Refuse a part that no upload may have.

    Raises:
        StoreError: The number is not in 1..`MAX_PARTS`, or the part is over `MAX_PART_BYTES`.
    """
    if not 1 <= number <= MAX_PARTS:
        raise StoreError("UploadPart", key, f"InvalidArgument: part number {number} is not in 1..{MAX_PARTS}")
    if size > MAX_PART_BYTES:
        raise StoreError("UploadPart", key, f"EntityTooLarge: part {number} has {size} bytes, over {MAX_PART_BYTES}")


def check_source_range(key: str, source_key: str, start: int, stop: int) -> None:
    """Refuse a range to copy that is empty or starts before the object.

    Raises:
        StoreError: It is.
    """
    if not 0 <= start < stop:
        raise StoreError("UploadPartCopy", key, f"InvalidArgument: no bytes [{start}, {stop}) in {source_key!r}")


def check_parts(key: str, sizes: Mapping[int, int]) -> None:
    """Refuse a set of parts (number to bytes) that can't be completed.

    Raises:
        StoreError: There is none, or one before the last has less than `MIN_PART_BYTES`.
    """
    if not sizes:
        raise StoreError("CompleteMultipartUpload", key, "MalformedXML: there is no part")
    last = max(sizes)
    for number in sorted(sizes):
        if number != last and sizes[number] < MIN_PART_BYTES:
            detail = f"EntityTooSmall: part {number} has {sizes[number]} bytes, under {MIN_PART_BYTES}"
            raise StoreError("CompleteMultipartUpload", key, detail)


def check_conditions(operation: str, key: str, if_match: str | None, *, if_absent: bool) -> None:
    """Refuse both conditions at once.

    Raises:
        StoreError: Both were given.
    """
    if if_match is not None and if_absent:
        raise StoreError(operation, key, "if_match and if_absent exclude each other")
