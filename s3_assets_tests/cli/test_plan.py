"""`s3-assets plan` as a person calls it: what a range costs, how many hours are named; how EVENT HOUR is written."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from s3_assets.builder.build import BuildOptions
from s3_assets.builder.reconcile import make_right
from s3_assets.cli import cost
from s3_assets.cli.cost import Cost
from s3_assets.cli.options import Range
from s3_assets.cli.sync import opened
from s3_assets.hour_file.changes import data_version, differs
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store import metered
from s3_assets.store.metered import MeteredStore, Traffic
from s3_assets_tests.deployment import FIVE_FILES, Deployment

EVENT = "customer_new_customer_event"
SEVEN = "2021-09-01-07:00"


@pytest.fixture
def five(deployment: Deployment) -> Deployment:
    """The five files of the layout that the pipeline replaces."""
    for key, data in FIVE_FILES.items():
        deployment.drop(key, data)
    return deployment


def requests_of_sync() -> Counter[str]:
    """Make all hours right as `sync` does, and count."""
    with opened(Range((), None, None), wrap=MeteredStore) as (pipeline, found, _):
        list(make_right(pipeline, found, BuildOptions()))
        assert isinstance(pipeline.source, MeteredStore)
        assert isinstance(pipeline.target, MeteredStore)
        return Counter(pipeline.source.traffic.requests) + Counter(pipeline.target.traffic.requests)


def test_the_cost_is_what_sync_then_asks_of_the_store(five: Deployment, call) -> None:
    """Each request, for a first build and for a late file; where nothing would change there is no cost to tell."""
    for late in (False, True):
        if late:
            five.drop(f"{EVENT}/2021-09-01/07_59_late.csv", b"id,name\n7,59\n")
        code, out, _ = call("plan", "--json")
        said = json.loads(out)["cost"]
        assert code == 0
        assert said["hours"] == (1 if late else 2)
        assert said["requests"] == dict(sorted(requests_of_sync().items()))
        assert said["cpu_seconds"] == (0.006 if late else 0.010)  # the hour that stays is looked at, too
    _, out, _ = call("plan")
    assert out == "0 of 2 hours would change; 0 B to read\n"


def test_the_cost_is_told_in_words(five: Deployment, call) -> None:
    """About how long, how much money at which prices, bytes, requests."""
    _, out, _ = call("plan")
    assert "2 of 2 hours would change; 70 B to read\n  about 1 s of CPU time" in out
    assert f"USD of requests ({cost.PRICE_LIST})" in out
    assert "requests: 7 get, " in out
    assert out.rstrip().endswith("2 put")


def test_of_many_hours_the_first_are_named_and_all_are_summed_up(deployment: Deployment, call, monkeypatch) -> None:
    """In order; `--json` names all."""
    monkeypatch.setattr("s3_assets.cli.plan.MOST_NAMED", 3)
    for hour in range(8):
        deployment.drop(f"e/2021-09-01/{hour:02d}_00_x.csv", b"a\n1\n")
    _, out, _ = call("plan")
    lines = out.splitlines()
    assert [line.split()[1] for line in lines[1:4]] == [f"2021-09-01-{hour:02d}:00" for hour in range(3)]
    assert lines[4] == "and 5 more hours: --json names all"
    assert lines[5] == "8 of 8 hours would change; 32 B to read"
    assert len(json.loads(call("plan", "--json")[1])["hours"]) == 8


def test_hours_that_lost_all_of_their_sources_are_planned_as_sensor_and_audit_see_them(
    deployment: Deployment, call
) -> None:
    """Rows of vanished sources stay, unusable ones are forgotten: in a range as for a tick, and without a rebuild."""
    left = {"mixed": Verdict.SPLICE, "usable": Verdict.NOTHING}
    keys = [f"{event}/2021-09-01/07_00_a.csv" for event in ("mixed", "usable")]
    bad = [f"{event}/2021-09-01/07_10_b.csv" for event in ("broken", "mixed")]
    for key in (*keys, *bad):
        deployment.drop(key, b"id\n5\n" if key in keys else b'id\n"6\n')
    made = {hour["event"]: hour for hour in json.loads(call("sync", "--json")[1])["hours"]}
    assert made.pop("broken")["verdict"] == Verdict.EMPTY  # without a usable row there is no hour file
    for key in (*keys, *bad):
        deployment.store.delete(f"source/{key}")
    for event, hour in made.items():
        recorded = data_version(hour["fingerprint"], hour["quarantined"])
        tick = differs(None, recorded, is_there=True, policy=EventPolicy())
        assert tick is (left[event] is not Verdict.NOTHING), event
    code, out, _ = call("verify", "--json")
    assert (code, sorted(found["event"] for found in json.loads(out)["differences"])) == (1, ["mixed"])
    for command in (["plan"], ["sync", "--dry-run", "--from", SEVEN, "--to", SEVEN]):
        planned = json.loads(call(*command, "--json")[1])["hours"]
        assert {hour["event"]: hour["verdict"] for hour in planned} == left
    _, out, err = call("plan")
    assert "1 of 2 hours would change" in out
    assert err.startswith("nothing found below s3://")  # at the source: its prefix may as well be mistyped
    done = json.loads(call("sync", "--json")[1])["hours"]
    assert {hour["event"]: (hour["verdict"], hour["quarantined"]) for hour in done} == {
        event: (verdict, 0) for event, verdict in left.items()
    }
    assert [deployment.hour_file(f"{event}/2021-09-01/07.csv.gz") for event in ("mixed", "usable")] == [b"id\n5\n"] * 2
    assert "0 of 2 hours would change" in call("plan")[1]
    assert call("verify")[0] == 0


def test_every_call_of_a_store_has_a_price() -> None:
    """Those that the metered store counts, and no others."""
    counted = set(re.findall(r"count\(\"(\w+)\"", Path(metered.__file__).read_text(encoding="utf-8")))
    assert counted == set(cost.REQUESTS)


def test_money_is_counted_by_class_of_request() -> None:
    """A thousand writes cost 0.005, a thousand reads 0.0004; a removal is a look and is free, a large commit is not."""
    spent = Cost()
    spent.add(Traffic({"put": 1000, "get": 1000}, 1, 2, 3))
    assert spent.usd == pytest.approx(0.0054)
    assert (spent.down, spent.up, spent.copied) == (1, 2, 3)
    spent.add(Traffic({"delete": 1000, "abort": 5}, 0, 0, 0))
    assert spent.usd == pytest.approx(0.0058)
    spent.add(Traffic({"list_uploads": 100, "start_upload": 100, "copy_part": 300, "complete": 100}, 0, 0, 0))
    assert spent.usd == pytest.approx(0.0058 + 0.8 * 0.005)


def test_time_grows_with_hours_sources_and_bytes() -> None:
    """Each by its own rate, as it was measured: a million small sources are a quarter of an hour of work."""
    assert Cost(hours=10_000, sources=1_000_000, source_bytes=10**9).cpu_seconds == pytest.approx(777, rel=0.01)
    assert Cost(hours=1, left=175_000).lines()[0].startswith("about 4 min of CPU time")  # a year of 20 events
    assert "about 13 min of CPU time" in Cost(hours=10_000, sources=1_000_000, source_bytes=10**9).lines()[0]


@pytest.mark.parametrize(
    "seconds, words",
    [(0, "1 s"), (119, "119 s"), (120, "2 min"), (7000, "117 min"), (7200, "2.0 h"), (36_000, "10.0 h")],
)
def test_time_is_told_as_roughly_as_it_is_known(seconds, words) -> None:
    """Never none at all."""
    assert cost.duration(seconds) == words


@pytest.mark.parametrize("hour", [(EVENT, SEVEN), (EVENT, "2021-09-01T07"), (f"{EVENT}|{SEVEN}",)])
@pytest.mark.parametrize("command", [("show",), ("history",), ("plan", "--explain")], ids=lambda words: words[0])
def test_an_hour_is_two_words_or_one_as_dagster_shows_it(five: Deployment, call, monkeypatch, command, hour) -> None:
    """Each command that takes one takes both."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    call("sync")
    code, out, _ = call(*command, *hour, "--json")
    assert code == 0
    assert json.loads(out)


def test_an_event_whose_name_is_escaped_in_a_partition_key_is_found(deployment: Deployment, call) -> None:
    """By its name in two words, and by the key in one."""
    deployment.drop("a|b/2021-09-01/07_00_x.csv", b"a\n1\n")
    call("sync")
    for words in (("a|b", SEVEN), (f"a%7Cb|{SEVEN}",)):
        assert json.loads(call("show", *words, "--json")[1])["event"] == "a|b"


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", EVENT],
        ["show", f"{EVENT}|yesterday"],
        ["show", f"a/b|{SEVEN}"],
        ["show", EVENT, SEVEN, SEVEN],
        ["show"],
        ["plan", EVENT, SEVEN],
        ["plan", "--explain"],
        ["plan", "--explain", EVENT, SEVEN, "--from", "2021-09-01"],
        ["plan", "--explain", "--event", EVENT],
        ["history", EVENT, SEVEN, "--at", "last tuesday"],
        ["history", EVENT, SEVEN, "--at", "2026-11-17", "--restore", "x"],
        ["where"],
    ],
)
def test_bad_usage_exits_2(deployment: Deployment, call, arguments) -> None:
    """With what is wrong, and nothing done."""
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err
