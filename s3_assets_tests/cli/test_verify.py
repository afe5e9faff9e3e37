"""`s3-assets verify` as a person calls it, against a real server."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

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
    """Two hours that are right."""
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    assert call("sync")[0] == 0
    return deployment


def test_what_is_right_is_one_line_and_exit_0(five: Deployment, call) -> None:
    """And nothing is written."""
    before = five.etag(f"{EVENT}/2021-09-01/07.csv.gz")
    code, out, err = call("verify")
    assert (code, err) == (0, "")
    assert out.startswith("2 hours, 5 sources, 5 rows: no difference")
    assert five.etag(f"{EVENT}/2021-09-01/07.csv.gz") == before


def test_each_difference_comes_with_the_command_that_mends_it(five: Deployment, call) -> None:
    """Run just as it was printed, each; then all is right."""
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


def test_event_from_and_to_choose_hours(five: Deployment, call) -> None:
    """What lies outside is not looked at."""
    five.store.put(SEVEN, b"someone's")
    assert call("verify", "--from", "2021-09-01-08:00")[0] == 0
    assert call("verify", "--event", "payments")[0] == 0
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
    assert "somebody may be at work on it, until it is 12 hours old" in out
    assert "0 wrong, 2 behind" in out
    monkeypatch.setattr("s3_assets.builder.commit.ABANDONED_AFTER", AGO)
    code, out, _ = call("verify")
    assert code == 1
    assert f"s3-assets verify --abort-uploads --event {EVENT}" in out
    code, out, _ = call("verify", "--abort-uploads", "--event", EVENT)
    assert code == 0
    assert "2 uploads aborted" in out
    assert list(five.store.list_uploads("")) == []
