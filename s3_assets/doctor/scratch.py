"""The keys that a checkup writes, and their removal: versions, delete marks and open uploads too, as far as is allowed.

All begin with one name of this checkup's own directly below the target prefix. They are no folder, which a sensor would
take for an event, and no key that the grammar takes for an hour file. What is gone is what listings show no more: that
a store took a deletion proves nothing.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from s3_assets.doctor.cures import POLICY
from s3_assets.doctor.findings import Finding, passed, warned
from s3_assets.doctor.policy import SCRATCH
from s3_assets.errors import AccessDeniedError, StoreError
from s3_assets.store.s3 import STAGING_PREFIX
from s3_assets.store.s3_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets.doctor.places import Place

MOST_NAMED: Final = 5
"""Of what is left, so much is named; the rest is counted."""

_AT_ONCE = 8


class Scratch:
    """Scratch keys at one place.

    Attributes:
        place: Where.
        prefix: What all of them begin with, also below the staging prefix.
    """

    def __init__(self, place: Place) -> None:
        """Nothing is written yet."""
        self.place = place
        self.prefix = f"{place.prefix}{SCRATCH}{uuid.uuid4().hex}."

    def key(self, name: str) -> str:
        """The scratch key of a name."""
        return self.prefix + name

    def tidy(self, key: str) -> None:
        """Remove one of them early, so that there is little to remove at the end; what can't be is told there."""
        with suppress(StoreError):
            self._delete(list(self._versions(key)))

    def remove(self) -> Finding:
        """Remove all of them, then list what is left; never an error."""
        problems: list[StoreError] = []
        for step in (self._abort, lambda: self._delete(list(self._versions(self.prefix))), self._delete_objects):
            try:
                step()
            except StoreError as error:
                problems.append(error)
        return self._finding(problems)

    def _abort(self) -> None:
        store = self.place.store
        for upload in store.list_uploads(self.prefix):
            store.abort_upload(upload)

    def _delete_objects(self) -> None:
        self._delete([(key, None) for key in self._objects()])

    def _finding(self, problems: list[StoreError]) -> Finding:
        """What listings show now. One that is not allowed was told already by whoever needs it."""
        where = self.place.location.bucket
        shown: dict[str, None] = {}
        unseen: list[StoreError] = []
        for look in (self._named_versions, self._objects, self._named_uploads):
            try:
                shown.update(dict.fromkeys(look()))
            except StoreError as error:
                unseen.append(error)
        every = [*problems, *unseen]
        why = "; ".join(dict.fromkeys(self.place.diagnosis(error, SCRATCH).todo for error in every))
        if shown:
            named = ", ".join(list(shown)[:MOST_NAMED])
            more = f" and {len(shown) - MOST_NAMED:,} more" if len(shown) > MOST_NAMED else ""
            words = f"scratch keys are left in s3://{where}: {named}{more}; all of them hold {self.prefix}"
            allow = why or f"allow s3:DeleteObject on {self.place.resource('DeleteObject', SCRATCH)}; {POLICY}"
            return warned(words, f"delete them; {allow}")
        if any(not isinstance(error, AccessDeniedError) for error in unseen):
            return warned(f"whether scratch keys are left, {self.prefix}…, could not be listed: {unseen[0]}", why)
        if any(error.operation == "ListObjectVersions" for error in unseen):
            words = f"the scratch keys are gone; if s3://{where} is versioned, their versions are left ({self.prefix}…)"
            return warned(words, why)
        if every:
            return warned(f"the scratch keys are gone, with trouble: {every[0]}", why)
        return passed("the scratch keys are removed again: nothing of them is listed, no version, no upload")

    # --- listings ------------------------------------------------------------------------------------------------

    def _objects(self) -> list[str]:
        """Those that stand, and those of staged uploads."""
        prefixes = (self.prefix, STAGING_PREFIX + self.prefix)
        return [info.key for prefix in prefixes for info in self.place.store.list(prefix)]

    def _named_versions(self) -> Iterator[str]:
        for key, version in self._versions(self.prefix):
            yield key if version in (None, "null") else f"{key} (version {version})"

    def _named_uploads(self) -> Iterator[str]:
        for upload in self.place.store.list_uploads(self.prefix):
            yield f"{upload.key} (open upload {upload.upload_id})"

    def _versions(self, prefix: str) -> Iterator[tuple[str, str | None]]:
        """Every version and delete mark of scratch keys."""
        with translated("ListObjectVersions", prefix):
            pages = self.place.clients.boto.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self.place.location.bucket, Prefix=prefix):
                found: list[Any] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                for one in found:
                    if one["Key"].startswith(prefix):  # `null` too: where versioning is suspended, a deletion
                        yield one["Key"], one.get("VersionId")  # that names no version leaves a mark

    def _delete(self, some: list[tuple[str, str | None]]) -> None:
        def delete(one: tuple[str, str | None]) -> None:
            key, version = one
            options: dict[str, Any] = {} if version is None else {"VersionId": version}
            operation = "DeleteObject" if version is None else "DeleteObject of a version"
            with translated(operation, key):
                self.place.clients.boto.delete_object(Bucket=self.place.location.bucket, Key=key, **options)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(delete, some))
