"""Headers of an hour's sources to the hour's header: what stands, stands; what can't stand beside it waits."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.rows import column_names, lay_rows
from s3_assets.hour_file.schema import (
    FREE_GROWTH_BYTES,
    Headed,
    SchemaRules,
    agree,
    header_row,
    layout,
)

names = st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), min_size=1, max_size=4)
headers = st.tuples(names, st.sampled_from([b"\n", b"\r\n"])).map(lambda drawn: b",".join(drawn[0]) + drawn[1])
UNION, QUARANTINE = SchemaRules("union"), SchemaRules("quarantine")
RULES = pytest.mark.parametrize("rules", [UNION, QUARANTINE], ids=["union", "quarantine"])


def headed(*rows: bytes | tuple[bytes | None, int] | None, certain: bool = True) -> list[Headed]:
    """New sources in key order, one row each unless it says."""
    return [
        Headed(f"k{index}", *(row if isinstance(row, tuple) else (row, 1)), certain=certain)
        for index, row in enumerate(rows)
    ]


def standing(header: bytes | None, key: str = "a", rows: int = 1, size: int = 0) -> Headed:
    """A source whose rows stand."""
    return Headed(key, header, rows, size, bound=True)


class TestFirstBuild:
    """Nothing stands: rows decide."""

    def test_equal_headers_are_the_hours_header(self):
        """As the first source wrote it; differences in quotes and line ends alone are none."""
        schema = agree(headed(b'"a",b\n', b"a,b\r\n", b"a,b\n"), UNION)
        assert (schema.header, schema.refused) == (b'"a",b\n', {})

    def test_the_header_of_most_rows_comes_first(self):
        """Then what the others add, in key order, each name as it was first written."""
        schema = agree(headed(b"d,a\n", (b"b,a\r\n", 5), b'a,"c ""x""",b\n'), UNION)
        assert schema.header == b'b,a,d,"c ""x"""\r\n'
        assert schema.names == (b"b", b"a", b"d", b'c "x"')

    def test_rows_vote_and_files_do_not(self):
        """Four files of one row don't outvote one of a thousand; of equals the first in key order wins."""
        junk = [(b"zzz\n", 1)] * 4
        schema = agree(headed(*junk, (b"id,name\n", 1000)), UNION)
        assert schema.header == b"id,name\n"
        assert list(schema.refused) == ["k0", "k1", "k2", "k3"]
        assert agree(headed(b"a\n", b"b\n"), QUARANTINE).header == b"a\n"

    def test_a_header_that_csv_reads_otherwise_does_not_come_first(self):
        """Nothing can be added to it; it waits beside another, and stands alone."""
        odd = b'"a"b,c\n'
        schema = agree(headed((odd, 9), b"c,d\n"), UNION)
        assert (schema.header, list(schema.refused)) == (b"c,d\n", ["k0"])
        assert agree(headed(odd, odd), UNION).header == odd

    def test_quarantine_takes_no_other_columns(self):
        """Both headers are in the reason."""
        schema = agree(headed((b"a\n", 2), b"a,b\n"), QUARANTINE)
        assert schema.header == b"a\n"
        assert "'a,b'" in schema.refused["k1"]
        assert "'a'" in schema.refused["k1"]

    def test_a_source_without_rows_has_no_say(self):
        """But it is named where its columns don't fit; where no source has rows, there is nothing to decide."""
        schema = agree(headed((b"x\n", 0), b"a\n"), UNION)
        assert (schema.header, list(schema.refused)) == (b"a\n", ["k0"])
        assert agree(headed((b"a,x\n", 0), b"a\n"), UNION).header == b"a\n"
        assert agree(headed((b"a,x\n", 0), b"a\n"), UNION).refused == {}
        assert agree(headed((b"x\n", 0), (None, 0)), UNION).header is None
        assert agree(headed((None, 0)), UNION).header is None
        assert agree([], UNION).header is None


class TestStanding:
    """Rows stand under a header."""

    @RULES
    def test_no_newcomer_changes_it(self, rules):
        """Whatever it has, however many rows, before or after in key order."""
        sources = [*headed((b"zzz\n", 10**6), (b"zzz,yyy\n", 10**6)), standing(b"id,name\n", "gone")]
        schema = agree(sources, rules, standing=b"id,name\n")
        assert schema.header == b"id,name\n"
        assert list(schema.refused) == ["k0", "k1"]

    def test_new_columns_come_at_its_end(self):
        """In the key order of the newcomers, also where these come first."""
        sources = [*headed(b"x,b,a\n", b"a,y\n"), standing(b"a,b\n", "z")]
        assert agree(sources, UNION, standing=b"a,b\n").names == (b"a", b"b", b"x", b"y")

    def test_it_stays_although_its_widest_source_went(self):
        """A column that no source has any more is empty; a rebuild would drop it."""
        assert agree([standing(b"a\n")], UNION, standing=b"a,b\n").names == (b"a", b"b")
        assert agree([standing(b"a\n")], UNION).names == (b"a",)

    def test_rows_without_a_header_stand_too(self):
        """A source with one waits beside them; one without waits beside rows that have one."""
        sources = [standing(None), *headed(b"a,b\n")]
        schema = agree(sources, UNION)
        assert (schema.header, list(schema.refused)) == (None, ["k0"])
        schema = agree([standing(b"a,b\n"), *headed((None, 3), (None, 0))], UNION, standing=b"a,b\n")
        assert (schema.header, list(schema.refused)) == (b"a,b\n", ["k0"])

    def test_a_name_twice_can_not_be_matched(self):
        """Equal headers with it stand together; another header beside it does not."""
        assert agree([standing(b"a,a\n"), *headed(b"a,a\r\n")], UNION, standing=b"a,a\n").refused == {}
        assert list(agree([standing(b"a,b\n"), *headed(b"a,a\n")], UNION, standing=b"a,b\n").refused) == ["k0"]
        assert list(agree([standing(b"a,a\n"), *headed(b"a,b\n")], UNION, standing=b"a,a\n").refused) == ["k0"]

    def test_rows_that_can_not_be_laid_out_fix_it(self):
        """Sources within its columns are laid out to it; those that would add one wait."""
        sources = [standing(b"a,b\n"), *headed(b"b\n", b"a,b\n", b"a,c\n", b"b,b\n")]
        schema = agree(sources, UNION, standing=b"a,b\n", fixed=True)
        assert schema.header == b"a,b\n"
        assert list(schema.refused) == ["k2", "k3"]


class TestAlike:
    """How alike two headers must be."""

    @RULES
    def test_one_that_shares_nothing_waits(self, rules):
        """It may be data: the reason says what to set."""
        schema = agree([standing(b"a,b\n"), *headed(b"x,y\n")], rules, standing=b"a,b\n")
        assert list(schema.refused) == ["k0"]
        if rules is UNION:
            assert "header = false" in schema.refused["k0"]

    @pytest.mark.parametrize("own", [b"a\n", b"b,a\n", b"c,a,b\n", b"a,b,c,d\n"])
    def test_more_or_fewer_columns_are_alike(self, own):
        """Also where nothing but names shows that it is a header."""
        sources = [standing(b"a,b\n"), *headed(own, certain=False)]
        assert agree(sources, UNION, standing=b"a,b\n").refused == {}

    def test_others_instead_must_surely_be_a_header(self):
        """Rows of text share a value in a column, as headers share a name: `US,web` and `US,app`."""
        for certain in (True, False):
            sources = [standing(b"US,web\n"), *headed(b"US,app\n", certain=certain)]
            refused = agree(sources, UNION, standing=b"US,web\n").refused
            assert list(refused) == ([] if certain else ["k0"])


class TestPinned:
    """The event names its columns."""

    RULES = SchemaRules("union", columns=header_row(["id", "name, full", "이름"]))

    def test_nothing_decides_but_the_list(self):
        """Sources may lack some; one with another waits."""
        schema = agree(headed((b"name,id\n", 9), b"id\n", b"id,x\n"), self.RULES)
        assert schema.names == (b"id", b"name, full", "이름".encode())
        assert list(schema.refused) == ["k0", "k2"]

    def test_rows_of_gone_sources_keep_their_columns(self):
        """At its end, whatever the list says later."""
        schema = agree([standing(b"old,id\n"), *headed(b"id\n")], self.RULES, standing=b"old,id\n")
        assert schema.names == (b"id", b"name, full", "이름".encode(), b"old")
        assert schema.refused == {}


class TestBounds:
    """What one source may cost its hour."""

    def test_columns(self):
        """Those that still fit are taken in key order; the reason names the setting."""
        rules = SchemaRules(max_columns=10)
        wide = [b"id," + b",".join(b"c%d_%d" % (source, place) for place in range(4)) + b"\n" for source in range(3)]
        schema = agree([standing(b"id\n"), *headed(*wide)], rules, standing=b"id\n")
        assert len(schema.names) == 9
        assert list(schema.refused) == ["k2"]
        assert "max_columns = 10" in schema.refused["k2"]

    def test_growth(self):
        """Of the rows that stand, and of the newcomer's own."""
        rows = FREE_GROWTH_BYTES
        sources = [standing(b"id\n", rows=rows, size=2 * rows), *headed(b"id\n", certain=True)]
        names = [b"c%d" % place for place in range(50)]
        sources[1] = Headed("k0", b",".join([b"id", *names]) + b"\n", 1, 100, certain=True)
        schema = agree(sources, SchemaRules(max_growth=20), standing=b"id\n")
        assert "max_growth = 20" in schema.refused["k0"]
        assert agree(sources, SchemaRules(max_growth=40), standing=b"id\n").refused == {}
        tall = Headed("k0", b"id\n", rows, rows, certain=True)
        wide = standing(b",".join([b"id", *names]) + b"\n", size=100)
        assert list(agree([wide, tall], SchemaRules(max_growth=20), standing=wide.header).refused) == ["k0"]

    def test_different_headers(self):
        """A ledger keeps each."""
        sources = headed(*(b"id,%b%d\n" % (b"x" * 90, number) for number in range(4)), (b"id\n", 5))
        refused = agree(sources, SchemaRules(max_headers_bytes=250)).refused
        assert list(refused) == ["k2", "k3"]
        assert "max_header_bytes" in refused["k2"]


class TestBoundInARebuild:
    """Rows of gone sources never leave; the others are judged anew."""

    def test_a_gone_source_is_never_refused(self):
        """Whatever the vote says; its header wins under quarantine."""
        many = headed(b"x\n", b"x\n", b"x\n")
        schema = agree([*many, standing(b"a\n", "gone")], QUARANTINE)
        assert schema.header == b"a\n"
        assert list(schema.refused) == ["k0", "k1", "k2"]
        assert agree([*many, standing(b"a\n", "gone")], UNION).names == (b"x", b"a")

    def test_one_that_can_not_be_matched_by_name_decides(self):
        """With a name twice it would lose a column if it were laid out: the others must give way."""
        schema = agree([standing(b"a,a\n", "0"), *headed(b"a,b\n", b"a,b\n", b"a,a\n")], UNION)
        assert schema.header == b"a,a\n"
        assert list(schema.refused) == ["k0", "k1"]
        schema = agree([*headed(b"a,a\n", b"a,a\n"), standing(b"a,b\n")], UNION)
        assert schema.header == b"a,b\n"
        assert list(schema.refused) == ["k0", "k1"]


@given(st.lists(headers, max_size=6), st.integers(0, 6), st.sampled_from([UNION, QUARANTINE]), st.booleans())
def test_who_fits_is_laid_out_without_loss(drawn, old, rules, certain):
    """Each accepted source's columns are all in the hour's header, and its values stand under their names, once."""
    first = agree(headed(*drawn[:old], certain=certain), rules)
    stand = [s for s in headed(*drawn[:old]) if s.key not in first.refused]
    sources = [Headed(s.key, s.header, 1, bound=True) for s in stand]
    sources += [s for s in headed(*drawn, certain=certain) if int(s.key[1:]) >= old]
    schema = agree(sources, rules, standing=first.header)
    assert set(schema.refused) <= {source.key for source in sources if not source.bound}
    if first.header is not None:
        assert schema.names[: len(first.names)] == first.names
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


@given(st.lists(headers, min_size=1, max_size=6), st.sampled_from([UNION, QUARANTINE]))
def test_agreeing_again_without_the_refused_changes_nothing(drawn, rules):
    """So that an hour that is looked at again stays as it is."""
    sources = headed(*drawn)
    schema = agree(sources, rules)
    again = agree([source for source in sources if source.key not in schema.refused], rules)
    assert (again.header, again.refused) == (schema.header, {})


column = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=6)


@given(st.lists(st.lists(column, min_size=1, max_size=4, unique=True), max_size=5))
def test_a_header_that_is_put_together_reads_as_its_names(drawn):
    """By Python's csv module, whatever the names are: what csv reads otherwise waits."""
    sources = headed(*(header_row(row) for row in drawn))
    schema = agree(sources, UNION)
    if schema.header is None:
        return
    (again,) = csv.reader(io.StringIO(schema.header.decode(), newline=""))
    wanted = {name for source in sources if source.key not in schema.refused for name in drawn[int(source.key[1:])]}
    assert set(again) == wanted
    assert tuple(name.encode() for name in again) == schema.names
