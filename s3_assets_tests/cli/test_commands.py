"""`s3-assets` as a person calls it, against a real server."""

from __future__ import annotations

import json
import sys
import time

import click
import pytest

from s3_assets.builder.pipeline import Workers
from s3_assets.cli import render
from s3_assets.cli.options import refuse_unknown_events
from s3_assets.cli.render import said_when_slow
from s3_assets.store.metered import MeteredStore
from s3_assets_tests.builder.bench import Bench
from s3_assets_tests.deployment import FIVE_FILES, Deployment

EVENT = "customer_new_customer_event"
Call = "Callable[..., tuple[int, str, str]]"


@pytest.fixture
def five(deployment: Deployment) -> Deployment:
    """The five files of the layout that the pipeline replaces."""
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    return deployment


def test_sync_brings_all_hours_up_to_date_and_is_quiet_the_second_time(five: Deployment, call) -> None:
    """Exit 0 both times; nothing is written twice."""
    code, out, err = call("sync")
    assert (code, err) == (0, "")
    assert out.splitlines()[-2:] == [
        (
            f"2 hours written: +5 rows (added by 5 sources: {EVENT}/2021-09-01/07_00_file_123.csv, "
            f"{EVENT}/2021-09-01/07_15_file_124.csv, {EVENT}/2021-09-01/07_27_file_125.csv and 2 more)"
        ),
        "2 hours up to date: 2 written, 0 as they were",
    ]
    assert five.hour_file(f"{EVENT}/2021-09-01/07.csv.gz") == b"id,name\n123,a\n124,b\n125,c\n126,d\n"
    assert five.hour_file(f"{EVENT}/2021-09-01/08.csv.gz") == b"id,name\n127,e\n"
    before = five.etag(f"{EVENT}/2021-09-01/07.csv.gz")
    code, out, _ = call("sync")
    assert (code, out.strip()) == (0, "2 hours up to date: 0 written, 2 as they were")
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
    assert "1 hour up to date: 1 written, 0 as they were; 1 failed" in out
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
    assert len(lines) == 4  # head, hour with all of its reason, rows, sum: to a pipe nothing is wrapped or padded
    assert [line.rstrip() for line in lines] == lines
    assert lines[1].endswith("to read")
    assert five.hour_file(f"{EVENT}/2021-09-01/07.csv.gz").count(b"\n") == 5


def test_keys_that_are_no_sources_are_named(five: Deployment, call) -> None:
    """And do not change the exit code: they may be someone's notes."""
    five.drop(f"{EVENT}/2021-09-01/25_61_x.csv", b"a\n1\n")
    code, _, err = call("sync")
    assert code == 0
    assert "1 key not ingested" in err
    assert "25_61_x.csv" in err
    assert "no such hour" in err


def test_hours_outside_the_asked_range_are_not_called_wrong(five: Deployment, call) -> None:
    """They are good files that nobody asked about."""
    assert call("plan", "--from", "2021-09-01-08:00", "--to", "2021-09-01-08:00")[2] == ""


@pytest.mark.parametrize(
    "command",
    [
        ["plan", "--event", "customer_new_event"],
        ["sync", "--event", EVENT, "--event", "customer_new_event"],
        ["sync", "--dry-run", "--json", "--event", "customer_new_event"],
        ["plan", "--explain", "customer_new_event", "2021-09-01-07:00"],
        ["show", "customer_new_event", "2021-09-01-07:00"],
    ],
    ids=" ".join,
)
def test_an_event_that_does_not_exist_is_a_usage_error(five: Deployment, call, command) -> None:
    """It lists those that do, at the source or as hour files, and the one that is written alike; nothing is done."""
    five.store.put("target/old/2021-09-01/07.csv.gz", b"an hour file")
    code, out, err = call(*command)
    assert (code, out) == (2, "")
    bucket = five.store.bucket
    assert err.rstrip().endswith(
        f"Error: there is no event customer_new_event: nothing of it is below s3://{bucket}/source/ or "
        f"s3://{bucket}/target/; there are: {EVENT}, old; did you mean {EVENT}?"
    )
    assert five.etag(f"{EVENT}/2021-09-01/07.csv.gz") == ""


def test_an_event_with_nothing_in_the_range_exists_all_the_same(five: Deployment, call) -> None:
    """By its sources, by its hour files alone, or by keys that are not sources; each costs a request or two."""
    five.store.put("target/old/2021-09-01/07.csv.gz", b"an hour file")
    five.drop("odd/readme.txt", b"an event that is being set up")
    for event in (EVENT, "old", "odd"):
        for command in ("plan", "sync"):
            code, _, err = call(command, "--event", event, "--from", "2021-09-02")
            said = "1 key not ingested" if event == "odd" else "nothing found below s3://"
            assert (code, err.startswith(said)) == (0, True), err
        code, out, _ = call("plan", "--explain", event, "2021-09-02-07:00")
        headline = f"{event} 2021-09-02-07:00 has no source objects and no hour file: there is nothing to write"
        assert (code, out.splitlines()[0]) == (0, headline)


def test_of_many_events_twenty_are_listed_and_the_check_costs_two_requests_at_most() -> None:
    """Those that are written alike are found whatever their case; a name can't steer the terminal, nor fill it."""
    with Workers(fetch_threads=1, hour_threads=1, compress_threads=1) as workers:
        pipeline = Bench(workers).pipeline
    for number in range(1100):
        pipeline.source.put(f"source/event_{number:04d}/2021-09-01/07_00_x.csv", b"a\n1\n")
    pipeline.target.put("target/a\x1b[1m/2021-09-01/07.csv.gz", b"an hour file")
    source, target = MeteredStore(pipeline.source), MeteredStore(pipeline.target)
    refuse_unknown_events(pipeline.with_stores(source, target), ["event_0001", "a\x1b[1m"])
    assert (source.traffic.requests, target.traffic.requests) == ({"list": 2}, {"list": 1})
    with pytest.raises(click.UsageError) as refused:
        refuse_unknown_events(pipeline, ["EVENT_0007x", "event_0001"])
    words = refused.value.message
    assert words.startswith(
        "there is no event EVENT_0007x: nothing of it is below s3://sources/source/ or s3://targets"
    )
    assert "; there are: a\\x1b[1m, event_0000, event_0001, " in words
    assert "event_0018 and 1,081 more; did you mean event_0007 or " in words
    assert len(words) < 1000
    with pytest.raises(click.UsageError) as refused:
        refuse_unknown_events(pipeline, ["x" * 100_000])
    assert len(refused.value.message) < 1000


# --- what came, what left, what is left out --------------------------------------------------------------------


def test_rows_that_leave_are_counted_and_their_source_is_named(five: Deployment, call) -> None:
    """Before, as far as the ledger tells, and afterwards exactly; also in JSON. A run in which rows left says so."""
    call("sync")
    five.drop(f"{EVENT}/2021-09-01/07_00_file_123.csv", b"id,name\n1,a\n2,b\n3,c\n")
    five.drop(f"{EVENT}/2021-09-01/07_50_file_126.csv", b"id,name\n")
    five.drop(f"{EVENT}/2021-09-01/08_30_file_128.csv", b"id,name\n9,z\n")
    names = [f"{EVENT}/2021-09-01/{name}.csv" for name in ("07_00_file_123", "07_50_file_126", "08_30_file_128")]
    code, out, _ = call("plan")
    assert code == 0
    said = f"  up to 2 rows leave (from 2 sources: {names[0]} rewritten, {names[1]} rewritten); 3 sources are read"
    assert said in out.splitlines()
    planned = json.loads(call("plan", "--json")[1])
    assert planned["rows_leaving"] == 2
    assert planned["leaving_from"] == {
        "sources": 2,
        "first": [{"key": name, "rows": 1, "how": "rewritten"} for name in names[:2]],
    }
    assert [hour["rows_leaving"] for hour in planned["hours"]] == [2, 0]
    code, out, _ = call("sync")
    assert code == 0
    assert out.splitlines()[-2:] == [
        (
            f"2 hours written: +4 rows, -2 rows (from 2 sources: {names[0]} rewritten, {names[1]} rewritten; "
            f"added by 2 sources: {names[0]} rewritten, {names[2]})"
        ),
        "2 hours up to date: 2 written, 0 as they were",
    ]
    five.drop(names[0], b'id,name\n1,"a\n')
    done = json.loads(call("sync", "--json")[1])
    assert (done["rows_added"], done["rows_removed"]) == (0, 3)
    assert done["removed_by"]["first"] == [{"key": names[0], "rows": 3, "how": "quarantined"}]
    assert [(hour["rows_added"], hour["rows_removed"]) for hour in done["hours"]] == [(0, 3), (0, 0)]
    assert done["left_out"]["quarantined"]["first"] == [{"key": names[0], "reason": "unclosed quote"}]


def test_rows_of_vanished_sources_that_go_are_foreseen_and_counted(
    five: Deployment, call, tmp_path, monkeypatch
) -> None:
    """Under `drop`; a change of settings reads the others again, and says so."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[defaults]\non_vanished = "drop"\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    call("sync")
    gone = f"{EVENT}/2021-09-01/07_15_file_124.csv"
    five.store.delete(f"source/{gone}")
    assert f"  up to 1 row leaves (from 1 source: {gone} gone); 0 sources are read" in call("plan")[1]
    assert f"1 hour written: -1 row (from 1 source: {gone} gone)\n" in call("sync")[1]
    out = call("plan", "--rebuild", "--to", "2021-09-01-07:00")[1]
    assert "  3 sources with 3 rows are read again; rows leave only where a source turns out to be unusable\n" in out
    assert "rows leave (" not in out


def test_what_is_left_out_is_said_wherever_an_hour_is_in_order(five: Deployment, call, tmp_path, monkeypatch) -> None:
    """By `sync`, by `sync` with nothing to do, and by `plan`: with what would change it."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[defaults]\non_schema_change = "quarantine"\n')
    monkeypatch.setenv("S3_ASSETS_CONFIG", str(config))
    day = f"{EVENT}/2021-09-01"
    five.drop(f"{day}/07_30_bad.csv", b'id,name\n1,"never closed\n')
    five.drop(f"{day}/07_40_other.csv", b"id,colour\n1,red\n")
    call("sync")
    five.store.delete(f"source/{day}/07_00_file_123.csv")
    said = [
        (
            f"  1 source is quarantined: {day}/07_30_bad.csv (unclosed quote); "
            "the producer must fix it; it is ingested when its content changes"
        ),
        f"  1 source waits: {day}/07_40_other.csv (",
        (
            f"  rows of 1 source that is gone stay: {day}/07_00_file_123.csv; "
            'they stay under on_vanished = "keep"; "drop" lets them go'
        ),
    ]
    for command, first in (
        ("plan", "0 of 2 hours would change; 0 B to read"),
        ("sync", "2 hours up to date: 0 written, 2 as they were"),
    ):
        code, out, _ = call(command)
        lines = out.splitlines()
        assert (code, lines[0], len(lines)) == (0, first, 4)
        assert all(line.startswith(start) for line, start in zip(lines[1:], said, strict=True)), lines
        waits = "it waits because of the header that stands; `s3-assets sync --rebuild …` decides anew by rows"
        assert lines[2].endswith(waits)
        kinds = json.loads(call(command, "--json")[1])["left_out"]
        assert {kind: some["sources"] for kind, some in kinds.items()} == {
            "quarantined": 1,
            "waiting": 1,
            "vanished": 1,
        }


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
    assert "1 of 1 known sources vanished or lost all their rows at once" in err
    assert f"s3-assets sync --accept-vanished --event {EVENT} --from 2021-09-01-08:00 --to 2021-09-01-08:00" in err
    assert five.etag(f"{EVENT}/2021-09-01/08.csv.gz") != ""
    assert [hour["rows_leaving"] for hour in json.loads(call("plan", "--json")[1])["hours"]] == [0, 0]
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
