"""`s3-assets history` as a person calls it, against a real server, versioned and not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from s3_assets.store.s3 import S3Store
from s3_assets_tests.deployment import deploy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from s3_assets.store.contract import ObjectVersion
    from s3_assets_tests.deployment import Deployment

HOUR = ("payments", "2021-09-01-07:00")
KEY = "payments/2021-09-01/07.csv.gz"


@pytest.fixture
def grown(deployment: Deployment, call) -> Deployment:
    """Three versions: two sources; one more, one rewritten and one unusable; and one that someone wrote over it."""
    deployment.drop("payments/2021-09-01/07_00_a.csv", b"id\n1\n")
    deployment.drop("payments/2021-09-01/07_10_b.csv", b"id\n2\n")
    call("sync")
    deployment.drop("payments/2021-09-01/07_10_b.csv", b"id\n3\n4\n")
    deployment.drop("payments/2021-09-01/07_20_c.csv", b"id\n5\n")
    deployment.drop("payments/2021-09-01/07_30_bad.csv", b'id\n"6\n')
    call("sync")
    deployment.store.put(f"target/{KEY}", b"someone's")
    return deployment


def versions(call) -> list[dict]:
    """As JSON."""
    code, out, _ = call("history", *HOUR, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["versioned"]
    return found["versions"]


def test_each_version_is_told_with_what_changed(grown: Deployment, call) -> None:
    """Newest first; also one that can't be read, and a deletion."""
    grown.store.delete(f"target/{KEY}")
    gone, foreign, second, first = versions(call)
    assert (gone["deleted"], gone["stands"], gone["rows"]) == (True, True, None)
    assert "there is no ledger" in foreign["problem"]
    assert (second["rows"], second["sources"], second["quarantined"], second["stands"]) == (4, 3, 1, False)
    assert second["changes"] == {"added": 1, "rewritten": 1, "removed": 0, "quarantined": 1, "rows": 2}
    assert first["changes"] == {"added": 2, "rewritten": 0, "removed": 0, "quarantined": 0, "rows": 2}
    code, out, err = call("history", *HOUR)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 5
    assert "stands" in lines[1]
    assert lines[1].rstrip().endswith("deleted")
    assert lines[3].rstrip().endswith("1 added, 1 rewritten, 1 quarantined, +3 rows, -1 row")


def test_a_version_is_brought_back_as_a_new_one(grown: Deployment, call) -> None:
    """With a word that it will be made right again, as sync does; not what is no hour file, nor what is not there."""
    foreign, _, first = versions(call)
    code, out, err = call("history", *HOUR, "--restore", first["version_id"])
    assert (code, err) == (0, "")
    assert "makes it equal to its sources again" in out
    assert grown.hour_file(KEY) == b"id\n1\n2\n"
    now, *older = versions(call)
    assert (now["stands"], now["changes"], len(older)) == (True, None, 3)
    assert call("sync")[0] == 0
    assert grown.hour_file(KEY) == b"id\n1\n3\n4\n5\n"
    before = grown.etag(KEY)
    code, _, err = call("history", *HOUR, "--restore", foreign["version_id"])
    assert (code, "there is no ledger at its end" in err) == (1, True)
    code, _, err = call("history", *HOUR, "--restore", "0" * 32)
    assert (code, err.startswith("error: ")) == (1, True)
    assert grown.etag(KEY) == before


def test_without_versioning_a_sentence_says_so(running, call, monkeypatch) -> None:
    """The one version is told; there is nothing to bring back."""
    server = running("seaweedfs")
    bucket = server.new_bucket()
    places = {f"S3_ASSETS_{side.upper()}": f"s3://{bucket}/{side}/" for side in ("source", "target")}
    plain = replace(deploy(server, **places), store=server.store(bucket))
    for name, value in plain.environment.items():
        monkeypatch.setenv(name, value)
    plain.drop("payments/2021-09-01/07_00_a.csv", b"id\n1\n")
    call("sync")
    code, out, err = call("history", *HOUR)
    assert code == 0
    assert "1 added, +1 row" in out
    assert "the bucket keeps no versions: switch its versioning on" in err
    code, out, err = call("history", *HOUR, "--restore", "x")
    assert (code, out) == (1, "")
    assert "the bucket keeps no versions" in err
    code, out, err = call("history", "payments", "2021-09-01-08:00")
    assert (code, out) == (1, "")
    assert "never was" in err


def test_a_rebuild_takes_rows_of_vanished_sources_from_an_older_version(grown: Deployment, call) -> None:
    """On a real server: the file that stands is someone's, one source is gone; the plan says so before."""
    grown.store.delete("source/payments/2021-09-01/07_00_a.csv")
    _, out, _ = call("plan", "--rebuild", "--json")
    [planned] = json.loads(out)["hours"]
    assert "1 rows of sources that are gone were saved, out of 1 older versions" in planned["reason"]
    code, out, _ = call("sync", "--rebuild")
    assert code == 0
    assert grown.hour_file(KEY) == b"id\n1\n3\n4\n5\n"
    assert call("verify", "--deep")[0] == 0


def test_rows_that_no_version_has_are_named_and_go_only_by_an_explicit_word(grown: Deployment, call) -> None:
    """Nothing is written before."""
    found = versions(call)
    client = grown.store._clients.boto
    for version in found[:1] + found[2:]:
        client.delete_object(Bucket=grown.store.bucket, Key=f"target/{KEY}", VersionId=version["version_id"])
    damaged = bytearray(grown.store.get(f"target/{KEY}").read())
    segment = json.loads(call("show", *HOUR, "--json")[1])["segments"][1]
    damaged[segment["offset"] + 3] ^= 16
    grown.store.put(f"target/{KEY}", bytes(damaged))
    client.delete_object(Bucket=grown.store.bucket, Key=f"target/{KEY}", VersionId=found[1]["version_id"])
    grown.store.delete("source/payments/2021-09-01/07_00_a.csv")
    before = grown.etag(KEY)
    code, _, err = call("sync", "--rebuild")
    assert code == 1
    assert "the 1 rows of 1 sources that are gone can be read in no version of it" in err
    assert "07_00_a.csv" in err
    assert grown.etag(KEY) == before
    command = err.split("`")[1]
    assert command == "s3-assets sync --rebuild --accept-lost-rows --event payments --from {0} --to {0}".format(HOUR[1])
    assert call(*command.split()[1:])[0] == 0
    assert grown.hour_file(KEY) == b"id\n3\n4\n5\n"
    assert "rows lost" in call("show", *HOUR)[1]


def test_an_hour_without_any_source_left_is_rebuilt_from_its_versions(grown: Deployment, call) -> None:
    """All its sources expired, and then its file was spoilt: the command that `verify` prints finds it all the same."""
    for key in ("07_00_a", "07_10_b", "07_20_c", "07_30_bad"):
        grown.store.delete(f"source/payments/2021-09-01/{key}.csv")
    code, out, _ = call("sync", "--event", "payments", "--rebuild")
    assert code == 0
    assert "1 written" in out
    assert grown.hour_file(KEY) == b"id\n1\n3\n4\n5\n"


def test_what_it_held_at_a_moment_is_told(grown: Deployment, call, monkeypatch) -> None:
    """The version that stood then, with its sources, and until when it did; the newest from then on."""
    moments = [datetime(2026, 11, day, 12, tzinfo=UTC) for day in (20, 17, 10)]
    _as_if_written(monkeypatch, dict(zip(_version_ids(grown), moments, strict=True)))
    foreign, second, first = versions(call)
    assert first["written"].startswith("2026-11-10")
    for at, version, rows, until in (
        ("2026-11-10", first, 2, "2026-11-17T12:00:00+00:00"),
        ("20261110", first, 2, "2026-11-17T12:00:00+00:00"),
        ("2026-11-17T11:59:59", first, 2, "2026-11-17T12:00:00+00:00"),
        ("2026-11-17T13:00:00+01:00", second, 4, "2026-11-20T12:00:00+00:00"),
        ("2026-11-19", second, 4, "2026-11-20T12:00:00+00:00"),
    ):
        code, out, _ = call("history", *HOUR, "--at", at, "--json")
        told = json.loads(out)
        assert code == 0
        assert (told["version_id"], told["rows"], told["stood_until"]) == (version["version_id"], rows, until)
    code, out, err = call("history", *HOUR, "--at", "2026-11-17")
    assert (code, err) == (0, "")
    assert out.startswith(f"at 2026-11-17 23:59:59 UTC: version {second['version_id']}, which stood from 2026-11-17")
    assert "07_20_c.csv" in out
    code, out, err = call("history", *HOUR, "--at", "2026-11-21")
    assert (code, out) == (1, "")
    assert "there is no ledger at its end" in err
    assert foreign["problem"] is not None


def test_a_moment_at_which_there_was_no_hour_file_is_told(grown: Deployment, call, monkeypatch) -> None:
    """Before the first version, and after a deletion."""
    grown.store.delete(f"target/{KEY}")
    moments = [datetime(2026, 11, day, 12, tzinfo=UTC) for day in (21, 20, 17, 10)]
    _as_if_written(monkeypatch, dict(zip(_version_ids(grown), moments, strict=True)))
    code, out, err = call("history", *HOUR, "--at", "2026-11-09")
    assert (code, out) == (1, "")
    assert "was not there at 2026-11-09 23:59:59 UTC: its first version that is kept is of 2026-11-10 12:00:00" in err
    code, out, err = call("history", *HOUR, "--at", "2026-11-22")
    assert (code, out) == (1, "")
    assert "it had been deleted at 2026-11-21 12:00:00" in err
    code, _, err = call("history", *HOUR, "--at", "0001-01-01T00:00+05:00")
    assert (code, "is no date as" in err) == (2, True)
    code, _, err = call("history", "payments", "2021-09-01-08:00", "--at", "2026-11-22")
    assert code == 1
    assert "there is no version of it" in err


def _version_ids(deployment: Deployment) -> list[str]:
    """Of the hour file, newest first; a deletion has one too."""
    return [str(version.info.version_id) for version in deployment.store.list_versions(f"target/{KEY}")]


def _as_if_written(monkeypatch: pytest.MonkeyPatch, moments: Mapping[str, datetime]) -> None:
    """Let the store tell other times of versions: a test can't wait for days."""
    real = S3Store.list_versions

    def told(self: S3Store, key: str) -> Iterator[ObjectVersion]:
        for version in real(self, key):
            when = moments[str(version.info.version_id)]
            yield replace(version, info=replace(version.info, last_modified=when))

    monkeypatch.setattr(S3Store, "list_versions", told)
