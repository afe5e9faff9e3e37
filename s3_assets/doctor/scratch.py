"""The keys that a checkup writes, and their removal: versions, delete marks and open uploads too, as far as is allowed.

All begin with one name of this checkup's own directly below the target prefix. They are no folder, which a sensor would
take for an event, and no key that the grammar takes for an hour file.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from s3_assets.doctor.cures import POLICY
from s3_assets.doctor.findings import Finding, passed, warned
from s3_assets.doctor.policy import SCRATCH
from s3_assets.errors import AccessDeniedError, StoreError
from s3_assets.store.s3_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets.doctor.places import Place

_AT_ONCE = 8


class Scratch:
    """Scratch keys at one place.

    Attributes:
        place: Where.
        prefix: What all of them begin with.
    """

    def __init__(self, place: Place) -> None:
        """Nothing is written yet."""
        self.place = place
        self.prefix = f"{place.prefix}{SCRATCH}{uuid.uuid4().hex}."

    def key(self, name: str) -> str:
        """The scratch key of a name."""
        return self.prefix + name

    def remove(self) -> Finding:
        """Remove all of them, and look whether they are gone; never an error."""
        store = self.place.store
        problems: list[StoreError] = []
        try:
            for upload in store.list_uploads(self.prefix):
                store.abort_upload(upload)
        except StoreError as error:
            problems.append(error)
        keeps_versions = False
        try:
            self._delete(list(self._versions()))
        except StoreError as error:
            problems.append(error)
            keeps_versions = isinstance(error, AccessDeniedError)
        try:
            left = [info.key for info in store.list(self.prefix)]
            self._delete([(key, None) for key in left])
            left = [info.key for info in store.list(self.prefix)]
        except StoreError as error:
            problems.append(error)
            left = [f"{self.prefix}*"]
        return self._finding(left, problems, keeps_versions=keeps_versions)

    def _finding(self, left: list[str], problems: list[StoreError], *, keeps_versions: bool) -> Finding:
        where = self.place.location.bucket
        why = "; ".join(dict.fromkeys(self.place.diagnosis(error, SCRATCH).todo for error in problems))
        if left:
            words = f"scratch keys are left: {len(left):,} that begin with s3://{where}/{self.prefix}"
            allow = why or f"allow s3:DeleteObject on {self.place.resource('DeleteObject', SCRATCH)}; {POLICY}"
            return warned(words, f"delete them; {allow}")
        if keeps_versions:
            words = f"the scratch keys are gone; if s3://{where} is versioned, their versions are left ({self.prefix}…)"
            return warned(words, why)
        if problems:
            return warned(f"the scratch keys are gone, with trouble: {problems[0]}", why)
        return passed("the scratch keys are removed again, versions and uploads too")

    def _versions(self) -> Iterator[tuple[str, str | None]]:
        """Every version and delete mark of scratch keys."""
        with translated("ListObjectVersions", self.prefix):
            pages = self.place.clients.boto.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self.place.location.bucket, Prefix=self.prefix):
                found: list[Any] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                for one in found:
                    if one["Key"].startswith(self.prefix):  # `null` too: where versioning is suspended, a deletion
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
