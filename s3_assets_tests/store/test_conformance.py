"""What the contract says, sentence by sentence, of every implementation."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from s3_assets.errors import (
    NotFoundError,
    PreconditionFailedError,
    StoreError,
)
from s3_assets.store.contract import MIN_PART_BYTES, OpenUpload, Store, Upload
from s3_assets.store.memory import MemoryStore
from s3_assets_tests.store.deviations import DEVIATIONS
from s3_assets_tests.store.races import race, winners

NO_ETAG = "0" * 32

KEYS = {
    "plain": "a.csv",
    "space": "a b.csv",
    "spaces at both ends": " a ",
    "plus": "a+b.csv",
    "percent": "a%b.csv",
    "encoded slash": "a%2Fb.csv",
    "encoded space": "a%20b.csv",
    "hash": "a#b.csv",
    "question mark": "a?b=c&d.csv",
    "pipe": "a|b.csv",
    "quotes": "a\"b'c`d.csv",
    "markup": "<a>&amp;{b}[c]^.csv",
    "star": "a*b,c;d:e@f!$~.csv",
    "backslash": "a\\b.csv",
    "korean": "클릭/2026.csv",
    "decomposed": "e\u0301.csv",
    "emoji": "😀.csv",
    "no-break space": "a\u00a0b\u2028c.csv",
    "newline": "a\nb.csv",
    "carriage return": "a\rb.csv",
    "tab": "a\tb.csv",
    "delete": "a\x7fb.csv",
    "control": "a\x01b.csv",
    "empty segment": "a//b.csv",
    "dot segment": "a/./b.csv",
    "dots segment": "a/../b.csv",
    "three dots": "a/.../b.csv",
    "last dot": "a/.",
    "trailing slash": "folder/",
    "two trailing slashes": "folder//",
}


def declared(request: pytest.FixtureRequest, name: str, behaviour: str) -> None:
    """Expect the test to fail where the server is known to deviate."""
    if reason := DEVIATIONS.get((name, behaviour)):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


def listed(store: Store, prefix: str) -> list[str]:
    """The keys below `prefix`, in order, each as often as it came."""
    return sorted(info.key for info in store.list(prefix))


@pytest.fixture
def digits(store, folder) -> str:
    """The key of an object of ten bytes."""
    store.put(f"{folder}digits", b"0123456789")
    return f"{folder}digits"


class TestKeys:
    """Any legal key goes in and comes out as it is."""

    @pytest.mark.parametrize("name", KEYS)
    def test_round_trip(self, request, store, server_name, folder, name) -> None:
        """PUT, HEAD, GET, listing and DELETE mean the same key."""
        declared(request, server_name, name)
        key = folder + KEYS[name]
        etag = store.put(key, key.encode()).etag
        head = store.head(key)
        assert head is not None
        assert (head.key, head.size, head.etag) == (key, len(key.encode()), etag)
        assert store.get(key, if_match=etag).read() == key.encode()
        assert store.get(key, span=(1, 3)).read() == key.encode()[1:3]
        assert [(info.key, info.etag) for info in store.list(folder)] == [(key, etag)]
        assert store.put(key, b"again", if_match=etag).size == 5
        store.delete(key)
        assert store.head(key) is None

    def test_a_leading_slash_is_part_of_the_key(self, request, store, server_name, folder) -> None:
        """`/a` and `a` are two objects."""
        declared(request, server_name, "leading slash")
        store.put(f"/{folder}a", b"with")
        store.put(f"{folder}a", b"without")
        assert store.get(f"/{folder}a").read() == b"with"
        assert store.get(f"{folder}a").read() == b"without"
        assert listed(store, f"/{folder}") == [f"/{folder}a"]

    def test_a_trailing_slash_is_part_of_the_key(self, store, folder) -> None:
        """A folder marker and an object of its name are two objects, also in the listing."""
        store.put(f"{folder}a/", b"")
        store.put(f"{folder}a", b"object")
        assert listed(store, folder) == [f"{folder}a", f"{folder}a/"]
        assert store.get(f"{folder}a/").read() == b""

    def test_the_longest_key(self, request, store, server_name, folder) -> None:
        """1,024 bytes of UTF-8 are legal."""
        declared(request, server_name, "longest key")
        key = folder + "가" * 60 + "/"
        key += "/".join("x" * 180 for _ in range(4))
        key += "/" + "y" * (1024 - len(key.encode()) - 1)
        assert len(key.encode()) == 1024
        store.put(key, b"long")
        assert listed(store, folder) == [key]
        assert store.get(key).read() == b"long"

    def test_one_odd_key_does_not_hide_the_others(self, request, store, server_name, folder) -> None:
        """A listing has all keys, whatever else is there."""
        names = [name for name in KEYS if (server_name, name) not in DEVIATIONS]
        keys = {folder + KEYS[name] for name in names}
        for key in keys:
            store.put(key, b"x")
        assert listed(store, folder) == sorted(keys)

    @pytest.mark.parametrize("name", ["plain", "space", "plus", "encoded slash", "korean", "newline", "empty segment"])
    def test_multipart_to_and_from(self, request, store, server_name, folder, name) -> None:
        """Uploads and server copies mean the same key too."""
        declared(request, server_name, name)
        source, target = f"{folder}source/{KEYS[name]}", f"{folder}target/{KEYS[name]}"
        etag = store.put(source, b"0123456789").etag
        with store.start_upload(target) as upload:
            upload.copy_part(1, source, 2, 6, if_match=etag)
            upload.complete(if_absent=True)
        assert store.get(target).read() == b"2345"
        assert listed(store, folder) == sorted([source, target])


class TestList:
    """`list` and `list_level`."""

    def test_over_a_thousand_keys(self, store, folder) -> None:
        """More than one page: all keys, none twice; also below a prefix that is no folder."""
        keys = [f"{folder}click/{number:04}.csv" for number in range(1105)]
        with ThreadPoolExecutor(8) as pool:
            infos = list(pool.map(lambda key: store.put(key, key.encode()), keys))
        found = list(store.list(folder))
        assert sorted(info.key for info in found) == keys
        assert {info.key: (info.etag, info.size) for info in found} == {
            info.key: (info.etag, info.size) for info in infos
        }
        assert listed(store, f"{folder}click/1") == [key for key in keys if "/1" in key]
        assert list(store.list_level(folder)) == [f"{folder}click/"]

    def test_prefix_is_a_string(self, store, folder) -> None:
        """Not a folder: `click` is a prefix of `click-v2/`, `00_` of `00_15`."""
        for key in ("click/00_00", "click/00_15", "click/01_00", "click-v2/00_00"):
            store.put(folder + key, b"x")
        assert listed(store, f"{folder}click") == sorted(
            folder + key for key in ("click/00_00", "click/00_15", "click/01_00", "click-v2/00_00")
        )
        assert listed(store, f"{folder}click/") == [
            f"{folder}click/00_00",
            f"{folder}click/00_15",
            f"{folder}click/01_00",
        ]
        assert listed(store, f"{folder}click/00_") == [f"{folder}click/00_00", f"{folder}click/00_15"]
        assert listed(store, f"{folder}click/00_00") == [f"{folder}click/00_00"]
        assert listed(store, f"{folder}none/") == []

    def test_level(self, store, folder) -> None:
        """Each folder once, whole; beside them the objects that are in none of them."""
        loose = store.put(f"{folder}read me.txt", b"x")
        for key in ("click/a/1", "click/b/1", "click-v2/1", "view +%/1", "클릭/1"):
            store.put(folder + key, b"x")
        expected = {f"{folder}{name}/" for name in ("click", "click-v2", "view +%", "클릭")}
        found = list(store.list_level(folder))
        folders = [one for one in found if isinstance(one, str)]
        assert set(folders) == expected
        assert len(folders) == len(expected)
        assert [(one.key, one.etag, one.size) for one in found if not isinstance(one, str)] == [
            (loose.key, loose.etag, 1)
        ]
        assert sorted(store.list_level(f"{folder}click/")) == [f"{folder}click/a/", f"{folder}click/b/"]
        assert folder in set(store.list_level(""))

    def test_lazy(self, store, folder) -> None:
        """The iterator can be left early."""
        store.put(f"{folder}a", b"x")
        store.put(f"{folder}b", b"x")
        assert next(iter(store.list(folder))).key.startswith(folder)

    def test_description(self, store, folder) -> None:
        """Size, ETag without quotes, an aware time of whole seconds; HEAD says the same."""
        before = datetime.now(UTC) - timedelta(seconds=2)
        put = store.put(f"{folder}a", b"12345")
        (info,) = store.list(folder)
        head = store.head(f"{folder}a")
        assert head is not None
        assert info.size == head.size == put.size == 5
        assert info.etag == head.etag == put.etag == hashlib.md5(b"12345").hexdigest()
        for found in (info, head, put):
            assert found.last_modified.utcoffset() == timedelta(0)
            assert found.last_modified.microsecond == 0
            assert before <= found.last_modified <= datetime.now(UTC) + timedelta(seconds=2)


class TestGet:
    """`head` and `get`."""

    @pytest.mark.parametrize(
        "options,start,stop",
        [
            ({}, 0, 10),
            ({"span": (0, 10)}, 0, 10),
            ({"span": (3, 7)}, 3, 7),
            ({"span": (9, 10)}, 9, 10),
            ({"span": (8, 50)}, 8, 10),
            ({"span": (10, 20)}, 10, 10),
            ({"span": (15, 20)}, 10, 10),
            ({"span": (4, 4)}, 4, 4),
            ({"suffix": 3}, 7, 10),
            ({"suffix": 10}, 0, 10),
            ({"suffix": 99}, 0, 10),
            ({"suffix": 0}, 10, 10),
        ],
    )
    def test_ranges(self, store, digits, options, start, stop) -> None:
        """Cut to the object; the info is of the whole object."""
        download = store.get(digits, **options)
        assert (download.start, download.stop, download.info.size) == (start, stop, 10)
        assert download.read() == b"0123456789"[start:stop]

    @pytest.mark.parametrize("options", [{}, {"span": (0, 5)}, {"span": (3, 5)}, {"suffix": 5}, {"suffix": 0}])
    def test_empty_object(self, store, folder, options) -> None:
        """No bytes, whatever the range."""
        etag = store.put(f"{folder}empty", b"").etag
        download = store.get(f"{folder}empty", **options)
        assert download.read() == b""
        assert (download.start, download.stop, download.info.size, download.info.etag) == (0, 0, 0, etag)
        with pytest.raises(PreconditionFailedError):
            store.get(f"{folder}empty", if_match=NO_ETAG, **options).read()

    def test_large_object_in_chunks(self, store, folder) -> None:
        """More than one chunk, all bytes, in order."""
        data = b"".join(number.to_bytes(8, "big") for number in range(400_000))
        etag = store.put(f"{folder}large", data).etag
        download = store.get(f"{folder}large", if_match=etag)
        chunks = list(download)
        assert len(chunks) > 1
        assert b"".join(chunks) == data
        assert store.get(f"{folder}large", span=(1_500_001, 3_000_007)).read() == data[1_500_001:3_000_007]

    def test_leaving_early(self, store, folder) -> None:
        """A reader may stop in the middle and let go."""
        store.put(f"{folder}large", bytes(3_000_000))
        download = store.get(f"{folder}large")
        assert next(iter(download))
        download.close()
        assert store.get(f"{folder}large", suffix=1).read() == b"\0"

    def test_if_match(self, store, digits) -> None:
        """Its ETag or nothing."""
        head = store.head(digits)
        assert head is not None
        assert store.get(digits, if_match=head.etag, suffix=2).read() == b"89"
        with pytest.raises(PreconditionFailedError):
            store.get(digits, if_match=NO_ETAG)
        with pytest.raises(PreconditionFailedError):
            store.get(digits, if_match=NO_ETAG, span=(0, 2))

    def test_not_there(self, store, folder) -> None:
        """NotFoundError, with or without a condition or a range; HEAD says None."""
        assert store.head(f"{folder}none") is None
        for options in ({}, {"if_match": NO_ETAG}, {"span": (0, 1)}, {"suffix": 3}, {"suffix": 0}):
            with pytest.raises(NotFoundError) as caught:
                store.get(f"{folder}none", **options)
            assert caught.value.key == f"{folder}none"


class TestPut:
    """`put`."""

    def test_replaces(self, store, folder) -> None:
        """No condition always writes."""
        store.put(f"{folder}a", b"1")
        info = store.put(f"{folder}a", b"22")
        assert store.get(f"{folder}a", if_match=info.etag).read() == b"22"

    def test_if_absent(self, store, folder) -> None:
        """Only where there is none; after a delete there is none."""
        store.put(f"{folder}a", b"1", if_absent=True)
        with pytest.raises(PreconditionFailedError):
            store.put(f"{folder}a", b"2", if_absent=True)
        assert store.get(f"{folder}a").read() == b"1"
        store.delete(f"{folder}a")
        store.put(f"{folder}a", b"3", if_absent=True)
        assert store.get(f"{folder}a").read() == b"3"

    def test_if_match(self, store, folder) -> None:
        """Only over that one; a stale ETag and a missing object are refused alike."""
        first = store.put(f"{folder}a", b"1")
        second = store.put(f"{folder}a", b"2", if_match=first.etag)
        with pytest.raises(PreconditionFailedError):
            store.put(f"{folder}a", b"3", if_match=first.etag)
        with pytest.raises(PreconditionFailedError):
            store.put(f"{folder}none", b"3", if_match=first.etag)
        assert store.get(f"{folder}a", if_match=second.etag).read() == b"2"
        assert store.head(f"{folder}none") is None

    def test_both_conditions(self, store, folder) -> None:
        """Exclude each other."""
        with pytest.raises(StoreError):
            store.put(f"{folder}a", b"1", if_match=NO_ETAG, if_absent=True)

    def test_race_to_create(self, store, folder) -> None:
        """Exactly one of eight wins, and its bytes are there."""
        writers = [partial(store.put, f"{folder}a", b"%d" % n, if_absent=True) for n in range(8)]
        (winner,) = winners(race(writers))
        assert store.get(f"{folder}a").read() == b"%d" % winner

    def test_race_to_replace(self, store, folder) -> None:
        """Exactly one of eight wins, and its bytes are there."""
        etag = store.put(f"{folder}a", b"before").etag
        writers = [partial(store.put, f"{folder}a", b"%d" % n, if_match=etag) for n in range(8)]
        (winner,) = winners(race(writers))
        assert store.get(f"{folder}a").read() == b"%d" % winner


class TestUpload:
    """Multipart uploads, in the way that the store commits them."""

    def test_parts_in_any_order(self, store, folder) -> None:
        """They are put together by number; repeating a number replaces it; nothing shows before."""
        with store.start_upload(f"{folder}a") as upload:
            assert isinstance(upload, Upload)
            assert upload.key == f"{folder}a"
            upload.put_part(7, b"tail")
            upload.put_part(2, b"old" * MIN_PART_BYTES)
            upload.put_part(2, b"b" * MIN_PART_BYTES)
            assert store.head(f"{folder}a") is None
            info = upload.complete()
        head = store.head(f"{folder}a")
        assert head is not None
        assert (info.key, info.size, info.etag) == (head.key, head.size, head.etag)
        assert store.get(f"{folder}a", if_match=info.etag).read() == b"b" * MIN_PART_BYTES + b"tail"
        assert listed(store, folder) == [f"{folder}a"]
        assert list(store.list_uploads(folder)) == []

    def test_parts_in_threads(self, store, folder) -> None:
        """Several at once."""
        with store.start_upload(f"{folder}a") as upload:
            with ThreadPoolExecutor(3) as pool:
                for done in [pool.submit(upload.put_part, n, b"%d" % n * MIN_PART_BYTES) for n in (3, 1, 2)]:
                    done.result()
            upload.complete(if_absent=True)
        assert store.get(f"{folder}a").read() == b"".join(b"%d" % n * MIN_PART_BYTES for n in (1, 2, 3))

    def test_copy_part(self, store, folder) -> None:
        """Bytes of other objects, also of the one that is replaced, between own ones."""
        source = store.put(f"{folder}source", b"s" * MIN_PART_BYTES + b"0123456789")
        target = store.put(f"{folder}target", b"t" * MIN_PART_BYTES + b"abc")
        with store.start_upload(f"{folder}target") as upload:
            upload.copy_part(1, f"{folder}target", 0, MIN_PART_BYTES, if_match=target.etag)
            upload.put_part(2, b"-" * MIN_PART_BYTES)
            upload.copy_part(3, f"{folder}source", MIN_PART_BYTES + 2, MIN_PART_BYTES + 5, if_match=source.etag)
            upload.complete(if_match=target.etag)
        expected = b"t" * MIN_PART_BYTES + b"-" * MIN_PART_BYTES + b"234"
        assert store.get(f"{folder}target").read() == expected

    def test_copy_part_of_another_source(self, store, folder) -> None:
        """Refused where the source changed or is gone; the upload goes on."""
        store.put(f"{folder}source", b"0123456789")
        with store.start_upload(f"{folder}a") as upload:
            with pytest.raises(PreconditionFailedError):
                upload.copy_part(1, f"{folder}source", 0, 5, if_match=NO_ETAG)
            with pytest.raises(PreconditionFailedError):
                upload.copy_part(1, f"{folder}none", 0, 5, if_match=NO_ETAG)
            upload.put_part(1, b"fine")
            upload.complete()
        assert store.get(f"{folder}a").read() == b"fine"

    def test_copy_part_past_the_end(self, request, store, server_name, folder) -> None:
        """A range that the source does not have is an error, not a shorter part."""
        declared(request, server_name, "copy past the end")
        etag = store.put(f"{folder}source", b"0123456789").etag
        with store.start_upload(f"{folder}a") as upload:
            with pytest.raises(StoreError):
                upload.copy_part(1, f"{folder}source", 5, 50, if_match=etag)
            with pytest.raises(StoreError):
                upload.copy_part(1, f"{folder}source", 5, 5, if_match=etag)

    def test_small_part_before_the_last(self, store, folder) -> None:
        """Is refused on completion, and nothing is written."""
        with store.start_upload(f"{folder}a") as upload:
            upload.put_part(1, b"small")
            upload.put_part(2, b"last")
            with pytest.raises(StoreError):
                upload.complete()
        assert store.head(f"{folder}a") is None

    def test_no_part_and_bad_numbers(self, store, folder) -> None:
        """Are refused."""
        with store.start_upload(f"{folder}a") as upload:
            for number in (0, 10_001):
                with pytest.raises(StoreError):
                    upload.put_part(number, b"x")
            with pytest.raises(StoreError):
                upload.complete()
        assert store.head(f"{folder}a") is None

    def test_complete_if_absent(self, store, folder) -> None:
        """Only where there is none."""
        etag = store.put(f"{folder}a", b"there").etag
        with store.start_upload(f"{folder}a") as upload:
            upload.put_part(1, b"new")
            with pytest.raises(PreconditionFailedError):
                upload.complete(if_absent=True)
        assert store.get(f"{folder}a", if_match=etag).read() == b"there"
        with store.start_upload(f"{folder}b") as upload:
            upload.put_part(1, b"new")
            upload.complete(if_absent=True)
        assert store.get(f"{folder}b").read() == b"new"
        assert listed(store, folder) == [f"{folder}a", f"{folder}b"]

    def test_complete_if_match(self, store, folder) -> None:
        """Only over that one; a stale ETag and a missing object are refused alike."""
        etag = store.put(f"{folder}a", b"there").etag
        for key, if_match in ((f"{folder}a", NO_ETAG), (f"{folder}none", etag)):
            with store.start_upload(key) as upload:
                upload.put_part(1, b"new")
                with pytest.raises(PreconditionFailedError):
                    upload.complete(if_match=if_match)
        assert store.get(f"{folder}a", if_match=etag).read() == b"there"
        with store.start_upload(f"{folder}a") as upload:
            upload.put_part(1, b"new")
            info = upload.complete(if_match=etag)
        assert store.get(f"{folder}a", if_match=info.etag).read() == b"new"
        assert listed(store, folder) == [f"{folder}a"]
        assert list(store.list_uploads(folder)) == []

    @pytest.mark.parametrize("attempt", range(3))
    def test_race_of_completes_and_a_put(self, store, folder, attempt) -> None:
        """Exactly one of six uploads and two PUTs wins, and its bytes are there."""
        etag = store.put(f"{folder}a", b"before").etag
        uploads = [store.start_upload(f"{folder}a") for _ in range(6)]
        for number, upload in enumerate(uploads):
            upload.put_part(1, b"%d" % number)
        writers = [partial(upload.complete, if_match=etag) for upload in uploads]
        writers += [partial(store.put, f"{folder}a", b"%d" % n, if_match=etag) for n in (6, 7)]
        (winner,) = winners(race(writers))
        for upload in uploads:
            upload.abort()
        assert store.get(f"{folder}a").read() == b"%d" % winner
        assert listed(store, folder) == [f"{folder}a"]
        assert list(store.list_uploads(folder)) == []

    def test_race_to_create(self, store, folder) -> None:
        """Exactly one of four uploads wins."""
        uploads = [store.start_upload(f"{folder}a") for _ in range(4)]
        for number, upload in enumerate(uploads):
            upload.put_part(1, b"%d" % number)
        (winner,) = winners(race([partial(upload.complete, if_absent=True) for upload in uploads]))
        for upload in uploads:
            upload.abort()
        assert store.get(f"{folder}a").read() == b"%d" % winner

    def test_abort(self, store, folder) -> None:
        """Leaves nothing, twice or after completion; so does leaving the block on an error."""
        upload = store.start_upload(f"{folder}a")
        upload.put_part(1, b"x")
        upload.abort()
        upload.abort()
        with pytest.raises(ZeroDivisionError), store.start_upload(f"{folder}a") as upload:
            upload.put_part(1, b"%d" % (1 // 0))
        with store.start_upload(f"{folder}b") as upload:
            upload.put_part(1, b"x")
            upload.complete()
            upload.abort()
        assert listed(store, folder) == [f"{folder}b"]
        assert list(store.list_uploads(folder)) == []
        with pytest.raises(StoreError):
            upload.put_part(1, b"late")

    def test_open_uploads(self, request, store, server_name, folder) -> None:
        """Are listed below their prefix, and can be aborted by whoever finds them."""
        declared(request, server_name, "open uploads")
        with store.start_upload(f"{folder}a +%가"), store.start_upload(f"{folder}b"):
            found = sorted(store.list_uploads(folder), key=lambda upload: upload.key)
            self.check_open_uploads(store, folder, found)
        assert list(store.list_uploads(folder)) == []

    def check_open_uploads(self, store, folder, found) -> None:
        """They are what was begun, and go away."""
        before = datetime.now(UTC) - timedelta(seconds=60)
        assert len(found) == 2
        assert all(isinstance(upload, OpenUpload) for upload in found)
        assert [upload.key for upload in found] == [f"{folder}a +%가", f"{folder}b"]
        assert all(before <= upload.initiated for upload in found)
        assert list(store.list_uploads(f"{folder}z")) == []
        for upload in found:
            store.abort_upload(upload)
            store.abort_upload(upload)
        assert list(store.list_uploads(folder)) == []


class TestDelete:
    """`delete`."""

    def test_twice(self, store, folder) -> None:
        """One that is gone, or never was, is no error."""
        store.put(f"{folder}a", b"x")
        store.delete(f"{folder}a")
        store.delete(f"{folder}a")
        store.delete(f"{folder}never")
        assert store.head(f"{folder}a") is None
        assert listed(store, folder) == []
        with pytest.raises(NotFoundError):
            store.get(f"{folder}a")

    def test_if_match(self, store, folder) -> None:
        """Only that one; one that is gone is no error either."""
        first = store.put(f"{folder}a", b"1")
        second = store.put(f"{folder}a", b"2")
        with pytest.raises(PreconditionFailedError):
            store.delete(f"{folder}a", if_match=first.etag)
        assert store.get(f"{folder}a").read() == b"2"
        store.delete(f"{folder}a", if_match=second.etag)
        store.delete(f"{folder}a", if_match=second.etag)
        store.delete(f"{folder}never", if_match=NO_ETAG)
        assert store.head(f"{folder}a") is None


class TestStore:
    """The rest."""

    def test_is_a_store(self, store) -> None:
        """By the protocol, with a name."""
        assert isinstance(store, Store)
        assert store.bucket

    def test_versions(self, store, folder) -> None:
        """Where versioning is on, each PUT, HEAD and GET tells the version."""
        first = store.put(f"{folder}a", b"1")
        second = store.put(f"{folder}a", b"2")
        assert first.version_id
        assert second.version_id
        assert first.version_id != second.version_id
        head = store.head(f"{folder}a")
        assert head is not None
        assert head.version_id == second.version_id == store.get(f"{folder}a").info.version_id

    @pytest.mark.parametrize("name", ["a", "a +%가%2F.gz"])
    def test_older_versions(self, store, folder, name) -> None:
        """All of the very key, newest first, deletions too; each can be read whatever stands now."""
        key = f"{folder}{name}"
        infos = [store.put(key, data) for data in (b"first", b"second", b"")]
        store.put(f"{key}b", b"another")
        store.delete(key)
        mark, *found = store.list_versions(key)
        assert mark.is_deleted
        assert mark.info.version_id
        assert [(version.info.version_id, version.info.etag, version.info.size) for version in found] == [
            (info.version_id, info.etag, info.size) for info in reversed(infos)
        ]
        assert not any(version.is_deleted for version in found)
        with pytest.raises(NotFoundError):
            store.get(key)
        for info, data in zip(infos, (b"first", b"second", b""), strict=True):
            download = store.get(key, version_id=info.version_id)
            assert (download.info.etag, download.info.version_id) == (info.etag, info.version_id)
            assert download.read() == data
            assert store.get(key, version_id=info.version_id, span=(2, 2)).info.size == len(data)
        assert list(store.list_versions(f"{folder}never")) == []
        with pytest.raises(StoreError):
            store.get(f"{folder}never", version_id=infos[0].version_id)

    def test_ranges_of_older_versions(self, request, store, server_name, folder) -> None:
        """As of the object that stands."""
        declared(request, server_name, "range of a version")
        first = store.put(f"{folder}a", b"first")
        store.put(f"{folder}a", b"")
        assert store.get(f"{folder}a", version_id=first.version_id, suffix=3).read() == b"rst"
        assert store.get(f"{folder}a", version_id=first.version_id, suffix=9).read() == b"first"
        assert store.get(f"{folder}a", version_id=first.version_id, span=(1, 3)).read() == b"ir"

    def test_where_there_are_no_versions(self, request, store, server_name, running, folder) -> None:
        """The object that stands, without a version."""
        if server_name == "memory":
            plain: Store = MemoryStore(versioned=False)
        else:
            server = running(server_name)
            plain = server.store(server.new_bucket())
        plain.put(f"{folder}a", b"1")
        second = plain.put(f"{folder}a", b"22")
        [only] = plain.list_versions(f"{folder}a")
        assert (only.info.size, only.info.etag, only.info.version_id) == (2, second.etag, None)
        assert not only.is_deleted

    def test_no_scratch_keys_are_left(self, store) -> None:
        """What the store tries out or stages is removed."""
        store.start_upload("scratch").abort()
        assert [key for key in listed(store, "") if "staging" in key] == []
