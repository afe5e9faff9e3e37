"""Headers of an hour's sources to the hour's header."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.rows import column_names, lay_rows
from s3_assets.hour_file.schema import Headed, agree, layout

names = st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), min_size=1, max_size=4)
headers = st.tuples(names, st.sampled_from([b"\n", b"\r\n"])).map(lambda drawn: b",".join(drawn[0]) + drawn[1])


def headed(*rows: bytes | tuple[bytes, int] | None) -> list[Headed]:
    """Sources in key order, one row each unless it says."""
    return [Headed(f"k{index}", *(row if isinstance(row, tuple) else (row, 1))) for index, row in enumerate(rows)]


def bound(header: bytes, key: str = "gone") -> Headed:
    """A source whose rows must stay."""
    return Headed(key, header, 1, bound=True)


def test_equal_headers_are_the_hours_header():
    """As the first source wrote it; differences in quotes and line ends alone are none."""
    schema = agree(headed(b'"a",b\n', b"a,b\r\n", b"a,b\n"), "union")
    assert (schema.header, schema.refused) == (b'"a",b\n', {})


def test_union_takes_columns_in_order_of_appearance():
    """The first source's, then what the next ones add, each name as it was first written."""
    schema = agree(headed(b"b,a\r\n", b'a,"c ""x""",b\n', b"d,a\n"), "union")
    assert schema.header == b'b,a,"c ""x""",d\r\n'
    assert schema.names == (b"b", b"a", b'c "x"', b"d")


def test_quarantine_takes_the_header_that_most_have():
    """The others are refused, with both headers in the reason; the first of equals wins."""
    schema = agree(headed(b"a,b\n", b"a\n", b"a\r\n"), "quarantine")
    assert schema.header == b"a\n"
    assert list(schema.refused) == ["k0"]
    assert "'a,b'" in schema.refused["k0"]
    assert agree(headed(b"a\n", b"b\n"), "quarantine").header == b"a\n"


@pytest.mark.parametrize("policy", ["union", "quarantine"])
def test_a_header_that_shares_nothing_is_refused(policy):
    """It is likely no header at all: the reason says what to set."""
    schema = agree(headed(b"a,b\n", b"1,2\n", b"a,b\n"), policy)
    assert schema.header == b"a,b\n"
    assert list(schema.refused) == ["k1"]
    if policy == "union":
        assert "header = false" in schema.refused["k1"]


def test_a_name_that_stands_twice_can_not_be_matched():
    """Equal headers with it are taken; another header beside it is not."""
    assert agree(headed(b"a,a\n", b"a,a\r\n"), "union").refused == {}
    assert list(agree(headed(b"a,b\n", b"a,a\n"), "union").refused) == ["k1"]
    assert list(agree(headed(b"a,a\n", b"a,b\n"), "union").refused) == ["k1"]


def test_a_source_without_rows_has_no_say():
    """Unless no source has rows."""
    assert agree(headed((b"x\n", 0), b"a\n"), "union").header == b"a\n"
    assert agree(headed((b"x\n", 0), (None, 0)), "union").header == b"x\n"
    assert agree(headed((None, 0)), "union").header is None
    assert agree([], "union").header is None


def test_rows_that_can_not_be_read_again_bind():
    """A vanished source is never refused, whatever the majority; its header wins under quarantine."""
    many = headed(b"x\n", b"x\n", b"x\n")
    schema = agree([*many, bound(b"a\n")], "quarantine")
    assert schema.header == b"a\n"
    assert list(schema.refused) == ["k0", "k1", "k2"]
    assert agree([*many, bound(b"a\n")], "union").names == (b"x", b"a")


def test_rows_that_can_not_be_read_again_nor_matched_by_name_decide():
    """A vanished source with a name twice would lose a column if it were laid out: the others must give way."""
    schema = agree([bound(b"a,a\n", "0"), *headed(b"a,b\n", b"a,b\n", b"a,a\n")], "union")
    assert schema.header == b"a,a\n"
    assert list(schema.refused) == ["k0", "k1"]
    schema = agree([*headed(b"a,a\n", b"a,a\n"), bound(b"a,b\n")], "union")
    assert schema.header == b"a,b\n"
    assert list(schema.refused) == ["k0", "k1"]


def test_a_pinned_header_stays():
    """Sources within its columns are laid out to it, others refused; so is what can't be matched by name."""
    schema = agree([*headed(b"b\n", b"a,b\n", b"a,c\n", b"b,b\n")], "union", pinned=b"a,b\n")
    assert schema.header == b"a,b\n"
    assert list(schema.refused) == ["k2", "k3"]
    assert list(agree(headed(b"a\n", b"a,a\n"), "union", pinned=b"a,a\n").refused) == ["k0"]


@given(st.lists(headers, max_size=6), st.sets(st.integers(0, 5)), st.sampled_from(["union", "quarantine"]))
def test_who_fits_is_laid_out_without_loss(drawn, gone, policy):
    """Each accepted source's columns are all in the hour's header, and its values stand under their names, once."""
    sources = headed(*drawn)
    vanished = [source for index, source in enumerate(sources) if index in gone]
    vanished = [source for source in vanished if source.key not in agree(vanished, policy).refused]  # held together
    sources = [dataclasses.replace(source, bound=source in vanished) for source in sources]
    schema = agree(sources, policy)
    assert set(schema.refused) <= {source.key for source in sources if not source.bound}
    assert (schema.header is None) == (not sources)
    for source in sources:
        if source.key in schema.refused or source.header is None or schema.header is None:
            continue
        own = column_names(source.header)
        columns = layout(source.header, schema.header)
        if columns is None:
            assert own == schema.names
            continue
        row = b",".join(b"%b%d" % (name, place) for place, name in enumerate(own)) + b"\n"
        laid = lay_rows(row, len(own), columns).rstrip(b"\n").split(b",")
        assert sorted(field for field in laid if field) == sorted(row.rstrip(b"\n").split(b","))
        assert all(not field or field.startswith(name) for name, field in zip(schema.names, laid, strict=True))


@given(st.lists(headers, min_size=1, max_size=6), st.sampled_from(["union", "quarantine"]))
def test_agreeing_again_without_the_refused_changes_nothing(drawn, policy):
    """So that an hour that is looked at again stays as it is."""
    sources = headed(*drawn)
    schema = agree(sources, policy)
    again = agree([source for source in sources if source.key not in schema.refused], policy)
    assert (again.header, again.refused) == (schema.header, {})


def test_an_empty_column_name_is_nothing_in_common():
    """Rows that end in a comma have one: data without a header line must not pass for a header because of it."""
    schema = agree(headed(b"id,name,\n", b"2,bob,\n", b"id,name,\n"), "union")
    assert schema.header == b"id,name,\n"
    assert "shares no column" in schema.refused["k1"]
