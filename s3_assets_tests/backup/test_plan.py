"""Decisions over one file and over a day: what is kept, asked for, sent, carried and lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from s3_assets.backup.manifest import Entry, Manifest
from s3_assets.backup.plan import Copy, LocalFile, Step, decide, late_files, listing_digest, merge

DAY = date(2026, 11, 20)
HASHES = st.sampled_from(["0" * 64, "1" * 64])
SIZES, ETAGS = st.sampled_from([1, 2]), st.sampled_from(["e", "f"])
PATHS = st.sampled_from(["a", "b", "c"])
ENTRIES = st.builds(Entry, PATHS, SIZES, st.sampled_from([1, 2]), HASHES, ETAGS)
COPIES = st.builds(Copy, SIZES, ETAGS)
FILES = st.builds(LocalFile, PATHS, SIZES, st.sampled_from([1, 2]))


@given(HASHES, SIZES, st.none() | ENTRIES, st.none() | COPIES)
def test_a_file_is_kept_only_where_the_manifest_vouches_for_the_copy(sha256, size, entry, copy):
    """Its copy is listed with the ETag and the size under which its SHA-256 was written down."""
    step = decide(sha256, size, entry, copy)
    vouched = (
        entry is not None
        and copy is not None
        and (entry.etag, entry.size, entry.sha256) == (copy.etag, copy.size, sha256)
        and copy.size == size
    )
    assert (step is Step.KEEP) == vouched
    assert step is Step.SEND or copy is not None
    if copy is not None and copy.size == size and (entry is None or entry.etag != copy.etag):
        assert step is Step.ASK  # it may be the file: a run that was killed had no time to say so


def manifest_of(entries: list[Entry]) -> Manifest:
    """Of these."""
    return Manifest(DAY, "Asia/Seoul", {entry.path: entry for entry in entries})


@settings(max_examples=50)
@given(
    st.none() | st.lists(ENTRIES, unique_by=lambda entry: entry.path).map(manifest_of),
    st.lists(ENTRIES, unique_by=lambda entry: entry.path),
    st.dictionaries(PATHS, COPIES),
)
def test_nothing_leaves_a_manifest_because_the_local_file_is_gone(before, stored, copies):
    """What is stored now replaces what was; all else is carried over; all of it is compared with the bucket."""
    merged = merge(DAY, "Asia/Seoul", before, stored, copies)
    old = {} if before is None else before.entries
    assert merged.manifest.entries == {**old, **{entry.path: entry for entry in stored}}
    assert set(merged.carried) == set(old) - {entry.path for entry in stored}
    there = {
        path for path, entry in merged.manifest.entries.items() if copies.get(path) == Copy(entry.size, entry.etag)
    }
    assert set(merged.lost) == set(merged.manifest.entries) - there


@settings(max_examples=50)
@given(st.lists(ENTRIES, unique_by=lambda entry: entry.path))
def test_merging_what_stands_changes_nothing(entries):
    """So that the same inputs write nothing."""
    before = manifest_of(entries)
    copies = {entry.path: Copy(entry.size, entry.etag) for entry in entries}
    merged = merge(DAY, "Asia/Seoul", before, entries, copies)
    assert (merged.manifest, merged.carried, merged.lost) == (before, [], {})


@settings(max_examples=50)
@given(st.lists(ENTRIES, unique_by=lambda entry: entry.path), st.lists(FILES, unique_by=lambda file: file.path))
def test_a_file_is_late_if_its_manifest_does_not_hold_it_as_it_is(entries, files):
    """By path, size and time; files that are gone are not late."""
    held = {(entry.path, entry.size, entry.mtime_ns) for entry in entries}
    late = late_files(manifest_of(entries), files)
    assert late == sorted(file for file in files if (file.path, file.size, file.mtime_ns) not in held)


@settings(max_examples=50)
@given(st.lists(FILES, unique_by=lambda file: file.path), st.randoms())
def test_the_listing_digest_is_of_the_set(files, random):
    """The order does not show; any path, size and time does."""
    shuffled = files.copy()
    random.shuffle(shuffled)
    assert listing_digest(shuffled) == listing_digest(files)
    for number, file in enumerate(files):
        others = files[:number] + files[number + 1 :]
        changes = (replace(file, path="d"), replace(file, size=9), replace(file, mtime_ns=9))
        for changed in ([*others, change] for change in changes):
            assert listing_digest(changed) != listing_digest(files)
        assert listing_digest(others) != listing_digest(files)


def test_names_that_are_not_utf8_have_a_listing_digest_too():
    """They are problems, not crashes."""
    assert listing_digest([LocalFile("\udcff", 1, 1)]) != listing_digest([LocalFile("\udcfe", 1, 1)])
