"""Columns added, missing or in another order: union, quarantine, and rows that can't be read again."""

from __future__ import annotations

import csv
import io

import pytest

from s3_assets.hour_file.plan import Change, Verdict
from s3_assets.hour_file.policy import EventPolicy

QUARANTINE = EventPolicy(on_schema_change="quarantine")


def table(data: bytes) -> list[dict[str, str]]:
    """By name."""
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_union_lays_rows_to_the_columns_of_all(bench):
    """By name; the text of fields is unchanged, a column that a source lacks is empty."""
    bench.put("07_00_a.csv", b'id,name\n1,"a, ""b"""\n')
    bench.put("07_01_b.csv", b"name,id,city\r\nbob,02,x\r\n")
    bench.build()
    assert bench.text() == b'id,name,city\n1,"a, ""b""",\n02,bob,x\r\n'


def test_a_late_source_with_a_new_column_lays_out_the_whole_hour(bench):
    """Before or after the others: new columns come at the end, and the rows are those of a full build."""
    bench.put("07_10_a.csv", b"id,name\n1,ann\n")
    bench.build()
    bench.put("07_20_b.csv", b"id,city\n2,x\n")
    bench.build()
    assert bench.text() == b"id,name,city\n1,ann,\n2,,x\n"
    bench.put("07_00_c.csv", b"city,id,name\ny,3,cid\n")
    bench.build()
    assert bench.text() == b"id,name,city\n3,cid,y\n1,ann,\n2,,x\n"
    other = bench.fresh()
    other.build()
    assert other.text() == b"city,id,name\ny,3,cid\n,1,ann\nx,2,\n"
    assert table(other.text()) == table(bench.text())


def test_quarantine_leaves_out_what_differs(bench):
    """What stands, stands, however many others come; a rebuild asks the rows."""
    bench.policy = QUARANTINE
    bench.put("07_00_a.csv", b"id,name\n1,ann\n")
    bench.put("07_01_b.csv", b"id,city\n2,x\n")
    bench.build()
    assert bench.text() == b"id,name\n1,ann\n"
    assert bench.quarantined() == {"07_01_b.csv": "columns"}
    bench.put("07_02_c.csv", b"id,city\n3,y\n")
    result = bench.build()
    assert result.plan.counts[Change.RECHECK] == 1
    assert bench.text() == b"id,name\n1,ann\n"
    assert bench.quarantined() == {"07_01_b.csv": "columns", "07_02_c.csv": "columns"}
    bench.build(rebuild=True)
    assert bench.text() == b"id,city\n2,x\n3,y\n"
    assert bench.quarantined() == {"07_00_a.csv": "columns"}


def test_a_changed_setting_reads_the_hour_again(bench):
    """From quarantine to union and back."""
    bench.policy = QUARANTINE
    bench.put("07_00_a.csv", b"id,name\n1,ann\n")
    bench.put("07_01_b.csv", b"id,city\n2,x\n")
    bench.build()
    bench.policy = EventPolicy()
    assert bench.build().plan.verdict is Verdict.BUILD
    assert bench.text() == b"id,name,city\n1,ann,\n2,,x\n"
    bench.policy = QUARANTINE
    bench.build()
    assert bench.text() == b"id,name\n1,ann\n"
    assert bench.build().plan.verdict is Verdict.NOTHING


def test_a_row_with_values_too_many_is_refused_always_alike(bench):
    """Whether its neighbours have other columns or not: laid out it would stand under wrong names."""
    bench.put("07_00_a.csv", b"id,name\n1,ann,oops\n2\n")
    bench.put("07_01_b.csv", b"id,name\n3,x\n")
    bench.build()
    assert bench.text() == b"id,name\n3,x\n"
    assert bench.quarantined() == {"07_00_a.csv": "ragged row"}
    bench.put("07_02_c.csv", b"id,city\n4,y\n")
    bench.build()
    assert bench.text() == b"id,name,city\n3,x,\n4,,y\n"
    assert bench.quarantined() == {"07_00_a.csv": "ragged row"}


@pytest.mark.parametrize("policy", [EventPolicy(), EventPolicy(on_vanished="drop", max_vanished_share=1.0)])
def test_a_column_that_no_source_has_any_more_stays_until_a_rebuild(bench, policy):
    """The header that stands, stands; its rows are the same either way."""
    bench.policy = policy
    bench.put("07_00_a.csv", b"id,name\n1\n\n2,bob\n")
    bench.put("07_01_b.csv", b"id,city\n3,x\n")
    bench.build()
    assert bench.text() == b"id,name,city\n1,,\n2,bob,\n3,,x\n"
    bench.put("07_01_b.csv", b"id,name\n3,x\n")
    bench.build()
    assert bench.text() == b"id,name,city\n1,,\n2,bob,\n3,x,\n"
    bench.build(rebuild=True)
    assert bench.text() == b"id,name\n1,\n2,bob\n3,x\n"


def test_vanished_sources_are_laid_out_too(bench):
    """They are carried over from the hour file, on a late source and on a rebuild."""
    bench.put("07_00_gone.csv", b"id,name\n1,ann\n2\n")
    bench.put("07_01_b.csv", b"id,name\n3,cid\n")
    bench.build()
    bench.delete("07_00_gone.csv")
    bench.put("07_02_c.csv", b"id,city\n4,x\n")
    bench.build()
    assert bench.text() == b"id,name,city\n1,ann,\n2,,\n3,cid,\n4,,x\n"
    bench.build(rebuild=True)
    assert bench.text() == b"id,name,city\n1,ann,\n2,,\n3,cid,\n4,,x\n"
    assert {held.rows for held in bench.ledger().held} == {2, 1}


def test_a_rebuild_drops_a_column_under_vanished_rows_too(bench):
    """They are carried back from the wider hour file, as they can't be read again."""
    bench.put("07_00_gone.csv", b"id,name\n1,ann\n2\n")
    bench.put("07_01_b.csv", b"id,city\n3,x\n")
    bench.build()
    bench.delete("07_00_gone.csv")
    bench.put("07_01_b.csv", b"id,name\n3,cid\n")
    bench.build()
    assert bench.text() == b"id,name,city\n1,ann,\n2,,\n3,cid,\n"
    assert bench.build().plan.verdict is Verdict.NOTHING
    bench.build(rebuild=True)
    assert bench.text() == b"id,name\n1,ann\n2,\n3,cid\n"


TWICE = EventPolicy(check_header=False)
"""Of an event whose headers name a column twice."""


def test_a_vanished_source_with_a_name_twice_keeps_both_columns(bench):
    """Laid out by name, one would stand in both places: the others must give way, also in a rebuild."""
    bench.policy = TWICE
    bench.put("07_00_gone.csv", b"a,a\n1,2\n")
    bench.build()
    bench.delete("07_00_gone.csv")
    bench.put("07_01_b.csv", b"a,b\n3,4\n")
    bench.put("07_02_c.csv", b"a,b\n5,6\n")
    for rebuild in (False, True):
        bench.build(rebuild=rebuild)
        assert bench.text() == b"a,a\n1,2\n"
        assert bench.quarantined() == {"07_01_b.csv": "columns", "07_02_c.csv": "columns"}


def test_a_late_source_with_a_name_twice_gives_way(bench):
    """Both can't stand under one header without one of its columns being lost."""
    bench.policy = TWICE
    bench.put("07_15_a.csv", b"a,b\n1,2\n")
    bench.build()
    bench.put("07_00_b.csv", b"a,a\n3,4\n5,6\n")
    bench.build()
    assert bench.text() == b"a,b\n1,2\n"
    assert bench.quarantined() == {"07_00_b.csv": "columns"}


def test_vanished_rows_bind_under_quarantine(bench):
    """Whatever most of the others say."""
    bench.policy = QUARANTINE
    bench.put("07_00_gone.csv", b"id,name\n1,ann\n")
    bench.build()
    bench.delete("07_00_gone.csv")
    for number in range(3):
        bench.put(f"07_01_{number}.csv", b"id,city\n2,x\n")
    bench.build()
    assert bench.text() == b"id,name\n1,ann\n"
    assert set(bench.quarantined().values()) == {"columns"}


def test_a_wide_hour_is_read_by_name(bench):
    """Twenty sources, each with a column of its own: every value stands under its name."""
    for number in range(20):
        bench.put(f"07_00_{number}.csv", f"own{number},id\nv{number},{number}\n".encode())
        if number % 3 == 0:
            bench.build()
    bench.build()
    for number, row in enumerate(table(bench.text())):
        assert {name: text for name, text in row.items() if text} == {f"own{number}": f"v{number}", "id": str(number)}
