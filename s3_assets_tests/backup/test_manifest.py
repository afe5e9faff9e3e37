"""The manifest: a round trip for every file there can be, a refusal for everything else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3_assets.backup.manifest import Entry, Manifest, decode, path_problem
from s3_assets.errors import DamagedManifestError

DAY = date(2026, 11, 20)
NAMES = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
ENTRIES = st.builds(
    Entry,
    path=st.lists(NAMES, min_size=1, max_size=3).map("/".join),
    size=st.integers(0, 2**63 - 1),
    mtime_ns=st.integers(-(2**62), 2**62),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    etag=st.text(max_size=40),
    version_id=st.none() | st.text(min_size=1, max_size=40),
)
MANIFESTS = st.lists(ENTRIES, max_size=5, unique_by=lambda entry: entry.path).map(
    lambda entries: Manifest(DAY, "Asia/Seoul", {entry.path: entry for entry in entries})
)
ONE = Manifest(DAY, "Asia/Seoul", {"a/b.json": Entry("a/b.json", 2, 10**18, "0" * 64, "etag", "v1")})


@settings(max_examples=40)
@given(MANIFESTS)
def test_a_manifest_is_read_as_it_was_written(manifest):
    """Any name, also with line breaks and Korean, any size and time."""
    data = manifest.encode()
    assert decode("key", data, DAY) == manifest
    assert data.isascii()
    assert len(data.splitlines()) == len(manifest.entries) + 2 + (not manifest.entries)


@settings(max_examples=40)
@given(MANIFESTS, st.randoms())
def test_the_order_of_arrival_does_not_show(manifest, random):
    """Equal entries are equal bytes: a second run has nothing to write."""
    shuffled = list(manifest.entries.items())
    random.shuffle(shuffled)
    other = Manifest(DAY, "Asia/Seoul", dict(shuffled))
    assert (other.encode(), other.digest) == (manifest.encode(), manifest.digest)


@settings(max_examples=40)
@given(MANIFESTS, st.data())
def test_no_truncation_and_no_changed_byte_passes(manifest, data):
    """The right manifest or an error, nothing in between."""
    whole = manifest.encode()
    cut = data.draw(st.integers(0, len(whole) - 2))  # without its last line break it is still whole
    with pytest.raises(DamagedManifestError):
        decode("key", whole[:cut], DAY)
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 127))]) + whole[place + 1 :]
    try:
        found = decode("key", changed, DAY)
    except DamagedManifestError:
        return
    assert found.entries == manifest.entries


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".", "a/./b", "a\0b", "..", "\udcff.json"]
)
def test_no_path_leads_out_of_the_folder(path):
    """Also where the digest is right: whoever can write the manifest can make one."""
    assert path_problem(path) is not None
    with pytest.raises(DamagedManifestError, match="can't be"):
        decode("key", forged(path=path), DAY)


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1},
        {"size": "2"},
        {"size": True},
        {"size": 1.5},
        {"mtime_ns": 2**64},
        {"mtime_ns": None},
        {"sha256": "0" * 63},
        {"sha256": "G" * 64},
        {"etag": None},
        {"version_id": 0},
        {"more": 1},
    ],
)
def test_what_no_file_can_be_is_refused(change):
    """With a right digest, too."""
    with pytest.raises(DamagedManifestError, match="can't be"):
        decode("key", forged(**change), DAY)


@pytest.mark.parametrize(
    "data, says",
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "not a s3_assets backup manifest"),
        (b'{"format": "other"}', "not a s3_assets backup manifest"),
        (ONE.encode().replace(b'"version": 1', b'"version": 2'), "version 2, known is 1"),
        (ONE.encode().replace(b"2026-11-20", b"2026-11-21"), "of day '2026-11-21'"),
        (ONE.encode().replace(b'"size": 2', b'"size": 3'), "the digest is another one"),
        (ONE.encode().replace(b'"zone": "Asia/Seoul"', b'"zone": null'), "no zone"),
    ],
)
def test_what_is_no_manifest_of_the_day_says_why(data, says):
    """And names the key."""
    with pytest.raises(DamagedManifestError, match=says) as caught:
        decode("a key", data, DAY)
    assert "'a key'" in str(caught.value)


def test_a_path_can_not_be_there_twice():
    """One would hide the other."""
    document = json.loads(ONE.encode())
    with pytest.raises(DamagedManifestError):
        decode("key", signed(document, document["files"] * 2), DAY)


def forged(**changes: object) -> bytes:
    """A manifest with one file, changed, and a digest that fits."""
    document = json.loads(ONE.encode())
    return signed(document, [{**asdict(ONE.entries["a/b.json"]), **changes}])


def signed(document: dict, files: list) -> bytes:
    """With a digest that fits."""
    text = json.dumps(files, sort_keys=True, separators=(",", ":"))
    return json.dumps({**document, "files": files, "digest": hashlib.sha256(text.encode()).hexdigest()}).encode()
