"""Keys to hours and back, hours to partition keys and back, and the order of sources in an hour."""

from __future__ import annotations

import dagster
import pytest
from dagster._core.definitions.partitions.utils.base import (
    INVALID_PARTITION_SUBSTRINGS,
    raise_error_on_invalid_partition_key_substring,
)
from dagster._core.definitions.partitions.utils.multi import MULTIPARTITION_KEY_DELIMITER
from hypothesis import example, given
from hypothesis import strategies as st

from s3_assets.errors import KeyGrammarError
from s3_assets.hour_file.keys import (
    Hour,
    KeyGrammar,
    escape_event,
    label_of,
    order_key,
    parse_label,
    unescape_event,
)

folder_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=30)
labels = st.datetimes().map(lambda moment: f"{moment.year:04}-{moment:%m-%d-%H}:00")
ODD_NAMES = [
    "a b",
    "a+b",
    "50%",
    "고객_이벤트",
    "a|b",
    'it\'s "it"',
    "two\nlines",
    "...",
    "....",
    "%7C",
    "é",
    ".",
    "a...b\x7f",
]


# --- source keys ---------------------------------------------------------------------------------------------


@given(folder_names, labels, st.integers(0, 59), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_source_key_names_its_hour(event, label, minute, name):
    """Whatever characters the event and the rest of the name hold."""
    grammar = KeyGrammar()
    hour = Hour(event, label)
    key = f"{event}/{label[:10]}/{label[11:13]}_{minute:02}_{name}.csv"
    assert grammar.source_hour(key) == hour
    assert grammar.source_hour(key + ".gz") == hour
    assert key.startswith(grammar.hour_prefix(hour))
    assert grammar.hour_prefix(hour).startswith(grammar.date_prefix(event, hour.date))
    assert grammar.date_prefix(event, hour.date).startswith(grammar.dates_prefix(event))


@given(folder_names, labels)
def test_a_target_key_is_read_back(event, label):
    """The hour of a target key is the hour that it was made for."""
    hour = Hour(event, label)
    assert KeyGrammar.target_key(hour) == f"{event}/{label[:10]}/{label[11:13]}.csv.gz"
    assert KeyGrammar.target_hour(KeyGrammar.target_key(hour)) == hour


@pytest.mark.parametrize(
    "key, reason",
    [
        ("e/2021-09-01/25_61_x.csv", "no such hour"),
        ("e/2021-09-01/24_00_x.csv", "no such hour"),
        ("e/2021-09-01/07_61_x.csv", "no such minute"),
        ("e/2021-13-01/07_00_x.csv", "no such date"),
        ("e/2021-02-29/07_00_x.csv", "no such date"),
        ("e/0000-01-01/07_00_x.csv", "no such date"),
        ("e/20210901/07_00_x.csv", "no such date"),
        ("e/2021-W35-3/07_00_x.csv", "no such date"),
        ("e/２０２１-09-01/07_00_x.csv", "no such date"),
        ("e/2021-09-01/", "a folder marker"),
        ("", "not of the form"),
        ("readme.txt", "not of the form"),
        ("e/readme.txt", "not of the form"),
        ("e/2021-09-01/readme.txt", "not of the form"),
        ("e/2021-09-01/7_00_x.csv", "not of the form"),
        ("e/2021-09-01/٠٧_00_x.csv", "not of the form"),
        ("e/2021-09-01/07_00_x.csv.bz2", "not of the form"),
        ("e/2021-09-01/07_00_x.csv\n", "not of the form"),
        ("e/2021-09-01/07-00_x.csv", "not of the form"),
        ("/2021-09-01/07_00_x.csv", "not of the form"),
        ("e//07_00_x.csv", "not of the form"),
    ],
)
def test_what_is_no_source_key_is_refused_with_its_reason(key, reason):
    """Each kind says what is wrong."""
    with pytest.raises(KeyGrammarError) as caught:
        KeyGrammar().source_hour(key)
    assert str(caught.value).startswith(reason)


@given(st.text(max_size=60))
@example("e/2021-09-01/07_00_\n.csv")
def test_any_text_is_a_source_key_or_refused(key):
    """Nothing else can come out, so no key in a listing stops a tick."""
    try:
        hour = KeyGrammar().source_hour(key)
    except KeyGrammarError:
        return
    assert key.startswith(f"{hour.event}/{hour.date}/{hour.hh}_")


@pytest.mark.parametrize(
    "key",
    [
        "e/2021-09-01/7.csv.gz",
        "e/2021-09-01/24.csv.gz",
        "e/2021-09-31/07.csv.gz",
        "e/x",
        "07.csv.gz",
        "a/e/2021-09-01/07.csv.gz",
        "e/2021-09-01/07.csv.gz\n",
    ],
)
def test_what_is_no_target_key_has_no_hour(key):
    """Other objects under the target prefix are none of ours."""
    assert KeyGrammar.target_hour(key) is None


# --- patterns ------------------------------------------------------------------------------------------------


def test_a_pattern_may_have_literal_folders_and_other_separators():
    """A pattern with literals before, between and after the placeholders is read like the default one."""
    grammar = KeyGrammar("raw (v1)/{event}/day/{date}/h{HH}m{MM}-{name}.txt")
    hour = grammar.source_hour("raw (v1)/e/day/2021-09-01/h07m15-a/b.txt")
    assert hour == Hour("e", "2021-09-01-07:00")
    assert grammar.hour_prefix(hour) == "raw (v1)/e/day/2021-09-01/h07m"
    assert grammar.events_prefix() == "raw (v1)/"
    assert grammar.dates_prefix("e") == "raw (v1)/e/day/"
    with pytest.raises(KeyGrammarError):
        grammar.source_hour("raw (v1)/e/day/2021-09-01/h07m15-a.txt.gz")


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "{HH}_{MM}_{name}.csv",
        "{event}/{HH}_{MM}_{name}.csv",
        "{date}/{event}/{HH}_{MM}_{name}.csv",
        "{event}/{event}/{date}/{HH}_{MM}_{name}.csv",
        "{event}-{date}/{HH}_{MM}_{name}.csv",
        "x{event}/{date}/{HH}_{MM}_{name}.csv",
        "{event}/{date}/{MM}_{HH}_{name}.csv",
        "{event}/{date}/{HH}_{MM}{name}.csv",
        "{event}/{date}/{HH}_{MM}7{name}.csv",
        "{event}/{date}/{HH}_{name}.csv",
        "{event}/{date}/{HH}_{MM}.csv",
        "{event}/{date}/{HH}_{MM}_{name}_{HH}.csv",
        "{event}/{date}/{HH}_{MM}_{name}_{other}.csv",
        "/{event}/{date}/{HH}_{MM}_{name}.csv",
        "a//{event}/{date}/{HH}_{MM}_{name}.csv",
        "../{event}/{date}/{HH}_{MM}_{name}.csv",
        "{event}/{date}/{other}/{HH}_{MM}_{name}.csv",
    ],
)
def test_a_bad_pattern_is_refused_when_it_is_read(pattern):
    """The message names the pattern and shows a valid one."""
    with pytest.raises(KeyGrammarError) as caught:
        KeyGrammar(pattern)
    assert repr(pattern) in str(caught.value)
    assert "{event}/{date}/{HH}_{MM}_{name}.csv" in str(caught.value)


# --- order ---------------------------------------------------------------------------------------------------


def test_sources_stand_in_natural_order():
    """Numbers compare as numbers, so file_9 is before file_10; the key decides between equals."""
    names = ["07_00_file_9", "07_00_file_10", "07_00_file_010", "07_05_file_1", "07_00_file", "07_00_", "07_00_a10b2"]
    assert sorted(names, key=order_key) == [
        "07_00_",
        "07_00_a10b2",
        "07_00_file",
        "07_00_file_9",
        "07_00_file_010",
        "07_00_file_10",
        "07_05_file_1",
    ]


@given(st.lists(st.text(st.sampled_from("a0 1_29-é٣²"), max_size=8), unique=True))
def test_the_order_is_total(names):
    """Different keys never compare equal, and any two keys compare: also with digits that are not ASCII."""
    keys = [order_key(name) for name in names]
    assert len(set(keys)) == len(keys)
    turned = names[::-1]
    assert sorted(names, key=order_key) == sorted(turned, key=order_key)


@given(st.lists(st.tuples(st.integers(0, 23), st.integers(0, 59), st.text("9a_", max_size=4)), unique=True))
def test_the_minute_decides_first(parts):
    """With the default pattern, whatever stands after the minute."""
    keys = [f"e/2021-09-01/{hh:02}_{mm:02}_{name}.csv" for hh, mm, name in parts]
    assert [key.split("/")[2][:5] for key in sorted(keys, key=order_key)] == sorted(k.split("/")[2][:5] for k in keys)


# --- partition keys ------------------------------------------------------------------------------------------


@given(folder_names)
@example("...")
@example("....")
@example("%2E..")
@pytest.mark.parametrize("odd", [None, *ODD_NAMES])
def test_an_event_name_becomes_a_partition_key_that_dagster_takes_and_back(odd, drawn):
    """Fails when the installed Dagster forbids more than the escape knows."""
    event = drawn if odd is None else odd
    escaped = escape_event(event)
    assert unescape_event(escaped) == event
    assert MULTIPARTITION_KEY_DELIMITER not in escaped
    raise_error_on_invalid_partition_key_substring([escaped])


@pytest.mark.parametrize("forbidden", [*INVALID_PARTITION_SUBSTRINGS, MULTIPARTITION_KEY_DELIMITER])
def test_everything_that_dagster_forbids_is_escaped(forbidden):
    """In the middle, alone, and twice."""
    for event in (forbidden, f"a{forbidden}b", forbidden * 2):
        assert forbidden not in escape_event(event)
        assert unescape_event(escape_event(event)) == event


def test_dagster_takes_odd_events_end_to_end():
    """As dynamic partitions of an instance and as keys of the multi-partitions definition."""
    hours = dagster.HourlyPartitionsDefinition(start_date="2021-09-01-00:00")
    events = dagster.DynamicPartitionsDefinition(name="event")
    both = dagster.MultiPartitionsDefinition({"hour": hours, "event": events})
    with dagster.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("event", [escape_event(name) for name in ODD_NAMES])
        for name in ODD_NAMES:
            hour = Hour(name, "2021-09-01-07:00")
            key = dagster.MultiPartitionKey({"hour": hour.label, "event": escape_event(name)})
            assert str(key) == hour.partition_key
            assert Hour.of_partition_key(str(key)) == hour
            with dagster.partition_loading_context(dynamic_partitions_store=instance):
                assert both.has_partition_key(hour.partition_key)


@given(folder_names, labels)
def test_a_partition_key_is_read_back(event, label):
    """Any event, any hour."""
    hour = Hour(event, label)
    assert Hour.of_partition_key(hour.partition_key) == hour


@pytest.mark.parametrize(
    "key", ["", "e", "|", "|2021-09-01-07:00", "e|", "e|2021-09-01", "e|2021-09-01-25:00", "e|x|y"]
)
def test_what_is_no_partition_key_is_refused(key):
    """With the package's own error."""
    with pytest.raises(KeyGrammarError):
        Hour.of_partition_key(key)


@pytest.mark.parametrize(
    "text",
    [
        "2021-09-01-07:00",
        "2021-09-01T07",
        "2021-09-01T07:00",
        "2021-09-01T07:00Z",
        "2021-09-01T07:00:00+00:00",
        "2021-09-01 07:00",
        " 2021-09-01T0700 ",
    ],
)
def test_an_hour_may_be_written_as_iso(text):
    """All forms are one label."""
    assert parse_label(text) == "2021-09-01-07:00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2021-09-01",
        "2021-09-01T07:30",
        "2021-09-01T24",
        "2021-09-31T07",
        "2021-09-01T07+02:00",
        "21-09-01T07",
        "2021-09-01T07:00:01",
    ],
)
def test_what_names_no_whole_utc_hour_is_refused(text):
    """The message shows how to write one."""
    with pytest.raises(KeyGrammarError, match="2021-09-01T07:00"):
        parse_label(text)


@given(st.datetimes(timezones=st.timezones()))
def test_the_label_of_a_moment_is_its_utc_hour(moment):
    """Whatever the local clock did."""
    try:
        label = label_of(moment)
    except OverflowError:
        return
    hour = Hour("e", parse_label(label) if moment.year >= 1000 else label)
    if moment.year >= 1000 and hour.date < "9999-12-31":
        assert hour.start <= moment < hour.end
