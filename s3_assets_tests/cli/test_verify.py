"""`s3-assets verify` as a person calls it, against a real server."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from s3_assets.hour_file.keys import Hour
from s3_assets_tests.audit.forging import Rows, hour_file
from s3_assets_tests.deployment import FIVE_FILES

if TYPE_CHECKING:
    from s3_assets_tests.deployment import Deployment

EVENT = "customer_new_customer_event"
AGO = timedelta(minutes=-5)
"""As if half a day had gone by."""
SEVEN = f"target/{EVENT}/2021-09-01/07.csv.gz"
HOUR = f"--event {EVENT} --from 2021-09-01-07:00 --to 2021-09-01-07:00"


@pytest.fixture
def five(deployment: Deployment, call) -> Deployment:
    """Two hours that are up to date."""
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    assert call("sync")[0] == 0
    return deployment


def test_hours_that_are_up_to_date_are_one_line_and_exit_0(five: Deployment, call) -> None:
    """And nothing is written."""
    before = five.etag(f"{EVENT}/2021-09-01/07.csv.gz")
    code, out, err = call("verify")
    assert (code, err) == (0, "")
    assert out == "2 hours, 5 sources, 5 rows: no difference\n"
    assert five.etag(f"{EVENT}/2021-09-01/07.csv.gz") == before


def test_each_difference_comes_with_the_command_that_fixes_it(five: Deployment, call) -> None:
    """Run just as it was printed, each; then nothing differs."""
    damaged = bytearray(five.store.get(SEVEN).read())
    damaged[40] ^= 1
    five.store.put(SEVEN, bytes(damaged))
    five.store.delete(f"target/{EVENT}/2021-09-01/08.csv.gz")
    five.drop("payments/2021-09-01/07_00_x.csv", b"a\n1\n")
    assert call("verify")[0] == 0  # all of it came just now
    code, out, err = call("verify", "--deep", "--grace", "0")
    assert (code, err) == (1, "")
    assert "wrong: customer_new_customer_event 2021-09-01-07:00: its hour file is damaged" in out
    assert "3 hours, 6 sources, 4 rows: 3 wrong, 0 behind" in out
    commands = [line.strip() for line in out.splitlines() if line.startswith("    ")]
    assert f"s3-assets sync --rebuild {HOUR}" in commands
    for command in commands:
        assert call(*shlex.split(command)[1:])[0] == 0
    code, out, _ = call("verify", "--deep", "--grace", "0")
    assert (code, out.split(": ")[1].split(";")[0]) == (0, "no difference")


def test_what_came_just_now_is_behind_and_exit_0(five: Deployment, call) -> None:
    """Worded apart."""
    five.drop(f"{EVENT}/2021-09-01/07_59_late.csv", b"id,name\n7,59\n")
    code, out, _ = call("verify")
    assert code == 0
    assert out.startswith(f"behind: {EVENT} 2021-09-01-07:00: sources that its hour file does not know, new ones: ")
    assert "0 wrong, 1 behind" in out
    assert call("verify", "--grace", "0")[0] == 1


def test_json_holds_all_of_it(five: Deployment, call) -> None:
    """Also what belongs to no hour."""
    five.store.put("target/notes.txt", b"x")
    five.drop(f"{EVENT}/2021-09-01/25_00_x.csv", b"a\n1\n")
    code, out, _ = call("verify", "--json", "--deep")
    found = json.loads(out)
    assert code == 1
    [difference] = found["differences"]
    assert (difference["kind"], difference["hour"], difference["wrong"]) == ("foreign object", None, True)
    assert (found["wrong"], found["hours"], found["sources"], found["rows"]) == (1, 2, 5, 5)
    assert found["bytes_read"] > sum(map(len, FIVE_FILES.values()))
    assert found["no_sources"] == {"no such hour": 1}
    assert difference["fix"].startswith("aws s3 mv ")
    nothing = {"sources": 0, "rows": 0}
    assert (found["quarantined"], found["vanished"]) == ({"sources": 0, "first": []}, nothing)
    assert found["gone_for_good"] == nothing


def test_event_from_and_to_choose_hours(five: Deployment, call) -> None:
    """What lies outside is not looked at."""
    five.store.put(SEVEN, b"someone's")
    assert call("verify", "--from", "2021-09-01-08:00")[0] == 0
    assert call("verify", "--to", "2021-09-01")[0] == 1


def test_uploads_that_dead_builders_left_open_are_aborted_only_where_asked(five: Deployment, call, monkeypatch) -> None:
    """Staged here, as SeaweedFS needs it: the parts, and then the staged object."""
    monkeypatch.setenv("S3_ASSETS_LARGE_COMMIT", "stage")
    for name in ("07", "08"):
        left = five.store.start_upload(f"target/{EVENT}/2021-09-01/{name}.csv.gz")
        left.put_part(1, b"x")
    left._parts.complete({})
    code, out, _ = call("verify", "--abort-uploads")
    assert code == 0
    assert "a builder may be using it, until it is 12 hours old" in out
    assert "0 wrong, 2 behind" in out
    monkeypatch.setattr("s3_assets.builder.commit.ABANDONED_AFTER", AGO)
    code, out, _ = call("verify")
    assert code == 1
    assert f"s3-assets verify --abort-uploads --event {EVENT}" in out
    code, out, _ = call("verify", "--abort-uploads", "--event", EVENT)
    assert code == 0
    assert "2 uploads aborted" in out
    assert list(five.store.list_uploads("")) == []


def test_no_difference_never_stands_alone_where_something_is_left_out(deployment: Deployment, call) -> None:
    """One of three sources is quarantined, one is gone whose rows stay, and one key is not a source: still exit 0."""
    deployment.drop("ev/2021-09-01/07_00_x.csv", b"a,b\n1,2\n3,4\n")
    deployment.drop("ev/2021-09-01/07_01_x.csv", b"a,b\n5,6\n")
    deployment.drop("ev/2021-09-01/07_02_x.csv", b'a,b\n7,"8\n')
    deployment.drop("ev/2021-09-01/readme.txt", b"x")
    call("sync")
    deployment.store.delete("source/ev/2021-09-01/07_01_x.csv")
    for deep in ([], ["--deep"]):
        code, out, err = call("verify", *deep)
        assert code == 0
        assert out.startswith(
            "1 hour, 2 sources, 3 rows: no difference; 1 row of 1 vanished source stays; "
            "1 source is quarantined: ev/2021-09-01/07_02_x.csv (unclosed quote): "
        )
        assert "; 1 key below the source prefix is not a source" in out
        assert err.startswith("1 key below the source prefix is not a source: ")
    code, out, _ = call("verify", "--json")
    found = json.loads(out)
    assert code == 0
    [bad] = found["quarantined"]["first"]
    assert (bad["event"], bad["key"], bad["reason"]) == ("ev", "ev/2021-09-01/07_02_x.csv", "unclosed quote")
    assert (found["quarantined"]["sources"], found["vanished"]) == (1, {"sources": 1, "rows": 1})


def test_rows_under_the_wrong_column_are_found_and_fixed_by_the_command(deployment: Deployment, call) -> None:
    """An hour file whose ledger adds up: another laid its rows out wrongly."""
    deployment.drop("ev/2021-09-01/07_00_x.csv", b"a,b\n1,2\n")
    deployment.drop("ev/2021-09-01/07_01_x.csv", b"a,b,c\n3,4,5\n")
    infos = sorted(deployment.store.list("source/ev/"), key=lambda info: info.key)
    rows = [
        Rows(infos[0], b"1,,2\n", 1, b"a,b\n"),
        Rows(infos[1], b"3,4,5\n", 1, b"a,b,c\n"),
    ]
    hour = Hour("ev", "2021-09-01-07:00")
    deployment.store.put("target/ev/2021-09-01/07.csv.gz", hour_file(hour, b"a,b,c\n", rows))
    code, out, _ = call("verify")
    assert (code, out) == (0, "1 hour, 2 sources, 2 rows: no difference\n")
    code, out, _ = call("verify", "--deep")
    assert code == 1
    assert "are not those at the source (row 1: another value stands under 'b'): 'ev/2021-09-01/07_00_x.csv'" in out
    [command] = [line.strip() for line in out.splitlines() if line.startswith("    ")]
    assert call(*shlex.split(command)[1:])[0] == 0
    code, out, _ = call("verify", "--deep")
    assert (code, out.split("; ")[0]) == (0, "1 hour, 2 sources, 2 rows: no difference")
    assert deployment.hour_file("ev/2021-09-01/07.csv.gz") == b"a,b,c\n1,2,\n3,4,5\n"


def test_an_event_that_does_not_exist_is_a_usage_error(five: Deployment, call) -> None:
    """Exit 2, with the events that exist and the one that may be meant; one that has an hour file only exists."""
    code, out, err = call("verify", "--event", "customer_new_custmer_event", "--event", EVENT)
    assert (code, out) == (2, "")
    assert "customer_new_custmer_event" in err
    assert f"did you mean {EVENT}?" in err
    for info in list(five.store.list("source/")):
        five.store.delete(info.key)
    assert call("verify", "--event", EVENT)[0] == 0
    assert call("verify", "--event", EVENT, "--from", "2022-01-01")[0] == 0
