"""Can the daily backup read its folder, and write where its copies go?

Nothing is written there: an upload in parts is begun and aborted, which needs the same right and leaves nothing. The
folder is looked at as a run does, without reading a file.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from s3_assets.backup.bucket import BackupBucket
from s3_assets.backup.site import MANIFESTS, open_backup
from s3_assets.doctor.findings import Finding, failed, passed, warned
from s3_assets.doctor.policy import SCRATCH
from s3_assets.errors import BackupFolderError, StoreError
from s3_assets.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets.doctor.places import Place
    from s3_assets.settings import BackupSettings


def folder(settings: BackupSettings) -> Iterator[Finding]:
    """The local folder."""
    try:
        found = open_backup(settings).walk()
    except BackupFolderError as error:
        yield failed(str(error), error.hint)
        return
    files = sum(map(len, found.days.values()))
    words = f"{settings.directory} can be listed: {counted(files, 'file')} to back up"
    if found.problems:
        first = found.problems[0]
        yield warned(
            f"{words}; {counted(len(found.problems), 'problem')}, the first: {first.path}: {first.reason}",
            "mend or `exclude` it: a day with a problem has no manifest (docs/backup.md)",
        )
    elif not files:
        yield warned(words, "check `include` and `exclude` in the TOML file: the default takes **/*.json")
    else:
        yield passed(words)


def target(place: Place) -> Iterator[Finding]:
    """Where copies go: listing, reading, writing."""
    bucket, key = BackupBucket(place.clients), f"{place.prefix}{SCRATCH}upload"
    try:
        manifests = len(bucket.copies(f"{place.prefix}{MANIFESTS}"))
        bucket.open_uploads(place.prefix)
        bucket.abort(key, bucket.start_upload(key, hashlib.sha256().digest()))
        bucket.read(key)
    except StoreError as error:
        yield place.diagnosis(error)
        return
    yield passed(f"{place.location} can be listed and written: {manifests:,} days are backed up")
