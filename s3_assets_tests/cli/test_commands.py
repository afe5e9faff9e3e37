"""`s3-assets` as a person calls it, against a real server."""

from __future__ import annotations

import json
import sys
import time

import pytest

from s3_assets.cli import render
from s3_assets.cli.render import said_when_slow
from s3_assets_tests.deployment import FIVE_FILES, Deployment

EVENT = "customer_new_customer_event"
Call = "Callable[..., tuple[int, str, str]]"


@pytest.fixture
def five(deployment: Deployment) -> Deployment:
    """The five files of the layout that the pipeline replaces."""
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    return deployment


def test_sync_makes_all_hours_right_and_is_quiet_the_second_time(five: Deployment, call) -> None:
    """Exit 0 both times; nothing is written twice."""
    code, out, err = call("sync")
    assert (code, err) == (0, "")
    assert "2 hours right: 2 written, 0 as they were" in out
    assert five.hour_file(f"{EVENT}/2021-09-01/07.csv.gz") == b"id,name\n123,a\n124,b\n125,c\n126,d\n"
    assert five.hour_file(f"{EVENT}/2021-09-01/08.csv.gz") == b"id,name\n127,e\n"
    before = five.etag(f"{EVENT}/2021-09-01/07.csv.gz")
    code, out, _ = call("sync")
    assert (code, out.strip()) == (0, "2 hours right: 0 written, 2 as they were")
    assert five.etag(f"{EVENT}/2021-09-01/07.csv.gz") == before


@pytest.mark.parametrize("command", [["plan"], ["sync", "--dry-run"]])
def test_a_dry_run_announces_exactly_what_sync_then_does_and_writes_nothing(five: Deployment, call, command) -> None:
    """The announced plan is compared with what was done."""
    code, out, _ = call(*command, "--json")
    announced = json.loads(out)["hours"]
    assert code == 0
    assert five.etag(f"{EVENT}/2021-09-01/07.csv.gz") == ""
    _, out, _ = call("sync", "--json")
    done = json.loads(out)["hours"]
    assert [{name: hour[name] for name in announced[0]} for hour in done] == announced
    assert [hour["hour"] for hour in done] == ["2021-09-01-07:00", "2021-09-01-08:00"]
    _, out, _ = call(*command)
    assert "0 of 2 hours would change; 0 B to read" in out


def test_plan_is_a_table_of_what_and_why(five: Deployment, call) -> None:
    """With the change after a late file."""
    call("sync")
    five.drop(f"{EVENT}/2021-09-01/07_59_file_200.csv", b"id,name\n200,z\n")
    code, out, _ = call("plan")
    assert code == 0
    [line] = [line for line in out.splitlines() if "2021-09-01-07:00" in line]
    assert line.split()[:3] == [EVENT, "2021-09-01-07:00", "splice"]
    assert "1 late" in line
    assert "1 of 2 hours would change; 14 B to read" in out


def test_event_from_and_to_choose_hours(five: Deployment, call) -> None:
    """Dates and hours, in Dagster's form and in ISO."""
    five.drop("payments/2021-09-02/00_00_x.csv", b"a\n1\n")

    def planned(*arguments: str) -> list[str]:
        _, out, _ = call("plan", "--json", *arguments)
        return [f"{hour['event'][:4]} {hour['hour']}" for hour in json.loads(out)["hours"]]

    seven, eight, other = "cust 2021-09-01-07:00", "cust 2021-09-01-08:00", "paym 2021-09-02-00:00"
    assert planned() == [seven, eight, other]
    assert planned("--event", "payments") == [other]
    assert planned("--event", "payments", "--event", EVENT) == [seven, eight, other]
    assert planned("--from", "2021-09-01T08:00") == [eight, other]
    assert planned("--to", "2021-09-01-07:00") == [seven]
    assert planned("--from", "2021-09-01", "--to", "2021-09-01") == [seven, eight]


def test_show_prints_the_ledger_with_quarantined_sources_and_reasons(five: Deployment, call) -> None:
    """Readable, and as JSON."""
    five.drop(f"{EVENT}/2021-09-01/07_30_bad.csv", b'id,name\n1,"never closed\n')
    call("sync")
    code, out, _ = call("show", EVENT, "2021-09-01T07:00")
    assert code == 0
    assert "4, of 4 sources" in out
    assert "07_00_file_123.csv" in out
    assert "unclosed quote" in out
    code, out, _ = call("show", EVENT, "2021-09-01-07:00", "--json")
    shown = json.loads(out)
    assert [bad["reason"] for bad in shown["quarantined"]] == ["unclosed quote"]
    names = [source["key"].rpartition("/")[2] for segment in shown["segments"] for source in segment["sources"]]
    assert names == ["07_00_file_123.csv", "07_15_file_124.csv", "07_27_file_125.csv", "07_50_file_126.csv"]
    assert shown["rows"] == 4


def test_show_of_no_hour_file_says_how_to_find_out_why(five: Deployment, call) -> None:
    """Exit 1."""
    code, out, err = call("show", EVENT, "2021-09-01-07:00")
    assert (code, out) == (1, "")
    assert "there is no hour file s3://" in err
    assert f"s3-assets plan --explain '{EVENT}|2021-09-01-07:00'" in err


def test_a_store_that_does_not_answer_is_told_before_it_counts_as_away(monkeypatch, capsys) -> None:
    """Once, and to a person only: what goes to a file is compared and counted."""
    monkeypatch.setattr(render, "SLOW_S", 0)
    for is_person in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda is_person=is_person: is_person)
        said = ""
        until = time.monotonic() + 60
        with said_when_slow("s3://raw/source/\x1b"):
            while is_person and not said and time.monotonic() < until:
                said = capsys.readouterr().err
        assert said.startswith("still at s3://raw/source/\\x1b after 0 s; a store that") == is_person
        assert capsys.readouterr().err == ""


def test_a_failing_hour_is_named_with_what_to_do_and_the_exit_code_is_1(five: Deployment, call) -> None:
    """The other hour is made; the foreign file stands until a rebuild is asked for."""
    five.store.put(f"target/{EVENT}/2021-09-01/07.csv.gz", b"someone's data")
    code, out, err = call("sync")
    assert code == 1
    assert "1 hour right: 1 written" in out
    assert "1 hour failed:" in err
    assert f"s3-assets sync --rebuild --event {EVENT} --from 2021-09-01-07:00 --to 2021-09-01-07:00" in err
    mend = f"`s3-assets sync --rebuild --event {EVENT} --from 2021-09-01-07:00 --to 2021-09-01-07:00`"
    code, _, err = call("show", EVENT, "2021-09-01-07:00")
    assert code == 1
    assert "there is no ledger at its end" in err
    assert mend in err
    code, _, err = call("history", EVENT, "2021-09-01-07:00", "--at", "2999-12-31")
    assert code == 1
    assert mend in err
    assert mend in call("where", f"{EVENT}/2021-09-01/07_00_file_123.csv")[1]
    code, out, err = call("sync", "--rebuild", "--from", "2021-09-01-07:00", "--to", "2021-09-01-07:00")
    assert (code, err) == (0, "")
    assert "in place of a file that can't be read" in out
    lines = out.splitlines()
    assert len(lines) == 3  # the head, the hour with all of its reason, the sum: to a pipe nothing is wrapped or padded
    assert [line.rstrip() for line in lines] == lines
    assert lines[1].endswith("to read")
    assert five.hour_file(f"{EVENT}/2021-09-01/07.csv.gz").count(b"\n") == 5


def test_keys_that_are_no_sources_are_named(five: Deployment, call) -> None:
    """And do not change the exit code: they may be someone's notes."""
    five.drop(f"{EVENT}/2021-09-01/25_61_x.csv", b"a\n1\n")
    code, _, err = call("sync")
    assert code == 0
    assert "1 key not taken in" in err
    assert "25_61_x.csv" in err
    assert "no such hour" in err


def test_hours_outside_the_asked_range_are_not_called_wrong(five: Deployment, call) -> None:
    """They are good files that nobody asked about."""
    assert call("plan", "--from", "2021-09-01-08:00", "--to", "2021-09-01-08:00")[2] == ""


def test_a_mistyped_event_does_not_look_like_a_job_well_done(five: Deployment, call) -> None:
    """It says what there is."""
    _, _, err = call("plan", "--event", "customer")
    assert "no source of event customer; there are: customer_new_customer_event" in err


def test_a_name_can_not_steer_the_terminal(deployment: Deployment, call) -> None:
    """Control characters in keys are spelled out, in tables and in errors."""
    deployment.drop("e\x1b]0;x\x07/2021-09-01/07_00_x.csv", b"a\n1\n")
    deployment.store.put("target/e\x1b]0;x\x07/2021-09-01/07.csv.gz", b"foreign")
    _, out, err = call("sync")
    assert "e\\x1b]0;x\\x07 2021-09-01-07:00" in err
    assert "\x1b" not in out + err


def test_drop_follows_the_source_behind_a_breaker(five: Deployment, call, tmp_path, monkeypatch) -> None:
    """Too many gone at once: nothing is written until someone says so; then the hour file goes, too."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[defaults]\non_vanished = "drop"\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    call("sync")
    five.store.delete(f"source/{EVENT}/2021-09-01/08_15_file_127.csv")
    code, _, err = call("sync")
    assert code == 1
    assert "1 of 1 known sources vanished at once" in err
    assert f"s3-assets sync --accept-vanished --event {EVENT} --from 2021-09-01-08:00 --to 2021-09-01-08:00" in err
    assert five.etag(f"{EVENT}/2021-09-01/08.csv.gz") != ""
    code, _, err = call("sync", "--accept-vanished")
    assert (code, err) == (0, "")
    assert five.etag(f"{EVENT}/2021-09-01/08.csv.gz") == ""
    five.store.delete(f"source/{EVENT}/2021-09-01/07_15_file_124.csv")
    assert call("sync")[0] == 0
    assert five.hour_file(f"{EVENT}/2021-09-01/07.csv.gz") == b"id,name\n123,a\n125,c\n126,d\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["sync", "--from", "yesterday"],
        ["sync", "--from", "2021-09-02", "--to", "2021-09-01"],
        ["show", EVENT, "2021-09-01"],
        ["show", "a/b", "2021-09-01-07:00"],
        ["sink"],
    ],
)
def test_bad_usage_exits_2(deployment: Deployment, call, arguments) -> None:
    """With what is wrong, and nothing done."""
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_bad_settings_exit_2_and_are_all_named(call, monkeypatch) -> None:
    """Each with a valid example."""
    monkeypatch.setenv("S3_ASSETS_SOURCE", "bucket")
    monkeypatch.delenv("S3_ASSETS_TARGET", raising=False)
    code, out, err = call("sync")
    assert (code, out) == (2, "")
    assert "S3_ASSETS_SOURCE" in err
    assert "S3_ASSETS_TARGET: not set" in err
    assert "for example s3://" in err


def test_a_store_that_does_not_answer_is_one_line_and_exit_1(deployment: Deployment, call, monkeypatch) -> None:
    """No trace, no secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    code, _, err = call("sync")
    assert code == 1
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    assert "not-the-secret" not in err
