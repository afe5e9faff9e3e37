"""`s3-assets where` as a person calls it, against a real server: each case that a source object can be in."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from s3_assets_tests.deployment import deploy

if TYPE_CHECKING:
    from s3_assets_tests.deployment import Deployment

DAY = "payments/2021-09-01"
A, B, BAD = f"{DAY}/07_00_a.csv", f"{DAY}/07_10_b.csv", f"{DAY}/07_30_bad.csv"
TARGET = f"target/{DAY}/07.csv.gz"


@pytest.fixture
def built(deployment: Deployment, call) -> Deployment:
    """One hour with two good sources and an unusable one."""
    deployment.drop(A, b"id\n1\n2\n")
    deployment.drop(B, b"id\n3\n4\n5\n")
    deployment.drop(BAD, b'id\n"6\n')
    assert call("sync")[0] == 0
    return deployment


def one(call, source: str) -> tuple[int, dict]:
    """The exit code and the answer for one source, as JSON."""
    code, out, _ = call("where", source, "--json")
    [answer] = json.loads(out)
    return code, answer


def test_rows_segment_and_version_are_told(built: Deployment, call, monkeypatch) -> None:
    """By key, by key with the prefix, and by address; since the version that took it in, not since a later one."""
    first = built.store.head(TARGET).version_id
    for source in (B, f"source/{B}", f"s3://{built.store.bucket}/source/{B}"):
        code, out, err = call("where", source)
        assert (code, err) == (0, "")
        assert out.startswith(f"{source}\n  in s3://{built.store.bucket}/{TARGET}: rows 3 to 5 of 5, in segment 1\n")
        assert f"version {first}, the oldest version that is kept" in out
    built.drop(f"{DAY}/07_05_late.csv", b"id\n9\n")
    call("sync")
    second = built.store.head(TARGET).version_id
    assert second != first
    _, out, _ = call("where", B)
    assert "rows 4 to 6 of 6" in out
    assert f"version {first}, the oldest version that is kept" in out
    _, out, _ = call("where", f"{DAY}/07_05_late.csv")
    assert out.rstrip().endswith(f"version {second}")
    monkeypatch.setattr("s3_assets.builder.since.MOST_VERSIONS", 1)
    assert call("where", B)[1].rstrip().endswith(f"version {second}, or before")


def test_a_rewritten_source_is_held_since_it_was_read_again(built: Deployment, call) -> None:
    """Before that, the rows that stand are those of an earlier content: exit 1."""
    built.drop(B, b"id\n7\n")
    code, answer = one(call, B)
    assert (code, answer["state"], answer["rows"]) == (1, "rewritten", 3)
    assert answer["words"][0].startswith("an earlier content of it is in s3://")
    assert "`s3-assets plan --explain 'payments|2021-09-01-07:00'`" in answer["words"][1]
    call("sync")
    code, answer = one(call, B)
    assert (code, answer["state"], answer["first_row"], answer["rows"]) == (0, "held", 3, 1)
    assert answer["words"][-1].endswith(f"version {built.store.head(TARGET).version_id}")


def test_what_is_in_no_hour_file_is_told_with_the_reason(built: Deployment, call) -> None:
    """Quarantined, not ingested yet, not there, of no hour, before the start, in the future: each exits 1."""
    built.drop(f"{DAY}/07_59_new.csv", b"id\n9\n")
    built.drop(f"{DAY}/25_61_x.csv", b"id\n")
    built.drop("payments/2020-01-01/00_00_x.csv", b"id\n")
    for source, state, words in (
        (BAD, "quarantined", "unclosed quote"),
        (f"{DAY}/07_59_new.csv", "waiting", "not ingested yet: the object is of "),
        (f"{DAY}/08_00_x.csv", "unknown", "there is no such object"),
        (f"{DAY}/25_61_x.csv", "not a source", "no hour takes it: no such hour"),
        ("payments/notes.txt", "not a source", "its key is not of the form {event}/{date}/{HH}_{MM}_{name}.csv"),
        ("payments/2020-01-01/00_00_x.csv", "left alone", "before the start date, 2021-09-01"),
        ("payments/2199-01-01/00_00_x.csv", "left alone", "is in the future"),
        ("s3://elsewhere/source/x", "not a source", "it is not below the source prefix"),
        (f"s3://{built.store.bucket}/{TARGET}", "not a source", "s3-assets show 'payments|2021-09-01-07:00'"),
    ):
        code, answer = one(call, source)
        assert (code, answer["state"], answer["in"]) == (1, state, False), answer
        assert any(words in line for line in answer["words"]), answer
    assert "the object is there: 3 B" in call("where", f"{DAY}/25_61_x.csv")[1]
    assert "there is no such object either" in call("where", "payments/notes.txt")[1]


@pytest.mark.parametrize("on_vanished, words", [("keep", "its rows stay"), ("drop", "its rows go")])
def test_a_source_that_is_gone_is_in_its_hour_file_still(
    built: Deployment, call, tmp_path, monkeypatch, on_vanished, words
) -> None:
    """What becomes of its rows is the policy's."""
    config = tmp_path / "s3_assets.toml"
    config.write_text(f'[defaults]\non_vanished = "{on_vanished}"\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    built.store.delete(f"source/{A}")
    code, answer = one(call, A)
    assert (code, answer["state"], answer["listed"]) == (0, "vanished", False)
    assert words in answer["words"][1]


def test_many_are_answered_in_the_order_asked(built: Deployment, call, monkeypatch) -> None:
    """From stdin too; one that is nowhere makes the exit code 1."""
    built.drop("other/2021-09-02/00_00_x.csv", b"a\n1\n")
    call("sync")
    lines = [B, "other/2021-09-02/00_00_x.csv", A]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    code, out, _ = call("where", "-", "--json")
    assert (code, [answer["source"] for answer in json.loads(out)]) == (0, lines)
    code, out, _ = call("where", *lines, BAD)
    assert code == 1
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [*lines, BAD]


def test_any_key_can_be_asked_for_and_nothing_is_no_answer(built: Deployment, call, monkeypatch) -> None:
    """Also one with a line break of Unicode from stdin; one that the store refuses spoils no other's answer."""
    odd = f"{DAY}/07_11_a\u2028b\x85.csv"
    built.drop(odd, b"id\n3\n")
    built.drop("-x/2021-09-01/07_00_a.csv", b"id\n1\n")
    call("sync", "--event", "payments")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{odd}\r\n{B}\n\n"))
    code, out, _ = call("where", "-", "--json")
    assert (code, [answer["source"] for answer in json.loads(out)]) == (0, [odd, B])
    code, out, _ = call("where", "..", B)
    assert (code, "whether the object is there could not be found out: HeadObject" in out) == (1, True)
    assert "rows 3 to 5 of 6" in out
    assert "`s3-assets plan --explain -- '-x|2021-09-01-07:00'`" in call("where", "--", "-x/2021-09-01/07_00_a.csv")[1]
    assert call("plan", "--explain", "--", "-x|2021-09-01-07:00")[0] == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    for wrong, words in (("", "no source was given"), ("-", "no source was given"), ("\udcff", "not UTF-8")):
        code, out, err = call("where", wrong)
        assert (code, out, words in err) == (2, "", True), err


def test_what_the_start_date_has_left_behind_is_in_its_hour_file_all_the_same(built, call, monkeypatch) -> None:
    """It is said that nothing looks there any more."""
    monkeypatch.setenv("S3_ASSETS_START_DATE", "2022-01-01")
    code, answer = one(call, B)
    assert (code, answer["state"], answer["first_row"]) == (0, "held", 3)
    assert answer["words"][-1].startswith("nothing looks at it any more: payments 2021-09-01-07:00 is before the start")
    built.drop(f"{DAY}/07_59_new.csv", b"id\n9\n")
    assert one(call, f"{DAY}/07_59_new.csv")[1]["state"] == "left alone"


def test_an_hour_file_that_cant_be_read_is_told(built: Deployment, call, tmp_path, monkeypatch) -> None:
    """With what mends it; and the group of an event says which asset it is."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[groups]\nmoney = ["pay*"]\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    assert "is an event of hourly_gzip_money" in call("where", A)[1]
    built.store.put(TARGET, b"someone's data")
    code, answer = one(call, A)
    assert (code, answer["state"]) == (1, "failed")
    assert "there is no ledger at its end" in answer["words"][0]


def test_where_the_bucket_keeps_no_versions_the_time_is_that_of_the_file(running, call, monkeypatch) -> None:
    """It may have been there before."""
    from dataclasses import replace

    server = running("seaweedfs")
    bucket = server.new_bucket()
    places = {f"S3_ASSETS_{side.upper()}": f"s3://{bucket}/{side}/" for side in ("source", "target")}
    plain = replace(deploy(server, **places), store=server.store(bucket))
    for name, value in plain.environment.items():
        monkeypatch.setenv(name, value)
    plain.drop(A, b"id\n1\n")
    call("sync")
    code, out, _ = call("where", A)
    assert code == 0
    written = plain.store.head(TARGET).last_modified
    assert f"  since {written:%Y-%m-%d %H:%M:%S} UTC" in out
