"""The sample is what it says: deterministic, in the layout, with every oddity that it promises."""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from s3_assets.demo import sample
from s3_assets.errors import KeyGrammarError
from s3_assets.hour_file.intake import SourceRows, UnusableSourceError
from s3_assets.hour_file.keys import Hour, KeyGrammar, order_key

NOW = datetime(2026, 11, 22, 3, 41, 30, tzinfo=UTC)


def rows_read(drop: sample.Drop) -> int:
    """How many rows the pipeline finds in a source object."""
    source = SourceRows([drop.data])
    for _ in source:
        pass
    return source.rows


def test_the_customer_day_has_the_layout_of_the_mission():
    """Four objects of 07:00 and one of 08:00, named as producers name them."""
    assert [drop.key for drop in sample.customer_day()] == [
        "customer_new_customer_event/2021-09-01/07_00_file_123.csv",
        "customer_new_customer_event/2021-09-01/07_15_file_124.csv",
        "customer_new_customer_event/2021-09-01/07_27_file_125.csv",
        "customer_new_customer_event/2021-09-01/07_50_file_126.csv",
        "customer_new_customer_event/2021-09-01/08_15_file_127.csv",
    ]


def test_equal_moments_give_equal_objects():
    """Nothing depends on the clock or on the order of calls."""
    assert sample.initial(NOW) == sample.initial(NOW)


def test_objects_of_two_moments_agree_where_they_share_a_key():
    """A later start of the demo adds objects and rewrites none but the odd ones, which move along with the hour."""
    earlier = {drop.key: drop.data for drop in sample.recent_drops(NOW)}
    later = {drop.key: drop.data for drop in sample.recent_drops(NOW + timedelta(hours=2))}
    shared = earlier.keys() & later.keys()
    assert len(shared) > 100
    assert all(earlier[key] == later[key] for key in shared)


def test_nothing_recent_is_of_the_future():
    """The current hour is there up to the given minute."""
    minutes = [
        drop.order[0] for drop in sample.recent_drops(NOW) if drop.hour == Hour("page_views", "2026-11-22-03:00")
    ]
    assert sorted(minutes) == list(range(42))


@pytest.mark.parametrize("now", [NOW, NOW.replace(minute=0, second=0), NOW.replace(hour=0)])
def test_usable_objects_hold_the_rows_they_claim(now):
    """What a producer says it wrote is what a reader of CSV finds."""
    usable = [drop for drop in sample.initial(now) if not drop.reason]
    assert all(rows_read(drop) == len(drop.rows) for drop in usable)


def test_broken_objects_are_refused_for_their_reason():
    """Each is unusable in the way it says."""
    found = {}
    for drop in sample.broken_drops(NOW):
        with pytest.raises(UnusableSourceError) as caught:
            rows_read(drop)
        found[drop.reason] = caught.value.reason
    assert found == {reason: reason for reason in ("unclosed quote", "damaged gzip", "UTF-16")}


def test_misplaced_keys_are_no_sources():
    """`25_61`, a bad date and a readme don't parse; the other two parse, and are outside the range."""
    grammar = KeyGrammar()
    outside = 0
    for drop in sample.misplaced_drops():
        try:
            grammar.source_hour(drop.key)
        except KeyGrammarError as error:
            assert str(error) == drop.reason  # noqa: PT017
        else:
            outside += 1
    assert outside == 2


def test_one_object_comes_twice_and_one_content_under_two_names():
    """The same key twice is one source, the same content under another name is two."""
    drops = sample.initial(NOW)
    keys = Counter(drop.key for drop in drops)
    assert [count for count in keys.values() if count > 1] == [2]
    before = Hour("payments", "2026-11-22-02:00")
    contents = Counter({drop.key: drop.data for drop in drops if drop.hour == before and drop.rows}.values())
    assert [count for count in contents.values() if count > 1] == [2]


def test_rows_are_realistic():
    """Korean, leading zeros, quoted commas and quoted newlines are all there."""
    text = b"".join(drop.data for drop in sample.customer_day()).decode()
    assert any("가" <= character <= "힣" for character in text)
    assert "\n007," in text
    assert '"문 앞에 두세요\n초인종 X"' in text
    assert '층"' in text


def test_later_objects_meet_earlier_ones():
    """The late one is new, the others have keys that are there from the start, and other bytes but for the vanished."""
    there = {drop.key: drop.data for drop in sample.initial(NOW)}
    assert sample.late_customer().key not in there
    assert sample.late_customer().hour == sample.SEVEN
    assert there[sample.rewritten(NOW).key] != sample.rewritten(NOW).data
    assert there[sample.mended(NOW).key] != sample.mended(NOW).data
    assert there[sample.vanishing(NOW).key] == sample.vanishing(NOW).data


def test_expected_rows_stand_in_the_order_of_the_key_grammar():
    """The sample orders by its own knowledge; it agrees with the order that the pipeline takes."""
    for hour in sample.expected(sample.initial(NOW)):
        drops = [drop for drop in {d.key: d for d in sample.initial(NOW)}.values() if drop.hour == hour]
        by_sample = sorted(drops, key=lambda drop: drop.order)
        assert by_sample == sorted(drops, key=lambda drop: order_key(drop.key))


def test_expected_is_the_last_writing_of_each_key():
    """A rewritten object's first rows are gone; a mended one is no longer unusable."""
    first = sample.initial(NOW)
    again, mended = sample.rewritten(NOW), sample.mended(NOW)
    before, after = sample.expected(first), sample.expected([*first, again, mended])
    changed = {hour for hour in after if after[hour] != before[hour]}
    assert changed == {again.hour, mended.hour}
    assert mended.key in before[mended.hour].unusable
    assert mended.key not in after[mended.hour].unusable


def test_expected_columns_are_the_union():
    """An object with one more column widens its hour; the other rows have nothing there."""
    hour = sample.expected(sample.initial(NOW))[Hour("payments", "2026-11-22-02:00")]
    assert hour.columns[-1] == "currency"
    assert Counter(row[-1] for row in hour.rows) == {"": len(hour.rows) - 7, "KRW": 7}


def test_hour_files_are_read_with_their_quoted_newlines():
    """Python's own gzip and csv give back what was written."""
    rows = [("007", "a,b\nc"), ("1.10", 'say "x"')]
    data = gzip.compress(sample.as_csv(("id", "text"), rows))
    assert sample.hour_file_rows(data) == (("id", "text"), rows)


def test_the_stream_goes_on_and_repeats_no_key():
    """On time or late, each object is a new one of a known event, and never of the future."""
    moments = iter(NOW + timedelta(seconds=6 * step) for step in range(300))
    drops = list(islice(sample.stream(lambda: next(moments)), 300))
    assert len({drop.key for drop in drops}) == 300
    grammar = KeyGrammar()
    assert all(grammar.source_hour(drop.key) == drop.hour for drop in drops)
    late = [drop for step, drop in enumerate(drops) if drop.hour.end <= NOW + timedelta(seconds=6 * step)]
    assert 60 < len(late) < 160
    assert any(drop.hour == sample.SEVEN for drop in late)
    assert all(drop.hour.start <= NOW + timedelta(seconds=1800) for drop in drops)
